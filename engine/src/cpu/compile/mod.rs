//! From a graph to steps: which operators have kernels, and which run as one.

mod convolutions;

use super::kernels::Clamp;
use super::kernels::matrix::Stored;
use super::kernels::narrow::{Quantization, Storage};
use super::steps::{
    Activate, AddBroadcast, AddValues, ApplyUnary, Attend, Concatenate, DivideBroadcast, Drop, Factors,
    Fallback, LookUp, MultiplyBroadcast, MultiplyMatrices, MultiplyValues, Normalise, NormaliseRows,
    NormaliseSamples, PermuteAxes, PickByDistance, Pool, PoolKind, ReduceAxes, RenameAxes, RepeatAxis,
    Resize, ScaleAndShift, Scope, ShareRows, SliceAxis, Statistics, Step, Turn,
};
use crate::graph::{Activation, Graph, Node, Op, Reduction, SliceRange, Value};
use crate::{Precision, TrainSpec};

/// A compiled graph.
#[derive(Default)]
pub(crate) struct Program {
    /// The steps, in order. Inputs and parameters are put into the workspace by the executor.
    pub steps: Vec<Box<dyn Step>>,
    /// For each node the step that runs it.
    pub owners: Vec<Option<usize>>,
    /// For each node how its value is stored.
    pub storage: Vec<Storage>,
}

impl Program {
    /// For each step the values whose last reader it is, and which are neither outputs nor parameters.
    pub fn releases(&self, graph: &Graph) -> Vec<Vec<Value>> {
        let mut last: Vec<Option<usize>> = self.owners.clone();
        for (position, node) in graph.nodes().iter().enumerate() {
            for input in &node.inputs {
                last[input.index()] = last[input.index()].max(self.owners[position]);
            }
        }
        for (_, value) in graph.outputs() {
            last[value.index()] = None;
        }
        let mut releases = vec![Vec::new(); self.steps.len()];
        for (position, step) in last.into_iter().enumerate() {
            if let (Some(step), false) = (step, matches!(graph.nodes()[position].op, Op::Parameter(_))) {
                releases[step].push(Value::at(position));
            }
        }
        releases
    }
}

/// In how many bits products may be computed.
#[derive(Clone, Copy, Default)]
pub(crate) struct Lowering<'a> {
    pub precision: Precision,
    /// Of bytes: what is known of each value.
    pub quantizations: &'a [Option<Quantization>],
    /// Whether someone looks at the result of every convolution.
    pub is_observed: bool,
}

/// Compiles a graph for the shapes of its values.
///
/// Chains whose inner values nothing else reads run as one step: `convolution → [add] → [clamp]` and
/// `batch-norm → [add] → [clamp]`; dropout that is switched off does not interrupt them. Where nothing is trained, other activations
/// than clamps go with full convolutions and linear layers too, and inverted residuals are one step where that is faster.
///
/// Where nothing is trained, steps that multiply in fewer bits hand their results to each other in as few.
pub(crate) fn compile(
    graph: &Graph,
    shapes: &[Vec<usize>],
    spec: Option<&TrainSpec>,
    lowering: Lowering<'_>,
) -> Program {
    let mut compiler = Compiler {
        graph,
        shapes,
        spec,
        lowering,
        uses: graph.use_counts(),
        readers: readers(graph),
        owners: vec![None; graph.nodes().len()],
        steps: 0,
    };
    let mut steps = Vec::new();
    for position in 0..graph.nodes().len() {
        compiler.steps = steps.len();
        steps.extend(compiler.step(position));
    }
    let storage = compiler.storage(&steps);
    Program { steps, owners: compiler.owners, storage }
}

struct Compiler<'a> {
    graph: &'a Graph,
    shapes: &'a [Vec<usize>],
    spec: Option<&'a TrainSpec>,
    lowering: Lowering<'a>,
    uses: Vec<usize>,
    /// The only reader of each value that has exactly one.
    readers: Vec<Option<usize>>,
    /// For each node the step that has taken it in.
    owners: Vec<Option<usize>>,
    /// The number of the next step.
    steps: usize,
}

/// What follows a node and runs with it.
struct Tail {
    residual: Option<Value>,
    clamp: Clamp,
    output: Value,
    nodes: Vec<usize>,
}

impl Tail {
    /// Goes on behind a node.
    fn extend(&mut self, node: usize) {
        self.nodes.push(node);
        self.output = Value::at(node);
    }
}

