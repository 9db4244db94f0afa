//! Convolutions with full channels, and linear layers, which are convolutions of single pixels ([`ConvShape::linear`]).
//!
//! Forward pass and gradient of the input are one product (`product`) over two geometries (`geometry`); the gradient of the
//! weights is a sum of outer products (`backward_weights`) of copied pieces (`operands`). 3 × 3 kernels on large images
//! need fewer multiplications (`winograd`).

mod backward_bias;
mod backward_input;
mod backward_weights;
mod forward;
mod geometry;
mod operands;
mod packing;
mod product;
mod shape;
mod weights;
mod winograd;

#[cfg(test)]
mod narrow_tests;
#[cfg(test)]
pub(crate) mod oracle;
#[cfg(test)]
mod tests;

pub use backward_bias::backward_bias;
pub use backward_input::backward_input;
pub use backward_weights::backward_weights;
pub use forward::forward;
pub use packing::pack;
pub use shape::ConvShape;
pub use weights::{Direction, PackedWeights};
pub use winograd::{suits as suits_winograd, transposed as winograd_transposed};

pub(crate) use geometry::{Geometry, phases};
