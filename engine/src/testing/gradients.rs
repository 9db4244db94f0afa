//! Numerical gradient checks of graphs: the reference executor's backward pass against central differences, in f64.

use super::agreement::check_gradients_close;
use super::{Checked, cotangents};
use crate::graph::{Graph, Init, Kind, Op, ParameterSpec};
use crate::reference::{Precision, Reference};
use crate::{Parameters, Result, StepKey, Tensor, TrainSpec, Training};

/// How many numbers of each tensor are moved.
const COORDINATES: usize = 16;

/// Half the distance between the two ends of a difference: small, so that hardly ever a corner of a rectifier lies between, and large
/// enough that the rounding of f64 divided by it stays near 10⁻¹⁰.
const STEP: f64 = 1e-6;

/// How far a gradient may lie from the difference, as a share of the largest sampled one.
const TOLERANCE: f64 = 1e-6;

/// Compares gradients of all trained parameters and of all inputs that are not indices with central differences of
/// `Σ outputs · cotangents`, at up to 16 places of each. Dropout draws the same mask every time.
///
/// # Errors
/// Names the first tensor whose gradient is wrong.
pub fn check_gradients(
    graph: &Graph,
    parameters: &Parameters,
    inputs: &[Tensor],
    spec: &TrainSpec,
) -> Checked {
    let (graph, parameters, spec) = with_trained_inputs(graph, parameters, inputs, spec);
    let batch = inputs.first().and_then(|input| input.shape().first().copied()).unwrap_or(0);
    let key = StepKey { seed: 3, step: 5, samples: (0..batch as u64).collect() };
    let executor = |parameters: &Parameters| Reference::new(&graph, parameters, &spec, Precision::F64);

    let mut reference = executor(&parameters)?;
    let outputs = reference.forward(inputs, &key)?;
    let weights = cotangents(&outputs)?;
    reference.backward(&weights)?;

    let loss = |name: &str, value: Vec<f64>| -> Result<f64> {
        let mut moved = parameters.clone();
        moved.set(name, Tensor::new_f64(parameters.get(name)?.shape(), value)?);
        Ok(inner_product(&executor(&moved)?.forward(inputs, &key)?, &weights))
    };
    let mut pairs = Vec::new();
    for (parameter, _) in graph.parameters().iter().zip(&spec.groups).filter(|(_, group)| group.is_some()) {
        let (name, value) = (&parameter.name, parameters.get(&parameter.name)?.to_f64());
        let gradient = reference.gradient(name)?.to_f64();
        let (mut analytic, mut numeric) = (Vec::new(), Vec::new());
        for at in places(value.len()) {
            let moved = |by: f64| {
                let mut moved = value.clone();
                moved[at] += by;
                loss(name, moved)
            };
            numeric.push((moved(STEP)? - moved(-STEP)?) / (2.0 * STEP));
            analytic.push(gradient[at]);
        }
        let shape = [numeric.len()];
        pairs.push((
            format!("gradient of `{name}` at {:?}", places(value.len())),
            Tensor::new_f64(&shape, analytic)?,
            Tensor::new_f64(&shape, numeric)?,
        ));
    }
    check_gradients_close(&pairs, TOLERANCE)
}

/// The same graph with its inputs made parameters, so that executors give their gradients too.
fn with_trained_inputs(
    graph: &Graph,
    parameters: &Parameters,
    inputs: &[Tensor],
    spec: &TrainSpec,
) -> (Graph, Parameters, TrainSpec) {
    let (mut graph, mut parameters, mut spec) = (graph.clone(), parameters.clone(), spec.clone());
    let indices: Vec<usize> =
        graph.nodes.iter().filter(|node| node.op == Op::Gather).map(|node| node.inputs[0].index()).collect();
    for position in 0..graph.nodes.len() {
        let Op::Input(index) = graph.nodes[position].op else { continue };
        let Some(input) = inputs.get(index).filter(|_| !indices.contains(&position)) else { continue };
        let name = format!("input {}", graph.inputs[index].name);
        graph.nodes[position].op = Op::Parameter(graph.parameters.len());
        graph.parameters.push(ParameterSpec {
            name: name.clone(),
            shape: input.shape().to_vec(),
            kind: Kind::Weight,
            init: Init::Zeros,
        });
        parameters.set(&name, input.clone());
        spec.groups.push(Some(0));
    }
    (graph, parameters, spec)
}

/// Up to [`COORDINATES`] places, evenly spread.
fn places(count: usize) -> Vec<usize> {
    let wanted = count.min(COORDINATES);
    (0..wanted).map(|part| (2 * part + 1) * count / (2 * wanted)).collect()
}

fn inner_product(outputs: &[Tensor], weights: &[Tensor]) -> f64 {
    let product = |(output, weight): (&Tensor, &Tensor)| -> f64 {
        output.to_f64().iter().zip(weight.to_f64()).map(|(value, weight)| value * weight).sum()
    };
    outputs.iter().zip(weights).map(product).sum()
}
