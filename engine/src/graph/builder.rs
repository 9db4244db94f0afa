//! Building graphs: each call adds a node (and the parameters it owns) and returns its value.

use std::collections::HashSet;

use super::{
    Activation, Convolution, Dimension, Graph, GraphError, Init, InputSpec, Kind, Node, Op, ParameterSpec,
    SliceRange, Stage, Value,
};

/// A graph in the making. Every node belongs to the stage that was begun last.
#[derive(Clone, Debug, Default)]
pub struct GraphBuilder {
    graph: Graph,
    /// What is known of each value's shape before sizes are.
    extents: Vec<Extent>,
    stage: Option<String>,
}

/// What is known of a shape before sizes are; 0 where it is not.
#[derive(Clone, Copy, Debug, Default)]
struct Extent {
    /// The count of axes.
    rank: usize,
    /// The size of the last one.
    channels: usize,
}

/// A two-dimensional convolution's settings, as layers are described in papers.
#[derive(Clone, Copy, Debug)]
pub struct Conv2d {
    /// The count of output channels.
    pub out_channels: usize,
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// The walk.
    pub walk: Convolution,
    /// Whether a bias is added.
    pub bias: bool,
    /// How the kernels start without a checkpoint.
    pub init: Init,
}

impl Conv2d {
    /// A square kernel with stride 1, padded so that the size stays (for odd kernels), no bias.
    pub fn same(out_channels: usize, kernel: usize) -> Self {
        let padding = [(kernel - 1) / 2; 4];
        Self {
            out_channels,
            kernel: [kernel; 2],
            walk: Convolution { stride: [1; 2], padding, dilation: [1; 2], groups: 1 },
            bias: false,
            init: Init::KaimingNormalFanOut,
        }
    }

    /// With this stride in both directions.
    pub fn stride(mut self, stride: usize) -> Self {
        self.walk.stride = [stride; 2];
        self
    }

    /// With another kernel, padded so that the size stays (for odd kernels).
    pub fn kernel(mut self, [height, width]: [usize; 2]) -> Self {
        self.kernel = [height, width];
        let (rows, columns) = ((height - 1) / 2, (width - 1) / 2);
        self.walk.padding = [rows, rows, columns, columns];
        self
    }

    /// With this padding on all sides.
    pub fn padding(mut self, padding: usize) -> Self {
        self.walk.padding = [padding; 4];
        self
    }

    /// With taps this far apart, padded so that the size stays (for odd kernels).
    pub fn dilation(mut self, dilation: usize) -> Self {
        self.walk.dilation = [dilation; 2];
        self.walk.padding = self.walk.padding.map(|padding| padding * dilation);
        self
    }

    /// In this many groups.
    pub fn groups(mut self, groups: usize) -> Self {
        self.walk.groups = groups;
        self
    }

    /// With a bias.
    pub fn with_bias(mut self) -> Self {
        self.bias = true;
        self
    }

    /// With kernels that start like this.
    pub fn init(mut self, init: Init) -> Self {
        self.init = init;
        self
    }
}

impl GraphBuilder {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    /// Goes on from a graph: its stages up to and including `last` stay, later nodes, outputs and unused parameters go.
    ///
    /// This is how a head is replaced: keep the backbone, add a stage, finish.
    pub fn from_stages(graph: &Graph, last: usize) -> Self {
        let mut builder = Self::new();
        builder.graph.inputs = graph.inputs.clone();
        builder.graph.stages = graph.stages[..=last].to_vec();
        let mut renumbered = vec![None; graph.nodes.len()];
        for (position, node) in graph.nodes.iter().enumerate().filter(|(_, node)| node.stage <= last) {
            let inputs: Vec<Value> =
                node.inputs.iter().filter_map(|input| renumbered[input.index()]).collect();
            let op = match node.op {
                Op::Parameter(index) => {
                    builder.graph.parameters.push(graph.parameters[index].clone());
                    Op::Parameter(builder.graph.parameters.len() - 1)
                }
                ref op => op.clone(),
            };
            let extent = builder.extent_after(&op, &inputs);
            renumbered[position] = Some(Value(builder.graph.nodes.len() as u32));
            builder.graph.nodes.push(Node { name: node.name.clone(), op, inputs, stage: node.stage });
            builder.extents.push(extent);
        }
        for stage in &mut builder.graph.stages {
            if let Some(value) = renumbered[stage.output.index()] {
                stage.output = value;
            }
        }
        builder
    }

