//! transformers' numbers: hidden states, logits and a training step of encoders filled by their parameters' names.
//!
//! `tests/parity/README.md` says how the expected numbers were made. They were computed in f64 and kept to 9 digits, so the
//! reference executor in f64 must agree to about 1e-8; 1e-7 leaves room for the order of sums. The CPU executor computes in f32.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};
use tk_engine::cpu::{Machine, Plan, Tape};
use tk_engine::graph::Graph;
use tk_engine::reference::{Precision, Reference};
use tk_engine::testing::{check_graph_on, fill_all, signed};
use tk_engine::{GraphBuilder, Inference, Optimizer, StepKey, Tensor, TrainSpec, Training};
use tk_text::architectures::{ARCHITECTURES, Architecture, Config, Field, Head, Pooling, Settings};

/// Relative to the greatest number that is compared.
const F64: f64 = 1e-7;

/// In f32, with the same scales.
const F32: f64 = 1e-4;

/// Gradients that are zero but for rounding are not compared more closely than this: a bias of attention's keys moves all scores of a
/// query alike, which softmax ignores. Others are of the order of 1.
const ROUNDING: f64 = 1e-12;

#[derive(Deserialize)]
struct Expected {
    config: Map<String, Value>,
    lengths: Vec<usize>,
    tokens: Vec<Vec<u32>>,
    token_types: Vec<Vec<u32>>,
    /// By stage and text, `[length, width]`.
    hidden: Vec<Vec<Vec<f64>>>,
    mean: Vec<f64>,
    labels: Vec<usize>,
    logits: Vec<f64>,
    /// By text, `[length, classes]`.
    token_logits: Vec<Vec<f64>>,
    loss: f64,
    gradients: BTreeMap<String, [f64; 2]>,
}

