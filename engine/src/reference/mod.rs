//! The reference executor: every operator as a composition of differentiable candle operators. Plain, slow, and right.
//!
//! It runs in f32 or f64 and is the oracle of every test of the CPU executor, which also runs single nodes in their reference
//! form where it has no kernel ([`fallback`]). Only candle operators that exist on each of its devices and whose gradients are exact are
//! used: none of its fused operators, pools, resizes or convolutions, nor its `relu` and `gelu`, whose gradients differ
//! from PyTorch's at the corner and in the seventh digit. Speed is deliberately not here.

mod execute;
pub mod fallback;
mod node;
mod optimizer;
mod recording;

mod attention;
mod convolution;
mod distances;
mod dropout;
mod elementwise;
mod normalisation;
mod pooling;
mod resize;
mod shape_ops;
mod values;
mod walk;

pub use execute::{Precision, Reference};
pub use node::{Behaviour, forward_node};
