//! Safe, bounds-asserting functions over microkernels. Activations are channels-last (`[batch, height, width, channels]`), f32.
pub mod activation;
