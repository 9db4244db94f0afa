//! Photographs: from files to samples, pixels and tensors; networks with their weights; classifiers.
//!
//! `data` turns a folder into samples and samples into normalised pixels and knows no models; `annotations` are photographs with boxes around their
//! objects. `architectures` are graphs, `catalog` the weights published for them, `model` is one
//! with weights, `classifier` one that was trained and predicts. How a model is adapted is decided elsewhere.

pub mod data;
pub mod masks;

pub mod architectures;
pub mod backbone;
pub mod catalog;
pub mod model;
mod positions;

pub mod framing;
pub mod segments;
pub mod grafted;

pub mod detection;
pub mod draw;
pub mod segmentation;

pub mod classifier;

pub use data::{DataError, DecodeError, OpenError, PreprocessError};
