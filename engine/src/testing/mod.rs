//! What tests of every crate share: fillings seeded by names, gradient checks, agreement of executors, conformance of graphs.
//!
//! Checks return what they found instead of panicking, so that a test can also assert that a planted fault is found.

mod agreement;
mod conformance;
mod fill;
mod gradients;

pub use agreement::{Tolerances, check_agreement, check_close};
pub use conformance::{check_graph, check_graph_on};
pub use fill::{cotangents, fill, fill_all, fill_all_scaled, fill_input, pictures, signed};
pub use gradients::check_gradients;

use crate::EngineError;

/// What a check found.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The graph or an executor failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Numbers that should agree do not.
    #[error("{what}: number {at} is {found:e}, expected {expected:e} within {tolerance:e}")]
    Differs {
        /// Which numbers.
        what: String,
        /// The flat position of the worst.
        at: usize,
        /// What it should be.
        expected: f64,
        /// What it is.
        found: f64,
        /// The greatest difference allowed.
        tolerance: f64,
    },
    /// Shapes that should agree do not.
    #[error("{what}: shape {found:?}, expected {expected:?}")]
    Shape {
        /// Of what.
        what: String,
        /// What it should be.
        expected: Vec<usize>,
        /// What it is.
        found: Vec<usize>,
    },
    /// A graph or an executor breaks a rule.
    #[error("{what}: {rule}")]
    Breaks {
        /// The stage, parameter or output.
        what: String,
        /// The rule.
        rule: String,
    },
}

/// A check's result.
pub type Checked<T = ()> = Result<T, CheckError>;

fn breaks(what: impl Into<String>, rule: impl Into<String>) -> CheckError {
    CheckError::Breaks { what: what.into(), rule: rule.into() }
}

impl From<crate::graph::GraphError> for CheckError {
    fn from(error: crate::graph::GraphError) -> Self {
        Self::Engine(error.into())
    }
}

impl From<crate::graph::ShapeError> for CheckError {
    fn from(error: crate::graph::ShapeError) -> Self {
        Self::Engine(error.into())
    }
}
