//! Running and training whole graphs, node by node.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor as Candle};

use super::node::{Behaviour, Record, forward_node};
use super::recording::{Recording, add};
use super::values::{check_shape, from_candle, in_node, in_place, numbers, to_candle};
use super::{normalisation, optimizer};
use crate::graph::{Graph, Node, Op};
use crate::{
    EngineError, GroupRate, Inference, Parameters, Result, Snapshot, StepKey, Tensor, TrainSpec, Training,
};

/// In which floating-point numbers the reference executor computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Precision {
    /// Single; tensors go in and come out as f32.
    F32,
    /// Double; tensors come out as f64, masters are widened once and then keep their own f64 values.
    F64,
}

/// The reference executor.
pub struct Reference {
    graph: Graph,
    spec: TrainSpec,
    dtype: DType,
    device: Device,
    /// Whether each value's gradient is wanted.
    wanted: Vec<bool>,
    /// The value of each parameter.
    masters: Vec<Candle>,
    /// The accumulated gradient of each parameter, where there is one since the last update.
    gradients: Vec<Option<Candle>>,
    /// First and second moment of each trained parameter.
    moments: Vec<Option<[Vec<f64>; 2]>>,
    updates: u64,
    recorded: Option<Recording>,
}

impl Reference {
    /// Prepares a graph for running and training. Every parameter needs a value.
    ///
    /// # Errors
    /// When a parameter has no value or one of another shape, or the specification is of another graph.
    pub fn new(
        graph: &Graph,
        parameters: &Parameters,
        spec: &TrainSpec,
        precision: Precision,
    ) -> Result<Self> {
        spec.check(graph)?;
        let device = Device::Cpu;
        let dtype = match precision {
            Precision::F32 => DType::F32,
            Precision::F64 => DType::F64,
        };
        let mut masters = Vec::with_capacity(graph.parameters().len());
        for parameter in graph.parameters() {
            let tensor = parameters.get(&parameter.name)?;
            check_shape(&parameter.name, tensor, &parameter.shape)?;
            masters.push(to_candle(tensor, dtype, &device).map_err(in_place(&parameter.name))?);
        }
        let zeros = |master: &Candle| [vec![0.0; master.elem_count()], vec![0.0; master.elem_count()]];
        Ok(Self {
            graph: graph.clone(),
            spec: spec.clone(),
            dtype,
            device,
            wanted: spec.wanted(graph),
            gradients: vec![None; masters.len()],
            moments: masters
                .iter()
                .zip(&spec.groups)
                .map(|(master, group)| group.map(|_| zeros(master)))
                .collect(),
            masters,
            updates: 0,
            recorded: None,
        })
    }

    /// Runs every node; with a key as training asks for it, recording those through which gradients flow.
    fn pass(&mut self, inputs: &[Tensor], key: Option<&StepKey>) -> Result<Vec<Candle>> {
        self.recorded = None;
        let shapes: Vec<Vec<usize>> = inputs.iter().map(|tensor| tensor.shape().to_vec()).collect();
        self.graph.infer(&shapes)?;
        let graph = self.graph.clone();
        let last_uses = graph.last_uses();
        let mut values: Vec<Option<Candle>> = vec![None; graph.nodes().len()];
        let mut records: Vec<Option<Record>> = Vec::with_capacity(graph.nodes().len());
        for (position, node) in graph.nodes().iter().enumerate() {
            let read: Vec<Candle> =
                node.inputs.iter().filter_map(|input| values[input.index()].clone()).collect();
            let behaviour = Behaviour {
                dropout: key.filter(|_| self.spec.dropout[node.stage]),
                batch_statistics: key.is_some() && self.spec.batch_statistics[node.stage],
            };
            let mut record = None;
            let value = match node.op {
                Op::Input(index) => to_candle(&inputs[index], self.dtype, &self.device),
                Op::Parameter(index) => Ok(self.masters[index].clone()),
                _ if key.is_some() && self.wanted[position] => {
                    let wanted: Vec<bool> =
                        node.inputs.iter().map(|input| self.wanted[input.index()]).collect();
                    Record::new(node, &read, &wanted, behaviour).map(|made| record.insert(made).value())
                }
                _ => forward_node(node, &read, behaviour),
            };
            values[position] = Some(value.map_err(in_node(node))?);
            records.push(record);
            if behaviour.batch_statistics {
                self.follow_batch(node, &read)?;
            }
            for input in node.inputs.iter().filter(|input| last_uses[input.index()] == position) {
                values[input.index()] = None;
            }
        }
        let outputs: Vec<Candle> =
            graph.outputs().iter().filter_map(|(_, value)| values[value.index()].clone()).collect();
        if key.is_some() {
            let outputs = outputs.iter().map(|output| output.dims().to_vec()).collect();
            self.recorded = Some(Recording { nodes: records, outputs });
        }
        Ok(outputs)
    }

