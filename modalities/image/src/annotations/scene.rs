//! One photograph and what is to be found in it.

use std::path::PathBuf;

use tk_transfer::data::Split;

use crate::data::display;

/// One photograph with the objects in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Scene {
    /// The file, relative to [`Scenes::folder`](super::Scenes::folder).
    pub path: PathBuf,
    /// The width in pixels of the upright picture, which EXIF orientation has turned.
    pub width: u32,
    /// The height in pixels of the upright picture.
    pub height: u32,
    /// The objects, in the order of their file; none in a picture of the background.
    pub objects: Vec<Annotation>,
    /// The part of the data that the annotations name, if they do.
    pub split: Option<Split>,
    /// What must not be divided.
    pub group: Option<String>,
    /// The BLAKE3 digest of the file's bytes.
    pub digest: [u8; 32],
}

/// One object: its class and the box around it.
#[derive(Clone, Debug, PartialEq)]
pub struct Annotation {
    /// A position in the data set's classes.
    pub class: usize,
    /// Left, top, width and height in pixels of the upright picture, inside of it; width and height are above 0.
    pub bounds: [f64; 4],
    /// The area in square pixels: that of the object's outline where the annotation tells it, else that of the box.
    pub area: f64,
    /// Whether it is neither learned from nor missed: COCO's `iscrowd`, VOC's `difficult`.
    pub is_crowd: bool,
}

impl Scene {
    /// The path as text, with `/` between parts, as reports and the quarantine name it.
    pub fn name(&self) -> String {
        display(&self.path)
    }
}
