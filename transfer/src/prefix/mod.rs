//! The frozen prefix: compiled once, run once for each view of a sample, remembered on disk.
//!
//! What a prefix leaves of a sample is kept under a key of everything that decides it: the subgraph, its parameters, the instruction
//! set and kernel version, the precision, and what the source says of the sample's content, preprocessing and view. Only functions of
//! one sample are kept; a prefix never uses batch statistics, because frozen stages never do.

mod choose;
mod disagreement;
mod precision;
mod run;
mod source;
mod store;

pub use choose::Frozen;
pub use precision::{Finding, PrecisionChoice, PrecisionReport, Tried};
pub use run::Prefix;
pub use source::Prefixed;
pub use store::{PrefixStore, Usage};

use std::path::PathBuf;

use tk_engine::EngineError;

use crate::checkpoint::SaveError;
use crate::fit::SourceError;

/// What goes wrong with a prefix.
#[derive(Debug, thiserror::Error)]
pub enum PrefixError {
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Samples cannot be loaded.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The cache cannot be written.
    #[error(transparent)]
    Write(#[from] SaveError),
    /// The cache's folder cannot be used.
    #[error("cannot use the cache folder {}: {source}; name another with --cache", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}
