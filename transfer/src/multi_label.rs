//! Multi-label classification: any number of classes for each sample, each decided by itself.

use std::collections::BTreeMap;

use tk_engine::cpu::Machine;
use tk_engine::cpu::kernels::binary_cross_entropy::BinaryCrossEntropy;
use tk_engine::{EngineError, Result, Tensor};

use crate::data::{LabelKind, LabelView};
use crate::fit::Mix;
use crate::metrics::{MultiLabelPredictions, MultiLabelScores};
use crate::task::{LossValue, Meter, Task};

/// The mean over classes of binary cross-entropy, mean average precision and micro-F1.
///
/// Targets are 1 for each class that a sample has, `[batch, classes]`; mixed samples have shares.
#[derive(Clone, Debug)]
pub struct MultiLabel {
    /// How many classes there are.
    pub classes: usize,
    /// The part of each target that is moved to one half when training.
    pub label_smoothing: f64,
    /// How much a class weighs where it is there, in training; empty: 1. See [`positive_weights`].
    pub positive_weights: Vec<f32>,
    /// Where the loss is computed.
    pub machine: Machine,
}

/// Samples without a class over those with it, for each class, as PyTorch's documentation of `pos_weight` has it: what is there and what
/// is not count alike. A class that no sample or every sample has weighs 1.
pub fn positive_weights(labels: LabelView<'_>, classes: usize) -> Vec<f32> {
    let weight = |members: &Vec<usize>| match (members.len(), labels.len() - members.len()) {
        (0, _) | (_, 0) => 1.0,
        (with, without) => without as f32 / with as f32,
    };
    labels.members(classes).iter().map(weight).collect()
}

impl Task for MultiLabel {
    fn loss(&self, outputs: &[Tensor], targets: &[Tensor], total: f64) -> Result<LossValue> {
        let (logits, marks) = pair(outputs, targets, self.classes)?;
        let mut gradient = vec![0.0; logits.len()];
        let loss = BinaryCrossEntropy {
            positive_weights: &self.positive_weights,
            label_smoothing: self.label_smoothing,
            divisor: total * self.classes as f64,
        };
        let value =
            loss.evaluate(&self.machine, logits.as_f32()?, self.classes, marks.as_f32()?, &mut gradient);
        Ok(LossValue { value, gradients: vec![Tensor::new(logits.shape(), gradient)?] })
    }

    fn mixed(&self, targets: &[Tensor], mix: &Mix) -> Result<Vec<Tensor>> {
        targets.iter().map(|target| mix.rows(target)).collect()
    }

    fn meter(&self) -> Box<dyn Meter> {
        Box::new(MultiLabelMeter {
            classes: self.classes,
            probabilities: Vec::new(),
            labels: Vec::new(),
            loss: 0.0,
            machine: self.machine.clone(),
        })
    }
}

struct MultiLabelMeter {
    classes: usize,
    probabilities: Vec<f32>,
    labels: Vec<Vec<usize>>,
    loss: f64,
    machine: Machine,
}

impl Meter for MultiLabelMeter {
    fn add(&mut self, outputs: &[Tensor], targets: &[Tensor]) -> Result<()> {
        let (logits, marks) = pair(outputs, targets, self.classes)?;
        let (logits, marks) = (logits.as_f32()?, marks.as_f32()?);
        let mut gradient = vec![0.0; logits.len()];
        let loss =
            BinaryCrossEntropy { positive_weights: &[], label_smoothing: 0.0, divisor: self.classes as f64 };
        self.loss += loss.evaluate(&self.machine, logits, self.classes, marks, &mut gradient);
        self.probabilities.extend(LabelKind::Multi.probabilities(logits, self.classes));
        let of = |row: &[f32]| (0..row.len()).filter(|&class| row[class] > 0.5).collect();
        self.labels.extend(marks.chunks(self.classes).map(of));
        Ok(())
    }

