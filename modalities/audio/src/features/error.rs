//! Why the settings of a front end cannot be followed.

use std::fmt::Display;
use std::ops::RangeInclusive;

use serde_json::{Map, Value};

/// A `preprocessor_config.json` that is not of the front end that is asked for, or that no front end can follow.
#[derive(Debug, thiserror::Error)]
pub enum FrontEndError {
    /// Not what transformers writes.
    #[error("preprocessor_config.json: {0}")]
    Json(#[from] serde_json::Error),
    /// Another front end.
    #[error("preprocessor_config.json is of {found}; expected {expected}")]
    Other {
        /// What it should be.
        expected: &'static str,
        /// Whose it is.
        found: String,
    },
    /// A setting that no front end can have.
    #[error("preprocessor_config.json: `{setting}` is {found}; expected {expected}")]
    Setting {
        /// Which.
        setting: &'static str,
        /// What it may be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
}

/// Refuses the settings of another front end than this.
pub(super) fn check_kind(other: &Map<String, Value>, expected: &'static str) -> Result<(), FrontEndError> {
    match other.get("feature_extractor_type").filter(|name| *name != expected) {
        Some(found) => Err(FrontEndError::Other { expected, found: found.to_string() }),
        None => Ok(()),
    }
}

/// Refuses a setting outside a range; what is not a number is outside of all.
pub(super) fn check<T: PartialOrd + Display>(
    setting: &'static str,
    value: T,
    range: RangeInclusive<T>,
    expected: &'static str,
) -> Result<(), FrontEndError> {
    match range.contains(&value) {
        true => Ok(()),
        false => Err(FrontEndError::Setting { setting, expected, found: value.to_string() }),
    }
}

/// Refuses a setting that must be one number where it is given.
pub(super) fn check_given(
    other: &Map<String, Value>,
    setting: &'static str,
    number: f64,
    expected: &'static str,
) -> Result<(), FrontEndError> {
    match other.get(setting).filter(|value| value.as_f64() != Some(number)) {
        Some(found) => Err(FrontEndError::Setting { setting, expected, found: found.to_string() }),
        None => Ok(()),
    }
}
