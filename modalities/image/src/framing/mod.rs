//! How a picture, with all that is marked in it, becomes a network's input: its size, its place, its colours.
//!
//! Classification looks at the middle of a picture (`data/transform.rs`); what finds things in pictures must see all of it. A sample's views all
//! have the size of its frame, so that they can be remembered and stacked alike.

mod frame;
mod mapping;
mod paint;
mod variation;
mod views;

pub use frame::{Frame, Framing, Input};
pub use mapping::{Arrangement, Tile};
pub use paint::{paint, paint_classes};
pub use variation::Variation;
pub use views::{Arranged, Marked, Viewing, Views};