    /// Begins a stage; nodes added from now on belong to it until [`GraphBuilder::end_stage`].
    pub fn begin_stage(&mut self, name: &str) {
        self.stage = Some(name.to_owned());
    }

    /// Ends the stage with the value that stands for its result, and returns that value.
    pub fn end_stage(&mut self, output: Value) -> Value {
        let name = self.stage.take().unwrap_or_else(|| format!("stage{}", self.graph.stages.len()));
        self.graph.stages.push(Stage { name, output });
        output
    }

    /// The size of a value's last axis (0 where only bind can tell).
    pub fn channels(&self, value: Value) -> usize {
        self.extents[value.index()].channels
    }

    /// The result of a finished stage, by name.
    ///
    /// # Errors
    /// When there is no such stage.
    pub fn stage_output(&self, name: &str) -> Result<Value, GraphError> {
        self.graph.stage(name).map(|index| self.graph.stages[index].output)
    }

    /// The result of a node, by name.
    ///
    /// # Errors
    /// When there is no such node.
    pub fn node(&self, name: &str) -> Result<Value, GraphError> {
        let position = self.graph.nodes.iter().position(|node| node.name == name);
        position.map(Value::at).ok_or_else(|| GraphError::UnknownNode { name: name.to_owned() })
    }

    /// Adds a node.
    pub fn add(&mut self, name: &str, op: Op, inputs: &[Value]) -> Value {
        let extent = self.extent_after(&op, inputs);
        self.extents.push(extent);
        self.graph.nodes.push(Node {
            name: name.to_owned(),
            op,
            inputs: inputs.to_vec(),
            stage: self.graph.stages.len(),
        });
        Value(self.graph.nodes.len() as u32 - 1)
    }

    /// Adds an input. `channels` is the size of its last axis where it is fixed.
    pub fn input(&mut self, name: &str, rank: usize, channels: Option<usize>) -> Value {
        let index = self.graph.inputs.len();
        self.graph.inputs.push(InputSpec { name: name.to_owned(), rank: Some(rank), channels });
        self.add(name, Op::Input(index), &[])
    }

    /// Adds a parameter, or returns its node when one of this name is there already: that is how parameters are shared.
    pub fn parameter(&mut self, name: &str, shape: &[usize], kind: Kind, init: Init) -> Value {
        if let Some(index) = self.graph.parameter(name)
            && let Some(position) = self.graph.nodes.iter().position(|node| node.op == Op::Parameter(index))
        {
            return Value(position as u32);
        }
        let index = self.graph.parameters.len();
        self.graph.parameters.push(ParameterSpec {
            name: name.to_owned(),
            shape: shape.to_vec(),
            kind,
            init,
        });
        self.add(name, Op::Parameter(index), &[])
    }

    /// A convolution with its own `NAME.weight` (and `NAME.bias`).
    pub fn conv2d(&mut self, name: &str, x: Value, conv: Conv2d) -> Value {
        let in_channels = self.channels(x) / conv.walk.groups;
        let shape = [conv.out_channels, in_channels, conv.kernel[0], conv.kernel[1]];
        let weight = self.parameter(&format!("{name}.weight"), &shape, Kind::Weight, conv.init);
        let mut inputs = vec![x, weight];
        if conv.bias {
            inputs.push(self.parameter(
                &format!("{name}.bias"),
                &[conv.out_channels],
                Kind::Bias,
                Init::Zeros,
            ));
        }
        self.add(name, Op::Convolution(conv.walk), &inputs)
    }

