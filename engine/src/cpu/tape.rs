//! Training on the CPU: the steps of a graph run forward, then backward over the values they left, then one fused update.

use super::compile::{Lowering, Program, compile};
use super::kernels::optimizer::{AdamW, Momentum, Sgd, squared_norm};
use super::parts::in_parts;
use super::steps::Mode;
use super::{Buffer, Fingerprint, Machine, Workspace};
use crate::graph::{Graph, Op, Value};
use crate::{
    EngineError, GroupRate, Inference, Optimizer, Parameters, Result, Snapshot, StepKey, Tensor, TrainSpec,
    Training,
};

/// The CPU executor for graphs that train.
pub struct Tape {
    graph: Graph,
    spec: TrainSpec,
    workspace: Workspace,
    /// The steps for the input shapes bound last.
    program: Program,
    /// After each step, the values that nobody reads any more in a pass without a backward one.
    released: Vec<Vec<Value>>,
    bound: Vec<Vec<usize>>,
    /// The node of each parameter.
    nodes: Vec<Value>,
    /// First and second moment of each trained parameter.
    moments: Vec<Option<[Buffer; 2]>>,
    updates: u64,
    /// Whether the values of a training forward pass are waiting for their backward pass.
    recorded: bool,
}

impl Tape {
    /// Compiles a graph for training. Every parameter needs a value.
    ///
    /// # Errors
    /// When a parameter has no value, one of another shape, or the specification is of another graph.
    pub fn new(machine: &Machine, graph: &Graph, parameters: &Parameters, spec: &TrainSpec) -> Result<Self> {
        spec.check(graph)?;
        let mut workspace = Workspace::new(machine.clone(), spec.wanted(graph));
        let mut nodes = vec![Value::at(0); graph.parameters().len()];
        for (position, node) in graph.nodes().iter().enumerate() {
            if let Op::Parameter(index) = node.op {
                nodes[index] = Value::at(position);
                put_parameter(&mut workspace, graph, index, Value::at(position), parameters)?;
            }
        }
        let moments = graph
            .parameters()
            .iter()
            .zip(&spec.groups)
            .map(|(parameter, group)| {
                let length = parameter.shape.iter().product();
                group.map(|_| [Buffer::zeros(length), Buffer::zeros(length)])
            })
            .collect();
        Ok(Self {
            graph: graph.clone(),
            spec: spec.clone(),
            workspace,
            program: Program::default(),
            released: Vec::new(),
            bound: Vec::new(),
            nodes,
            moments,
            updates: 0,
            recorded: false,
        })
    }

    /// The nodes that ran their reference form for want of a kernel, at the input shapes bound last.
    pub fn fallbacks(&self) -> Vec<&str> {
        self.program.steps.iter().filter_map(|step| step.fallback()).collect()
    }

    /// Digests of the weights that ran: the values of all parameters, and their packed copies.
    pub fn fingerprint(&self) -> Fingerprint {
        self.workspace.fingerprint(&self.graph)
    }

    fn bind(&mut self, inputs: &[Tensor]) -> Result<()> {
        let shapes: Vec<Vec<usize>> = inputs.iter().map(|tensor| tensor.shape().to_vec()).collect();
        if shapes != self.bound || self.program.steps.is_empty() {
            self.workspace.shapes = self.graph.infer(&shapes)?;
            // Values and their gradients.
            self.workspace.keep_free(2 * self.workspace.total_len());
            let lowering = Lowering { precision: self.spec.precision, ..Lowering::default() };
            self.program = compile(&self.graph, &self.workspace.shapes, Some(&self.spec), lowering);
            self.released = self.program.releases(&self.graph);
            self.bound = shapes;
        }
        Ok(())
    }

    fn pass(&mut self, inputs: &[Tensor], mode: Mode) -> Result<Vec<Tensor>> {
        self.forget();
        self.bind(inputs)?;
        put_inputs(&mut self.workspace, &self.graph, inputs)?;
        for (step, released) in self.program.steps.iter_mut().zip(&self.released) {
            step.forward(&mut self.workspace, mode)?;
            if mode == Mode::Inference {
                released.iter().for_each(|&value| self.workspace.release(value));
            }
        }
        outputs(&self.workspace, &self.graph)
    }

    /// Drops the values of the last pass; parameters and their gradients stay.
    fn forget(&mut self) {
        let graph = &self.graph;
        self.workspace.clear(|value| matches!(graph.node(value).op, Op::Parameter(_)));
        self.recorded = false;
    }

