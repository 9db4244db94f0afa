//! YOLO: a text file for each picture, whose lines are a class and a box in shares of the upright picture.
//!
//! `description` reads `data.yaml`, `labels` the lines, `folder` finds the pictures and what belongs to each.

mod description;
mod labels;

mod folder;

pub(super) use description::descriptions_in;
pub(super) use folder::{has_labels, list_described, list_folder};