    /// Moves a batch-norm's running statistics towards the batch's; the variance of the population is estimated without bias.
    fn follow_batch(&mut self, node: &Node, read: &[Candle]) -> Result<()> {
        let (Op::BatchNorm { momentum, .. }, [x, ..]) = (&node.op, read) else { return Ok(()) };
        let batch = || {
            let (mean, variance) = normalisation::batch_statistics(x)?;
            let count = (x.elem_count() / mean.elem_count()) as f64;
            candle_core::Result::Ok([mean, (variance * (count / (count - 1.0)))?])
        };
        for (input, batch) in node.inputs[3..].iter().zip(batch().map_err(in_node(node))?) {
            let Op::Parameter(index) = self.graph.node(*input).op else {
                return Err(EngineError::Unsupported {
                    what: format!("batch statistics of `{}`", node.name),
                    why: "its running statistics are not parameters, so nothing can follow the batch".into(),
                });
            };
            let running = normalisation::follow(&self.masters[index], &batch, *momentum);
            self.masters[index] = running.map_err(in_node(node))?;
        }
        Ok(())
    }

    /// The position of a trained parameter.
    fn trained(&self, name: &str) -> Result<usize> {
        let index = self.graph.parameter(name).filter(|&index| self.spec.groups[index].is_some());
        index.ok_or_else(|| EngineError::MissingParameter { name: name.to_owned() })
    }

    fn tensor_of(&self, index: usize, numbers: Vec<f64>) -> Result<Tensor> {
        let shape = &self.graph.parameters()[index].shape;
        match self.dtype {
            DType::F64 => Tensor::new_f64(shape, numbers),
            _ => Tensor::new(shape, numbers.into_iter().map(|number| number as f32).collect()),
        }
    }

    /// Numbers as this executor's precision stores them.
    fn rounded(&self, numbers: &mut [f64]) {
        if self.dtype == DType::F32 {
            numbers.iter_mut().for_each(|number| *number = f64::from(*number as f32));
        }
    }
}

impl Inference for Reference {
    fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
        self.pass(inputs, None)?.iter().map(from_candle).collect()
    }
}

impl Training for Reference {
    fn forward(&mut self, inputs: &[Tensor], key: &StepKey) -> Result<Vec<Tensor>> {
        self.recorded = None;
        self.spec.check_key(&self.graph, inputs, key)?;
        self.pass(inputs, Some(key))?.iter().map(from_candle).collect()
    }

    fn backward(&mut self, gradients: &[Tensor]) -> Result<()> {
        let Some(recording) = self.recorded.take() else {
            return Err(EngineError::Order("backward needs a forward pass before it"));
        };
        for (index, gradient) in recording.backward(&self.graph, gradients, self.dtype, &self.device)? {
            if self.spec.groups[index].is_some() {
                add(&mut self.gradients[index], gradient)
                    .map_err(in_place(&self.graph.parameters()[index].name))?;
            }
        }
        Ok(())
    }

    fn gradient_norms(&self) -> Result<Vec<Option<f64>>> {
        let norm = |gradient: &Candle| {
            numbers(gradient).map(|numbers| numbers.iter().map(|number| number * number).sum::<f64>().sqrt())
        };
        self.gradients
            .iter()
            .zip(&self.spec.groups)
            .map(|(gradient, group)| match (group, gradient) {
                (None, _) => Ok(None),
                (Some(_), None) => Ok(Some(0.0)),
                (Some(_), Some(gradient)) => norm(gradient).map(Some).map_err(in_place("gradient norms")),
            })
            .collect()
    }