    /// A linear layer with its own `NAME.weight`, `[out, in]`, and `NAME.bias`.
    pub fn linear(&mut self, name: &str, x: Value, out_features: usize) -> Value {
        self.linear_from(name, x, out_features, Init::UniformFanIn)
    }

    /// A [`linear`](Self::linear) layer whose weight starts as said.
    pub fn linear_from(&mut self, name: &str, x: Value, out_features: usize, init: Init) -> Value {
        let shape = [out_features, self.channels(x)];
        let weight = self.parameter(&format!("{name}.weight"), &shape, Kind::Weight, init);
        let bias = self.parameter(&format!("{name}.bias"), &[out_features], Kind::Bias, Init::Zeros);
        self.add(name, Op::Linear, &[x, weight, bias])
    }

    /// A batch-norm with its own weight, bias and running statistics under `NAME.`; momentum 0.1, as PyTorch's default.
    pub fn batch_norm(&mut self, name: &str, x: Value, epsilon: f64) -> Value {
        let shape = [self.channels(x)];
        let weight = self.parameter(&format!("{name}.weight"), &shape, Kind::NormWeight, Init::Ones);
        let bias = self.parameter(&format!("{name}.bias"), &shape, Kind::NormBias, Init::Zeros);
        let mean = self.parameter(&format!("{name}.running_mean"), &shape, Kind::RunningMean, Init::Zeros);
        let variance =
            self.parameter(&format!("{name}.running_var"), &shape, Kind::RunningVariance, Init::Ones);
        self.add(name, Op::BatchNorm { epsilon, momentum: 0.1 }, &[x, weight, bias, mean, variance])
    }

    /// A layer-norm over the last axis with its own `NAME.weight` and `NAME.bias`.
    pub fn layer_norm(&mut self, name: &str, x: Value, epsilon: f64) -> Value {
        let shape = [self.channels(x)];
        let weight = self.parameter(&format!("{name}.weight"), &shape, Kind::NormWeight, Init::Ones);
        let bias = self.parameter(&format!("{name}.bias"), &shape, Kind::NormBias, Init::Zeros);
        self.add(name, Op::LayerNorm { epsilon }, &[x, weight, bias])
    }

    /// A group-norm with its own `NAME.weight` and `NAME.bias`.
    pub fn group_norm(&mut self, name: &str, x: Value, groups: usize, epsilon: f64) -> Value {
        let shape = [self.channels(x)];
        let weight = self.parameter(&format!("{name}.weight"), &shape, Kind::NormWeight, Init::Ones);
        let bias = self.parameter(&format!("{name}.bias"), &shape, Kind::NormBias, Init::Zeros);
        self.add(name, Op::GroupNorm { groups, epsilon }, &[x, weight, bias])
    }

    /// An activation.
    pub fn activation(&mut self, name: &str, x: Value, activation: Activation) -> Value {
        self.add(name, Op::Activation(activation), &[x])
    }

    /// Finishes the graph with its named outputs. Nodes that no output needs are kept out by nobody: builders add none.
    ///
    /// # Errors
    /// When names clash, a stage reads a later one, or there is no stage or no output.
    pub fn finish(mut self, outputs: &[(&str, Value)]) -> Result<Graph, GraphError> {
        self.graph.outputs = outputs.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        self.graph.check()?;
        Ok(self.graph)
    }

