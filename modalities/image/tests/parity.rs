//! timm's numbers: logits, stages and a training step of networks filled by their parameters' names.
//!
//! `tests/parity/README.md` says how the expected numbers were made. They were computed in f64 and kept to 9 digits, so the
//! reference executor in f64 must agree to about 1e-8; 1e-7 leaves room for the order of sums. The CPU executor computes in f32.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::Deserialize;
use tk_engine::cpu::{Machine, Plan};
use tk_engine::graph::{Graph, Kind};
use tk_engine::reference::{Precision, Reference};
use tk_engine::testing::{fill_all_scaled, pictures, signed};
use tk_engine::{GraphBuilder, Inference, Optimizer, Parameters, StepKey, Tensor, TrainSpec, Training};
use tk_image::architectures::{FAMILIES, ModelArgs, Settings, architectures, find};

/// Of logits, moments and single values, relative to the largest logit or the stage's deviation; of gradients, relative
/// to their norm.
const F64: f64 = 1e-7;

/// Of logits and single values in f32, with the same scales.
const F32: f64 = 1e-4;

/// Gradients that are zero but for rounding are not compared more closely than this. Others are of the order of 1.
const ROUNDING: f64 = 1e-12;

#[derive(Deserialize)]
struct Expected {
    network: String,
    size: usize,
    batch: usize,
    classes: usize,
    model_args: ModelArgs,
    #[serde(default = "one")]
    norm_gain: f32,
    logits: Vec<f64>,
    pooled: Described,
    /// In the order of our stages, up to `pool`.
    stages: Vec<Described>,
    step_frozen_norm: Step,
    step_batch_norm: Step,
}

fn one() -> f32 {
    1.0
}

/// An output, of timm's module of that name: its shape with channels second, its moments, and values at places of the channels-first order.
#[derive(Deserialize)]
struct Described {
    #[serde(default)]
    module: Option<String>,
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

/// The numbers that are kept: of every family the smallest network, and variants.
#[test]
fn every_family_agrees_with_timm() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/parity/expected");
    let found = check_all(&folder);
    for family in FAMILIES {
        let is_checked = family.networks.iter().any(|network| found.contains(network.name));
        assert!(is_checked, "no network of family {} has numbers of timm's", family.name);
    }
}

/// The numbers of every network, which `tests/parity/reference.py --all FOLDER` wrote.
#[test]
#[ignore = "needs TK_PARITY=FOLDER, which tests/parity/reference.py --all FOLDER fills in half an hour"]
fn every_architecture_agrees_with_timm() {
    let found = check_all(Path::new(&std::env::var_os("TK_PARITY").unwrap()));
    let all: BTreeSet<String> = architectures().map(|network| network.name.to_owned()).collect();
    assert_eq!(found, all);
}

/// Checks the networks of a folder's files, two at a time, and returns their names.
fn check_all(folder: &Path) -> BTreeSet<String> {
    let is_network =
        |path: &PathBuf| path.file_stem().is_some_and(|stem| find(&stem.to_string_lossy()).is_ok());
    let networks: Vec<Expected> = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(is_network)
        .map(|path| serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
        .collect();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(expected) = networks.get(next.fetch_add(1, Ordering::Relaxed)) {
                    check(expected);
                }
            });
        }
    });
    networks.into_iter().map(|expected| expected.network).collect()
}

/// Everything that is known of a network.
fn check(expected: &Expected) {
    let name = &expected.network;
    let settings =
        Settings { model_args: expected.model_args.clone(), ..Settings::classes(expected.classes) };
    let graph = find(name).unwrap().build(&settings).unwrap();
    let parameters = fill_all_scaled(&graph, expected.norm_gain).unwrap();
    let input = pictures(expected.batch, expected.size).unwrap();

    let staged = with_stages_as_outputs(&graph);
    assert_eq!(expected.stages.len() + 2, staged.outputs().len(), "{name}");
    let spec = spec(&graph);
    let mut reference = Reference::new(&staged, &parameters, &spec, Precision::F64).unwrap();
    check_outputs(expected, &reference.run(std::slice::from_ref(&input)).unwrap(), F64);
    drop(reference);
    // What a plan writes is what it folds and fuses, so stages are looked at in one plan and logits also in another.
    for graph in [&staged, &graph] {
        let mut plan = Plan::new(&Machine::new(2), graph, &parameters).unwrap();
        let outputs = plan.run(std::slice::from_ref(&input)).unwrap();
        assert_eq!(plan.fallbacks(), [""; 0], "{name}");
        match outputs.len() {
            1 => check_numbers(name, &outputs[0].to_f64(), &expected.logits, largest(&expected.logits), F32),
            _ => check_outputs(expected, &outputs, F32),
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

fn check_outputs(expected: &Expected, outputs: &[Tensor], tolerance: f64) {
    let name = &expected.network;
    let (stages, [pooled, logits]) = outputs.split_at(expected.stages.len()) else { panic!("{name}") };
    for (of_timm, stage) in expected.stages.iter().zip(stages) {
        let module = of_timm.module.as_deref().unwrap();
        check_described(&format!("{name} {module}"), stage, of_timm, tolerance);
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
