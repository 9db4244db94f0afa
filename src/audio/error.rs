//! What goes wrong with recordings, by what it means for the caller.

use tk_audio::classifier::ClassifierError;
use tk_audio::data::{DataError, DecodeError};
use tk_audio::events::EventsError;
use tk_audio::model::ModelError;

use crate::classify::{Error, Kind};

impl From<DataError> for Error {
    fn from(error: DataError) -> Self {
        let kind = match error {
            DataError::NotFound { .. } | DataError::NotAFolder { .. } => Kind::Usage,
            DataError::Listing(ref listing) if listing.is_usage() => Kind::Usage,
            _ => Kind::Data,
        };
        Self::modality(error, kind, None)
    }
}

impl From<DecodeError> for Error {
    fn from(error: DecodeError) -> Self {
        Self::modality(error, Kind::Data, None)
    }
}

impl From<ModelError> for Error {
    fn from(error: ModelError) -> Self {
        let kind = if matches!(error, ModelError::Seconds { .. }) { Kind::Usage } else { Kind::Failure };
        Self::modality(error, kind, None)
    }
}

impl From<ClassifierError> for Error {
    fn from(error: ClassifierError) -> Self {
        Self::modality(error, Kind::Failure, None)
    }
}

impl From<EventsError> for Error {
    fn from(error: EventsError) -> Self {
        match error {
            EventsError::Sound(error) => error.into(),
            EventsError::Classifier(error) => error.into(),
        }
    }
}
