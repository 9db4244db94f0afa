//! torchvision's numbers: outputs, losses, gradients and boxes of detectors and segmenters filled by their parameters' names.
//!
//! `tests/parity/dense.py` made them, in f64 and kept to 9 digits. The reference executor in f64 must agree to about 1e-8; the CPU executor
//! computes in f32.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use tk_engine::cpu::{Machine, Plan, Tape};
use tk_engine::graph::Kind;
use tk_engine::reference::{Precision, Reference};
use tk_engine::testing::{fill, pictures, signed};
use tk_engine::{Graph, Inference, Optimizer, Parameters, StepKey, Tensor, TrainSpec, Training};
use tk_image::detection::{Corners, DETECTORS, Losses, Selecting, Truth, Truths};
use tk_image::grafted::{Graft, Published};
use tk_image::segmentation::{IGNORED, SEGMENTERS, SegmentationTask};
use tk_transfer::task::Task;

/// Of outputs, relative to their deviation; of gradients, relative to their norm.
const F64: f64 = 1e-6;

/// The same where variances are shifted, and rounded to f32 after that. The largest difference, 1.6·10⁻⁶, is there to all digits when PyTorch
/// computes with such variances.
const F64_SHIFTED: f64 = 5e-6;

/// The same in f32.
const F32: f64 = 1e-4;

/// Gradients of f32 networks that are fifty layers deep, relative to their norm.
const F32_GRADIENTS: f64 = 2e-3;

#[derive(Deserialize)]
struct Expected {
    network: String,
    batch: usize,
    size: usize,
    classes: usize,
    norm_gain: f32,
    outputs: BTreeMap<String, Described>,
    losses: BTreeMap<String, f64>,
    gradients: BTreeMap<String, [f64; 2]>,
    objects: Vec<Vec<[f64; 5]>>,
    #[serde(default)]
    least_score: f32,
    /// Class, score, left, top, right, bottom.
    #[serde(default)]
    found: Vec<Vec<[f64; 6]>>,
}

#[derive(Deserialize)]
struct Described {
    shape: Vec<usize>,
    mean: f64,
    std: f64,
    at: Vec<usize>,
    values: Vec<f64>,
}

/// A network with the generator's numbers.
struct Filled {
    expected: Expected,
    graph: Graph,
    parameters: Parameters,
    /// Names on disk by names in memory.
    names: BTreeMap<String, String>,
    pictures: Tensor,
    /// Within which the reference agrees.
    tolerance: f64,
}

impl Filled {
    fn new<H: Graft>(published: &Published<H>) -> Self {
        let path = format!("../../tests/parity/expected/dense/{}.json", published.name);
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        let expected: Expected = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        assert_eq!(expected.network, published.name);
        let graph = published.build(expected.classes).unwrap();
        let (mut parameters, mut names) = (Parameters::default(), BTreeMap::new());
        let mut tolerance = F64;
        for spec in graph.parameters() {
            let name = published.published_name(&graph, &spec.name);
            let mut filled = fill(&name, &spec.shape, spec.kind).unwrap();
            let gain = if spec.kind == Kind::NormWeight { expected.norm_gain } else { 1.0 };
            // Variances are loaded greater by what torchvision's batch-norms add to them more.
            let more =
                if spec.kind == Kind::RunningVariance { published.shift(&graph, &spec.name) } else { 0.0 };
            if more != 0.0 {
                tolerance = F64_SHIFTED;
            }
            let values = filled.to_f32().iter().map(|value| gain * value + more).collect();
            filled = Tensor::new(&spec.shape, values).unwrap();
            parameters.set(&spec.name, filled);
            names.insert(spec.name.clone(), name);
        }
        let pictures = pictures(expected.batch, expected.size).unwrap();
        Self { expected, graph, parameters, names, pictures, tolerance }
    }

    fn spec(&self) -> TrainSpec {
        let stages = self.graph.stages().len();
        TrainSpec {
            dropout: vec![false; stages],
            batch_statistics: vec![false; stages],
            ..TrainSpec::everything(&self.graph, Optimizer::ADAMW)
        }
    }

    fn check_outputs(&self, outputs: &[Tensor], tolerance: f64) {
        let name = &self.expected.network;
        assert_eq!(outputs.len(), self.expected.outputs.len(), "{name}");
        for ((output, _), found) in self.graph.outputs().iter().zip(outputs) {
            let expected = &self.expected.outputs[output];
            let numbers = found.to_f64();
            let count = numbers.len() as f64;
            assert_eq!(numbers.len(), expected.shape.iter().product::<usize>(), "{name} {output}");
            let mean = numbers.iter().sum::<f64>() / count;
            let deviation =
                (numbers.iter().map(|number| (number - mean).powi(2)).sum::<f64>() / count).sqrt();
            let scale = expected.std.max(0.1);
            let close = |found: f64, expected: f64, what: &str| {
                assert!(
                    (found - expected).abs() < tolerance * scale,
                    "{name} {output} {what}: {found}, expected {expected}"
                );
            };
            close(mean, expected.mean, "mean");
            close(deviation, expected.std, "deviation");
            for (&at, &value) in expected.at.iter().zip(&expected.values) {
                close(numbers[at], value, &format!("at {at}"));
            }
        }
    }

