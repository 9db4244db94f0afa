//! Encoders with their weights: folders as transformers, sentence-transformers and PEFT write them, opened and written.

mod error;
mod sentence;

mod folder;

mod open;

mod adapter;

mod bundle;

pub use adapter::save_adapter;
pub use bundle::{BundleError, save_model};
pub use error::ModelError;
pub use folder::Folder;
pub use open::{Model, Start};
