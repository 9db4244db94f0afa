//! Why a model cannot be had.

use std::path::PathBuf;

use tk_engine::EngineError;
use tk_transfer::atomic::WriteError;
use tk_transfer::checkpoint::{CheckpointError, LoadError, SaveError};

use crate::architectures::ConfigError;
use crate::features::FrontEndError;

/// A model that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// No such folder or file.
    #[error("no model at {}: {reason}", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
        /// What is missing.
        reason: String,
    },
    /// A configuration that cannot be followed.
    #[error("{}: {problem}", path.display())]
    Config {
        /// The folder.
        path: PathBuf,
        /// What is wrong.
        problem: ConfigError,
    },
    /// A front end that cannot be followed.
    #[error("{}: {problem}", path.display())]
    FrontEnd {
        /// The folder.
        path: PathBuf,
        /// What is wrong.
        problem: FrontEndError,
    },
    /// A length that the network cannot have.
    #[error("`{model}` cannot look at {seconds} seconds of a recording; expected {expected}")]
    Seconds {
        /// The model.
        model: String,
        /// What was asked for.
        seconds: f64,
        /// What there is.
        expected: String,
    },
    /// A checkpoint that cannot be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A checkpoint of something else.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Weights cannot be written.
    #[error(transparent)]
    Save(#[from] SaveError),
    /// A file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A settings file cannot be written.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}
