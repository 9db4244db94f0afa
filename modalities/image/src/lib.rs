//! Photographs: from files to samples, pixels and tensors.
//!
//! `data` turns a folder into samples and samples into normalised pixels; it knows no models.

pub mod architectures;
pub mod data;

pub use data::{DataError, DecodeError, OpenError, PreprocessError};
