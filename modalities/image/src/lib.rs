//! Photographs: from files to samples, pixels and tensors; networks with their weights; classifiers.
//!
//! `data` turns a folder into samples and samples into normalised pixels and knows no models; `annotations` are photographs with boxes around their
//! objects, `segments` photographs whose pixels have classes. `architectures` are graphs, `catalog` the weights published for them, `model` is one with weights, `classifier` one that was
//! trained and predicts. How a model is adapted is decided elsewhere.

pub mod annotations;
pub mod data;
pub mod detection;
pub mod masks;
pub mod segments;

pub mod architectures;
pub mod catalog;
pub mod model;
mod positions;

pub mod classifier;

pub use data::{DataError, DecodeError, OpenError, PreprocessError};
