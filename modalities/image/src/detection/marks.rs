//! Annotated photographs as what a detector learns from.

use tk_engine::Tensor;
use tk_transfer::fit::SourceError;

use super::{Corners, Truth, Truths};
use crate::annotations::Scenes;
use crate::data::{DecodeError, Picture};
use crate::framing::{Arranged, Marked};

impl Marked for Scenes {
    fn sides(&self, position: usize) -> [u32; 2] {
        let scene = &self.samples()[position];
        [scene.width, scene.height]
    }

    fn content(&self, position: usize) -> [u8; 32] {
        self.samples()[position].digest
    }

    fn picture(&self, position: usize) -> Result<Picture, DecodeError> {
        self.load(position)
    }

    fn marks(&self, views: &[Arranged], padded: [usize; 2]) -> Result<Vec<Tensor>, SourceError> {
        let objects = views.iter().map(|view| self.objects(view)).collect();
        let sizes = views.iter().map(|view| view.frame.size).collect();
        Truths { objects, sizes, padded }.to_targets().map_err(SourceError::new)
    }
}

impl Scenes {
    /// The objects that are seen in a view, in pixels of its frame.
    fn objects(&self, view: &Arranged) -> Vec<Truth> {
        let mut seen = Vec::new();
        for tile in &view.arrangement.tiles {
            for object in &self.samples()[view.pictures[tile.picture]].objects {
                let corners = view.arrangement.corners(tile, Corners::from_bounds(object.bounds));
                seen.extend(corners.map(|corners| Truth {
                    class: object.class,
                    corners,
                    is_crowd: object.is_crowd,
                }));
            }
        }
        seen
    }
}
