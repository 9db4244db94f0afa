//! Published networks for recordings, by transformers' names.

mod ast;
mod config;
pub mod speech;

pub use ast::{HEAD, POSITIONS, Settings, build, place_of_crop};
pub use config::{Config, ConfigError};
