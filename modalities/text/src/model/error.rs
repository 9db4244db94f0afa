//! Why a model cannot be had.

use std::path::{Path, PathBuf};

use tk_engine::EngineError;
use tk_transfer::checkpoint::{CheckpointError, LoadError};

use crate::architectures::{ArchitectureError, ConfigError};

/// A model that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// No such folder, or a file of it is missing.
    #[error("no model at {}: {reason}", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
        /// What is missing.
        reason: String,
    },
    /// A file of the folder that says what cannot be followed.
    #[error("{}: {problem}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, what was expected, what was found.
        problem: String,
    },
    /// The folder's own head was asked for, and it has none.
    #[error(
        "{} has no classifier: it holds {found}; give it a new head by training it on labelled texts",
        path.display()
    )]
    NoHead {
        /// The folder.
        path: PathBuf,
        /// What it holds instead.
        found: String,
    },
    /// A configuration that cannot be followed.
    #[error("{}: {problem}", path.display())]
    Config {
        /// The folder.
        path: PathBuf,
        /// What is wrong.
        problem: ConfigError,
    },
    /// An encoder that cannot be built as asked.
    #[error(transparent)]
    Architecture(#[from] ArchitectureError),
    /// A checkpoint that cannot be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A checkpoint of something else.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl ModelError {
    pub(super) fn malformed(path: &Path, problem: impl ToString) -> Self {
        Self::Malformed { path: path.to_owned(), problem: problem.to_string() }
    }

    pub(super) fn missing(path: &Path, reason: impl ToString) -> Self {
        Self::Missing { path: path.to_owned(), reason: reason.to_string() }
    }
}
