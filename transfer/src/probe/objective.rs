//! The value and gradient of a linear model's objective: the hot path of a probe.
//!
//! Samples are cut into fixed blocks; each block's scores, loss and gradient are computed while its features are in cache,
//! products in f32, and summed in f64. Blocks are dealt to a fixed number of tasks whose sums are added in order, so that the
//! result does not depend on threads.

use std::ops::Range;

use tk_engine::cpu::{Isa, Machine};

use super::product::{Left, add_product, padded, transposed_padded};
use super::{Features, LinearLoss, Standardizer};
use crate::data::LabelView;

/// Samples of a block: their features stay in a second-level cache between the two products, and six divides it.
const BLOCK: usize = 48;
/// Blocks whose gradients are added in f32.
const BLOCKS_IN_F32: usize = 5;
/// Tasks, at most; each holds its own gradient.
const TASKS: usize = 16;

/// Some of the samples, each with its classes and a weight.
#[derive(Clone, Copy)]
pub(super) struct Design<'a> {
    pub features: Features<'a>,
    pub labels: LabelView<'a>,
    /// Empty: all 1.
    pub weights: &'a [f32],
    /// The samples that are learned from.
    pub ranges: &'a [Range<usize>],
    pub classes: usize,
    pub loss: LinearLoss,
}

/// Mean loss plus penalty: `Σ wᵢ·lossᵢ / Σ wᵢ + ½·Σ penaltyⱼ·Wⱼ²`. A point is the weight `[classes, width]`, then the bias
/// `[classes]`, which is penalised where the loss says so.
pub(super) struct Objective<'a> {
    design: Design<'a>,
    machine: &'a Machine,
    /// Per feature.
    penalty: Vec<f64>,
    bias_penalty: Option<BiasPenalty>,
    total_weight: f64,
    blocks: Vec<Range<usize>>,
    partials: Vec<Partial>,
}

/// `½·factor·(b + W·mean)²` for each class: what the bias is where features are standardised, is penalised.
struct BiasPenalty {
    factor: f64,
    /// Per feature; empty: all 0.
    mean: Vec<f64>,
}

/// What a task adds up.
struct Partial {
    loss: f64,
    gradient: Vec<f64>,
    /// The weight's gradient over a few blocks, `[classes, width]`.
    product: Vec<f32>,
    /// Of one block, `[samples, columns]`; then the gradient of the loss, `[samples, classes]`.
    scores: Vec<f32>,
}

impl<'a> Objective<'a> {
    /// The objective for inverse penalty `strength`, scikit-learn's `C`. With a standardizer the optimum is that of features
    /// standardised by it: its deviations and means go into the penalty.
    pub fn new(
        design: Design<'a>,
        strength: f64,
        standard: Option<&Standardizer>,
        machine: &'a Machine,
    ) -> Self {
        let mut blocks = Vec::new();
        for range in design.ranges {
            blocks.extend(range.clone().step_by(BLOCK).map(|start| start..(start + BLOCK).min(range.end)));
        }
        let samples = design.ranges.iter().cloned().flatten();
        let total_weight: f64 = samples.map(|sample| f64::from(design.weight(sample))).sum();
        let one = 1.0 / (strength * total_weight);
        let penalty = match standard {
            Some(standard) => {
                standard.deviation().iter().map(|deviation| one * deviation * deviation).collect()
            }
            None => vec![one; design.features.width()],
        };
        let mean = || standard.map(|standard| standard.mean().to_vec()).unwrap_or_default();
        let bias_penalty = design.loss.penalises_bias().then(|| BiasPenalty { factor: one, mean: mean() });
        let length = design.point_length();
        let partials = (0..TASKS.min(blocks.len()))
            .map(|_| Partial {
                loss: 0.0,
                gradient: vec![0.0; length],
                product: Vec::new(),
                scores: Vec::new(),
            })
            .collect();
        Self { design, machine, penalty, bias_penalty, total_weight, blocks, partials }
    }

    /// The value at a point; writes the gradient there.
    pub fn evaluate(&mut self, point: &[f64], gradient: &mut [f64]) -> f64 {
        let design = self.design;
        let (width, classes) = (design.features.width(), design.classes);
        let (weight, bias) = point.split_at(classes * width);
        let bias: Vec<f32> = bias.iter().map(|&value| value as f32).collect();
        let columns = padded(self.machine.isa, classes);
        let weight_f32: Vec<f32> = weight.iter().map(|&value| value as f32).collect();
        let turned = transposed_padded(&weight_f32, width, columns);
        let (blocks, tasks, isa) = (&self.blocks, self.partials.len(), self.machine.isa);
        self.machine.pool.for_each_chunk(&mut self.partials, 1, |task, partials| {
            for partial in partials {
                partial.loss = 0.0;
                partial.gradient.fill(0.0);
                let share = &blocks[blocks.len() * task / tasks..blocks.len() * (task + 1) / tasks];
                for blocks in share.chunks(BLOCKS_IN_F32) {
                    partial.product.clear();
                    partial.product.resize(classes * width, 0.0);
                    for block in blocks {
                        partial.add_block(design, isa, block.clone(), (&turned, &bias));
                    }
                    let sums = partial.gradient.iter_mut().zip(&partial.product);
                    sums.for_each(|(sum, &value)| *sum += f64::from(value));
                }
            }
        });
        self.reduce(point, gradient)
    }

