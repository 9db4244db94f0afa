//! What errors about texts and their models mean for the caller.

use tk_text::classifier::ClassifierError;
use tk_text::data::{DataError, TokenizerError};
use tk_text::model::ModelError;
use tk_transfer::data::table::TableError;

use crate::classify::{Error, Kind};

impl From<DataError> for Error {
    fn from(error: DataError) -> Self {
        let kind = match error {
            DataError::NotFound { .. } => Kind::Usage,
            DataError::Listing(ref listing) if listing.is_usage() => Kind::Usage,
            _ => Kind::Data,
        };
        Self::modality(error, kind, None)
    }
}

impl From<TableError> for Error {
    fn from(error: TableError) -> Self {
        let kind = if error.is_usage() { Kind::Usage } else { Kind::Data };
        Self::modality(error, kind, None)
    }
}

impl From<TokenizerError> for Error {
    fn from(error: TokenizerError) -> Self {
        let kind = if matches!(error, TokenizerError::Length { .. }) { Kind::Usage } else { Kind::Failure };
        Self::modality(error, kind, None)
    }
}

impl From<ModelError> for Error {
    fn from(error: ModelError) -> Self {
        Self::modality(error, Kind::Failure, None)
    }
}

impl From<ClassifierError> for Error {
    fn from(error: ClassifierError) -> Self {
        Self::modality(error, Kind::Failure, None)
    }
}
