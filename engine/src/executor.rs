//! What executors promise: running a graph, and training one.

use std::collections::BTreeMap;

use crate::graph::{Attention, Node, Op};
use crate::{EngineError, Graph, Parameters, Precision, Result, Tensor};

/// Something that runs a graph.
pub trait Inference: Send {
    /// The outputs for the inputs, without any training behaviour.
    ///
    /// # Errors
    /// When the inputs do not fit the graph.
    fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>>;
}

/// Something that trains a graph. One step is `forward`, `backward` (both may repeat, gradients add up), `update`.
pub trait Training: Inference {
    /// The outputs for the inputs, with training behaviour where the [`TrainSpec`] asks for it; keeps what `backward` needs.
    ///
    /// # Errors
    /// When the inputs do not fit the graph.
    fn forward(&mut self, inputs: &[Tensor], key: &StepKey) -> Result<Vec<Tensor>>;

    /// Adds the gradients of the trained parameters, given those of the outputs of the last `forward`.
    ///
    /// # Errors
    /// When there was no `forward`, or the gradients do not fit its outputs.
    fn backward(&mut self, gradients: &[Tensor]) -> Result<()>;

    /// The Euclidean norm of each parameter's accumulated gradient, in the graph's order; `None` for frozen ones.
    ///
    /// # Errors
    /// Passes on what the executor reports.
    fn gradient_norms(&self) -> Result<Vec<Option<f64>>>;

    /// The accumulated gradient of a trained parameter, by name.
    ///
    /// # Errors
    /// When there is no trained parameter of this name.
    fn gradient(&self, name: &str) -> Result<Tensor>;

    /// One optimizer step with each group's rate on gradients multiplied by `scale`; then gradients are zero.
    ///
    /// # Errors
    /// When there are fewer rates than groups.
    fn update(&mut self, rates: &[GroupRate], scale: f64) -> Result<()>;

    /// The masters as they are now: trained values, and running statistics.
    ///
    /// # Errors
    /// Passes on what the executor reports.
    fn parameters(&self) -> Result<Parameters>;

    /// Everything that a resumed run needs to go on to the same bytes.
    ///
    /// # Errors
    /// Passes on what the executor reports.
    fn save(&self) -> Result<Snapshot>;

    /// Goes back to a snapshot.
    ///
    /// # Errors
    /// When it does not fit the graph.
    fn restore(&mut self, snapshot: &Snapshot) -> Result<()>;
}

/// What names a training step, so that dropout is the same on every machine, thread count and resumed run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepKey {
    /// The run's seed.
    pub seed: u64,
    /// The number of the step.
    pub step: u64,
    /// The identity of each sample of the batch.
    pub samples: Vec<u64>,
}

/// What is trained, and how the rest behaves.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainSpec {
    /// For each parameter of the graph its group, or `None` when it is frozen.
    pub groups: Vec<Option<usize>>,
    /// For each stage, whether dropout and drop-path act.
    pub dropout: Vec<bool>,
    /// For each stage, whether batch-norm uses, and updates, batch statistics instead of the running ones.
    pub batch_statistics: Vec<bool>,
    /// The optimizer.
    pub optimizer: Optimizer,
    /// The precision of the operands of convolutions and linear layers, forward and backward: f32 or bf16. Masters, sums, and everything
    /// else are f32. The reference executor computes in its own precision.
    pub precision: Precision,
}

impl TrainSpec {
    /// Everything is trained, as one group, with dropout and batch statistics.
    pub fn everything(graph: &Graph, optimizer: Optimizer) -> Self {
        let stages = graph.stages().len();
        Self {
            groups: graph.parameters().iter().map(|spec| spec.kind.is_trainable().then_some(0)).collect(),
            dropout: vec![true; stages],
            batch_statistics: vec![true; stages],
            optimizer,
            precision: Precision::F32,
        }
    }

