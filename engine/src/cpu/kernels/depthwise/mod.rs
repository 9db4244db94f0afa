//! Depthwise convolutions: every channel by itself. Weights are `[channels, 1, kernel height, kernel width]`.
//!
//! These are bound by memory, not by arithmetic, so rows of pixels are walked a register of channels at a time, with the
//! weights of that register at hand.

mod backward_weights;
mod line;
mod panel;
mod passes;

#[cfg(test)]
mod tests;

pub use backward_weights::backward_weights;
pub use passes::{backward_input, forward};

pub(super) use panel::PanelRows;
pub(super) use passes::by_tap;
