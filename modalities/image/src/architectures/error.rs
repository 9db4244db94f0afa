//! What can be wrong with a network that is asked for.

use tk_engine::graph::GraphError;

/// There is no such network, or it cannot be built as asked.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ArchitectureError {
    /// No network of this name.
    #[error("unknown architecture `{name}`; the nearest names are {}", near.join(", "))]
    Unknown {
        /// The name asked for.
        name: String,
        /// Names that look like it.
        near: Vec<&'static str>,
    },
    /// A setting outside its range, or one that the network does not have.
    #[error("`{setting}` of {architecture}: expected {expected}, found {found}")]
    Setting {
        /// The network's name.
        architecture: &'static str,
        /// The setting's name.
        setting: &'static str,
        /// What it may be.
        expected: &'static str,
        /// What it was.
        found: String,
    },
    /// The graph is malformed.
    #[error(transparent)]
    Graph(#[from] GraphError),
}
