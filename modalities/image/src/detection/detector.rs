//! What a detector says of a picture.

use super::{Candidate, Corners, Detection};
use crate::data::Picture;
use crate::grafted::{GraftError, Runner};

/// A detector that is used.
pub type Detector = Runner<Detection>;

impl Runner<Detection> {
    /// The objects of a picture, surest first, in its own pixels.
    ///
    /// # Errors
    /// When the engine fails.
    pub fn detect(&self, picture: &Picture) -> Result<Vec<Candidate>, GraftError> {
        let (outputs, frame) = self.look(picture)?;
        let Detection { head, selecting } = self.model().head;
        let found = head.decode(&outputs, &[frame.size], frame.padded, &selecting)?.remove(0);
        let scale =
            [picture.width() as f32 / frame.size[1] as f32, picture.height() as f32 / frame.size[0] as f32];
        let enlarged = |candidate: Candidate| {
            let [left, top, right, bottom] = candidate.corners.0;
            let corners = Corners([left * scale[0], top * scale[1], right * scale[0], bottom * scale[1]]);
            Candidate { corners, ..candidate }
        };
        Ok(found.into_iter().map(enlarged).collect())
    }
}
