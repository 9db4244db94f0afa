//! transformers' numbers: hidden states, logits and training steps of networks for speech that are filled by their parameters' names.

//!
//! `tests/parity/speech.py` made the numbers, in f64 and to 9 digits, so the reference executor in f64 must agree to about 1e-8; 1e-7
//! leaves room for the order of sums. The CPU executor computes in f32.
use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use tk_audio::architectures::speech::{End, MASKED, Padding, Speech, SpeechHead};
use tk_engine::cpu::kernels::ctc::{Ctc, CtcReduction, Spelling};
use tk_engine::cpu::{Machine, Plan, Tape};
use tk_engine::graph::Graph;
use tk_engine::reference::{Precision, Reference};
use tk_engine::testing::{check_graph_on, fill_all, signed};
use tk_engine::{GraphBuilder, Inference, Optimizer, StepKey, Tensor, TrainSpec, Training};

const NAMES: [&str; 5] = ["wav2vec2_base", "wav2vec2_large", "hubert_base", "hubert_normed", "hubert_large"];

/// Relative to the greatest number that is compared.
const F64: f64 = 1e-7;

/// In f32, with the same scales.
const F32: f64 = 1e-4;

#[derive(Deserialize)]
struct Expected {
    config: serde_json::Value,
    is_masked: bool,
    samples: Vec<usize>,
    frames: Vec<usize>,
    features: Vec<Vec<f64>>,
    /// Empty where padding is masked.
    projection: Vec<Vec<f64>>,
    /// By stage from `positions` on, by sample.
    hidden: Vec<Vec<Vec<f64>>>,
    /// How many frames the loss counts.
    lengths: Vec<usize>,
    targets: Vec<Vec<u32>>,
    logits: Vec<f64>,
    loss: f64,
    gradients: BTreeMap<String, [f64; 2]>,
    classes: Vec<usize>,
    class_logits: Vec<f64>,
    class_loss: f64,
    class_gradients: BTreeMap<String, [f64; 2]>,
}

