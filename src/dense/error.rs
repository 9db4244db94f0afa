//! What goes wrong with backbones and heads, by what it means for the caller.

use tk_image::grafted::GraftError;

use crate::classify::{Error, Kind};

impl From<GraftError> for Error {
    fn from(error: GraftError) -> Self {
        match error {
            GraftError::Model(error) => error.into(),
            GraftError::Backbone(_) | GraftError::Architecture(_) => Self::modality(error, Kind::Usage, None),
            error => Self::modality(error, Kind::Failure, None),
        }
    }
}
