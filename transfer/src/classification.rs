//! Classification: one class of several for each sample, whatever the samples are.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tk_engine::cpu::Machine;
use tk_engine::cpu::kernels::cross_entropy::{CrossEntropy, Targets};
use tk_engine::graph::{Activation, Graph, GraphBuilder};
use tk_engine::{EngineError, Parameters, Result, Tensor};

use crate::data::LabelKind;
use crate::fit::Mix;
use crate::metrics::Confusion;
use crate::task::{LossValue, Meter, Task};

/// The form of a classifier's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "kind")]
pub enum HeadForm {
    /// One linear layer.
    Linear,
    /// One hidden layer with ReLU.
    Mlp {
        /// Its width.
        hidden: usize,
    },
}

/// Softmax cross-entropy, accuracy and macro-F1.
///
/// Targets are class numbers, `[batch]`, or shares of classes, `[batch, classes]` (for mixed samples).
#[derive(Clone, Debug)]
pub struct Classification {
    /// How many classes there are.
    pub classes: usize,
    /// The part of each target that is spread over all classes when training (arXiv 1512.00567).
    pub label_smoothing: f64,
    /// How much a sample of each class counts in training; empty: 1. Scores of validation know no weights.
    pub class_weights: Vec<f32>,
    /// Where the loss is computed.
    pub machine: Machine,
}

/// What a classifier says of a sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// The probability of each class, in the order of the classifier.
    pub probabilities: Vec<f32>,
    /// What they are made from.
    pub logits: Vec<f32>,
}

impl Prediction {
    /// What logits say where samples have labels of a kind.
    pub fn of(logits: Vec<f32>, kind: LabelKind) -> Self {
        Self { probabilities: kind.probabilities(&logits, logits.len()), logits }
    }

    /// The most probable class and its probability.
    pub fn best(&self) -> (usize, f32) {
        let best = crate::metrics::most_probable(&self.probabilities);
        (best, self.probabilities[best])
    }

    /// The most probable classes and their probabilities, best first.
    pub fn top(&self, count: usize) -> Vec<(usize, f32)> {
        let mut order: Vec<usize> = (0..self.probabilities.len()).collect();
        order.sort_by(|&a, &b| self.probabilities[b].total_cmp(&self.probabilities[a]).then(a.cmp(&b)));
        order.into_iter().take(count).map(|class| (class, self.probabilities[class])).collect()
    }
}

/// A graph whose linear head, the last stage, is replaced by one hidden layer with ReLU: `HEAD.0`, `HEAD.2`. The linear head's values are
/// removed; those of the new layers are the caller's to set.
///
/// # Errors
/// When the graph cannot be built.
pub fn with_hidden_layer(
    graph: &Graph,
    parameters: &mut Parameters,
    head: &str,
    hidden: usize,
    classes: usize,
) -> Result<Graph> {
    let features = graph.stages().len().saturating_sub(2);
    let mut builder = GraphBuilder::from_stages(graph, features);
    let stage = graph.stages()[features].name.clone();
    let mut x = builder.stage_output(&stage)?;
    builder.begin_stage("head");
    x = builder.linear(&format!("{head}.0"), x, hidden);
    x = builder.activation(&format!("{head}.1"), x, Activation::Relu);
    x = builder.linear(&format!("{head}.2"), x, classes);
    builder.end_stage(x);
    for name in ["weight", "bias"] {
        parameters.remove(&format!("{head}.{name}"));
    }
    Ok(builder.finish(&[("logits", x)])?)
}

impl Task for Classification {
    fn loss(&self, outputs: &[Tensor], targets: &[Tensor], total: f64) -> Result<LossValue> {
        let (logits, target) = pair(outputs, targets, self.classes)?;
        let mut gradient = vec![0.0; logits.len()];
        let loss = CrossEntropy { label_smoothing: self.label_smoothing, divisor: total };
        let classes = class_numbers(target, self.classes)?;
        let (machine, numbers) = (&self.machine, logits.as_f32()?);
        let value = match (&classes, self.class_weights.is_empty()) {
            (Some(classes), true) => {
                loss.evaluate(machine, numbers, self.classes, Targets::Classes(classes), &mut gradient)
            }
            (None, true) => loss.evaluate(
                machine,
                numbers,
                self.classes,
                Targets::Shares(target.as_f32()?),
                &mut gradient,
            ),
            (_, false) => {
                let shares = self.weighted_shares(classes.as_deref(), target.as_f32()?);
                let loss = CrossEntropy { label_smoothing: 0.0, ..loss };
                loss.evaluate(machine, numbers, self.classes, Targets::Shares(&shares), &mut gradient)
            }
        };
        Ok(LossValue { value, gradients: vec![Tensor::new(logits.shape(), gradient)?] })
    }

