//! Detecting objects: heads on a backbone's maps, what they learn from, and what is left of many boxes that overlap.

mod boxes;
mod overlap_loss;
mod suppression;
mod truth;

pub mod fcos;
pub mod ssd;

mod network;
mod published;
mod task;

mod detector;
mod marks;

pub use boxes::Corners;
pub use detector::Detector;
pub use network::{Detection, DetectionHead, Losses, Selecting};
pub use published::DETECTORS;
pub use suppression::{Candidate, suppress};
pub use task::DetectionTask;
pub use truth::{Truth, Truths};
