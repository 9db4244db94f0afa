//! A file of COCO's as it is written: pictures, annotations, categories (<https://cocodataset.org/#format-data>).

use serde::Deserialize;

use crate::masks::{Mask, RunsError};

/// A whole file of COCO's.
#[derive(Clone, Debug, PartialEq)]
pub struct CocoFile {
    /// The pictures, each with an id of its own, in the order of the file.
    pub images: Vec<CocoImage>,
    /// The annotations in the order of the file; those that stand there twice once.
    pub annotations: Vec<CocoAnnotation>,
    /// The categories by id: id and name. A class is a position in them.
    pub categories: Vec<(i64, String)>,
    /// What a user should know, such as how many annotations stood there twice.
    pub notes: Vec<String>,
}

/// A picture.
#[derive(Clone, Debug, PartialEq)]
pub struct CocoImage {
    /// Its number.
    pub id: i64,
    /// Its file, as it is named: likely relative to a folder of its own.
    pub file_name: String,
    /// The width in pixels, where it is stated.
    pub width: Option<u32>,
    /// The height in pixels, where it is stated.
    pub height: Option<u32>,
}

/// An object in a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct CocoAnnotation {
    /// Its number, where it has one.
    pub id: Option<i64>,
    /// The number of its picture, which may not be there.
    pub image_id: i64,
    /// The number of its category, which may not be there.
    pub category_id: i64,
    /// Left, top, width and height in pixels.
    pub bbox: Option<[f64; 4]>,
    /// The area of the object in square pixels.
    pub area: Option<f64>,
    /// Whether it is many objects, or one that is neither learned from nor missed.
    pub is_crowd: bool,
    /// Which pixels belong to it.
    pub segmentation: Option<Segmentation>,
}

/// Which pixels belong to an object.
#[derive(Clone, Debug, PartialEq)]
pub enum Segmentation {
    /// Outlines, each x and y of its corners, in pixels.
    Polygons(Vec<Vec<f64>>),
    /// Runs of pixels down the columns.
    Runs {
        /// Height and width of the picture.
        size: [usize; 2],
        /// The lengths of the runs.
        counts: Runs,
    },
}

/// The lengths of runs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Runs {
    /// One after the other.
    List(Vec<usize>),
    /// Packed into text as pycocotools does.
    Packed(String),
}

impl CocoImage {
    /// Width and height in pixels, where both are stated.
    pub fn stated(&self) -> Option<[u32; 2]> {
        Some([self.width?, self.height?])
    }
}

impl CocoAnnotation {
    /// What it is called to the user.
    pub fn name(&self) -> String {
        self.id.map_or_else(|| "an annotation".to_owned(), |id| format!("annotation {id}"))
    }

    /// Left, top, width and height in pixels: the box, else that around the object's pixels. `None` when it has neither.
    pub fn bounds(&self) -> Option<[f64; 4]> {
        self.bbox.or_else(|| self.segmentation.as_ref()?.bounds())
    }
}

impl Runs {
    /// The mask of a picture.
    ///
    /// # Errors
    /// When they do not cover the picture, or their text is damaged.
    pub fn mask(&self, height: usize, width: usize) -> Result<Mask, RunsError> {
        match self {
            Self::List(runs) => Mask::from_runs(height, width, runs.clone()),
            Self::Packed(text) => Mask::from_packed(height, width, text),
        }
    }
}

impl Segmentation {
    /// Left, top, width and height in pixels of what is inside. `None` when nothing is, or the runs are damaged.
    pub fn bounds(&self) -> Option<[f64; 4]> {
        match self {
            Self::Polygons(outlines) => {
                let corners = || outlines.iter().flat_map(|outline| outline.as_chunks::<2>().0);
                let first = corners().next()?;
                let widen = |[low, high]: [[f64; 2]; 2], &[x, y]: &[f64; 2]| {
                    [[low[0].min(x), low[1].min(y)], [high[0].max(x), high[1].max(y)]]
                };
                let [low, high] = corners().fold([*first; 2], widen);
                Some([low[0], low[1], high[0] - low[0], high[1] - low[1]])
            }
            Self::Runs { size: [height, width], counts } => {
                let mask = counts.mask(*height, *width).ok()?;
                Some(mask.bounds().map(|side| side as f64))
            }
        }
    }
}