    /// What the total weight is, which turns the mean objective into scikit-learn's sum.
    pub fn total_weight(&self) -> f64 {
        self.total_weight
    }

    /// The penalty and the mean of the tasks' sums, in order.
    fn reduce(&self, point: &[f64], gradient: &mut [f64]) -> f64 {
        gradient.fill(0.0);
        let mut loss = 0.0;
        for partial in &self.partials {
            loss += partial.loss;
            gradient.iter_mut().zip(&partial.gradient).for_each(|(sum, value)| *sum += value);
        }
        gradient.iter_mut().for_each(|value| *value /= self.total_weight);
        let mut norm = 0.0;
        let width = self.penalty.len();
        let (weight, bias) = point.split_at(self.design.classes * width);
        let (weight_gradient, bias_gradient) = gradient.split_at_mut(weight.len());
        let rows = weight.chunks_exact(width).zip(weight_gradient.chunks_exact_mut(width));
        for ((weight, gradient), (bias, bias_gradient)) in rows.zip(bias.iter().zip(bias_gradient)) {
            for ((weight, gradient), penalty) in weight.iter().zip(&mut *gradient).zip(&self.penalty) {
                *gradient += penalty * weight;
                norm += penalty * weight * weight;
            }
            if let Some(BiasPenalty { factor, mean }) = &self.bias_penalty {
                let bias = bias + weight.iter().zip(mean).map(|(weight, mean)| weight * mean).sum::<f64>();
                *bias_gradient += factor * bias;
                gradient.iter_mut().zip(mean).for_each(|(gradient, mean)| *gradient += factor * bias * mean);
                norm += factor * bias * bias;
            }
        }
        loss / self.total_weight + 0.5 * norm
    }
}

impl Partial {
    /// Adds the loss of some samples and its gradient: of the bias to `gradient`, of the weight to `product`. The layer is the
    /// transposed weight, `[width, columns]`, and the bias.
    fn add_block(
        &mut self,
        design: Design<'_>,
        isa: Isa,
        samples: Range<usize>,
        (turned, bias): (&[f32], &[f32]),
    ) {
        let (width, classes) = (design.features.width(), design.classes);
        let (rows, columns) = (samples.len(), turned.len() / width);
        let values = &design.features.values()[samples.start * width..samples.end * width];
        self.scores.clear();
        self.scores.resize(rows * columns, 0.0);
        for row in self.scores.chunks_exact_mut(columns) {
            row[..classes].copy_from_slice(bias);
        }
        add_product(isa, Left::plain(values, rows), turned, &mut self.scores);
        self.loss += design.loss_gradient(samples, columns, &mut self.scores);
        let biases = &mut self.gradient[classes * width..];
        for row in self.scores.chunks_exact(classes) {
            biases.iter_mut().zip(row).for_each(|(sum, &value)| *sum += f64::from(value));
        }
        add_product(isa, Left::transposed(&self.scores, classes), values, &mut self.product);
    }
}

