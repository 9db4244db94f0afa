//! `transfer.json`: what only this toolkit knows of a run's folder, beside the files that other tools read.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::atomic::{WriteError, write_bytes_atomic};
use crate::classification::HeadForm;

/// The version of the file; others are refused.
const FORMAT: u32 = 1;

/// The file's name.
const FILE: &str = "transfer.json";

/// What is remembered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bundle {
    format: u32,
    /// The form of the classifier's head.
    pub head: HeadForm,
    /// Whatever the run wants to remember: settings, scores, the classes' names.
    #[serde(flatten)]
    pub fields: Map<String, Value>,
}

/// A folder that is no run's, or cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The file cannot be followed.
    #[error("{folder} is not a run's folder: transfer.json: {reason}")]
    NotARun {
        /// The folder.
        folder: String,
        /// What is wrong.
        reason: String,
    },
    /// The file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl Bundle {
    /// What to remember.
    pub fn new(head: HeadForm, fields: Map<String, Value>) -> Self {
        Self { format: FORMAT, head, fields }
    }

    /// Reads a folder's file; `None` when there is none, as in folders of other tools.
    ///
    /// # Errors
    /// When it is damaged or of another version.
    pub fn read(folder: &Path) -> Result<Option<Self>, BundleError> {
        let fail = |reason: String| BundleError::NotARun { folder: folder.display().to_string(), reason };
        let text = match std::fs::read_to_string(folder.join(FILE)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(fail(error.to_string())),
            Ok(text) => text,
        };
        let found: Self = serde_json::from_str(&text).map_err(|error| fail(error.to_string()))?;
        match found.format {
            FORMAT => Ok(Some(found)),
            other => Err(fail(format!("format {other}; this version reads {FORMAT}"))),
        }
    }

    /// Writes a folder's file, aside and renamed.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), BundleError> {
        let text = serde_json::to_string_pretty(self).map_err(|error| BundleError::NotARun {
            folder: folder.display().to_string(),
            reason: error.to_string(),
        })?;
        Ok(write_bytes_atomic(&folder.join(FILE), (text + "\n").as_bytes())?)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn what_is_written_is_read_and_other_versions_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Bundle::read(folder.path()).unwrap(), None);
        let fields = Map::from_iter([("seed".to_owned(), Value::from(7))]);
        let bundle = Bundle::new(HeadForm::Mlp { hidden: 3 }, fields);
        bundle.write(folder.path()).unwrap();
        assert_eq!(Bundle::read(folder.path()).unwrap(), Some(bundle));
        for (text, expected) in [(r#"{"format": 9, "head": {"kind": "linear"}}"#, "format 9"), ("{", "EOF")] {
            std::fs::write(folder.path().join(FILE), text).unwrap();
            let error = Bundle::read(folder.path()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
