//! A backbone with a head of another task grafted on it: opening, changing and saving it, whatever the head is.
//!
//! Parameters of the backbone have timm's names in memory; on disk all have those of torchvision, whose prefix for the backbone is the head's
//! to say.

mod config;
mod error;
mod head;
mod model;
mod open;
mod published;
mod rows;
mod runner;
mod save;

pub use config::Config;
pub use error::GraftError;
pub use head::Graft;
pub use model::Grafted;
pub use open::{HeadChoice, is_grafted};
pub use published::Published;
pub use runner::Runner;
