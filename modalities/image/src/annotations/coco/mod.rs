//! COCO's annotations: one JSON file for many pictures.
//!
//! `file` is what it says, outlines and runs included; `reading` gets that out of the JSON, and `number` bears what programs write instead of
//! numbers; `folder` finds files and the pictures that they annotate.

mod file;
mod number;
mod reading;

mod folder;

pub use file::{CocoAnnotation, CocoFile, CocoImage, Runs, Segmentation};
pub(crate) use folder::{AnnotatedFiles, AnnotatedPicture, PartFile, files_in};
pub(super) use folder::{list, list_file};
