//! Which pixels belong to an object: masks as COCO writes them, in runs or as outlines.

mod outline;
mod run_length;

pub use outline::OutlineError;
pub use run_length::{Mask, RunsError};
