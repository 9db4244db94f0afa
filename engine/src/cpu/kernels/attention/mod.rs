//! Scaled dot-product attention over heads (arXiv 1706.03762). A task is one head of one sample, whose scores never leave the
//! cache: a backward pass computes them again, block of queries by block, from what is kept of each row (as arXiv 2205.14135 does).

mod backward;
mod forward;
mod shape;
#[cfg(test)]
mod tests;

pub use backward::{Gradients, backward};
pub use forward::forward;
pub use shape::{AttentionShape, Dropped, Mask, Operands};
