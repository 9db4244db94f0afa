//! Photographs with masks as what a segmenter learns from.

use tk_engine::Tensor;
use tk_transfer::fit::SourceError;

use super::IGNORED;
use crate::data::{DecodeError, Picture};
use crate::framing::{Arranged, Marked, paint_classes};
use crate::segments::{self, ClassMap, Segments};

impl Marked for Segments {
    fn sides(&self, position: usize) -> [u32; 2] {
        let segment = &self.samples()[position];
        [segment.width, segment.height]
    }

    fn content(&self, position: usize) -> [u8; 32] {
        self.samples()[position].digest
    }

    fn picture(&self, position: usize) -> Result<Picture, DecodeError> {
        self.load(position)
    }

    /// The class of every pixel, `[batch, height, width]`; what lies outside of pictures is left out.
    fn marks(&self, views: &[Arranged], padded: [usize; 2]) -> Result<Vec<Tensor>, SourceError> {
        let [height, width] = padded;
        let mut classes = vec![IGNORED; views.len() * height * width];
        for (view, into) in views.iter().zip(classes.chunks_exact_mut((height * width).max(1))) {
            let maps: Vec<ClassMap> = view
                .pictures
                .iter()
                .map(|&position| self.mask(position))
                .collect::<Result<_, _>>()
                .map_err(SourceError::new)?;
            let maps: Vec<(&[u8], usize)> =
                maps.iter().map(|map| (map.classes(), map.width() as usize)).collect();
            let painted = paint_classes(&view.arrangement, &maps, &view.frame, segments::IGNORED);
            let rows = into.chunks_exact_mut(width).zip(painted.chunks_exact(view.frame.size[1]));
            for (row, painted) in rows {
                for (class, &painted) in row.iter_mut().zip(painted) {
                    *class = if painted == segments::IGNORED { IGNORED } else { f32::from(painted) };
                }
            }
        }
        Ok(vec![Tensor::new(&[views.len(), height, width], classes).map_err(SourceError::new)?])
    }
}
