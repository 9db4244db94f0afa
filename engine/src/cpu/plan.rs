//! Inference on the CPU: batch-norm folded, what depends on parameters alone computed once, chains fused, buffers used again as soon as nobody needs what they hold.

use super::compile::{Lowering, Program, compile};
use super::parts::in_parts;
use super::settle::settle;
use super::steps::Mode;
use super::tape::{outputs, put_inputs, put_parameter};
use super::{Fingerprint, Machine, Ranges, Workspace};
use crate::graph::{Graph, Op, Value};
use crate::{EngineError, Inference, Parameters, Precision, Result, Tensor};

/// The CPU executor for graphs that are only run. A sample's result does not depend on its companions in the batch.
pub struct Plan {
    graph: Graph,
    workspace: Workspace,
    program: Program,
    /// After each step, the values that nobody reads any more.
    released: Vec<Vec<Value>>,
    bound: Vec<Vec<usize>>,
    precision: Precision,
    /// What calibration has seen.
    ranges: Option<Ranges>,
    is_calibrating: bool,
}

impl Plan {
    /// Folds and compiles a graph. Every parameter needs a value.
    ///
    /// # Errors
    /// When a parameter has no value, or one of another shape.
    pub fn new(machine: &Machine, graph: &Graph, parameters: &Parameters) -> Result<Self> {
        let (graph, parameters) = graph.fold(parameters)?;
        let (graph, parameters) = settle(&graph, parameters)?;
        let mut workspace = Workspace::new(machine.clone(), vec![false; graph.nodes().len()]);
        for (position, node) in graph.nodes().iter().enumerate() {
            if let Op::Parameter(index) = node.op {
                put_parameter(&mut workspace, &graph, index, Value::at(position), &parameters)?;
            }
        }
        Ok(Self {
            graph,
            workspace,
            program: Program::default(),
            released: Vec::new(),
            bound: Vec::new(),
            precision: Precision::F32,
            ranges: None,
            is_calibrating: false,
        })
    }

    /// Runs the inputs in f32 and notes between which bounds every value lies, with what earlier calls have seen. Returns the outputs.
    ///
    /// # Errors
    /// When the inputs do not fit the graph.
    pub fn calibrate(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
        let precision = std::mem::replace(&mut self.precision, Precision::F32);
        self.bound.clear();
        self.ranges.get_or_insert_with(|| Ranges::unseen(self.graph.nodes().len()));
        self.is_calibrating = true;
        let result = self.run(inputs);
        self.is_calibrating = false;
        self.precision = precision;
        self.bound.clear();
        result
    }

    /// What calibration has seen, if there was any.
    pub fn ranges(&self) -> Option<&Ranges> {
        self.ranges.as_ref()
    }

    /// Takes over what another plan of the same graph and parameters has seen.
    pub fn set_ranges(&mut self, ranges: Ranges) {
        self.ranges = Some(ranges);
    }

    /// Computes convolutions and linear layers in a precision from now on. Layers that it does not suit remain in f32.
    ///
    /// # Errors
    /// When it is int8 and nothing was calibrated.
    pub fn set_precision(&mut self, precision: Precision) -> Result<()> {
        if precision == Precision::Int8 {
            let Some(ranges) = &self.ranges else {
                return Err(EngineError::Order("int8 needs calibration before it"));
            };
            self.workspace.quantizations = ranges.quantizations();
        }
        self.precision = precision;
        self.bound.clear();
        Ok(())
    }

    /// Compiles for inputs of these shapes, so that [`Plan::lowered`] and [`Plan::fallbacks`] can tell of them before they run.
    ///
    /// # Errors
    /// When the inputs do not fit the graph.
    pub fn prepare(&mut self, inputs: &[Tensor]) -> Result<()> {
        self.bind(inputs)
    }

    /// How many convolutions and linear layers multiply in fewer bits than f32, and how many there are, at the shapes bound last.
    pub fn lowered(&self) -> [usize; 2] {
        let precisions = self.program.steps.iter().filter_map(|step| step.precision());
        [precisions.clone().filter(|&precision| precision != Precision::F32).count(), precisions.count()]
    }

    /// The nodes that ran their reference form for want of a kernel, at the input shapes bound last.
    pub fn fallbacks(&self) -> Vec<&str> {
        self.program.steps.iter().filter_map(|step| step.fallback()).collect()
    }

    /// Digests of the weights that ran: the folded values of all parameters, and their packed copies.
    pub fn fingerprint(&self) -> Fingerprint {
        self.workspace.fingerprint(&self.graph)
    }

    fn bind(&mut self, inputs: &[Tensor]) -> Result<()> {
        let shapes: Vec<Vec<usize>> = inputs.iter().map(|tensor| tensor.shape().to_vec()).collect();
        if shapes == self.bound && !self.program.steps.is_empty() {
            return Ok(());
        }
        self.workspace.shapes = self.graph.infer(&shapes)?;
        self.workspace.keep_free(self.workspace.total_len());
        let quantizations = &self.workspace.quantizations;
        let is_observed = self.is_calibrating;
        let lowering = Lowering { precision: self.precision, quantizations, is_observed };
        self.program = compile(&self.graph, &self.workspace.shapes, None, lowering);
        self.workspace.storage.clone_from(&self.program.storage);
        self.released = self.program.releases(&self.graph);
        self.bound = shapes;
        Ok(())
    }

    fn run_at_once(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
        self.bind(inputs)?;
        put_inputs(&mut self.workspace, &self.graph, inputs)?;
        let mut seen = self.ranges.as_mut().filter(|_| self.is_calibrating);
        if let Some(ranges) = &mut seen {
            for (position, node) in self.graph.nodes().iter().enumerate() {
                if matches!(node.op, Op::Input(_)) {
                    ranges.observe(position, self.workspace.get(Value::at(position)));
                }
            }
        }
        for (step, released) in self.program.steps.iter_mut().zip(&self.released) {
            step.forward(&mut self.workspace, Mode::Inference)?;
            if let Some(ranges) = &mut seen {
                ranges.observe(step.output().index(), self.workspace.get(step.output()));
            }
            released.iter().for_each(|&value| self.workspace.release(value));
        }
        let outputs = outputs(&self.workspace, &self.graph)?;
        let graph = &self.graph;
        self.workspace.clear(|value| matches!(graph.node(value).op, Op::Parameter(_)));
        Ok(outputs)
    }
}

impl Inference for Plan {
    fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
        in_parts(inputs, |part| self.run_at_once(part))
    }
}
