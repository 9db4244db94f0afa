//! Photographs with boxes around their objects, as other programs annotate them.
//!
//! [`Scenes`] recognises COCO, Pascal VOC, YOLO and PASCAL 1.00 from a path, looks at the pictures and brings every box into the upright
//! picture. What a detector makes of boxes is `detection`; masks are `masks`, though [`CocoFile`] reads their outlines and runs.

mod error;
mod scene;

mod dataset;
mod recognise;

pub(crate) mod listing;
pub(crate) mod notes;
pub(crate) mod parts;

mod bounds;
pub(crate) mod oriented;

mod places;

pub mod coco;
mod documents;
mod image_sets;
mod pascal;
mod voc;
mod yolo;

pub use coco::{CocoAnnotation, CocoFile, CocoImage, Runs, Segmentation};
pub use dataset::Scenes;
pub use error::AnnotationError;
pub use recognise::AnnotationFormat;
pub use scene::{Annotation, Scene};
