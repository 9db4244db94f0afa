//! What every graph of an architecture must pass.

use super::{Checked, breaks, check_close, cotangents, fill_all, fill_input, signed};
use crate::graph::{Graph, Init, Source, Value};
use crate::reference::{Precision, Reference};
use crate::{Inference, Optimizer, Parameters, Result, StepKey, Tensor, TrainSpec, Training};

/// Within which the standard deviation of every stage's output must lie, so that agreement of outputs proves something.
const DEVIATIONS: std::ops::RangeInclusive<f64> = 0.1..=10.0;

/// The conformance check on inputs filled by their names, of the given shapes. See [`check_graph_on`].
///
/// # Errors
/// Names the first rule that is broken.
pub fn check_graph(graph: &Graph, shapes: &[Vec<usize>]) -> Checked {
    let inputs: Vec<Tensor> = graph
        .inputs()
        .iter()
        .zip(shapes)
        .map(|(input, shape)| fill_input(&input.name, shape))
        .collect::<Result<_>>()?;
    check_graph_on(graph, &fill_all(graph)?, &inputs)
}

/// Checks, with filled parameters, that
/// - initial parameters follow from the seed: one seed, the same bytes; two seeds, others;
/// - every stage is reached by an output, spreads its result's numbers with a deviation of 0.1 to 10, and changes an output when disturbed;
/// - a cut at every boundary, resumed, gives the same outputs;
/// - folding batch-norm changes nothing;
/// - every trainable parameter gets a gradient that is not zero, and with batch statistics and dropout all are finite.
///
/// # Errors
/// Names the first rule that is broken.
pub fn check_graph_on(graph: &Graph, parameters: &Parameters, inputs: &[Tensor]) -> Checked {
    let shapes: Vec<Vec<usize>> = inputs.iter().map(|input| input.shape().to_vec()).collect();
    graph.infer(&shapes)?;
    check_initial(graph)?;
    let outputs = run(graph, parameters, inputs)?;
    check_stages(graph, parameters, inputs)?;
    check_cuts(graph, parameters, inputs, &outputs)?;
    check_folding(graph, parameters, inputs, &outputs)?;
    check_training(graph, parameters, inputs)
}

/// The same bytes for the same seed, and others for another wherever values are drawn.
fn check_initial(graph: &Graph) -> Checked {
    let [first, again, other] = [1, 1, 2].map(|seed| Parameters::initial(graph, seed));
    for spec in graph.parameters() {
        let name = &spec.name;
        let digests = [first.digest(name)?, again.digest(name)?, other.digest(name)?];
        if digests[0] != digests[1] {
            return Err(breaks(name, "differs between two initialisations with one seed"));
        }
        if !matches!(spec.init, Init::Zeros | Init::Ones | Init::Constant(_)) && digests[0] == digests[2] {
            return Err(breaks(name, "is the same for two seeds"));
        }
    }
    Ok(())
}

/// Every stage matters and keeps its numbers at a fair size.
fn check_stages(graph: &Graph, parameters: &Parameters, inputs: &[Tensor]) -> Checked {
    let read = readable(graph);
    let mut staged = graph.clone();
    staged.outputs = graph.stages().iter().map(|stage| (stage.name.clone(), stage.output)).collect();
    let results = run(&staged, parameters, inputs)?;
    for (index, (stage, result)) in graph.stages().iter().zip(&results).enumerate() {
        if !graph.nodes().iter().any(|node| node.stage == index) {
            return Err(breaks(&stage.name, "the stage has no nodes"));
        }
        if !read[stage.output.index()] {
            return Err(breaks(&stage.name, "no output depends on the stage's result"));
        }
        let deviation = deviation(&result.to_f64());
        if !DEVIATIONS.contains(&deviation) {
            return Err(breaks(
                &stage.name,
                format!("the deviation of the stage's result is {deviation:.3}, outside 0.1 to 10"),
            ));
        }
    }
    Ok(())
}

/// Whether an output depends on each value.
fn readable(graph: &Graph) -> Vec<bool> {
    let mut read = vec![false; graph.nodes().len()];
    let mut visit: Vec<Value> = graph.outputs().iter().map(|(_, value)| *value).collect();
    while let Some(value) = visit.pop() {
        if !std::mem::replace(&mut read[value.index()], true) {
            visit.extend(&graph.node(value).inputs);
        }
    }
    read
}