    /// What an operator makes of extents, as far as it is known without sizes.
    fn extent_after(&self, op: &Op, inputs: &[Value]) -> Extent {
        let of = |position: usize| {
            inputs.get(position).map_or_else(Extent::default, |&value| self.extents[value.index()])
        };
        let is_last = |axis: usize| axis + 1 == of(0).rank;
        let rank = match op {
            Op::Input(index) => self.graph.inputs[*index].rank.unwrap_or(0),
            Op::Parameter(index) => self.graph.parameters[*index].shape.len(),
            Op::GlobalAveragePool => 2,
            Op::Gather if of(0).rank > 0 => of(0).rank + 1,
            Op::Reshape(shape) => shape.len(),
            Op::Add | Op::Multiply | Op::Divide => of(0).rank.max(of(1).rank),
            _ => of(0).rank,
        };
        let channels = match op {
            Op::Input(index) => self.graph.inputs[*index].channels.unwrap_or(0),
            Op::Parameter(index) => self.graph.parameters[*index].shape.last().copied().unwrap_or(0),
            Op::Convolution(_) | Op::Linear => inputs.get(1).map_or(0, |&weight| self.rows(weight)),
            Op::Concat { .. } | Op::Reduce { .. } | Op::Slice { .. } if rank == 0 => 0,
            Op::Concat { axis } if is_last(*axis) => {
                let sizes = (0..inputs.len()).map(|position| of(position).channels);
                if sizes.clone().all(|size| size > 0) { sizes.sum() } else { 0 }
            }
            Op::Reduce { axes, .. } if axes.iter().any(|&axis| is_last(axis)) => 1,
            Op::Slice { axis, range } if is_last(*axis) => match range {
                SliceRange::Fixed { length, .. } => *length,
                SliceRange::Like { .. } => 0,
            },
            Op::Gather => of(1).channels,
            Op::MatMul { transpose_right: false } => of(1).channels,
            Op::MatMul { transpose_right: true } | Op::ByDistance { .. } => 0,
            Op::Permute(order) => match order.last() {
                Some(&axis) if is_last(axis) => of(0).channels,
                _ => 0,
            },
            Op::Reshape(shape) => match shape.last() {
                Some(Dimension::Size(size)) => *size,
                Some(Dimension::Same(axis)) if is_last(*axis) => of(0).channels,
                _ => 0,
            },
            Op::Add | Op::Multiply | Op::Divide => of(0).channels.max(of(1).channels),
            _ => of(0).channels,
        };
        Extent { rank, channels }
    }

    /// The first axis of a weight: that of the parameter it is made from.
    fn rows(&self, weight: Value) -> usize {
        let node = self.graph.node(weight);
        match node.op {
            Op::Parameter(index) => self.graph.parameters[index].shape.first().copied().unwrap_or(0),
            _ => node.inputs.iter().map(|&input| self.rows(input)).max().unwrap_or(0),
        }
    }
}

impl Graph {
    /// Checks what every executor relies on.
    pub(crate) fn check(&self) -> Result<(), GraphError> {
        if self.outputs.is_empty() {
            return Err(GraphError::Missing("an output"));
        }
        if self.stages.is_empty() {
            return Err(GraphError::Missing("a stage"));
        }
        unique("nodes", self.nodes.iter().map(|node| &node.name))?;
        unique("parameters", self.parameters.iter().map(|parameter| &parameter.name))?;
        unique("stages", self.stages.iter().map(|stage| &stage.name))?;
        for node in &self.nodes {
            for input in &node.inputs {
                let read = self.node(*input);
                if read.stage > node.stage {
                    let stage = |index: usize| {
                        self.stages.get(index).map_or("(none)", |stage| &stage.name).to_owned()
                    };
                    return Err(GraphError::ReadsLaterStage {
                        node: node.name.clone(),
                        stage: stage(node.stage),
                        input: read.name.clone(),
                        later: stage(read.stage),
                    });
                }
            }
        }
        match self.nodes.iter().any(|node| node.stage >= self.stages.len()) {
            true => Err(GraphError::Missing("every node inside a stage that ends")),
            false => Ok(()),
        }
    }
}