impl Expected {
    fn of(architecture: &Architecture) -> Self {
        let file = format!("../../tests/parity/expected/text_{}.json", architecture.model_type);
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    fn settings(&self) -> Settings {
        let text = serde_json::to_string(&self.config).unwrap();
        Config::from_json(&text).unwrap().encoder().unwrap().1
    }

    /// The inputs of some texts, padded to a length; what padding holds is given.
    fn inputs(&self, fields: &[Field], texts: &[usize], length: usize, padding: f32) -> Vec<Tensor> {
        let input = |field: &Field| {
            let mut numbers = Vec::new();
            for &text in texts {
                for position in 0..length {
                    let valid = position < self.lengths[text];
                    numbers.push(match field {
                        Field::Tokens if valid => self.tokens[text][position] as f32,
                        Field::TokenTypes if valid => self.token_types[text][position] as f32,
                        Field::Tokens => padding,
                        Field::Mask if !valid => Field::MASKED,
                        Field::PoolingWeights if valid => 1.0 / self.lengths[text] as f32,
                        Field::TokenTypes | Field::Mask | Field::PoolingWeights => 0.0,
                    });
                }
            }
            let batch = texts.len();
            let shape = match field {
                Field::Tokens | Field::TokenTypes => vec![batch, length],
                Field::PoolingWeights => vec![batch, 1, length],
                Field::Mask => vec![batch, 1, 1, length],
            };
            Tensor::new(&shape, numbers).unwrap()
        };
        fields.iter().map(input).collect()
    }

    /// All texts, padded to the longest with the encoder's own token.
    fn batch(&self, fields: &[Field]) -> Vec<Tensor> {
        let texts: Vec<usize> = (0..self.lengths.len()).collect();
        let longest = self.lengths.iter().copied().max().unwrap();
        self.inputs(fields, &texts, longest, self.settings().padding as f32)
    }
}

#[test]
fn hidden_states_and_logits_are_those_of_transformers() {
    for architecture in ARCHITECTURES {
        let name = architecture.model_type;
        let expected = Expected::of(architecture);
        let settings = expected.settings();
        let published = Head::Published { classes: 3 };
        let mean = Head::Embedding { pooling: Pooling::Mean };
        for (head, last) in [(published, &expected.logits), (mean, &expected.mean)] {
            let graph = with_stages_as_outputs(&architecture.build(&settings, head).unwrap());
            let inputs = expected.batch(&architecture.fields(&expected.settings(), head));
            let parameters = fill_all(&graph).unwrap();
            let mut reference = Reference::new(&graph, &parameters, &spec(&graph), Precision::F64).unwrap();
            let mut plan = Plan::new(&Machine::new(1), &graph, &parameters).unwrap();
            let planned = plan.run(&inputs).unwrap();
            assert!(plan.fallbacks().is_empty(), "{name}: {:?}", plan.fallbacks());
            for (executor, outputs, tolerance) in
                [("reference", reference.run(&inputs).unwrap(), F64), ("plan", planned, F32)]
            {
                assert_eq!(expected.hidden.len(), settings.layers + 1);
                for (stage, (found, expected_of_texts)) in outputs.iter().zip(&expected.hidden).enumerate() {
                    for (text, numbers) in expected_of_texts.iter().enumerate() {
                        let what = format!("{name}, {executor}, hidden state {stage}, text {text}");
                        let valid = valid(found, text, expected.lengths[text]);
                        check_numbers(&what, &valid, numbers, largest(numbers), tolerance);
                    }
                }
                let found = outputs.last().unwrap().to_f64();
                check_numbers(
                    &format!("{name}, {executor}, {head:?}"),
                    &found,
                    last,
                    largest(last),
                    tolerance,
                );
            }
        }
    }
}

#[test]
fn logits_of_tokens_are_those_of_transformers() {
    for architecture in ARCHITECTURES {
        let expected = Expected::of(architecture);
        let head = Head::Tokens { classes: 3 };
        let graph = architecture.build(&expected.settings(), head).unwrap();
        let inputs = expected.batch(&architecture.fields(&expected.settings(), head));
        let parameters = fill_all(&graph).unwrap();
        let mut reference = Reference::new(&graph, &parameters, &spec(&graph), Precision::F64).unwrap();
        let mut plan = Plan::new(&Machine::new(1), &graph, &parameters).unwrap();
        for (outputs, tolerance) in
            [(reference.run(&inputs).unwrap(), F64), (plan.run(&inputs).unwrap(), F32)]
        {
            for (text, numbers) in expected.token_logits.iter().enumerate() {
                let what = format!("{}, logits of the tokens of text {text}", architecture.model_type);
                let valid = valid(&outputs[0], text, expected.lengths[text]);
                check_numbers(&what, &valid, numbers, largest(numbers), tolerance);
            }
        }
    }
}

#[test]
fn a_training_step_is_that_of_transformers() {
    for architecture in ARCHITECTURES {
        let expected = Expected::of(architecture);
        let head = Head::Published { classes: 3 };
        let graph = architecture.build(&expected.settings(), head).unwrap();
        let inputs = expected.batch(&architecture.fields(&expected.settings(), head));
        let (parameters, spec) = (fill_all(&graph).unwrap(), spec(&graph));
        let mut reference = Reference::new(&graph, &parameters, &spec, Precision::F64).unwrap();
        check_step(architecture, &expected, &graph, &inputs, &mut reference, F64);
        let mut tape = Tape::new(&Machine::new(1), &graph, &parameters, &spec).unwrap();
        check_step(architecture, &expected, &graph, &inputs, &mut tape, F32);
        assert!(tape.fallbacks().is_empty(), "{}: {:?}", architecture.model_type, tape.fallbacks());
    }
}

#[test]
fn padding_and_companions_change_nothing() {
    for architecture in ARCHITECTURES {
        let name = architecture.model_type;
        let expected = Expected::of(architecture);
        for head in heads() {
            let graph = with_stages_as_outputs(&architecture.build(&expected.settings(), head).unwrap());
            let fields = architecture.fields(&expected.settings(), head);
            let mut plan = Plan::new(&Machine::new(1), &graph, &fill_all(&graph).unwrap()).unwrap();
            let layers = expected.settings().layers;
            let mut run = |texts: &[usize], length: usize, padding: f32| {
                plan.run(&expected.inputs(&fields, texts, length, padding)).unwrap()
            };
            for (text, &length) in expected.lengths.iter().enumerate() {
                let alone = run(&[text], length, 0.0);
                let padded = run(&[text], 12, 5.0);
                let among = run(&[1 - text, text, 1 - text], 12, 5.0);
                for (stage, (alone, (padded, among))) in
                    alone.iter().zip(padded.iter().zip(&among)).enumerate()
                {
                    let of = |tensor: &Tensor, at: usize| match stage <= layers {
                        true => valid(tensor, at, length),
                        false => tensor.rows(at, at + 1).unwrap().to_f64(),
                    };
                    let what = format!("{name}, {head:?}, stage {stage}, text {text}");
                    // Another length is another order of sums; other samples are not.
                    check_numbers(&what, &of(padded, 0), &of(alone, 0), 1.0, 1e-5);
                    assert_eq!(of(among, 1), of(padded, 0), "{what} among others");
                }
            }
        }
    }
}

#[test]
fn encoders_conform() {
    for architecture in ARCHITECTURES {
        let expected = Expected::of(architecture);
        for head in heads() {
            let graph = architecture.build(&expected.settings(), head).unwrap();
            let fields = architecture.fields(&expected.settings(), head);
            let named: Vec<&str> = graph.inputs().iter().map(|input| input.name.as_str()).collect();
            assert_eq!(named, fields.iter().map(|field| field.name()).collect::<Vec<_>>());
            // Keys' biases have no gradient but rounding, and rounding is not zero.
            check_graph_on(&graph, &fill_all(&graph).unwrap(), &expected.batch(&fields))
                .unwrap_or_else(|error| panic!("{} with {head:?}: {error}", architecture.model_type));
            let stages: Vec<&str> = graph.stages().iter().map(|stage| stage.name.as_str()).collect();
            assert_eq!(stages[..2], ["embeddings", "layer0"]);
            let Some(name) = architecture.head_name(head) else {
                assert_eq!(stages[stages.len() - 1], "pooler");
                continue;
            };
            assert_eq!(stages[stages.len() - 2..], ["pooler", "classifier"]);
            let of_classifier: Vec<&str> = graph
                .parameters()
                .iter()
                .zip(graph.parameter_stages())
                .filter(|(_, stage)| *stage == stages.len() - 1)
                .map(|(spec, _)| spec.name.as_str())
                .collect();
            assert_eq!(of_classifier, [format!("{name}.weight"), format!("{name}.bias")]);
        }
    }
}

fn heads() -> [Head; 4] {
    [
        Head::Embedding { pooling: Pooling::Mean },
        Head::Pooled { pooling: Pooling::Mean, classes: 3 },
        Head::Pooled { pooling: Pooling::Cls, classes: 3 },
        Head::Published { classes: 3 },
    ]
}

/// The graph with every stage's result as an output, in the stages' order.
fn with_stages_as_outputs(graph: &Graph) -> Graph {
    let outputs: Vec<_> = graph.stages().iter().map(|stage| (stage.name.as_str(), stage.output)).collect();
    GraphBuilder::from_stages(graph, graph.stages().len() - 1).finish(&outputs).unwrap()
}

/// Training of everything without chance.
fn spec(graph: &Graph) -> TrainSpec {
    let mut spec = TrainSpec::everything(graph, Optimizer::Sgd { momentum: 0.0, nesterov: false });
    spec.dropout = vec![false; graph.stages().len()];
    spec
}

/// The valid positions of one text of `[batch, length, width]`.
fn valid(hidden: &Tensor, text: usize, length: usize) -> Vec<f64> {
    let (longest, width) = (hidden.shape()[1], hidden.shape()[2]);
    hidden.to_f64()[text * longest * width..][..length * width].to_vec()
}

/// Loss, logits and gradients of one training step.
fn check_step(
    architecture: &Architecture,
    expected: &Expected,
    graph: &Graph,
    inputs: &[Tensor],
    training: &mut dyn Training,
    tolerance: f64,
) {
    let name = architecture.model_type;
    let key = StepKey { seed: 0, step: 0, samples: (0..expected.lengths.len() as u64).collect() };
    let logits = training.forward(inputs, &key).unwrap().remove(0);
    check_numbers(name, &logits.to_f64(), &expected.logits, largest(&expected.logits), tolerance);
    let (loss, gradient) = cross_entropy(&logits, &expected.labels);
    check_numbers(&format!("{name} loss"), &[loss], &[expected.loss], 1.0, tolerance);
    let gradient = match tolerance == F64 {
        true => Tensor::new_f64(logits.shape(), gradient),
        false => Tensor::new(logits.shape(), gradient.into_iter().map(|value| value as f32).collect()),
    };
    training.backward(&[gradient.unwrap()]).unwrap();

    assert_eq!(graph.parameters().len(), expected.gradients.len(), "{name}");
    let all = expected.gradients.values().map(|[norm, _]| *norm).fold(0.0, f64::max);
    for parameter in graph.parameters() {
        let what = format!("{name} gradient of {}", parameter.name);
        let gradient = training.gradient(&parameter.name).unwrap().to_f64();
        let probe = signed(&format!("probe.{}", parameter.name), gradient.len());
        let norm = gradient.iter().map(|value| value * value).sum::<f64>().sqrt();
        let product = gradient.iter().zip(&probe).map(|(a, b)| a * b).sum::<f64>();
        let expected = &expected.gradients[&parameter.name];
        // The product is a sum of numbers of either sign: its error is that of the norm, and its own rounding to 9 digits.
        let floor = if tolerance == F64 { ROUNDING / F64 } else { 1e-2 * all };
        check_numbers(&what, &[norm, product], expected, largest(expected).max(floor), tolerance);
    }
}

/// The mean cross-entropy of logits `[batch, classes]`, and its gradient.
fn cross_entropy(logits: &Tensor, labels: &[usize]) -> (f64, Vec<f64>) {
    let (batch, classes) = (logits.shape()[0], logits.shape()[1]);
    let mut loss = 0.0;
    let mut gradient = Vec::new();
    for (row, &label) in logits.to_f64().chunks(classes).zip(labels) {
        let sum: f64 = row.iter().map(|value| value.exp()).sum();
        loss -= (row[label] - sum.ln()) / batch as f64;
        let target = |class: usize| if class == label { 1.0 } else { 0.0 };
        gradient.extend(
            row.iter().enumerate().map(|(class, value)| (value.exp() / sum - target(class)) / batch as f64),
        );
    }
    (loss, gradient)
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
