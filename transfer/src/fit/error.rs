//! What stops a fit.

use std::path::PathBuf;

use tk_engine::EngineError;

use super::SourceError;
use crate::audit::{AuditError, Violation};
use crate::checkpoint::{CheckpointError, SaveError};
use crate::freeze::FreezeError;
use crate::prefix::PrefixError;

/// What stops a fit.
#[derive(Debug, thiserror::Error)]
pub enum FitError {
    /// Stopped from outside; the state is written and the run can be resumed.
    #[error("interrupted after {updates} updates; the state is saved")]
    Interrupted {
        /// The updates that were made.
        updates: u64,
    },
    /// No training samples.
    #[error("there are no samples to train on")]
    Empty,
    /// Epochs cannot be compared.
    #[error("epochs cannot be compared by `{metric}`: validation gives {}", known.join(", "))]
    NotScored {
        /// The score that was asked for.
        metric: String,
        /// Those there are.
        known: Vec<String>,
    },
    /// The written state cannot be used.
    #[error("cannot resume from {}: {reason}", path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A freeze specification that does not fit.
    #[error(transparent)]
    Freeze(#[from] FreezeError),
    /// The audit found a broken promise.
    #[error(transparent)]
    Audit(#[from] Violation),
    /// Samples cannot be loaded.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The prefix cache failed.
    #[error(transparent)]
    Prefix(#[from] PrefixError),
    /// A state cannot be read.
    #[error(transparent)]
    Read(#[from] CheckpointError),
    /// A state cannot be written.
    #[error(transparent)]
    Write(#[from] SaveError),
}

impl From<AuditError> for FitError {
    fn from(error: AuditError) -> Self {
        match error {
            AuditError::Violation(violation) => Self::Audit(violation),
            AuditError::Engine(error) => Self::Engine(error),
        }
    }
}
