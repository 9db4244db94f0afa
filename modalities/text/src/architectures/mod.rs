//! Published encoders as graphs, by transformers' names.
//!
//! A graph is built from what `config.json` says and from a [`Head`]; its inputs are those that [`Architecture::fields`] lists. Values
//! of parameters are not here: checkpoints and initialisation are other modules' business.

mod architecture;
mod error;
mod field;
mod head;
mod list;
mod own;
mod settings;

mod embeddings;
mod encoder;
mod pooling;

mod bert;
mod camembert;
pub mod deberta_v2;
mod distilbert;
mod electra;
pub mod modernbert;
mod mpnet;
mod roberta;
mod xlm_roberta;

mod config;

pub use architecture::Architecture;
pub use config::{Config, ConfigError};
pub use error::ArchitectureError;
pub use field::Field;
pub use head::{Head, Pooling};
pub use list::{ARCHITECTURES, find};
pub use own::Own;
pub use settings::Settings;