/// At every boundary: prefix, then suffix, is the whole; and a disturbed stage disturbs the outputs.
fn check_cuts(graph: &Graph, parameters: &Parameters, inputs: &[Tensor], outputs: &[Tensor]) -> Checked {
    for (boundary, stage) in graph.stages().iter().enumerate().take(graph.stages().len() - 1) {
        let cut = graph.cut(boundary)?;
        let live = run(&cut.prefix, parameters, inputs)?;
        let resume = |live: &[Tensor]| {
            let supplied: Vec<Tensor> = cut
                .sources
                .iter()
                .map(|source| match *source {
                    Source::Input(index) => inputs[index].clone(),
                    Source::Prefix(index) => live[index].clone(),
                })
                .collect();
            run(&cut.suffix, parameters, &supplied)
        };
        for (number, (found, expected)) in resume(&live)?.iter().zip(outputs).enumerate() {
            check_close(
                &format!("output {number}, cut after `{}` and resumed", stage.name),
                found,
                expected,
                0.0,
            )?;
        }
        let name = &graph.node(stage.output).name;
        let mut disturbed = live.clone();
        let crosses = cut.prefix.outputs().iter().position(|(output, _)| output == name);
        let Some(place) = crosses else { continue };
        disturbed[place] = disturb(&live[place])?;
        if resume(&disturbed)?.iter().zip(outputs).all(|(found, expected)| found == expected) {
            return Err(breaks(&stage.name, "disturbing the stage's result changes no output"));
        }
    }
    Ok(())
}

/// Moves every number by up to a hundredth of the deviation.
fn disturb(tensor: &Tensor) -> Result<Tensor> {
    let numbers = tensor.to_f64();
    let size = 0.01 * deviation(&numbers);
    let moved = numbers.iter().zip(signed("disturbance", numbers.len())).map(|(x, s)| x + size * s).collect();
    Tensor::new_f64(tensor.shape(), moved)
}

/// A folded graph is the same function, up to the rounding of folded weights to f32.
fn check_folding(graph: &Graph, parameters: &Parameters, inputs: &[Tensor], outputs: &[Tensor]) -> Checked {
    let (folded, values) = graph.fold(parameters)?;
    for (number, (found, expected)) in run(&folded, &values, inputs)?.iter().zip(outputs).enumerate() {
        check_close(&format!("output {number} of the folded graph"), found, expected, 1e-5)?;
    }
    Ok(())
}

/// Gradients reach every trainable parameter. Without batch statistics, under which some are zero by design (a bias before a norm).
fn check_training(graph: &Graph, parameters: &Parameters, inputs: &[Tensor]) -> Checked {
    let stages = graph.stages().len();
    let lively = TrainSpec::everything(graph, Optimizer::ADAMW);
    let quiet =
        TrainSpec { dropout: vec![false; stages], batch_statistics: vec![false; stages], ..lively.clone() };
    let batch = inputs.first().and_then(|input| input.shape().first().copied()).unwrap_or(0);
    let key = StepKey { seed: 1, step: 0, samples: (0..batch as u64).collect() };
    for (spec, may_be_zero) in [(quiet, false), (lively, true)] {
        let mut reference = Reference::new(graph, parameters, &spec, Precision::F64)?;
        let outputs = reference.forward(inputs, &key)?;
        reference.backward(&cotangents(&outputs)?)?;
        for (parameter, norm) in graph.parameters().iter().zip(reference.gradient_norms()?) {
            let Some(norm) = norm else { continue };
            if !norm.is_finite() {
                return Err(breaks(&parameter.name, format!("its gradient's norm is {norm}")));
            }
            if norm == 0.0 && !may_be_zero {
                return Err(breaks(&parameter.name, "its gradient is zero"));
            }
        }
    }
    Ok(())
}

fn run(graph: &Graph, parameters: &Parameters, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
    let spec = TrainSpec::everything(graph, Optimizer::ADAMW);
    Reference::new(graph, parameters, &spec, Precision::F64)?.run(inputs)
}

fn deviation(numbers: &[f64]) -> f64 {
    let count = numbers.len().max(1) as f64;
    let mean = numbers.iter().sum::<f64>() / count;
    (numbers.iter().map(|number| (number - mean) * (number - mean)).sum::<f64>() / count).sqrt()
}
