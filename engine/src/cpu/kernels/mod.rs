//! Safe, bounds-asserting functions over microkernels. Activations are channels-last (`[batch, height, width, channels]`), f32.

pub mod accumulate;
pub mod activation;
pub mod attention;
pub mod batch_norm;
pub mod binary_cross_entropy;
pub mod conv;
pub mod cross_entropy;
pub mod ctc;
pub mod depthwise;
pub mod distances;
pub mod dropout;
pub mod elementwise;
pub mod epilogue;
pub mod focal;
pub mod inverted_residual;
pub mod layer_norm;
pub mod lookup;
pub mod matrix;
pub mod movement;
pub mod narrow;
pub mod optimizer;
pub mod peak;
pub mod pixel_cross_entropy;
pub mod pooling;
pub mod resize;
pub mod rotary;
pub mod scratch;
pub mod softmax;
pub mod unary;

mod chunks;
mod elementary;
mod lanes;
mod micro;
mod rows;
#[cfg(test)]
mod testing;

pub use accumulate::Accumulate;
pub use activation::{Activation, Clamp};
pub use epilogue::Epilogue;
pub use scratch::Scratch;