    fn trained(&self) -> impl Iterator<Item = (usize, usize)> {
        self.spec.groups.iter().enumerate().filter_map(|(index, group)| group.map(|group| (index, group)))
    }

    fn value_tensor(&self, index: usize) -> Result<Tensor> {
        Tensor::new(&self.graph.parameters()[index].shape, self.workspace.get(self.nodes[index]).to_vec())
    }
}

impl Inference for Tape {
    fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
        in_parts(inputs, |part| {
            let outputs = self.pass(part, Mode::Inference)?;
            self.forget();
            Ok(outputs)
        })
    }
}

impl Training for Tape {
    fn forward(&mut self, inputs: &[Tensor], key: &StepKey) -> Result<Vec<Tensor>> {
        self.spec.check_key(&self.graph, inputs, key)?;
        self.workspace.key = Some(key.clone());
        let outputs = self.pass(inputs, Mode::Training)?;
        self.recorded = true;
        Ok(outputs)
    }

    fn backward(&mut self, gradients: &[Tensor]) -> Result<()> {
        if !self.recorded {
            return Err(EngineError::Order("backward needs a forward pass before it"));
        }
        if gradients.len() != self.graph.outputs().len() {
            return Err(EngineError::Tensor {
                what: "gradients of the outputs".into(),
                expected: format!("{}", self.graph.outputs().len()),
                found: format!("{}", gradients.len()),
            });
        }
        for ((_, value), gradient) in self.graph.outputs().iter().zip(gradients) {
            let length = self.workspace.len(*value);
            if gradient.len() != length {
                return Err(EngineError::Tensor {
                    what: format!("the gradient of output `{}`", self.graph.node(*value).name),
                    expected: format!("{length} numbers"),
                    found: format!("{}", gradient.len()),
                });
            }
            let (mut buffer, accumulate) = self.workspace.gradient_buffer(*value);
            let add = accumulate == super::kernels::Accumulate::Add;
            for (slot, share) in buffer[..length].iter_mut().zip(gradient.as_f32()?) {
                *slot = if add { *slot + share } else { *share };
            }
            self.workspace.put_gradient(*value, buffer);
        }
        for step in self.program.steps.iter_mut().rev() {
            step.backward(&mut self.workspace)?;
            self.workspace.release(step.output());
        }
        self.forget();
        Ok(())
    }

    fn gradient_norms(&self) -> Result<Vec<Option<f64>>> {
        let mut norms = vec![None; self.nodes.len()];
        for (index, _) in self.trained() {
            let gradient = self.workspace.gradient(self.nodes[index]);
            norms[index] = Some(gradient.map_or(0.0, |g| squared_norm(&self.workspace.machine, g).sqrt()));
        }
        Ok(norms)
    }

    fn gradient(&self, name: &str) -> Result<Tensor> {
        let index = self.graph.parameter(name).filter(|&index| self.spec.groups[index].is_some());
        let Some(index) = index else { return Err(EngineError::MissingParameter { name: name.to_owned() }) };
        let shape = &self.graph.parameters()[index].shape;
        match self.workspace.gradient(self.nodes[index]) {
            Some(gradient) => Tensor::new(shape, gradient.to_vec()),
            None => Ok(Tensor::zeros(shape)),
        }
    }

    fn update(&mut self, rates: &[GroupRate], scale: f64) -> Result<()> {
        self.updates += 1;
        let trained: Vec<(usize, usize)> = self.trained().collect();
        for (index, group) in trained {
            let Some(rate) = rates.get(group) else {
                return Err(EngineError::Order("an update needs a rate for each group"));
            };
            let value = self.nodes[index];
            let Some(mut gradient) = self.workspace.take_gradient(value) else { continue };
            let (Some(mut buffer), Some([first, second])) =
                (self.workspace.take(value), &mut self.moments[index])
            else {
                continue;
            };
            let length = self.workspace.len(value);
            let (parameter, gradient_) = (&mut buffer[..length], &mut gradient[..length]);
            let machine = &self.workspace.machine;
            let (learning_rate, weight_decay) = (rate.learning_rate, rate.weight_decay);
            match self.spec.optimizer {
                Optimizer::AdamW { betas: [beta1, beta2], epsilon } => {
                    let step = self.updates;
                    let gradient_scale = scale;
                    AdamW { learning_rate, weight_decay, beta1, beta2, epsilon, step, gradient_scale }
                        .update(machine, parameter, gradient_, first, second);
                }
                Optimizer::Sgd { momentum, nesterov } => {
                    let kind = if nesterov { Momentum::Nesterov } else { Momentum::Classical };
                    Sgd { learning_rate, weight_decay, momentum, kind, gradient_scale: scale }
                        .update(machine, parameter, gradient_, first);
                }
            }
            self.workspace.put(value, buffer);
            self.workspace.recycle(gradient);
        }
        Ok(())
    }

