//! Networks that cannot be built.

use tk_engine::graph::GraphError;

/// What keeps a network from being built.
#[derive(Debug, thiserror::Error)]
pub enum ArchitectureError {
    /// Not a JSON object.
    #[error("config.json: {0}; expected what transformers writes: an object with `model_type`")]
    Json(#[from] serde_json::Error),
    /// Another network's configuration.
    #[error("config.json: unknown model_type {found}; expected {expected}")]
    ModelType {
        /// What it may be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// A setting is missing, out of range or not built here.
    #[error("config.json: `{setting}` of {architecture}: expected {expected}, found {found}")]
    Setting {
        /// The network's `model_type`.
        architecture: String,
        /// The setting's name.
        setting: String,
        /// What it may be.
        expected: &'static str,
        /// What it was.
        found: String,
    },
    /// The graph is malformed.
    #[error(transparent)]
    Graph(#[from] GraphError),
}
