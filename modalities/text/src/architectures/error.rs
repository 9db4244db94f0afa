//! What can be wrong with an encoder that is asked for.

use tk_engine::graph::GraphError;

/// There is no such encoder, or it cannot be built as asked.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ArchitectureError {
    /// No encoder of this `model_type`.
    #[error("unknown model_type `{model_type}`; encoders for texts are {}", known.join(", "))]
    Unknown {
        /// What was asked for.
        model_type: String,
        /// What there is.
        known: Vec<&'static str>,
    },
    /// A setting that is missing, outside its range, or asks for what is not built here.
    #[error("`{setting}` of {architecture}: expected {expected}, found {found}")]
    Setting {
        /// The encoder's `model_type`.
        architecture: &'static str,
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