    fn parameters(&self) -> Result<Parameters> {
        let mut parameters = Parameters::default();
        for (index, spec) in self.graph.parameters().iter().enumerate() {
            parameters.set(&spec.name, self.value_tensor(index)?);
        }
        Ok(parameters)
    }

    fn save(&self) -> Result<Snapshot> {
        let mut snapshot = Snapshot { updates: self.updates, ..Snapshot::default() };
        for (index, spec) in self.graph.parameters().iter().enumerate() {
            let changes = self.spec.groups[index].is_some() || !spec.kind.is_trainable();
            if changes {
                snapshot.parameters.insert(spec.name.clone(), self.value_tensor(index)?);
            }
            if let Some([first, second]) = &self.moments[index] {
                for (prefix, moment) in [("first", first), ("second", second)] {
                    let tensor = Tensor::new(&spec.shape, moment.to_vec())?;
                    snapshot.moments.insert(format!("{prefix}.{}", spec.name), tensor);
                }
            }
        }
        Ok(snapshot)
    }

    fn restore(&mut self, snapshot: &Snapshot) -> Result<()> {
        self.forget();
        for (name, tensor) in &snapshot.parameters {
            let Some(index) = self.graph.parameter(name) else {
                return Err(EngineError::MissingParameter { name: name.clone() });
            };
            check_length(name, tensor, &self.graph.parameters()[index].shape)?;
            self.workspace.put_slice(self.nodes[index], tensor.as_f32()?);
        }
        for (index, spec) in self.graph.parameters().iter().enumerate() {
            let Some(moments) = &mut self.moments[index] else { continue };
            for (prefix, moment) in ["first", "second"].into_iter().zip(moments) {
                let name = format!("{prefix}.{}", spec.name);
                let Some(tensor) = snapshot.moments.get(&name) else {
                    return Err(EngineError::MissingParameter { name });
                };
                check_length(&name, tensor, &spec.shape)?;
                moment.copy_from_slice(tensor.as_f32()?);
            }
            if let Some(gradient) = self.workspace.take_gradient(self.nodes[index]) {
                self.workspace.recycle(gradient);
            }
        }
        self.updates = snapshot.updates;
        Ok(())
    }
}

/// Copies a parameter's value into the workspace.
pub(crate) fn put_parameter(
    workspace: &mut Workspace,
    graph: &Graph,
    index: usize,
    value: Value,
    parameters: &Parameters,
) -> Result<()> {
    let spec = &graph.parameters()[index];
    let tensor = parameters.get(&spec.name)?;
    check_length(&spec.name, tensor, &spec.shape)?;
    // Known before any input is bound, so that values can be read back at once.
    workspace.shapes[value.index()] = spec.shape.clone();
    match workspace.wants(value) {
        true => workspace.put_slice(value, tensor.as_f32()?),
        false => workspace.put_shared(value, tensor)?,
    }
    Ok(())
}

/// Copies the inputs into the workspace.
pub(crate) fn put_inputs(workspace: &mut Workspace, graph: &Graph, inputs: &[Tensor]) -> Result<()> {
    for (position, node) in graph.nodes().iter().enumerate() {
        if let Op::Input(index) = node.op {
            workspace.put_slice(Value::at(position), inputs[index].as_f32()?);
        }
    }
    Ok(())
}

/// Copies the outputs out of the workspace.
pub(crate) fn outputs(workspace: &Workspace, graph: &Graph) -> Result<Vec<Tensor>> {
    graph
        .outputs()
        .iter()
        .map(|(_, value)| Tensor::new(workspace.shape(*value), workspace.get(*value).to_vec()))
        .collect()
}

fn check_length(name: &str, tensor: &Tensor, shape: &[usize]) -> Result<()> {
    if tensor.shape() == shape {
        return Ok(());
    }
    Err(EngineError::Tensor {
        what: format!("parameter `{name}`"),
        expected: format!("shape {shape:?}"),
        found: format!("{:?}", tensor.shape()),
    })
}
