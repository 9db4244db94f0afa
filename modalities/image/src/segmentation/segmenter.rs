//! What a segmenter says of a picture.

use tk_engine::cpu::kernels::Accumulate;
use tk_engine::cpu::kernels::resize::{Taps, resize};

use super::Segmentation;
use super::task::most_probable;
use crate::data::Picture;
use crate::grafted::{GraftError, Runner};

/// A segmenter that is used.
pub type Segmenter = Runner<Segmentation>;

impl Runner<Segmentation> {
    /// The class of every pixel of a picture, row by row: the most probable one after logits were enlarged to the picture's own size.
    ///
    /// # Errors
    /// When the engine fails.
    pub fn segment(&self, picture: &Picture) -> Result<Vec<u8>, GraftError> {
        let (outputs, frame) = self.look(picture)?;
        let (classes, [height, width]) = (self.labels().len(), frame.size);
        // Without the padding, which ends rows and columns.
        let rows = outputs[0].as_f32()?.chunks_exact(frame.padded[1] * classes).take(height);
        let own: Vec<f32> = rows.flat_map(|row| &row[..width * classes]).copied().collect();
        let [down, across] = [(height, picture.height()), (width, picture.width())]
            .map(|(from, to)| Taps::linear(from, to as usize));
        let mut logits = vec![0.0; classes * down.len() * across.len()];
        resize(self.machine(), [&down, &across], classes, &own, &mut logits, Accumulate::Overwrite);
        Ok(most_probable(&logits, classes))
    }
}
