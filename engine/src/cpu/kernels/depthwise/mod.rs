//! Depthwise convolutions: every channel by itself. Weights are `[channels, 1, kernel height, kernel width]`.
//!
//! Rows of pixels are walked a register of channels at a time, with the weights of that register at hand: usual kernels in `strips`, whose
//! source is copied to where every tap finds a number, any other in `passes`, which read the source as it lies.

mod backward_weights;
mod line;
mod panel;
mod passes;
mod ring;
mod strips;

#[cfg(test)]
mod tests;

pub use backward_weights::backward_weights;
pub use passes::{backward_input, forward};

pub(super) use panel::PanelRows;
pub(super) use passes::by_tap;
pub(super) use ring::{Ring, source_rows};