    fn mixed(&self, targets: &[Tensor], mix: &Mix) -> Result<Vec<Tensor>> {
        let shares = |target: &Tensor| match class_numbers(target, self.classes)? {
            None => mix.rows(target),
            Some(numbers) => {
                let mut shares = vec![0.0; numbers.len() * self.classes];
                for (row, &class) in shares.chunks_exact_mut(self.classes).zip(&numbers) {
                    row[class as usize] = 1.0;
                }
                mix.rows(&Tensor::new(&[numbers.len(), self.classes], shares)?)
            }
        };
        targets.iter().map(shares).collect()
    }

    fn meter(&self) -> Box<dyn Meter> {
        Box::new(ClassMeter {
            confusion: Confusion::new(self.classes),
            loss: 0.0,
            machine: self.machine.clone(),
        })
    }
}

impl Classification {
    /// The smoothed shares of each sample, `[batch, classes]`, times its weight: of a sample with shares, its classes' mean weight.
    fn weighted_shares(&self, classes: Option<&[u32]>, targets: &[f32]) -> Vec<f32> {
        let smoothing = self.label_smoothing as f32;
        let spread = smoothing / self.classes as f32;
        let mut shares = match classes {
            None => targets.to_vec(),
            Some(classes) => {
                let mut shares = vec![0.0; classes.len() * self.classes];
                for (row, &class) in shares.chunks_exact_mut(self.classes).zip(classes) {
                    row[class as usize] = 1.0;
                }
                shares
            }
        };
        for row in shares.chunks_exact_mut(self.classes) {
            let weight: f32 = row.iter().zip(&self.class_weights).map(|(share, weight)| share * weight).sum();
            row.iter_mut().for_each(|share| *share = weight * ((1.0 - smoothing) * *share + spread));
        }
        shares
    }
}

struct ClassMeter {
    confusion: Confusion,
    loss: f64,
    machine: Machine,
}

impl Meter for ClassMeter {
    fn add(&mut self, outputs: &[Tensor], targets: &[Tensor]) -> Result<()> {
        let width = self.confusion.classes();
        let (logits, target) = pair(outputs, targets, width)?;
        let Some(classes) = class_numbers(target, width)? else {
            return Err(misfit(
                "validation targets",
                "one class number for each sample",
                format!("{:?}", target.shape()),
            ));
        };
        let numbers = logits.as_f32()?;
        let mut gradient = vec![0.0; numbers.len()];
        let loss = CrossEntropy { label_smoothing: 0.0, divisor: 1.0 };
        self.loss += loss.evaluate(&self.machine, numbers, width, Targets::Classes(&classes), &mut gradient);
        for (row, &class) in numbers.chunks(width).zip(&classes) {
            self.confusion.add(class as usize, crate::metrics::most_probable(row));
        }
        Ok(())
    }

    fn scores(&self) -> BTreeMap<String, f64> {
        BTreeMap::from([
            ("accuracy".to_owned(), self.confusion.accuracy()),
            ("macro_f1".to_owned(), self.confusion.macro_f1()),
            ("loss".to_owned(), self.loss / self.confusion.samples().max(1) as f64),
        ])
    }
}

fn pair<'a>(
    outputs: &'a [Tensor],
    targets: &'a [Tensor],
    classes: usize,
) -> Result<(&'a Tensor, &'a Tensor)> {
    match (outputs, targets) {
        ([logits], [target]) if logits.shape().last() == Some(&classes) => Ok((logits, target)),
        _ => Err(misfit(
            "classification",
            &format!("logits [batch, {classes}] and one target tensor"),
            format!("{} outputs and {} targets", outputs.len(), targets.len()),
        )),
    }
}

/// The class numbers of targets of rank 1; `None` for shares.
fn class_numbers(target: &Tensor, classes: usize) -> Result<Option<Vec<u32>>> {
    if target.shape().len() != 1 {
        return Ok(None);
    }
    let numbers = target.as_f32()?;
    match numbers.iter().find(|&&number| number < 0.0 || number as usize >= classes || number.fract() != 0.0)
    {
        Some(number) => {
            Err(misfit("a target", &format!("a class number below {classes}"), number.to_string()))
        }
        None => Ok(Some(numbers.iter().map(|&number| number as u32).collect())),
    }
}

