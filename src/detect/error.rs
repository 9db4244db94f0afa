//! What goes wrong with annotated photographs, by what it means for the caller.

use tk_image::annotations::AnnotationError;

use crate::classify::{Error, Kind};

impl From<AnnotationError> for Error {
    fn from(error: AnnotationError) -> Self {
        let kind = if error.is_usage() { Kind::Usage } else { Kind::Data };
        Self::modality(error, kind, None)
    }
}
