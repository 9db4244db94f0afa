//! timm's numbers: logits, stages and a training step of networks filled by their parameters' names.
//!
//! `tests/parity/README.md` says how the expected numbers were made. They were computed in f64 and kept to 9 digits, so the
//! reference executor in f64 must agree to about 1e-8; 1e-7 leaves room for the order of sums. The CPU executor computes in f32.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use tk_engine::cpu::{Machine, Plan};
use tk_engine::graph::{Graph, Kind};
use tk_engine::reference::{Precision, Reference};
use tk_engine::testing::{fill_all_scaled, pictures, signed};
use tk_engine::{GraphBuilder, Inference, Optimizer, Parameters, StepKey, Tensor, TrainSpec, Training};
use tk_image::architectures::{ModelArgs, Settings, find};

/// Of logits, moments and single values, relative to the largest logit or the stage's deviation; of gradients, relative
/// to their norm.
const F64: f64 = 1e-7;

/// Of logits and single values in f32, with the same scales.
const F32: f64 = 1e-4;

/// Gradients that are zero but for rounding are not compared more closely than this. Others are of the order of 1.
const ROUNDING: f64 = 1e-12;

#[derive(Deserialize)]
struct Expected {
    size: usize,
    batch: usize,
    classes: usize,
    model_args: ModelArgs,
    #[serde(default = "one")]
    norm_gain: f32,
    logits: Vec<f64>,
    pooled: Described,
    stages: BTreeMap<String, Described>,
    step_frozen_norm: Step,
    step_batch_norm: Step,
}

fn one() -> f32 {
    1.0
}

/// An output: its shape with channels second, its moments, and values at places of the channels-first order.
#[derive(Deserialize)]
struct Described {
    shape: Vec<usize>,
    mean: f64,
    std: f64,
    at: Vec<usize>,
    values: Vec<f64>,
}

#[derive(Deserialize)]
struct Step {
    loss: f64,
    logits: Vec<f64>,
    gradients: BTreeMap<String, [f64; 2]>,
    #[serde(default)]
    running: BTreeMap<String, f64>,
}

#[test]
fn resnet18() {
    check("resnet18", &["maxpool", "layer1", "layer2", "layer3", "layer4"]);
}

/// The deep stem, and shortcuts halved by an average pool.
#[test]
fn resnet18d() {
    check("resnet18d", &["maxpool", "layer1", "layer2", "layer3", "layer4"]);
}

#[test]
fn resnet50() {
    check("resnet50", &["maxpool", "layer1", "layer2", "layer3", "layer4"]);
}

#[test]
fn vgg16() {
    check("vgg16", &["features.4", "features.9", "features.16", "features.23", "features.30", "pre_logits"]);
}

#[test]
fn vgg16_bn() {
    check(
        "vgg16_bn",
        &["features.6", "features.13", "features.23", "features.33", "features.43", "pre_logits"],
    );
}

