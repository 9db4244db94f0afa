//! What goes wrong with masks, by what it means for the caller.

use tk_image::data::DataError;
use tk_image::segments::SegmentError;

use crate::classify::{Error, Kind};

impl From<SegmentError> for Error {
    fn from(error: SegmentError) -> Self {
        let kind = match &error {
            SegmentError::Folder(DataError::NotFound { .. }) | SegmentError::NotAFolder { .. } => Kind::Usage,
            SegmentError::Listing(listing) if listing.is_usage() => Kind::Usage,
            _ => Kind::Data,
        };
        Self::modality(error, kind, None)
    }
}
