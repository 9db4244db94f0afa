//! What can be wrong with a graph or the shapes given to it.

/// The graph is malformed, or lacks what was asked for.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum GraphError {
    /// No stage of this name.
    #[error("unknown stage `{name}`; stages are {}", known.join(", "))]
    UnknownStage {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// No node of this name.
    #[error("there is no node `{name}`")]
    UnknownNode {
        /// The name asked for.
        name: String,
    },
    /// Two nodes or parameters of one name.
    #[error("two {what} are named `{name}`")]
    Duplicate {
        /// Nodes, parameters or stages.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A stage reads a later one, so that it cannot be cut off.
    #[error("node `{node}` of stage `{stage}` reads `{input}` of the later stage `{later}`")]
    ReadsLaterStage {
        /// The reader.
        node: String,
        /// Its stage.
        stage: String,
        /// What it reads.
        input: String,
        /// The stage of that.
        later: String,
    },
    /// A cut that leaves nothing on one side.
    #[error("a cut after stage `{stage}` leaves nothing {side} it")]
    EmptyCut {
        /// The boundary.
        stage: String,
        /// Before or after.
        side: &'static str,
    },
    /// No outputs or no stages.
    #[error("a graph needs {0}")]
    Missing(&'static str),
}

/// Shapes do not fit the graph.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("node `{node}` ({op}): expected {expected}, found {found}")]
pub struct ShapeError {
    /// The node.
    pub node: String,
    /// Its operator.
    pub op: &'static str,
    /// What it takes.
    pub expected: String,
    /// What it was given.
    pub found: String,
}