    /// Checks that it fits a graph, and that no running statistic is to be trained.
    ///
    /// # Errors
    /// When it does not.
    pub fn check(&self, graph: &Graph) -> Result<()> {
        let (parameters, stages) = (graph.parameters().len(), graph.stages().len());
        if self.groups.len() != parameters
            || self.dropout.len() != stages
            || self.batch_statistics.len() != stages
        {
            return Err(EngineError::Tensor {
                what: "a training specification".into(),
                expected: format!("{parameters} parameters and {stages} stages"),
                found: format!("{} and {}", self.groups.len(), self.dropout.len()),
            });
        }
        if self.precision == Precision::Int8 {
            return Err(EngineError::Unsupported {
                what: "training in int8".into(),
                why: "gradients do not fit into bytes; use bf16 or f32".into(),
            });
        }
        let trained = graph.parameters().iter().zip(&self.groups).filter(|(_, group)| group.is_some());
        match trained.map(|(parameter, _)| parameter).find(|parameter| !parameter.kind.is_trainable()) {
            Some(parameter) => Err(EngineError::Unsupported {
                what: format!("training `{}`", parameter.name),
                why: "it is a running statistic, which batch-norm updates by itself".into(),
            }),
            None => Ok(()),
        }
    }

    /// Checks that a step's key names every sample of a batch, where the graph has dropout, attention's included, or drop-path that acts.
    ///
    /// # Errors
    /// When no input has as many samples, along its first axis, as the key names.
    pub fn check_key(&self, graph: &Graph, inputs: &[Tensor], key: &StepKey) -> Result<()> {
        let acts = |node: &Node| {
            let drops = match node.op {
                Op::Dropout { .. } | Op::DropPath { .. } => true,
                Op::Attention(Attention { dropout, .. }) => dropout > 0.0,
                _ => false,
            };
            drops && self.dropout[node.stage]
        };
        let mut batches = inputs.iter().filter_map(|input| input.shape().first().copied());
        if !graph.nodes().iter().any(acts) || batches.clone().any(|batch| batch == key.samples.len()) {
            return Ok(());
        }
        Err(EngineError::Tensor {
            what: "the samples that a step's key names for dropout".into(),
            expected: format!("{}, as the batch has", batches.next().unwrap_or(0)),
            found: format!("{}", key.samples.len()),
        })
    }

    /// Whether each value's gradient is wanted: trained parameters, and all that is computed from them.
    pub fn wanted(&self, graph: &Graph) -> Vec<bool> {
        let mut wanted: Vec<bool> = Vec::with_capacity(graph.nodes().len());
        for node in graph.nodes() {
            wanted.push(match node.op {
                Op::Parameter(index) => self.groups[index].is_some(),
                _ => node.inputs.iter().any(|input| wanted[input.index()]),
            });
        }
        wanted
    }
}

/// How parameters follow their gradients.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Optimizer {
    /// Adam with decoupled weight decay (Loshchilov, Hutter, arXiv 1711.05101), as `torch.optim.AdamW`.
    AdamW {
        /// Decay of the first and the second moment.
        betas: [f64; 2],
        /// Added to the root of the second moment.
        epsilon: f64,
    },
    /// Stochastic gradient descent with momentum, as `torch.optim.SGD`.
    Sgd {
        /// Share of the velocity that stays.
        momentum: f64,
        /// Whether the gradient is looked up one step ahead.
        nesterov: bool,
    },
}

impl Optimizer {
    /// AdamW with its usual settings.
    pub const ADAMW: Self = Self::AdamW { betas: [0.9, 0.999], epsilon: 1e-8 };
}

/// A group's rates for one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GroupRate {
    /// The learning rate.
    pub learning_rate: f64,
    /// The weight decay.
    pub weight_decay: f64,
}

/// The state of training: masters, moments, and how many updates there were.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Snapshot {
    /// Trained values and running statistics by name.
    pub parameters: BTreeMap<String, Tensor>,
    /// The optimizer's moments, named `first.NAME` and `second.NAME`.
    pub moments: BTreeMap<String, Tensor>,
    /// The count of updates.
    pub updates: u64,
}