    /// Gradients of what was recorded, given those of the outputs.
    fn check_gradients(&self, executor: &mut dyn Training, gradients: &[Tensor], tolerance: f64) {
        executor.backward(gradients).unwrap();
        let mut seen = 0;
        for (name, published) in &self.names {
            let Some([norm, probed]) = self.expected.gradients.get(published) else { continue };
            seen += 1;
            let gradient = executor.gradient(name).unwrap().to_f64();
            let probe = signed(&format!("probe.{published}"), gradient.len());
            let found = [
                gradient.iter().map(|slope| slope * slope).sum::<f64>().sqrt(),
                gradient.iter().zip(probe).map(|(slope, probe)| slope * probe).sum(),
            ];
            for (found, expected) in found.iter().zip([norm, probed]) {
                let bound = tolerance * norm.max(1e-9);
                assert!(
                    (found - expected).abs() < bound,
                    "{} {published}: {found}, expected {expected}",
                    self.expected.network
                );
            }
        }
        assert_eq!(seen, self.expected.gradients.len(), "every recorded gradient is of a parameter here");
    }

    /// Outputs, the loss and its gradients: in f64 by the reference, whose outputs are returned, in f32 by plan and tape.
    fn check(&self, loss: &dyn Fn(&[Tensor]) -> Losses) -> Vec<Tensor> {
        let key = StepKey { seed: 0, step: 0, samples: (0..self.expected.batch as u64).collect() };
        let mut plan = Plan::new(&Machine::new(1), &self.graph, &self.parameters).unwrap();
        self.check_outputs(&plan.run(std::slice::from_ref(&self.pictures)).unwrap(), F32);
        assert_eq!(plan.fallbacks(), [""; 0], "{}", self.expected.network);
        let mut reference =
            Reference::new(&self.graph, &self.parameters, &self.spec(), Precision::F64).unwrap();
        let outputs = reference.forward(std::slice::from_ref(&self.pictures), &key).unwrap();
        self.check_outputs(&outputs, self.tolerance);
        let single: Vec<Tensor> =
            outputs.iter().map(|output| Tensor::new(output.shape(), output.to_f32()).unwrap()).collect();
        let (losses, gradients) = loss(&single);
        for (name, value) in &losses {
            let expected = self.expected.losses[*name];
            assert!(
                (value - expected).abs() < 2e-6 * expected.abs().max(1.0),
                "{name}: {value}, expected {expected}"
            );
        }
        // Slopes of the loss are f32.
        self.check_gradients(&mut reference, &gradients, 10.0 * self.tolerance);
        let mut tape = Tape::new(&Machine::new(1), &self.graph, &self.parameters, &self.spec()).unwrap();
        let outputs = tape.forward(std::slice::from_ref(&self.pictures), &key).unwrap();
        self.check_outputs(&outputs, F32);
        assert_eq!(tape.fallbacks(), [""; 0], "{}", self.expected.network);
        self.check_gradients(&mut tape, &loss(&outputs).1, F32_GRADIENTS);
        single
    }
}

#[test]
fn detectors_agree_with_torchvision() {
    for published in DETECTORS {
        let filled = Filled::new(published);
        let expected = &filled.expected;
        let size = expected.size;
        let object = |&[class, left, top, right, bottom]: &[f64; 5]| Truth {
            class: class as usize,
            corners: Corners([left, top, right, bottom].map(|at| at as f32)),
            is_crowd: false,
        };
        let truths = Truths {
            objects: expected.objects.iter().map(|objects| objects.iter().map(object).collect()).collect(),
            sizes: vec![[size, size]; expected.batch],
            padded: [size, size],
        };
        let detection = (published.head)();
        let outputs =
            filled.check(&|outputs| detection.head.losses(&Machine::new(1), outputs, &truths).unwrap());
        // Boxes: the second picture ends 16 pixels earlier.
        let selecting = Selecting { least_score: expected.least_score, ..detection.selecting };
        let sizes = [[size, size], [size - 16, size]];
        let found =
            detection.head.decode(&outputs, &sizes[..expected.batch], [size, size], &selecting).unwrap();
        for (found, expected) in found.iter().zip(&expected.found) {
            assert_eq!(found.len(), expected.len());
            for (candidate, [class, score, corners @ ..]) in found.iter().zip(expected) {
                assert_eq!(candidate.class, *class as usize);
                assert!((f64::from(candidate.score) - score).abs() < 1e-5, "{candidate:?} {score}");
                for (found, expected) in candidate.corners.0.iter().zip(corners) {
                    assert!((f64::from(*found) - expected).abs() < 1e-3, "{candidate:?} {corners:?}");
                }
            }
        }
    }
}

#[test]
fn segmenters_agree_with_torchvision() {
    let kept =
        ["deeplabv3_resnet50", "fcn_resnet50", "lraspp_mobilenet_v3_large", "deeplabv3_mobilenet_v3_large"];
    for published in SEGMENTERS.iter().filter(|published| kept.contains(&published.name)) {
        let filled = Filled::new(published);
        let Expected { batch, size, classes, .. } = filled.expected;
        let class = |value: f64| match ((value + 1.0) / 2.0 * (classes + 1) as f64).floor() {
            class if class == classes as f64 => IGNORED,
            class => class as f32,
        };
        let pixels: Vec<f32> = signed("classes", batch * size * size).into_iter().map(class).collect();
        let target = [Tensor::new(&[batch, size, size], pixels).unwrap()];
        let task = SegmentationTask { classes, class_weights: Vec::new(), machine: Machine::new(1) };
        filled.check(&|outputs| {
            let loss = task.loss(outputs, &target, batch as f64).unwrap();
            (vec![("sum", loss.value)], loss.gradients)
        });
    }
}
