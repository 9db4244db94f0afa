//! Scaled dot-product attention over heads (arXiv 1706.03762). A task is one head of one sample, whose scores never leave the
//! cache; for a backward pass the shares are kept, before dropout.

mod backward;
mod forward;
mod shape;
#[cfg(test)]
mod tests;

pub use backward::{Gradients, backward};
pub use forward::forward;
pub use shape::{AttentionShape, Dropped, Mask, Operands};
