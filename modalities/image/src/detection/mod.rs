//! Detecting objects: boxes, what is left of many that overlap.

mod boxes;
mod suppression;

pub use boxes::Corners;
pub use suppression::{Candidate, suppress};
