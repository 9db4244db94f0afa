//! Safe, bounds-asserting functions over microkernels. Activations are channels-last (`[batch, height, width, channels]`), f32.

pub mod accumulate;
pub mod activation;
pub mod batch_norm;
pub mod conv;
pub mod cross_entropy;
pub mod depthwise;
pub mod dropout;
pub mod elementwise;
pub mod epilogue;
pub mod optimizer;
pub mod peak;
pub mod pooling;
pub mod scratch;

mod chunks;
mod elementary;
mod lanes;
mod micro;
#[cfg(test)]
mod testing;

pub use accumulate::Accumulate;
pub use activation::{Activation, Clamp};
pub use epilogue::Epilogue;
pub use scratch::Scratch;
