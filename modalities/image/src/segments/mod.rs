//! Photographs whose pixels have classes, for semantic segmentation.
//!
//! [`Segments`] recognises folders of images and masks, Pascal VOC and COCO from a path, finds out what the values of the masks stand for, and
//! sets aside what does not go together. How outlines and runs become pixels is `masks`; networks and training are not here.

mod class_map;
mod error;
mod layout;

mod dataset;
mod recognise;

mod names;
mod pairs;
mod voc;

mod coco;
mod drawing;

mod stored;
mod value;

mod coding;
mod found;
mod objects;
mod settle;

mod look;

pub use class_map::{ClassMap, IGNORED};
pub use dataset::{Segment, Segments};
pub use error::{MaskError, SegmentError};
pub use layout::{Layout, Looking, MaskKind};