fn unique<'a>(what: &'static str, names: impl Iterator<Item = &'a String>) -> Result<(), GraphError> {
    let mut seen = HashSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(GraphError::Duplicate { what, name: name.clone() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::super::Reduction;
    use super::*;

    fn two_stages() -> Graph {
        let mut b = GraphBuilder::new();
        b.begin_stage("stem");
        let x = b.input("pixels", 4, Some(3));
        let y = b.conv2d("conv", x, Conv2d::same(8, 3));
        let y = b.end_stage(y);
        b.begin_stage("head");
        let pooled = b.add("pool", Op::GlobalAveragePool, &[y]);
        let logits = b.linear("fc", pooled, 5);
        b.end_stage(logits);
        b.finish(&[("logits", logits)]).unwrap()
    }

    #[test]
    fn parameters_are_named_and_shaped_as_published() {
        let graph = two_stages();
        let parameters: Vec<_> =
            graph.parameters().iter().map(|p| (p.name.as_str(), p.shape.clone())).collect();
        let expected = [("conv.weight", vec![8, 3, 3, 3]), ("fc.weight", vec![5, 8]), ("fc.bias", vec![5])];
        assert_eq!(parameters, expected);
        assert_eq!(graph.parameter_stages(), [0, 1, 1]);
    }

    #[test]
    fn a_head_is_replaced_by_going_on_from_the_backbone() {
        let graph = two_stages();
        let mut b = GraphBuilder::from_stages(&graph, 0);
        b.begin_stage("head");
        let y = b.stage_output("stem").unwrap();
        let pooled = b.add("pool", Op::GlobalAveragePool, &[y]);
        let logits = b.linear("fc", pooled, 2);
        b.end_stage(logits);
        let replaced = b.finish(&[("logits", logits)]).unwrap();
        assert_eq!(replaced.parameters()[1].shape, [2, 8]);
        assert_eq!(replaced.nodes().len(), graph.nodes().len());
    }

    #[test]
    fn channels_are_known_as_far_as_they_can_be() {
        let mut b = GraphBuilder::new();
        b.begin_stage("stem");
        let x = b.input("tokens", 3, Some(6));
        let token = b.parameter("token", &[1, 1, 6], Kind::Weight, Init::Zeros);
        let cases = [
            (Op::Concat { axis: 1 }, vec![x, token], 6),
            (Op::Concat { axis: 2 }, vec![x, x], 12),
            (Op::Reduce { reduction: Reduction::Sum, axes: vec![2] }, vec![x], 1),
            (Op::Reduce { reduction: Reduction::Sum, axes: vec![1] }, vec![x], 6),
            (Op::Slice { axis: 1, range: SliceRange::Fixed { start: 0, length: 1 } }, vec![x], 6),
            (Op::Slice { axis: 2, range: SliceRange::Fixed { start: 0, length: 2 } }, vec![x], 2),
            (Op::Permute(vec![1, 0, 2]), vec![x], 6),
            (Op::Permute(vec![0, 2, 1]), vec![x], 0),
            (Op::Reshape(vec![Dimension::Rest, Dimension::Same(2)]), vec![x], 6),
            (Op::Reshape(vec![Dimension::Same(0), Dimension::Rest]), vec![x], 0),
        ];
        for (index, (op, inputs, expected)) in cases.into_iter().enumerate() {
            let y = b.add(&index.to_string(), op.clone(), &inputs);
            assert_eq!(b.channels(y), expected, "{op:?}");
        }
    }

    #[test]
    fn malformed_graphs_are_refused() {
        let mut b = GraphBuilder::new();
        b.begin_stage("stem");
        let x = b.input("pixels", 4, Some(3));
        b.end_stage(x);
        assert_eq!(b.clone().finish(&[]).unwrap_err(), GraphError::Missing("an output"));
        b.begin_stage("open");
        let y = b.activation("relu", x, Activation::Relu);
        assert!(matches!(b.clone().finish(&[("y", y)]), Err(GraphError::Missing(_))));
        b.end_stage(y);
        b.begin_stage("again");
        let z = b.activation("relu", y, Activation::Relu);
        b.end_stage(z);
        assert!(matches!(b.finish(&[("z", z)]), Err(GraphError::Duplicate { what: "nodes", .. })));
    }
}
