//! transformers' numbers: hidden states, logits and a training step of networks filled by their parameters' names.

//!
//! `tests/parity/audio.py` and `tests/parity/whisper.py` made the numbers, in f64 and to 9 digits, so the reference executor in f64 must agree to about 1e-8; 1e-7
//! leaves room for the order of sums. The CPU executor computes in f32.
use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use tk_audio::architectures::speech::{End, Whisper};
use tk_audio::architectures::{Config, build};
use tk_engine::cpu::{Machine, Plan, Tape};
use tk_engine::graph::Graph;
use tk_engine::reference::{Precision, Reference};
use tk_engine::testing::{check_graph_on, fill_all, signed};
use tk_engine::{GraphBuilder, Inference, Optimizer, StepKey, Tensor, TrainSpec, Training};

/// Relative to the greatest number that is compared.
const F64: f64 = 1e-7;

/// In f32, with the same scales.
const F32: f64 = 1e-4;

/// Gradients that are zero but for rounding are not compared more closely than this: a bias of attention's keys moves all scores of a
/// query alike, which softmax ignores.
const ROUNDING: f64 = 1e-12;

#[derive(Deserialize)]
struct Expected {
    config: serde_json::Value,
    batch: usize,
    /// By stage.
    hidden: Vec<Vec<f64>>,
    logits: Vec<f64>,
    loss: f64,
    gradients: BTreeMap<String, [f64; 2]>,
}

/// The networks, and their stages.
const NETWORKS: [(&str, &[&str]); 2] = [
    ("ast", &["embeddings", "layer0", "layer1", "layer2", "head"]),
    ("whisper", &["embeddings", "layer0", "layer1", "layer2", "head"]),
];

