//! What goes wrong with masks, by what it means for the caller.

use tk_image::segments::SegmentError;

use crate::classify::{Error, Kind};

impl From<SegmentError> for Error {
    fn from(error: SegmentError) -> Self {
        let kind = if error.is_usage() { Kind::Usage } else { Kind::Data };
        Self::modality(error, kind, None)
    }
}
