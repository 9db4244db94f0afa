//! What errors about photographs and their models mean for the caller.

use tk_image::DataError;
use tk_image::architectures::ArchitectureError;
use tk_image::classifier::ClassifierError;
use tk_image::model::ModelError;

use crate::classify::{Error, Kind};

impl From<DataError> for Error {
    fn from(error: DataError) -> Self {
        let kind = match &error {
            DataError::NotAFolder { .. } => Kind::Usage,
            DataError::Listing(listing) if listing.is_usage() => Kind::Usage,
            _ => Kind::Data,
        };
        Self::modality(error, kind, None)
    }
}

impl From<tk_image::OpenError> for Error {
    fn from(error: tk_image::OpenError) -> Self {
        Self::modality(error, Kind::Data, None)
    }
}

impl From<ModelError> for Error {
    fn from(error: ModelError) -> Self {
        match error {
            ModelError::Architecture(ArchitectureError::Unknown { .. }) => {
                Self::modality(error, Kind::Usage, Some("`tk models list` shows all of them"))
            }
            _ => Self::modality(error, Kind::Failure, None),
        }
    }
}

impl From<ClassifierError> for Error {
    fn from(error: ClassifierError) -> Self {
        Self::modality(error, Kind::Failure, None)
    }
}
