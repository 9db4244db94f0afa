//! Sums, products, scaling, joining and splitting: kernels whose only cost is memory.

mod channels;
mod gate;
mod join;
mod same_shape;

pub use channels::{scale_channels, scale_channels_in_place, sum_products, sum_rows};
pub use gate::{gate, gate_gradient};
pub use join::{concat, split};
pub use same_shape::{add, add_assign, affine, clamp_backward, copy, multiply, scale};
