//! Graphs of named stages with named parameters: what a model is before anything runs it.
//!
//! A node has one output. Activations are channels-last; parameters keep their published names and layouts. Builders know rank and
//! channels; batch, height, width and length exist only once a graph is bound to input shapes ([`Graph::infer`]).

mod builder;
mod cut;
mod digest;
mod dilate;
mod error;
mod fold;
mod low_rank;
mod op;
mod pools;
mod rotary;
mod shape;

pub use builder::{Conv2d, GraphBuilder};
pub use cut::{Cut, Source};
pub use dilate::FirstDilation;
pub use error::{GraphError, ShapeError};
pub use op::{
    Activation, AdaptivePool, Attention, AveragePool, Convolution, Dimension, Divisor, Interpolation, Op,
    Reduction, SliceRange, Unary, When, Window,
};
pub use rotary::Rotary;

/// The output of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Value(pub(crate) u32);

impl Value {
    /// The position of the node in [`Graph::nodes`].
    pub fn index(self) -> usize {
        self.0 as usize
    }

    /// The value of the node at a position.
    pub fn at(index: usize) -> Self {
        Self(index as u32)
    }
}

/// One operation and what it reads.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Unique within the graph; an operation that owns parameters is named as their prefix.
    pub name: String,
    /// What it computes.
    pub op: Op,
    /// What it reads, all earlier in the list.
    pub inputs: Vec<Value>,
    /// The stage it belongs to, a position in [`Graph::stages`].
    pub stage: usize,
}

/// A parameter or buffer as published: its name, its shape, what it is.
#[derive(Clone, Debug, PartialEq)]
pub struct ParameterSpec {
    /// The published name, such as `layer1.0.conv1.weight`.
    pub name: String,
    /// The published shape, such as `[out, in, height, width]`.
    pub shape: Vec<usize>,
    /// What it is, which decides weight decay and whether it can be trained.
    pub kind: Kind,
    /// How it starts without a checkpoint.
    pub init: Init,
}

/// What a parameter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A convolution's or linear layer's weight, or an embedding table.
    Weight,
    /// A bias.
    Bias,
    /// The scale of a normalisation.
    NormWeight,
    /// The shift of a normalisation.
    NormBias,
    /// A batch-norm's running mean: a statistic, never trained.
    RunningMean,
    /// A batch-norm's running variance: a statistic, never trained.
    RunningVariance,
    /// Given by a formula and never trained, such as sinusoidal embeddings of places.
    Fixed,
}

impl Kind {
    /// Whether an optimizer may change it.
    pub fn is_trainable(self) -> bool {
        !matches!(self, Self::RunningMean | Self::RunningVariance | Self::Fixed)
    }

    /// Whether weight decay applies: to matrices and kernels, not to biases and normalisations.
    pub fn decays(self) -> bool {
        self == Self::Weight
    }
}

/// How a parameter starts without a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// All zero.
    Zeros,
    /// All one.
    Ones,
    /// All this number.
    Constant(f64),
    /// Normal with deviation √(2 / fan-out), for convolutions before ReLU (He et al. 2015, arXiv 1502.01852).
    KaimingNormalFanOut,
    /// Normal with the given deviation.
    Normal(f64),
    /// Uniform within ±1/√fan-in, as PyTorch starts linear layers.
    UniformFanIn,
    /// Uniform within ±√(6 / (fan-in + fan-out)) (Glorot, Bengio 2010).
    XavierUniform,
}

/// A named part of the graph: the nodes since the stage before, and the one value that stands for its result.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    /// The name that freeze specifications use.
    pub name: String,
    /// The result, such as a feature map `[batch, height, width, channels]`.
    pub output: Value,
}

/// An input of the graph.
#[derive(Clone, Debug, PartialEq)]
pub struct InputSpec {
    /// What it is, such as `pixels`.
    pub name: String,
    /// The count of axes, batch first, where it is fixed.
    pub rank: Option<usize>,
    /// The size of the last axis, where it is fixed.
    pub channels: Option<usize>,
}

/// A model as data: nodes in an order in which they can run, parameters, stages and named outputs.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Graph {
    pub(crate) nodes: Vec<Node>,
    pub(crate) inputs: Vec<InputSpec>,
    pub(crate) parameters: Vec<ParameterSpec>,
    pub(crate) stages: Vec<Stage>,
    pub(crate) outputs: Vec<(String, Value)>,
}

impl Graph {
    /// The nodes, in an order in which they can run.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The inputs, in the order in which executors take them.
    pub fn inputs(&self) -> &[InputSpec] {
        &self.inputs
    }

    /// The parameters and buffers.
    pub fn parameters(&self) -> &[ParameterSpec] {
        &self.parameters
    }

    /// The stages, in order; each reads only itself and earlier ones.
    pub fn stages(&self) -> &[Stage] {
        &self.stages
    }

    /// The outputs, in the order in which executors give them.
    pub fn outputs(&self) -> &[(String, Value)] {
        &self.outputs
    }

    /// The node of a value.
    pub fn node(&self, value: Value) -> &Node {
        &self.nodes[value.index()]
    }

    /// The position of a stage by name.
    ///
    /// # Errors
    /// When there is none; the message lists those there are.
    pub fn stage(&self, name: &str) -> Result<usize, GraphError> {
        self.stages.iter().position(|stage| stage.name == name).ok_or_else(|| GraphError::UnknownStage {
            name: name.to_owned(),
            known: self.stages.iter().map(|stage| stage.name.clone()).collect(),
        })
    }

    /// The position of a parameter by name.
    pub fn parameter(&self, name: &str) -> Option<usize> {
        self.parameters.iter().position(|parameter| parameter.name == name)
    }

    /// The stage of each parameter: that of its node.
    pub fn parameter_stages(&self) -> Vec<usize> {
        let mut stages = vec![0; self.parameters.len()];
        for node in &self.nodes {
            if let Op::Parameter(index) = node.op {
                stages[index] = node.stage;
            }
        }
        stages
    }

    /// Whether each node depends on parameters alone, so that a cut recomputes it instead of carrying it.
    pub fn parameter_only(&self) -> Vec<bool> {
        let mut only = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            only.push(match node.op {
                Op::Input(_) => false,
                Op::Parameter(_) => true,
                _ => node.inputs.iter().all(|input| only[input.index()]),
            });
        }
        only
    }

    /// The last reader of each value; outputs are read at the end (`nodes.len()`), unread values at their own position.
    pub fn last_uses(&self) -> Vec<usize> {
        let mut last: Vec<usize> = (0..self.nodes.len()).collect();
        for (position, node) in self.nodes.iter().enumerate() {
            for input in &node.inputs {
                last[input.index()] = position;
            }
        }
        for (_, value) in &self.outputs {
            last[value.index()] = self.nodes.len();
        }
        last
    }

    /// How often each value is read, outputs included.
    pub fn use_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.nodes.len()];
        let read = self
            .nodes
            .iter()
            .flat_map(|node| &node.inputs)
            .chain(self.outputs.iter().map(|(_, value)| value));
        for value in read {
            counts[value.index()] += 1;
        }
        counts
    }
}
