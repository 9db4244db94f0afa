//! Batch normalisation over `[rows, channels]`, rows being batch × height × width (arXiv 1502.03167).
//!
//! Training reads the input twice going forward ([`statistics`], [`forward`]) and twice going back ([`gradient_sums`],
//! [`InputGradient`]). With running statistics it is one affine map per channel: [`Affine`] forward, its scale backward.
//! The residual sum and the clamp that usually follow are fused in both directions.

mod affine;
mod gradient;
mod moments;
#[cfg(test)]
mod oracle;

pub use affine::{Affine, Finish, forward, forward_in_place};
pub use gradient::{GradientSums, InputGradient, gradient_sums};
pub use moments::{Moments, statistics};