    fn gradient(&self, name: &str) -> Result<Tensor> {
        let index = self.trained(name)?;
        match &self.gradients[index] {
            Some(gradient) => from_candle(gradient),
            None => self.tensor_of(index, vec![0.0; self.masters[index].elem_count()]),
        }
    }

    fn update(&mut self, rates: &[GroupRate], scale: f64) -> Result<()> {
        if self.spec.groups.iter().flatten().any(|&group| group >= rates.len()) {
            return Err(EngineError::Order("an update needs a rate for each group"));
        }
        self.updates += 1;
        for index in 0..self.masters.len() {
            let (Some(group), Some(gradient)) = (self.spec.groups[index], self.gradients[index].take())
            else {
                continue;
            };
            let Some([mut first, mut second]) = self.moments[index].take() else { continue };
            let name = &self.graph.parameters()[index].name;
            let mut value = numbers(&self.masters[index]).map_err(in_place(name))?;
            let mut gradient = numbers(&gradient).map_err(in_place(name))?;
            gradient.iter_mut().for_each(|number| *number *= scale);
            let state = [value.as_mut_slice(), first.as_mut_slice(), second.as_mut_slice()];
            optimizer::step(self.spec.optimizer, rates[group], self.updates, state, &gradient);
            [&mut first, &mut second].into_iter().for_each(|moment| self.rounded(moment));
            self.moments[index] = Some([first, second]);
            let value = to_candle(&self.tensor_of(index, value)?, self.dtype, &self.device);
            self.masters[index] = value.map_err(in_place(name))?;
        }
        Ok(())
    }

    fn parameters(&self) -> Result<Parameters> {
        let mut parameters = Parameters::default();
        for (parameter, master) in self.graph.parameters().iter().zip(&self.masters) {
            parameters.set(&parameter.name, from_candle(master)?);
        }
        Ok(parameters)
    }

    fn save(&self) -> Result<Snapshot> {
        let mut snapshot =
            Snapshot { parameters: BTreeMap::new(), moments: BTreeMap::new(), updates: self.updates };
        for (index, parameter) in self.graph.parameters().iter().enumerate() {
            if self.spec.groups[index].is_some() || !parameter.kind.is_trainable() {
                snapshot.parameters.insert(parameter.name.clone(), from_candle(&self.masters[index])?);
            }
            for (moment, prefix) in self.moments[index].iter().flatten().zip(["first", "second"]) {
                let tensor = self.tensor_of(index, moment.clone())?;
                snapshot.moments.insert(format!("{prefix}.{}", parameter.name), tensor);
            }
        }
        Ok(snapshot)
    }

    fn restore(&mut self, snapshot: &Snapshot) -> Result<()> {
        let mut masters = self.masters.clone();
        let mut moments = self.moments.clone();
        for (index, parameter) in self.graph.parameters().iter().enumerate() {
            let entry = |from: &BTreeMap<String, Tensor>, name: String| match from.get(&name) {
                Some(tensor) => check_shape(&name, tensor, &parameter.shape).map(|()| tensor.clone()),
                None => Err(EngineError::MissingParameter { name }),
            };
            if self.spec.groups[index].is_some() || !parameter.kind.is_trainable() {
                let value = entry(&snapshot.parameters, parameter.name.clone())?;
                masters[index] =
                    to_candle(&value, self.dtype, &self.device).map_err(in_place(&parameter.name))?;
            }
            for (moment, prefix) in moments[index].iter_mut().flatten().zip(["first", "second"]) {
                *moment = entry(&snapshot.moments, format!("{prefix}.{}", parameter.name))?.to_f64();
            }
        }
        (self.masters, self.moments, self.updates) = (masters, moments, snapshot.updates);
        self.gradients.fill(None);
        self.recorded = None;
        Ok(())
    }
}