fn misfit(what: &str, expected: &str, found: String) -> EngineError {
    EngineError::Tensor { what: what.to_owned(), expected: expected.to_owned(), found }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn task() -> Classification {
        Classification { classes: 3, label_smoothing: 0.0, class_weights: vec![], machine: Machine::new(1) }
    }

    #[test]
    fn a_sample_counts_as_its_class_weighs() {
        let rows = [[0.5, -1.0, 2.0], [0.0, 0.3, -0.2]];
        let classes = [2, 0];
        let weights = [0.25, 1.0, 3.0];
        for label_smoothing in [0.0, 0.1] {
            let plain = Classification { label_smoothing, ..task() };
            let weighted = Classification { class_weights: weights.to_vec(), ..plain.clone() };
            let alone = |row: usize| {
                let logits = Tensor::new(&[1, 3], rows[row].to_vec()).unwrap();
                let target = Tensor::new(&[1], vec![classes[row] as f32]).unwrap();
                plain.loss(&[logits], &[target], 2.0).unwrap()
            };
            let logits = Tensor::new(&[2, 3], rows.as_flattened().to_vec()).unwrap();
            let numbers = Tensor::new(&[2], classes.iter().map(|&class| class as f32).collect()).unwrap();
            let mut shares = vec![0.0; 6];
            classes.iter().enumerate().for_each(|(row, &class)| shares[3 * row + class] = 1.0);
            let shares = Tensor::new(&[2, 3], shares).unwrap();
            let expected = 3.0 * alone(0).value + 0.25 * alone(1).value;
            for target in [numbers, shares] {
                let found = weighted.loss(std::slice::from_ref(&logits), &[target], 2.0).unwrap();
                assert!((found.value - expected).abs() < 1e-6, "{} {expected}", found.value);
                let gradients = [(0, 3.0), (1, 0.25)].map(|(row, weight)| {
                    alone(row).gradients[0].to_f32().iter().map(|slope| weight * slope).collect::<Vec<_>>()
                });
                for (a, b) in found.gradients[0].to_f32().iter().zip(gradients.concat()) {
                    assert!((a - b).abs() < 1e-6, "{a} {b}");
                }
            }
        }
    }

    #[test]
    fn class_numbers_and_one_hot_shares_are_the_same_loss() {
        let logits = Tensor::new(&[2, 3], vec![0.5, -1.0, 2.0, 0.0, 0.3, -0.2]).unwrap();
        let numbers = Tensor::new(&[2], vec![2.0, 0.0]).unwrap();
        let shares = Tensor::new(&[2, 3], vec![0.0, 0.0, 1.0, 1.0, 0.0, 0.0]).unwrap();
        let a = task().loss(std::slice::from_ref(&logits), &[numbers], 2.0).unwrap();
        let b = task().loss(&[logits], &[shares], 2.0).unwrap();
        assert!((a.value - b.value).abs() < 1e-6);
        for (a, b) in a.gradients[0].to_f32().iter().zip(b.gradients[0].to_f32()) {
            assert!((a - b).abs() < 1e-6);
        }
    }

    #[test]
    fn the_loss_of_mixed_targets_is_the_mix_of_losses() {
        let logits = Tensor::new(&[2, 3], vec![0.5, -1.0, 2.0, 0.0, 0.3, -0.2]).unwrap();
        let targets = [[2.0, 0.0], [0.0, 2.0]].map(|numbers| Tensor::new(&[2], numbers.to_vec()).unwrap());
        let mix = Mix { share: 0.7, partners: vec![1, 0] };
        let loss = |targets: &[Tensor]| task().loss(std::slice::from_ref(&logits), targets, 2.0).unwrap();
        let mixed = loss(&task().mixed(&targets[..1], &mix).unwrap());
        let [own, others] = targets.map(|target| loss(&[target]));
        assert!((mixed.value - 0.7 * own.value - 0.3 * others.value).abs() < 1e-6);
        let sums = own.gradients[0].to_f32().into_iter().zip(others.gradients[0].to_f32());
        for (found, (own, other)) in mixed.gradients[0].to_f32().into_iter().zip(sums) {
            assert!((found - 0.7 * own - 0.3 * other).abs() < 1e-6);
        }
    }

    #[test]
    fn impossible_targets_are_errors() {
        let logits = Tensor::zeros(&[1, 3]);
        for number in [3.0, -1.0, 0.5] {
            let target = Tensor::new(&[1], vec![number]).unwrap();
            assert!(task().loss(std::slice::from_ref(&logits), &[target], 1.0).is_err(), "{number}");
        }
    }
}
