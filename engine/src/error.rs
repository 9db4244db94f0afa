//! What can go wrong in the engine.

use crate::graph::{GraphError, ShapeError};

/// An error of the engine: building, binding or running a graph.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The graph itself is malformed, or was asked for something it does not have.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// Shapes do not fit the graph.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// A tensor of another size or precision than the call needs.
    #[error("{what}: expected {expected}, found {found}")]
    Tensor {
        /// Which tensor.
        what: String,
        /// What the call needs.
        expected: String,
        /// What it was given.
        found: String,
    },
    /// A parameter that the graph names has no value.
    #[error("parameter `{name}` has no value; load a checkpoint or initialise it first")]
    MissingParameter {
        /// The published name.
        name: String,
    },
    /// The reference executor's tensor library failed.
    #[error("reference executor, node `{node}`: {source}")]
    Candle {
        /// The node that ran.
        node: String,
        /// What candle said.
        source: candle_core::Error,
    },
    /// Calls in an order that has no meaning, such as backward before forward.
    #[error("{0}")]
    Order(&'static str),
    /// Something this executor cannot do.
    #[error("{what} is not supported: {why}")]
    Unsupported {
        /// The operation or option.
        what: String,
        /// Why not, and the way out.
        why: String,
    },
}

/// The engine's result.
pub type Result<T, E = EngineError> = std::result::Result<T, E>;
