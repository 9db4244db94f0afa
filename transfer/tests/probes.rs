//! scikit-learn's linear models on real features: the same objective at the same strength, the same predictions.
//!
//! `tests/parity/probes.py` makes the features and the expected numbers, and says how.

use serde::Deserialize;
use tk_engine::cpu::Machine;
use tk_transfer::probe::{Examples, Features, LinearLoss, LinearOptions, Probe};

/// Of the objective. Ours is computed from f32 products, whose rounding is about 10⁻⁸ of it; the rest is what convergence leaves.
const NEAR: f64 = 1e-6;

#[derive(Deserialize)]
struct Expected {
    width: usize,
    labels: Vec<usize>,
    features: String,
    cases: Vec<Case>,
}

#[derive(Debug, Deserialize)]
struct Case {
    classes: usize,
    loss: LinearLoss,
    strength: f64,
    balanced: bool,
    objective: f64,
    right: usize,
    held_right: usize,
}

/// Samples of one side, as they are learned from.
struct Side {
    values: Vec<f32>,
    labels: Vec<usize>,
}

impl Expected {
    /// Those of the first classes that are learned from, or that are held out.
    fn side(&self, classes: usize, is_held: bool) -> Side {
        let bytes: Vec<f32> = (0..self.features.len() / 2)
            .map(|at| f32::from(u8::from_str_radix(&self.features[2 * at..2 * at + 2], 16).unwrap()) / 32.0)
            .collect();
        let known = self.labels.iter().enumerate().filter(|(_, label)| **label < classes);
        let chosen = known.enumerate().filter(|(at, _)| (at % 4 == 3) == is_held).map(|(_, sample)| sample);
        let mut side = Side { values: Vec::new(), labels: Vec::new() };
        for (sample, &label) in chosen {
            side.values.extend_from_slice(&bytes[sample * self.width..][..self.width]);
            side.labels.push(label);
        }
        side
    }
}

#[test]
fn objectives_and_predictions_equal_scikit_learn_on_real_features() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/parity/expected/probes.json");
    let expected: Expected = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let machine = Machine::new(2);
    assert_eq!(expected.cases.len(), 24);
    for case in &expected.cases {
        let [seen, held] = [false, true].map(|is_held| expected.side(case.classes, is_held));
        let features = Features::new(&seen.values, expected.width).unwrap();
        let mut examples = Examples::new(features, &seen.labels, case.classes).unwrap();
        let weights = examples.balanced_weights().unwrap();
        if case.balanced {
            examples = examples.weighted(&weights).unwrap();
        }
        let options = LinearOptions::new(case.loss, case.strength);
        let (probe, model) = Probe::linear(examples, &options, 1.0, &machine).unwrap();
        let off = (model.objective - case.objective) / case.objective;
        assert!(model.is_converged && off.abs() < NEAR, "{case:?}: off by {off:.1e}, {}", model.objective);
        let right = |side: &Side| {
            let logits =
                probe.logits(Features::new(&side.values, expected.width).unwrap(), &machine).unwrap();
            let rows = logits.chunks_exact(case.classes).zip(&side.labels);
            rows.filter(|(row, label)| row.iter().all(|logit| *logit <= row[**label])).count()
        };
        assert_eq!([right(&seen), right(&held)], [case.right, case.held_right], "{case:?}");
    }
}
