//! Published networks for recordings, by transformers' names.

mod architecture;
mod ast;
mod config;
pub mod speech;

pub use architecture::{Architecture, FRAMES_PER_SECOND, Start, StartError};
pub use ast::{HEAD, POSITIONS, Settings, build, place_of_crop};
pub use config::{Config, ConfigError, is_known};