impl Expected {
    fn read(name: &str) -> Self {
        let file = format!("../../tests/parity/expected/speech_{name}.json");
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    fn speech(&self) -> Speech {
        Speech::from_json(&self.config.to_string()).unwrap()
    }

    fn graph(&self, head: SpeechHead) -> Graph {
        self.speech().build(head, if self.is_masked { Padding::Masked } else { Padding::Ignored }).unwrap()
    }

    fn inputs(&self, graph: &Graph) -> Vec<Tensor> {
        let (batch, longest) = (self.samples.len(), *self.samples.iter().max().unwrap());
        let frames = self.speech().features.frames(longest);
        let by_frame = |value: &dyn Fn(usize, bool) -> f32| -> Vec<f32> {
            let row =
                |count: &usize| -> Vec<f32> { (0..frames).map(|at| value(*count, at < *count)).collect() };
            self.frames.iter().flat_map(row).collect()
        };
        let input = |name: &str| match name {
            "waves" => {
                let wave = |(row, &count): (usize, &usize)| {
                    let mut wave: Vec<f32> =
                        signed(&format!("waves.{row}"), count).into_iter().map(|s| s as f32).collect();
                    wave.resize(longest, 0.0);
                    wave
                };
                let waves = self.samples.iter().enumerate().flat_map(wave).collect();
                Tensor::new(&[batch, longest, 1], waves)
            }
            "frames" => {
                Tensor::new(&[batch, frames, 1], by_frame(&|_, counts| if counts { 1.0 } else { 0.0 }))
            }
            "mask" => {
                Tensor::new(&[batch, 1, 1, frames], by_frame(&|_, counts| if counts { 0.0 } else { MASKED }))
            }
            "pooling" => Tensor::new(
                &[batch, 1, frames],
                by_frame(&|count, counts| if counts { 1.0 / count as f32 } else { 0.0 }),
            ),
            other => panic!("unknown input {other}"),
        };
        graph.inputs().iter().map(|spec| input(&spec.name).unwrap()).collect()
    }

    fn classifier(&self) -> Graph {
        self.graph(SpeechHead::Classes { classes: 3 })
    }
}

fn spec(graph: &Graph) -> TrainSpec {
    let mut spec = TrainSpec::everything(graph, Optimizer::Sgd { momentum: 0.0, nesterov: false });
    spec.dropout = vec![false; graph.stages().len()];
    spec
}

#[test]
fn hidden_states_and_logits_are_those_of_transformers() {
    for name in NAMES {
        let expected = Expected::read(name);
        let graph = expected.graph(SpeechHead::Ctc { symbols: 7 });
        let names: Vec<String> = graph.stages().iter().map(|stage| stage.name.clone()).collect();
        let outputs: Vec<_> =
            graph.stages().iter().map(|stage| (stage.name.as_str(), stage.output)).collect();
        let whole = GraphBuilder::from_stages(&graph, names.len() - 1).finish(&outputs).unwrap();
        let (parameters, inputs) = (fill_all(&whole).unwrap(), expected.inputs(&whole));
        let mut reference = Reference::new(&whole, &parameters, &spec(&whole), Precision::F64).unwrap();
        let mut plan = Plan::new(&Machine::new(1), &whole, &parameters).unwrap();
        for (outputs, tolerance) in
            [(reference.run(&inputs).unwrap(), F64), (plan.run(&inputs).unwrap(), F32)]
        {
            let found = |stage: &str| outputs[names.iter().position(|name| name == stage).unwrap()].to_f64();
            let check = |stage: &str, numbers: &[Vec<f64>]| {
                check_numbers(&format!("{name}, {stage}"), &found(stage), &numbers.concat(), tolerance);
            };
            check("features", &expected.features);
            if !expected.is_masked {
                check("projection", &expected.projection);
            }
            // As transformers, before the last norm; that one is in the logits.
            for (stage, numbers) in ["positions", "layer0", "layer1"].into_iter().zip(&expected.hidden) {
                check(stage, numbers);
            }
            check_numbers(name, &found("lm_head"), &expected.logits, tolerance);
        }
        assert_eq!(plan.fallbacks(), [""; 0], "{name}");
    }
}

#[test]
fn a_training_step_is_that_of_transformers() {
    for name in NAMES {
        let expected = Expected::read(name);
        let graph = expected.classifier();
        let (parameters, spec) = (fill_all(&graph).unwrap(), spec(&graph));
        check_step(
            name,
            &expected,
            &graph,
            Reference::new(&graph, &parameters, &spec, Precision::F64).unwrap(),
            F64,
        );
        let tape = Tape::new(&Machine::new(1), &graph, &parameters, &spec).unwrap();
        assert_eq!(tape.fallbacks(), [""; 0], "{name}");
        check_step(name, &expected, &graph, tape, F32);
    }
}

#[test]
fn a_classifier_in_one_stage_is_the_same_network() {
    for name in NAMES {
        let expected = Expected::read(name);
        let padding = if expected.is_masked { Padding::Masked } else { Padding::Ignored };
        let run = |graph: &Graph| {
            let mut plan = Plan::new(&Machine::new(1), graph, &fill_all(graph).unwrap()).unwrap();
            plan.run(&expected.inputs(graph)).unwrap().remove(0)
        };
        let speech = expected.speech();
        let published = speech.build_classifier(End::Published { classes: 3 }, padding).unwrap();
        check_numbers(name, &run(&published).to_f64(), &expected.class_logits, F32);
        // What probes read is the mean over frames.
        let probe = speech.build_classifier(End::Probe { classes: 3 }, padding).unwrap();
        let last = probe.stages().len() - 2;
        assert_eq!(probe.stages()[last].name, "layer1", "{name}");
        let embedding = speech.build(SpeechHead::Embedding, padding).unwrap();
        let found = run(&probe.cut(last).unwrap().prefix);
        check_numbers(name, &found.to_f64(), &run(&embedding).to_f64(), F64);
    }
}

#[test]
fn a_step_of_ctc_is_that_of_transformers() {
    for name in NAMES {
        let expected = Expected::read(name);
        let graph = expected.graph(SpeechHead::Ctc { symbols: 7 });
        let (machine, batch) = (Machine::new(1), expected.samples.len());
        let mut tape = Tape::new(&machine, &graph, &fill_all(&graph).unwrap(), &spec(&graph)).unwrap();
        let key = StepKey { seed: 0, step: 0, samples: (0..batch as u64).collect() };
        let logits = tape.forward(&expected.inputs(&graph), &key).unwrap().remove(0);
        let spellings: Vec<Spelling> = (expected.targets.iter().zip(&expected.lengths))
            .map(|(target, &frames)| {
                let weight = CtcReduction::Mean.weight(target.len(), batch);
                Spelling { frames, target, weight }
            })
            .collect();
        let values = logits.to_f32();
        let mut gradient = vec![0.0; values.len()];
        let sizes = [logits.shape()[1], logits.shape()[2]];
        let ctc = Ctc { blank: 0, zero_infinity: false };
        let losses = ctc.evaluate(&machine, &values, sizes, &spellings, &mut gradient);
        let loss = losses.iter().zip(&spellings).map(|(loss, spelling)| loss * spelling.weight).sum();
        check_numbers(name, &[loss], &[expected.loss], F32);
        tape.backward(&[Tensor::new(logits.shape(), gradient).unwrap()]).unwrap();
        check_gradients(name, &graph, &tape, &expected.gradients, F32);
    }
}

#[test]
fn the_networks_conform() {
    for name in NAMES {
        let expected = Expected::read(name);
        let graph = expected.classifier();
        check_graph_on(&graph, &fill_all(&graph).unwrap(), &expected.inputs(&graph)).unwrap();
    }
}

/// Loss, logits and gradients of one step of cross-entropy.
fn check_step(name: &str, expected: &Expected, graph: &Graph, mut training: impl Training, tolerance: f64) {
    let batch = expected.samples.len();
    let key = StepKey { seed: 0, step: 0, samples: (0..batch as u64).collect() };
    let logits = training.forward(&expected.inputs(graph), &key).unwrap().remove(0);
    // Pooling's weights are given in f32: a 14th is not one of its numbers.
    check_numbers(name, &logits.to_f64(), &expected.class_logits, tolerance);
    let (mut loss, mut gradient) = (0.0, Vec::new());
    for (row, &target) in logits.to_f64().chunks(3).zip(&expected.classes) {
        let sum: f64 = row.iter().map(|value| value.exp()).sum();
        loss -= (row[target] - sum.ln()) / batch as f64;
        let hit = |class: usize| if class == target { 1.0 } else { 0.0 };
        gradient.extend(
            row.iter().enumerate().map(|(class, value)| (value.exp() / sum - hit(class)) / batch as f64),
        );
    }
    check_numbers(name, &[loss], &[expected.class_loss], tolerance);
    let gradient = match tolerance == F64 {
        true => Tensor::new_f64(logits.shape(), gradient),
        false => Tensor::new(logits.shape(), gradient.into_iter().map(|value| value as f32).collect()),
    };
    training.backward(&[gradient.unwrap()]).unwrap();
    check_gradients(name, graph, &training, &expected.class_gradients, tolerance);
}

fn check_gradients(
    name: &str,
    graph: &Graph,
    training: &impl Training,
    expected: &BTreeMap<String, [f64; 2]>,
    tolerance: f64,
) {
    assert_eq!(graph.parameters().len(), expected.len(), "{name}");
    let all = expected.values().map(|[norm, _]| *norm).fold(0.0, f64::max);
    for parameter in graph.parameters() {
        let gradient = training.gradient(&parameter.name).unwrap().to_f64();
        let probe = signed(&format!("probe.{}", parameter.name), gradient.len());
        let norm = gradient.iter().map(|value| value * value).sum::<f64>().sqrt();
        let product = gradient.iter().zip(&probe).map(|(a, b)| a * b).sum::<f64>();
        let expected = &expected[&parameter.name];
        // Gradients that are zero but for rounding are not compared more closely than this.
        let floor = if tolerance == F64 { 1e-5 } else { 1e-2 * all };
        let scale = expected.iter().fold(floor, |largest, value| largest.max(value.abs()));
        check_scaled(&format!("{name}, {}", parameter.name), &[norm, product], expected, scale, tolerance);
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