impl Compiler<'_> {
    fn step(&mut self, position: usize) -> Option<Box<dyn Step>> {
        if self.owners[position].is_some() {
            return None;
        }
        let graph = self.graph;
        let node = &graph.nodes()[position];
        let (output, inputs) = (Value::at(position), node.inputs.as_slice());
        let x = inputs.first().copied();
        if matches!(node.op, Op::Input(_) | Op::Parameter(_)) {
            return None;
        }
        self.owners[position] = Some(self.steps);
        Some(match (&node.op, x) {
            (Op::Convolution(_) | Op::Linear, Some(_)) => self.convolution_step(position),
            (Op::BatchNorm { epsilon, momentum }, Some(x)) => {
                let tail = self.tail(position);
                self.take_in(&tail.nodes);
                let batch = self.spec.is_some_and(|spec| spec.batch_statistics[node.stage]);
                Box::new(Normalise {
                    x,
                    parameters: [inputs[1], inputs[2], inputs[3], inputs[4]],
                    epsilon: *epsilon,
                    statistics: if batch {
                        Statistics::Batch { momentum: *momentum }
                    } else {
                        Statistics::Running
                    },
                    residual: tail.residual,
                    clamp: tail.clamp,
                    output: tail.output,
                    owns_input: self.uses[x.index()] == 1 && matches!(graph.node(x).op, Op::Convolution(_)),
                    saved: None,
                })
            }
            (Op::GroupNorm { groups, epsilon }, Some(x)) => {
                let (curve, output) = self.curve_behind(position);
                Box::new(NormaliseSamples {
                    x,
                    weight: inputs[1],
                    bias: inputs[2],
                    groups: *groups,
                    epsilon: *epsilon,
                    curve,
                    output,
                    owns_input: self.spec.is_none() && self.is_only_read_here(x),
                    saved: Vec::new(),
                })
            }
            (Op::Activation(activation), Some(x)) => {
                Box::new(Activate { x, activation: *activation, output })
            }
            (Op::Add, Some(x)) if self.same_shape(inputs) => {
                Box::new(AddValues { a: x, b: inputs[1], output })
            }
            (Op::Add, Some(x)) => Box::new(AddBroadcast { operands: [x, inputs[1]], output }),
            (Op::Multiply, Some(x)) => match self.factors(inputs) {
                Some(factors) => Box::new(MultiplyValues { a: x, b: inputs[1], factors, output }),
                None => Box::new(MultiplyBroadcast { operands: [x, inputs[1]], output }),
            },
            (Op::Concat { axis }, Some(_)) if !self.shapes[position].contains(&0) => {
                Box::new(Concatenate { inputs: inputs.to_vec(), axis: *axis, output })
            }
            (Op::MaxPool(window), Some(x)) => Box::new(Pool::new(x, output, PoolKind::Max(*window))),
            (Op::AveragePool(pool), Some(x)) => Box::new(Pool::new(x, output, PoolKind::Average(*pool))),
            (Op::Reduce { reduction: Reduction::Mean, axes }, Some(x)) if self.is_global(axes, x) => {
                Box::new(Pool::new(x, output, PoolKind::Global))
            }
            (Op::GlobalAveragePool, Some(x)) => Box::new(Pool::new(x, output, PoolKind::Global)),
            (Op::AdaptiveAveragePool(_), Some(x)) => Box::new(Pool::new(x, output, PoolKind::Adaptive)),
            (Op::ResizeLike(interpolation), Some(x)) if self.is_map(x) && self.is_map(output) => {
                let sides = |value: Value| [self.shapes[value.index()][1], self.shapes[value.index()][2]];
                Box::new(Resize::new(x, output, *interpolation, sides(x), sides(output)))
            }
            (Op::Dropout { rate }, Some(x)) => Box::new(self.drop(node, x, output, *rate, Scope::Element)),
            (Op::DropPath { rate }, Some(x)) => Box::new(self.drop(node, x, output, *rate, Scope::Sample)),
            _ => match self.encoder_step(node, output) {
                Some(step) => step,
                None => self.fallback(position),
            },
        })
    }

    /// The steps that encoders of text are made of, beside those that they share with networks for images.
    fn encoder_step(&self, node: &Node, output: Value) -> Option<Box<dyn Step>> {
        let inputs = node.inputs.as_slice();
        let x = *inputs.first()?;
        Some(match &node.op {
            Op::Attention(attention) => {
                let drops = self.drops(node);
                Box::new(Attend {
                    operands: [x, inputs[1], inputs[2]],
                    mask: inputs.get(3).copied(),
                    heads: attention.heads,
                    dropout: if drops { attention.dropout } else { 0.0 },
                    name: node.name.clone(),
                    output,
                    kept: None,
                })
            }
            Op::LayerNorm { epsilon } => Box::new(NormaliseRows {
                x,
                weight: inputs[1],
                bias: inputs.get(2).copied(),
                epsilon: *epsilon,
                output,
                moments: Vec::new(),
            }),
            Op::Rotary(rotary) => Box::new(Turn { x, rotary: *rotary, output, turns: Vec::new() }),
            Op::ByDistance { columns } => Box::new(PickByDistance { x, columns: columns.clone(), output }),
            Op::Softmax => Box::new(ShareRows { x, output }),
            Op::Gather => Box::new(LookUp {
                name: node.name.clone(),
                indices: x,
                table: inputs[1],
                output,
                numbers: Vec::new(),
            }),
            Op::MatMul { transpose_right } => {
                let right = if *transpose_right { Stored::Transposed } else { Stored::Plain };
                Box::new(MultiplyMatrices { a: x, b: inputs[1], right, output })
            }
            Op::Slice { axis, range } => {
                let start = match range {
                    SliceRange::Fixed { start, .. } => *start,
                    SliceRange::Like { .. } => 0,
                };
                Box::new(SliceAxis { x, axis: *axis, start, output })
            }
            Op::ExpandLike { .. } => Box::new(RepeatAxis { x, output }),
            Op::Reshape(_) => Box::new(RenameAxes { x, output }),
            Op::Permute(order) => Box::new(PermuteAxes { x, order: order.clone(), output }),
            Op::Affine { scale, shift } => {
                Box::new(ScaleAndShift { x, scale: *scale as f32, shift: *shift as f32, output })
            }
            Op::Divide => Box::new(DivideBroadcast { operands: [x, inputs[1]], output }),
            Op::Unary(unary) => Box::new(ApplyUnary { x, unary: *unary, output }),
            Op::Reduce { reduction, axes } => {
                let count: usize = axes.iter().map(|&axis| self.shapes[x.index()][axis]).product();
                let factor = match reduction {
                    Reduction::Sum => 1.0,
                    Reduction::Mean => 1.0 / count as f64,
                };
                Box::new(ReduceAxes { x, factor, output })
            }
            _ => return None,
        })
    }

    /// How values are stored: as products of fewer bits read them, when one makes them and nobody else reads them.
    fn storage(&self, steps: &[Box<dyn Step>]) -> Vec<Storage> {
        let mut storage = vec![Storage::F32; self.graph.nodes().len()];
        let wanted = self.lowering.precision;
        if self.spec.is_some() || wanted == Precision::F32 {
            return storage;
        }
        let multiplies =
            |node: usize| self.owners[node].is_some_and(|step| steps[step].precision() == Some(wanted));
        for step in steps.iter().filter(|step| step.precision() == Some(wanted)) {
            let value = step.output().index();
            let channels = self.shapes[value].last().copied().unwrap_or(0);
            storage[value] = match wanted {
                _ if !channels.is_multiple_of(wanted.per_word()) => Storage::F32,
                Precision::F32 => Storage::F32,
                Precision::Bf16 => Storage::Bf16,
                Precision::Int8 => match self.lowering.quantizations.get(value) {
                    Some(&Some(code)) => Storage::Int8(code),
                    _ => Storage::F32,
                },
            };
        }
        for (position, node) in self.graph.nodes().iter().enumerate() {
            if !multiplies(position) {
                node.inputs.iter().for_each(|input| storage[input.index()] = Storage::F32);
            }
        }
        for (_, output) in self.graph.outputs() {
            storage[output.index()] = Storage::F32;
        }
        storage
    }

    /// Follows `[add] → [clamp]` as long as nothing else reads what lies between.
    fn tail(&self, position: usize) -> Tail {
        let output = Value::at(position);
        let mut tail = Tail { residual: None, clamp: Clamp::None, output, nodes: Vec::new() };
        self.pass_inactive_dropout(&mut tail);
        if let Some((reader, node)) = self.only_reader(tail.output)
            && node.op == Op::Add
            && let [a, b] = node.inputs[..]
            && a != b
        {
            let other = if a == tail.output { b } else { a };
            // The other summand must be there already, and not broadcast.
            if other.index() < position && self.shapes[other.index()] == self.shapes[tail.output.index()] {
                tail.residual = Some(other);
                tail.extend(reader);
            }
        }
        if let Some((reader, node)) = self.only_reader(tail.output)
            && let Op::Activation(activation) = node.op
            && let Some(clamp) = Clamp::of(activation)
        {
            tail.clamp = clamp;
            tail.extend(reader);
        }
        tail
    }

    /// Follows dropout that is switched off.
    fn pass_inactive_dropout(&self, tail: &mut Tail) {
        while let Some((reader, node)) = self.only_reader(tail.output)
            && matches!(node.op, Op::Dropout { .. } | Op::DropPath { .. })
            && !self.drops(node)
        {
            tail.extend(reader);
        }
    }

    /// Follows an activation, where nothing is trained and nothing else reads what it is applied to.
    fn curve(&self, tail: &mut Tail) -> Option<Activation> {
        match self.only_reader(tail.output).map(|(reader, node)| (reader, &node.op)) {
            Some((reader, &Op::Activation(activation))) if self.spec.is_none() => {
                tail.extend(reader);
                Some(activation)
            }
            _ => None,
        }
    }

    /// The activation that follows a node and runs with it, if any, and where the result goes.
    fn curve_behind(&mut self, position: usize) -> (Option<Activation>, Value) {
        let output = Value::at(position);
        let mut tail = Tail { residual: None, clamp: Clamp::None, output, nodes: Vec::new() };
        let curve = self.curve(&mut tail);
        self.take_in(&tail.nodes);
        (curve, tail.output)
    }

    /// Whether a value was made by a step, for one reader alone.
    fn is_only_read_here(&self, x: Value) -> bool {
        let is_given = matches!(self.graph.node(x).op, Op::Input(_) | Op::Parameter(_));
        self.uses[x.index()] == 1 && !is_given
    }

    /// Makes nodes part of the step that is being compiled.
    fn take_in(&mut self, nodes: &[usize]) {
        nodes.iter().for_each(|&node| self.owners[node] = Some(self.steps));
    }

    /// Whether a node's dropout is switched on.
    fn drops(&self, node: &Node) -> bool {
        self.spec.is_some_and(|spec| spec.dropout[node.stage])
    }

    fn only_reader(&self, value: Value) -> Option<(usize, &Node)> {
        let reader = self.readers[value.index()]?;
        (self.uses[value.index()] == 1).then(|| (reader, &self.graph.nodes()[reader]))
    }

    fn same_shape(&self, inputs: &[Value]) -> bool {
        inputs.iter().all(|input| self.shapes[input.index()] == self.shapes[inputs[0].index()])
    }

    /// What the second value's numbers are factors for, in the cases that have a kernel: it has the first one's shape, or is
    /// `[batch, 1, …, channels]` or `[channels]`.
    fn factors(&self, inputs: &[Value]) -> Option<Factors> {
        let (x, by) = (&self.shapes[inputs[0].index()], &self.shapes[inputs[1].index()]);
        let (channels, &batch) = (x.last()?, x.first()?);
        if x == by {
            Some(Factors::Numbers)
        } else if x.contains(&0) {
            None
        } else if by[..] == [*channels] {
            Some(Factors::Channels)
        } else if let [of, ones @ .., last] = &by[..]
            && (*of, last, by.len()) == (batch, channels, x.len())
            && ones.iter().all(|&size| size == 1)
        {
            Some(Factors::SampleChannels)
        } else {
            None
        }
    }

    /// Whether a value is `[batch, height, width, channels]`, none of them 0.
    fn is_map(&self, x: Value) -> bool {
        let shape = &self.shapes[x.index()];
        shape.len() == 4 && !shape.contains(&0)
    }

    /// Whether axes are all those of a value between the first and the last.
    fn is_global(&self, axes: &[usize], x: Value) -> bool {
        axes.iter().copied().eq(1..self.shapes[x.index()].len().saturating_sub(1)) && !axes.is_empty()
    }

    fn drop(&self, node: &Node, x: Value, output: Value, rate: f64, scope: Scope) -> Drop {
        let rate = if self.drops(node) { rate } else { 0.0 };
        Drop { x, output, name: node.name.clone(), rate, scope }
    }

    fn fallback(&self, position: usize) -> Box<dyn Step> {
        let node = self.graph.nodes()[position].clone();
        let drops = self.drops(&node);
        Box::new(Fallback { node, output: Value::at(position), drops })
    }
}

fn readers(graph: &Graph) -> Vec<Option<usize>> {
    let mut readers = vec![None; graph.nodes().len()];
    for (position, node) in graph.nodes().iter().enumerate() {
        for input in &node.inputs {
            readers[input.index()] = Some(position);
        }
    }
    readers
}
