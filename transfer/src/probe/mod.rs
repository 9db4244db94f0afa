//! Small models on cached features: logistic regression and a linear support vector machine with a chosen strength, and a network
//! with one hidden layer.

pub mod error;
pub mod examples;
pub mod head;
pub mod linear;
pub mod linear_model;
pub mod loss;
pub mod mlp;
pub mod standardizer;
pub mod strength;

mod calibration;
mod line_search;
mod minimize;
mod network;
mod objective;
mod product;

pub use error::ProbeError;
pub use examples::{Examples, Features};
pub use head::{OutOfFold, Probe, ProbeKind, out_of_fold};
pub use linear::Linear;
pub use linear_model::{LinearModel, LinearOptions};
pub use loss::LinearLoss;
pub use mlp::{Mlp, MlpOptions};
pub use standardizer::Standardizer;
pub use strength::{CrossValidation, FoldScore, StrengthScore, StrengthSearch, cross_validate};