impl Design<'_> {
    /// The length of a point.
    pub fn point_length(&self) -> usize {
        self.classes * (self.features.width() + 1)
    }

    fn weight(&self, sample: usize) -> f32 {
        self.weights.get(sample).copied().unwrap_or(1.0)
    }

    /// The sum of the samples' weighted losses. Turns their scores, `[samples, columns]`, into the gradient of it,
    /// `[samples, classes]`.
    fn loss_gradient(&self, samples: Range<usize>, columns: usize, scores: &mut Vec<f32>) -> f64 {
        let classes = self.classes;
        let mut loss = 0f64;
        for (index, sample) in samples.clone().enumerate() {
            let (of, weight) = (self.labels.of(sample), self.weight(sample));
            let row = &mut scores[index * columns..][..classes];
            loss += f64::from(weight) * self.loss.differentiate(row, of);
            row.iter_mut().for_each(|value| *value *= weight);
            // The padding goes: rows move up, never over one that is still to be read.
            scores.copy_within(index * columns..index * columns + classes, index * classes);
        }
        scores.truncate(samples.len() * classes);
        loss
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use tk_engine::random::Stream;

    fn data(samples: usize, width: usize, classes: usize) -> (Vec<f32>, Vec<usize>, Vec<f32>) {
        let mut stream = Stream::new(4, &["objective".into()]);
        let values = (0..samples * width).map(|_| stream.normal() as f32).collect();
        let labels = (0..samples).map(|_| stream.below(classes)).collect();
        (values, labels, (0..samples).map(|_| stream.range(0.0, 2.0) as f32).collect())
    }

    /// The definition, in f64.
    fn oracle(design: Design<'_>, strength: f64, standard: &Standardizer, point: &[f64]) -> f64 {
        let (width, classes) = (design.features.width(), design.classes);
        let (weight, bias) = point.split_at(classes * width);
        let (mut loss, mut total) = (0.0, 0.0);
        for sample in design.ranges.iter().cloned().flatten() {
            let row = &design.features.values()[sample * width..][..width];
            let scores: Vec<f64> = (0..classes)
                .map(|class| {
                    row.iter().zip(&weight[class * width..]).map(|(&x, w)| f64::from(x) * w).sum::<f64>()
                        + bias[class]
                })
                .collect();
            let (share, of) = (f64::from(design.weight(sample)), design.labels.of(sample));
            let signed = |class: usize| if of.contains(&class) { scores[class] } else { -scores[class] };
            loss += share
                * match design.loss {
                    LinearLoss::Softmax => {
                        scores.iter().map(|score| score.exp()).sum::<f64>().ln() - scores[of[0]]
                    }
                    LinearLoss::Logistic => (0..classes).map(|class| (-signed(class)).exp().ln_1p()).sum(),
                    LinearLoss::SquaredHinge => {
                        (0..classes).map(|class| (1.0 - signed(class)).max(0.0).powi(2)).sum()
                    }
                };
            total += share;
        }
        // What weight and bias are for standardised features.
        let mut norm = 0.0;
        for (row, &bias) in weight.chunks_exact(width).zip(bias) {
            norm += row.iter().zip(standard.deviation()).map(|(w, d)| (w * d).powi(2)).sum::<f64>();
            if design.loss == LinearLoss::SquaredHinge {
                norm += (bias + row.iter().zip(standard.mean()).map(|(w, m)| w * m).sum::<f64>()).powi(2);
            }
        }
        loss / total + 0.5 * norm / (strength * total)
    }

    #[test]
    fn value_and_gradient_agree_with_the_definition_in_f64() {
        let sizes = [(7, 3, 2), (300, 37, 5), (500, 20, 11)];
        let losses = [LinearLoss::Softmax, LinearLoss::Logistic, LinearLoss::SquaredHinge];
        for ((samples, width, classes), loss) in
            sizes.into_iter().flat_map(|size| losses.map(|loss| (size, loss)))
        {
            let (values, labels, weights) = data(samples, width, classes);
            // Of several classes, some samples have two and some none.
            let several: Vec<Vec<usize>> = labels
                .iter()
                .enumerate()
                .map(|(sample, &label)| (label..classes).take(sample % 3).collect())
                .collect();
            let labels = match loss {
                LinearLoss::Logistic => LabelView::from(&several[..]),
                _ => LabelView::from(&labels),
            };
            let ranges = [0..samples / 3, samples / 2..samples];
            let features = Features::new(&values, width).unwrap();
            let design = Design { features, labels, weights: &weights, ranges: &ranges, classes, loss };
            let machine = Machine::new(2);
            // Of a few samples, so that means are far from 0 and deviations from 1.
            let standard = Standardizer::fit(features.range(0..samples / 3));
            let mut objective = Objective::new(design, 0.1, Some(&standard), &machine);
            let mut stream = Stream::new(5, &["point".into()]);
            let point: Vec<f64> =
                (0..design.point_length()).map(|_| f64::from(0.3 * stream.normal() as f32)).collect();
            let mut gradient = vec![0.0; point.len()];
            let value = objective.evaluate(&point, &mut gradient);
            let expected = oracle(design, 0.1, &standard, &point);
            assert!((value - expected).abs() < 1e-6 * value, "{samples}x{width}x{classes} {loss:?}");
            for index in (0..point.len()).step_by(1 + point.len() / 40) {
                let at = |offset: f64| {
                    let mut moved = point.clone();
                    moved[index] += offset;
                    oracle(design, 0.1, &standard, &moved)
                };
                let numeric = (at(1e-5) - at(-1e-5)) / 2e-5;
                // f32 products of a few hundred terms of size 1, and slopes of size 1 under a softmax, of 10 without.
                let near = if loss == LinearLoss::Softmax { 2e-6 } else { 2e-5 };
                let found = gradient[index];
                assert!((found - numeric).abs() < near, "{loss:?} {index}: {found} {numeric}");
            }
        }
    }

    #[test]
    fn threads_change_no_bit() {
        let (samples, width, classes) = (5000, 16, 3);
        let (values, labels, _) = data(samples, width, classes);
        let features = Features::new(&values, width).unwrap();
        let all = 0..samples;
        for loss in [LinearLoss::Softmax, LinearLoss::SquaredHinge] {
            let ranges = std::slice::from_ref(&all);
            let design = Design { features, labels: (&labels).into(), weights: &[], ranges, classes, loss };
            let point: Vec<f64> =
                (0..design.point_length()).map(|index| (index as f64 * 0.7).sin()).collect();
            let mut results = Vec::new();
            for threads in [1, 2, 5] {
                let machine = Machine::new(threads);
                let mut gradient = vec![0.0; point.len()];
                let value = Objective::new(design, 0.01, None, &machine).evaluate(&point, &mut gradient);
                results.push((value, gradient));
            }
            assert!(results.iter().all(|result| *result == results[0]), "{loss:?}");
        }
    }
}