    fn scores(&self) -> BTreeMap<String, f64> {
        let loss = self.loss / self.labels.len().max(1) as f64;
        let mut scores = BTreeMap::from([("loss".to_owned(), loss)]);
        // Logits that are no numbers have no order; the loss says so.
        if let Ok(predictions) = MultiLabelPredictions::new(&self.probabilities, &self.labels, self.classes) {
            let MultiLabelScores { map, micro_f1 } = predictions.scores();
            scores.extend([("map".to_owned(), map), ("micro_f1".to_owned(), micro_f1)]);
        }
        scores
    }
}

fn pair<'a>(
    outputs: &'a [Tensor],
    targets: &'a [Tensor],
    classes: usize,
) -> Result<(&'a Tensor, &'a Tensor)> {
    match (outputs, targets) {
        ([logits], [marks]) if logits.shape().last() == Some(&classes) && logits.shape() == marks.shape() => {
            Ok((logits, marks))
        }
        _ => Err(EngineError::Tensor {
            what: "multi-label classification".to_owned(),
            expected: format!("logits and targets [batch, {classes}]"),
            found: format!(
                "{:?} and {:?}",
                outputs.iter().map(Tensor::shape).collect::<Vec<_>>(),
                targets.iter().map(Tensor::shape).collect::<Vec<_>>()
            ),
        }),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn task() -> MultiLabel {
        MultiLabel { classes: 3, label_smoothing: 0.0, positive_weights: vec![], machine: Machine::new(1) }
    }

    fn tensor(values: &[f32]) -> Tensor {
        Tensor::new(&[values.len() / 3, 3], values.to_vec()).unwrap()
    }

    #[test]
    fn two_accumulated_batches_are_one() {
        let (logits, marks) = ([0.5, -1.0, 2.0, 0.0, 0.3, -0.2], [1.0, 0.0, 1.0, 0.0, 0.0, 0.0]);
        let task = MultiLabel { positive_weights: vec![2.0, 1.0, 0.5], ..task() };
        let whole = task.loss(&[tensor(&logits)], &[tensor(&marks)], 2.0).unwrap();
        let parts = [0, 3]
            .map(|at| task.loss(&[tensor(&logits[at..at + 3])], &[tensor(&marks[at..at + 3])], 2.0).unwrap());
        assert!((whole.value - parts[0].value - parts[1].value).abs() < 1e-12);
        let gradients = parts.map(|part| part.gradients[0].to_f32()).concat();
        assert_eq!(whole.gradients[0].to_f32(), gradients);
        assert!(task.loss(&[tensor(&logits)], &[tensor(&marks[..3])], 2.0).is_err());
        assert!(task.loss(&[tensor(&logits)], &[Tensor::zeros(&[2])], 2.0).is_err());
    }

    #[test]
    fn a_meter_scores_what_it_saw() {
        let mut meter = task().meter();
        meter.add(&[tensor(&[3.0, -3.0, 1.0])], &[tensor(&[1.0, 0.0, 0.0])]).unwrap();
        meter.add(&[tensor(&[-1.0, 2.0, 2.0])], &[tensor(&[0.0, 1.0, 1.0])]).unwrap();
        let scores = meter.scores();
        assert_eq!(scores["map"], 1.0);
        assert!((scores["micro_f1"] - 6.0 / 7.0).abs() < 1e-12, "{scores:?}");
        let softplus = |x: f64| x.exp().ln_1p();
        let expected = [-3.0, -3.0, 1.0, -1.0, -2.0, -2.0].map(softplus).iter().sum::<f64>() / 6.0;
        assert!((scores["loss"] - expected).abs() < 1e-9, "{scores:?} {expected}");
    }

    #[test]
    fn rare_classes_weigh_more() {
        let labels = [vec![0, 1], vec![0], vec![0], vec![0, 2]];
        assert_eq!(positive_weights(labels[..].into(), 4), [1.0, 3.0, 3.0, 1.0]);
    }
}
