//! Why a network with a grafted head cannot be had.

use std::path::PathBuf;

use tk_engine::EngineError;
use tk_transfer::atomic::WriteError;
use tk_transfer::bundle::BundleError;
use tk_transfer::checkpoint::{CheckpointError, LoadError, SaveError};
use tk_transfer::low_rank::AdapterError;

use crate::architectures::{ArchitectureError, ConfigError};
use crate::backbone::BackboneError;
use crate::model::ModelError;

/// A network with a grafted head that cannot be had or written.
#[derive(Debug, thiserror::Error)]
pub enum GraftError {
    /// Its backbone cannot be had.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Its backbone has no maps for the head.
    #[error(transparent)]
    Backbone(#[from] BackboneError),
    /// It is unknown.
    #[error(transparent)]
    Architecture(#[from] ArchitectureError),
    /// Its `config.json` cannot be followed.
    #[error("{}: {problem}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// What its backbone is cannot be followed.
    #[error(transparent)]
    Timm(#[from] ConfigError),
    /// Something is missing.
    #[error("no model at {}: {reason}", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
        /// What is missing.
        reason: String,
    },
    /// A checkpoint cannot be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A checkpoint of something else.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Weights cannot be written.
    #[error(transparent)]
    Save(#[from] SaveError),
    /// An adapter cannot be written.
    #[error(transparent)]
    Adapter(#[from] AdapterError),
    /// What came with a run cannot be written.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// A file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// Something cannot be written as JSON.
    #[error("cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}