impl Expected {
    fn read(name: &str) -> Self {
        let file = format!("../../tests/parity/expected/audio_{name}.json");
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    fn graph(&self) -> Graph {
        let config = Config::from_json(&self.config.to_string()).unwrap();
        match config.model_type() {
            "whisper" => self.whisper().build_classifier(End::Published { classes: 3 }).unwrap(),
            _ => build(&config.settings().unwrap()).unwrap(),
        }
    }

    fn whisper(&self) -> Whisper {
        Whisper::from_json(&self.config.to_string()).unwrap()
    }

    fn input(&self) -> Tensor {
        let config = Config::from_json(&self.config.to_string()).unwrap();
        let shape = match config.model_type() {
            "whisper" => vec![self.batch, self.whisper().frames(), self.whisper().bins],
            _ => {
                let settings = config.settings().unwrap();
                vec![self.batch, settings.bins, settings.frames, 1]
            }
        };
        let values = signed("spectrogram", shape.iter().product()).into_iter().map(|value| value as f32);
        Tensor::new(&shape, values.collect()).unwrap()
    }
}

/// Training of everything without chance.
fn spec(graph: &Graph) -> TrainSpec {
    let mut spec = TrainSpec::everything(graph, Optimizer::Sgd { momentum: 0.0, nesterov: false });
    spec.dropout = vec![false; graph.stages().len()];
    spec
}

#[test]
fn hidden_states_and_logits_are_those_of_transformers() {
    for (name, stages) in NETWORKS {
        let expected = Expected::read(name);
        let graph = expected.graph();
        let names: Vec<&str> = graph.stages().iter().map(|stage| stage.name.as_str()).collect();
        assert_eq!(names, stages, "{name}");
        let outputs: Vec<_> =
            graph.stages().iter().map(|stage| (stage.name.as_str(), stage.output)).collect();
        let graph = GraphBuilder::from_stages(&graph, names.len() - 1).finish(&outputs).unwrap();
        let (parameters, input) = (fill_all(&graph).unwrap(), [expected.input()]);
        let mut reference = Reference::new(&graph, &parameters, &spec(&graph), Precision::F64).unwrap();
        let mut plan = Plan::new(&Machine::new(1), &graph, &parameters).unwrap();
        for (executor, outputs, tolerance) in
            [("reference", reference.run(&input).unwrap(), F64), ("plan", plan.run(&input).unwrap(), F32)]
        {
            for (stage, (found, numbers)) in outputs.iter().zip(&expected.hidden).enumerate() {
                let what = format!("{name}, {executor}, {}", names[stage]);
                check_numbers(&what, &found.to_f64(), numbers, tolerance);
            }
            let logits = outputs.last().unwrap().to_f64();
            check_numbers(executor, &logits, &expected.logits, tolerance);
        }
        assert_eq!(plan.fallbacks(), [""; 0], "{name}");
    }
}

#[test]
fn a_training_step_is_that_of_transformers() {
    for (name, _) in NETWORKS {
        let expected = Expected::read(name);
        let graph = expected.graph();
        let (parameters, spec) = (fill_all(&graph).unwrap(), spec(&graph));
        let reference = Reference::new(&graph, &parameters, &spec, Precision::F64).unwrap();
        check_step(&expected, &graph, reference, F64);
        let tape = Tape::new(&Machine::new(1), &graph, &parameters, &spec).unwrap();
        assert_eq!(tape.fallbacks(), [""; 0], "{name}");
        check_step(&expected, &graph, tape, F32);
    }
}

#[test]
fn the_networks_conform() {
    for (name, _) in NETWORKS {
        let expected = Expected::read(name);
        let graph = expected.graph();
        check_graph_on(&graph, &fill_all(&graph).unwrap(), &[expected.input()]).unwrap();
    }
}

/// Loss, logits and gradients of one training step.
fn check_step(expected: &Expected, graph: &Graph, mut training: impl Training, tolerance: f64) {
    let key = StepKey { seed: 0, step: 0, samples: (0..expected.batch as u64).collect() };
    let logits = training.forward(&[expected.input()], &key).unwrap().remove(0);
    check_numbers("logits", &logits.to_f64(), &expected.logits, tolerance);
    let (batch, classes) = (logits.shape()[0], logits.shape()[1]);
    let (mut loss, mut gradient) = (0.0, Vec::new());
    for (sample, row) in logits.to_f64().chunks(classes).enumerate() {
        let sum: f64 = row.iter().map(|value| value.exp()).sum();
        loss -= (row[sample % 3] - sum.ln()) / batch as f64;
        let target = |class: usize| if class == sample % 3 { 1.0 } else { 0.0 };
        gradient.extend(
            row.iter().enumerate().map(|(class, value)| (value.exp() / sum - target(class)) / batch as f64),
        );
    }
    check_numbers("loss", &[loss], &[expected.loss], tolerance);
    let gradient = match tolerance == F64 {
        true => Tensor::new_f64(logits.shape(), gradient),
        false => Tensor::new(logits.shape(), gradient.into_iter().map(|value| value as f32).collect()),
    };
    training.backward(&[gradient.unwrap()]).unwrap();
    // What is given by a formula is not trained.
    let trained = || graph.parameters().iter().filter(|parameter| parameter.kind.is_trainable());
    assert_eq!(trained().count(), expected.gradients.len());
    let all = expected.gradients.values().map(|[norm, _]| *norm).fold(0.0, f64::max);
    for parameter in trained() {
        let gradient = training.gradient(&parameter.name).unwrap().to_f64();
        let probe = signed(&format!("probe.{}", parameter.name), gradient.len());
        let norm = gradient.iter().map(|value| value * value).sum::<f64>().sqrt();
        let product = gradient.iter().zip(&probe).map(|(a, b)| a * b).sum::<f64>();
        let expected = &expected.gradients[&parameter.name];
        // The product is a sum of numbers of either sign: its error is that of the norm, and its own rounding to 9 digits.
        let floor = if tolerance == F64 { ROUNDING / F64 } else { 1e-2 * all };
        let scale = expected.iter().fold(floor, |largest, value| largest.max(value.abs()));
        check_scaled(&parameter.name, &[norm, product], expected, scale, tolerance);
    }
}

fn check_numbers(what: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    let scale = expected.iter().fold(0.0, |largest, value| f64::max(largest, value.abs()));
    check_scaled(what, found, expected, scale, tolerance);
}

fn check_scaled(what: &str, found: &[f64], expected: &[f64], scale: f64, tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (position, (found, expected)) in found.iter().zip(expected).enumerate() {
        // Not `difference > limit`: NaN must fail.
        let agrees = (found - expected).abs() <= tolerance * scale;
        assert!(agrees, "{what}, number {position}: expected {expected}, found {found}, scale {scale}");
    }
}