#[test]
fn mobilenetv1() {
    let blocks = (0..5).map(|index| format!("blocks.{index}"));
    let modules: Vec<String> =
        ["bn1".to_owned()].into_iter().chain(blocks).chain(["bn2".to_owned()]).collect();
    check("mobilenetv1_100h", &modules.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn mobilenetv2() {
    let blocks = (0..7).map(|index| format!("blocks.{index}"));
    let modules: Vec<String> =
        ["bn1".to_owned()].into_iter().chain(blocks).chain(["bn2".to_owned()]).collect();
    let modules: Vec<&str> = modules.iter().map(String::as_str).collect();
    check("mobilenetv2_050", &modules);
    check("mobilenetv2_100", &modules);
}

#[test]
fn inception_v3() {
    let modules = ["5b", "5c", "5d", "6a", "6b", "6c", "6d", "6e", "7a", "7b", "7c"];
    let modules: Vec<String> =
        ["Pool2".to_owned()].into_iter().chain(modules.map(|part| format!("Mixed_{part}"))).collect();
    check("inception_v3", &modules.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn legacy_xception() {
    let blocks = (1..=12).map(|number| format!("block{number}"));
    let modules: Vec<String> =
        ["act2".to_owned()].into_iter().chain(blocks).chain(["act4".to_owned()]).collect();
    check("legacy_xception", &modules.iter().map(String::as_str).collect::<Vec<_>>());
}

/// Everything that is known of a network. `modules` are timm's names of our stages, in their order, up to `pool`.
fn check(name: &str, modules: &[&str]) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/parity/expected")
        .join(format!("{name}.json"));
    let expected: Expected = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let settings =
        Settings { model_args: expected.model_args.clone(), ..Settings::classes(expected.classes) };
    let graph = find(name).unwrap().build(&settings).unwrap();
    let parameters = fill_all_scaled(&graph, expected.norm_gain).unwrap();
    let input = pictures(expected.batch, expected.size).unwrap();

    let staged = with_stages_as_outputs(&graph);
    assert_eq!(modules.len() + 2, staged.outputs().len());
    let spec = spec(&graph);
    let mut reference = Reference::new(&staged, &parameters, &spec, Precision::F64).unwrap();
    check_outputs(name, modules, &expected, &reference.run(std::slice::from_ref(&input)).unwrap(), F64);
    drop(reference);
    // What a plan writes is what it folds and fuses, so stages are looked at in one plan and logits also in another.
    for graph in [&staged, &graph] {
        let mut plan = Plan::new(&Machine::new(2), graph, &parameters).unwrap();
        let outputs = plan.run(std::slice::from_ref(&input)).unwrap();
        assert_eq!(plan.fallbacks(), [""; 0], "{name}");
        match outputs.len() {
            1 => check_numbers(name, &outputs[0].to_f64(), &expected.logits, largest(&expected.logits), F32),
            _ => check_outputs(name, modules, &expected, &outputs, F32),
        }
    }

    check_step(name, &graph, &parameters, &spec, &input, &expected.step_frozen_norm);
    if !expected.step_batch_norm.running.is_empty() {
        let spec = TrainSpec { batch_statistics: vec![true; graph.stages().len()], ..spec };
        check_step(name, &graph, &parameters, &spec, &input, &expected.step_batch_norm);
    }
}

/// The graph with every stage's result as an output, in the stages' order.
fn with_stages_as_outputs(graph: &Graph) -> Graph {
    let outputs: Vec<_> = graph.stages().iter().map(|stage| (stage.name.as_str(), stage.output)).collect();
    GraphBuilder::from_stages(graph, graph.stages().len() - 1).finish(&outputs).unwrap()
}

/// Training of everything, with running statistics and without chance.
fn spec(graph: &Graph) -> TrainSpec {
    let mut spec = TrainSpec::everything(graph, Optimizer::Sgd { momentum: 0.0, nesterov: false });
    spec.dropout = vec![false; graph.stages().len()];
    spec.batch_statistics = vec![false; graph.stages().len()];
    spec
}

fn check_outputs(name: &str, modules: &[&str], expected: &Expected, outputs: &[Tensor], tolerance: f64) {
    let (stages, [pooled, logits]) = outputs.split_at(modules.len()) else { panic!("{name}") };
    for (module, stage) in modules.iter().zip(stages) {
        check_described(&format!("{name} {module}"), stage, &expected.stages[*module], tolerance);
    }
    check_described(&format!("{name} pooled"), pooled, &expected.pooled, tolerance);
    let scale = largest(&expected.logits);
    check_numbers(&format!("{name} logits"), &logits.to_f64(), &expected.logits, scale, tolerance);
}

fn check_described(what: &str, found: &Tensor, expected: &Described, tolerance: f64) {
    let channels_first = channels_first(found);
    let mut shape = found.shape().to_vec();
    if let [batch, height, width, channels] = shape[..] {
        shape = vec![batch, channels, height, width];
    }
    assert_eq!(shape, expected.shape, "{what}");
    let count = channels_first.len() as f64;
    let mean = channels_first.iter().sum::<f64>() / count;
    let variance = channels_first.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
    let moments = [expected.mean, expected.std];
    check_numbers(&format!("{what} moments"), &[mean, variance.sqrt()], &moments, expected.std, tolerance);
    let values: Vec<f64> = expected.at.iter().map(|&position| channels_first[position]).collect();
    let scale = largest(&expected.values).max(expected.std);
    check_numbers(&format!("{what} values"), &values, &expected.values, scale, tolerance);
}

/// The numbers of `[batch, height, width, channels]` in the order `[batch, channels, height, width]`; others as they are.
fn channels_first(tensor: &Tensor) -> Vec<f64> {
    let values = tensor.to_f64();
    let [batch, height, width, channels] = tensor.shape()[..] else { return values };
    let pixels = height * width;
    let mut moved = Vec::with_capacity(values.len());
    for sample in 0..batch {
        for channel in 0..channels {
            moved.extend((0..pixels).map(|pixel| values[(sample * pixels + pixel) * channels + channel]));
        }
    }
    moved
}

/// Loss, logits, gradients and running statistics of one training step of the reference executor in f64.
fn check_step(
    name: &str,
    graph: &Graph,
    parameters: &Parameters,
    spec: &TrainSpec,
    input: &Tensor,
    expected: &Step,
) {
    let mut training = Reference::new(graph, parameters, spec, Precision::F64).unwrap();
    let batch = input.shape()[0];
    let key = StepKey { seed: 0, step: 0, samples: (0..batch as u64).collect() };
    let logits = training.forward(std::slice::from_ref(input), &key).unwrap().remove(0);
    check_numbers(name, &logits.to_f64(), &expected.logits, largest(&expected.logits), F64);
    let (loss, gradient) = cross_entropy(&logits);
    check_numbers(&format!("{name} loss"), &[loss], &[expected.loss], 1.0, F64);
    training.backward(&[gradient]).unwrap();

    let trained = graph.parameters().iter().filter(|parameter| parameter.kind.is_trainable());
    assert_eq!(trained.clone().count(), expected.gradients.len(), "{name}");
    for parameter in trained {
        let what = format!("{name} gradient of {}", parameter.name);
        let gradient = training.gradient(&parameter.name).unwrap().to_f64();
        let probe = signed(&format!("probe.{}", parameter.name), gradient.len());
        let norm = gradient.iter().map(|value| value * value).sum::<f64>().sqrt();
        let product = gradient.iter().zip(&probe).map(|(a, b)| a * b).sum::<f64>();
        let expected = expected.gradients[&parameter.name];
        // The product is a sum of numbers of either sign: its error is that of the norm, and its own rounding to 9 digits.
        let scale = largest(&expected).max(ROUNDING / F64);
        check_numbers(&what, &[norm, product], &expected, scale, F64);
    }
    let after = training.parameters().unwrap();
    for (statistic, expected) in &expected.running {
        let values = after.get(statistic).unwrap().to_f64();
        let norm = values.iter().map(|value| value * value).sum::<f64>().sqrt();
        check_numbers(&format!("{name} {statistic}"), &[norm], &[*expected], *expected, F64);
    }
    let followed = graph.parameters().iter().filter(|spec| spec.kind == Kind::RunningMean).count();
    assert!(expected.running.is_empty() || expected.running.len() == 2 * followed, "{name}");
}

/// The mean cross-entropy of logits `[batch, classes]`, whose sample `n` has the label `3n mod classes`, and its gradient.
fn cross_entropy(logits: &Tensor) -> (f64, Tensor) {
    let (batch, classes) = (logits.shape()[0], logits.shape()[1]);
    let values = logits.to_f64();
    let mut loss = 0.0;
    let mut gradient = Vec::with_capacity(values.len());
    for (sample, row) in values.chunks(classes).enumerate() {
        let label = 3 * sample % classes;
        let greatest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = row.iter().map(|value| (value - greatest).exp()).sum();
        loss -= (row[label] - greatest - sum.ln()) / batch as f64;
        let probabilities = row.iter().map(|value| (value - greatest).exp() / sum);
        let target = |class: usize| if class == label { 1.0 } else { 0.0 };
        gradient.extend(probabilities.enumerate().map(|(class, p)| (p - target(class)) / batch as f64));
    }
    (loss, Tensor::new_f64(&[batch, classes], gradient).unwrap())
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |largest, value| f64::max(largest, value.abs()))
}

fn check_numbers(what: &str, found: &[f64], expected: &[f64], scale: f64, tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (position, (found, expected)) in found.iter().zip(expected).enumerate() {
        // Not `difference > limit`: NaN must fail.
        let agrees = (found - expected).abs() <= tolerance * scale;
        assert!(agrees, "{what}, number {position}: expected {expected}, found {found}, scale {scale}");
    }
}
