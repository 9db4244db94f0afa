//! What goes wrong with speech, by what it means for the caller.

use tk_audio::data::TranscriptError;
use tk_audio::recognition::{ModelError, RecognizerError, VocabularyError};

use crate::classify::{Error, Kind};

impl From<TranscriptError> for Error {
    fn from(error: TranscriptError) -> Self {
        let kind = match error {
            TranscriptError::NotFound { .. } | TranscriptError::NoTable { .. } => Kind::Usage,
            TranscriptError::Listing(ref listing) if listing.is_usage() => Kind::Usage,
            _ => Kind::Data,
        };
        Self::modality(error, kind, None)
    }
}

impl From<ModelError> for Error {
    fn from(error: ModelError) -> Self {
        Self::modality(error, Kind::Failure, None)
    }
}

impl From<VocabularyError> for Error {
    fn from(error: VocabularyError) -> Self {
        Self::modality(error, Kind::Usage, None)
    }
}

impl From<RecognizerError> for Error {
    fn from(error: RecognizerError) -> Self {
        let kind = if matches!(error, RecognizerError::Sound(_)) { Kind::Data } else { Kind::Failure };
        Self::modality(error, kind, None)
    }
}
