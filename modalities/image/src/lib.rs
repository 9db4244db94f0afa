//! Photographs: from files to samples, pixels and tensors; networks with their weights; classifiers.
//!
//! `data` turns a folder into samples and samples into normalised pixels and knows no models; `annotations` are photographs with boxes around their
//! objects, `segments` such whose pixels have classes. `architectures` are graphs, `catalog` the weights published for them, `model` is one with
//! weights, `classifier` one that was trained and predicts. Where the result is no class of the whole picture, `grafted` is a `backbone` with another
//! head, and `framing` is how a picture, with all that is marked in it, becomes its input. How a model is adapted is decided elsewhere.

pub mod annotations;
pub mod data;
pub mod masks;
pub mod segments;

pub mod architectures;
pub mod backbone;
pub mod catalog;
pub mod model;
mod positions;

pub mod framing;
pub mod grafted;

pub mod detection;
pub mod draw;
pub mod segmentation;

pub mod classifier;

pub use data::{DataError, DecodeError, OpenError, PreprocessError};
