//! Sentences: from files to token numbers, published encoders as graphs, classification.

pub mod architectures;
pub mod data;

mod files;

pub mod model;
pub mod tagging;

pub mod classifier;

pub use files::EMBEDDED;
