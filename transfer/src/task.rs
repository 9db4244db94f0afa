//! What is learned: a loss, a score. Modalities bring their own; the fit loop knows only these contracts.

use std::collections::BTreeMap;

use tk_engine::{EngineError, Result, Tensor};

use crate::fit::Mix;

/// Some samples, ready for a graph.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// The graph's inputs, batch first.
    pub inputs: Vec<Tensor>,
    /// What the outputs should have been, as the task understands it, batch first.
    pub targets: Vec<Tensor>,
    /// The positions of the samples in their source. Those that could not be read are missing.
    pub samples: Vec<usize>,
}

/// The value of a loss and its gradient for each output of the graph.
#[derive(Clone, Debug)]
pub struct LossValue {
    /// The loss, already divided by the normaliser.
    pub value: f64,
    /// One gradient for each output, of its shape.
    pub gradients: Vec<Tensor>,
}

/// A task: how wrong outputs are, how good they are.
pub trait Task: Send + Sync {
    /// The loss of a batch. `total` is the count of targets of the whole step, which may be more than this batch's when
    /// batches are accumulated.
    ///
    /// # Errors
    /// When outputs and targets do not fit each other.
    fn loss(&self, outputs: &[Tensor], targets: &[Tensor], total: f64) -> Result<LossValue>;

    /// The targets of blended samples.
    ///
    /// # Errors
    /// When the task has none.
    fn mixed(&self, _targets: &[Tensor], _mix: &Mix) -> Result<Vec<Tensor>> {
        Err(EngineError::Unsupported {
            what: "mixup".into(),
            why: "this task has no targets between two samples'".into(),
        })
    }

    /// A meter that has seen nothing.
    fn meter(&self) -> Box<dyn Meter>;
}

/// Sums up how good outputs are.
pub trait Meter: Send {
    /// Takes a batch in.
    ///
    /// # Errors
    /// When outputs and targets do not fit each other.
    fn add(&mut self, outputs: &[Tensor], targets: &[Tensor]) -> Result<()>;

    /// The scores so far, by their fixed names.
    fn scores(&self) -> BTreeMap<String, f64>;
}
