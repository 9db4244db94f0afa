//! What errors about tagged words and taggers mean for the caller.

use tk_text::tagging::{TaggedError, TaggerError};

use crate::classify::{Error, Kind};

impl From<TaggedError> for Error {
    fn from(error: TaggedError) -> Self {
        let kind = if matches!(error, TaggedError::NotFound { .. }) { Kind::Usage } else { Kind::Data };
        Self::modality(error, kind, None)
    }
}

impl From<TaggerError> for Error {
    fn from(error: TaggerError) -> Self {
        Self::modality(error, Kind::Failure, None)
    }
}
