//! What goes wrong with annotated photographs, by what it means for the caller.

use tk_image::annotations::AnnotationError;
use tk_image::data::DataError;

use crate::classify::{Error, Kind};

impl From<AnnotationError> for Error {
    fn from(error: AnnotationError) -> Self {
        let kind = match &error {
            AnnotationError::Folder(DataError::NotFound { .. })
            | AnnotationError::Label { .. }
            | AnnotationError::NotAnnotations { .. } => Kind::Usage,
            AnnotationError::Listing(listing) if listing.is_usage() => Kind::Usage,
            _ => Kind::Data,
        };
        Self::modality(error, kind, None)
    }
}
