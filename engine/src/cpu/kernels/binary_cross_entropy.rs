//! Binary cross-entropy of logits: value and gradient in one pass, for classes that each are there or not.

use crate::cpu::Machine;

use super::chunks::{self, CHUNK};

/// The loss `−Σ w·t·log σ(x) + (1 − t)·log σ(−x)`, each logit `x` by itself, and how it is averaged: PyTorch's
/// `binary_cross_entropy_with_logits`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BinaryCrossEntropy<'a> {
    /// How much what is there weighs, for each class; empty: 1. PyTorch's `pos_weight`.
    pub positive_weights: &'a [f32],
    /// The part of each target that is moved to one half, from 0 to 1.
    pub label_smoothing: f64,
    /// What the sum over all logits is divided by: their number, or that of all batches accumulated into one step.
    pub divisor: f64,
}

impl BinaryCrossEntropy<'_> {
    /// The loss of `logits`, `[batch, classes]`, with targets of the same shape from 0 to 1, divided by the divisor; its gradient is
    /// written to `gradient`.
    ///
    /// # Panics
    /// When sizes do not fit.
    pub fn evaluate(
        &self,
        machine: &Machine,
        logits: &[f32],
        classes: usize,
        targets: &[f32],
        gradient: &mut [f32],
    ) -> f64 {
        assert!(
            classes > 0 && logits.len().is_multiple_of(classes),
            "binary cross-entropy: logits are not [batch, {classes}]"
        );
        assert_eq!(logits.len(), targets.len(), "binary cross-entropy: sizes of logits and targets");
        assert_eq!(logits.len(), gradient.len(), "binary cross-entropy: sizes of logits and gradient");
        assert!(
            self.positive_weights.is_empty() || self.positive_weights.len() == classes,
            "binary cross-entropy: one weight per class"
        );
        let size = (CHUNK / classes).max(1) * classes;
        let chunks = gradient.chunks_mut(size).zip(logits.chunks(size).zip(targets.chunks(size)));
        let parts = chunks::map(&machine.pool, chunks, |_, (gradient, (logits, targets))| {
            let elements = gradient.iter_mut().zip(logits.iter().zip(targets)).enumerate();
            let cost = |(index, (slope, (&logit, &target))): (usize, (&mut f32, (&f32, &f32)))| {
                let weight =
                    self.positive_weights.get(index % classes).map_or(1.0, |&weight| f64::from(weight));
                let target = f64::from(target) * (1.0 - self.label_smoothing) + 0.5 * self.label_smoothing;
                let (there, absent) = (weight * target, 1.0 - target);
                let logit = f64::from(logit);
                let power = (-logit.abs()).exp();
                // log(1 + exp(−|x|)) is in both softplus(x) and softplus(−x).
                let rest = power.ln_1p();
                let sure = 1.0 / (1.0 + power);
                let sigmoid = if logit < 0.0 { power * sure } else { sure };
                *slope = ((absent * sigmoid - there * (1.0 - sigmoid)) / self.divisor) as f32;
                absent * (logit.max(0.0) + rest) + there * ((-logit).max(0.0) + rest)
            };
            elements.map(cost).sum::<f64>()
        });
        parts.into_iter().sum::<f64>() / self.divisor
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_close, machines, numbers};
    use super::*;

    #[test]
    fn values_and_gradients_are_pytorchs() {
        // x = torch.tensor([1., -2., .5, 3., 0., -.25], dtype=torch.double).view(2, 3).requires_grad_()
        // t = torch.tensor([1., 0., 0., .25, 1., 0.]).view(2, 3)
        // v = F.binary_cross_entropy_with_logits(x, t, pos_weight=torch.tensor(weights)); v.backward(); v, x.grad
        let logits = [1.0, -2.0, 0.5, 3.0, 0.0, -0.25];
        let targets = [1.0, 0.0, 0.0, 0.25, 1.0, 0.0];
        for (weights, value, gradient) in CASES {
            for machine in machines() {
                let loss =
                    BinaryCrossEntropy { positive_weights: weights, label_smoothing: 0.0, divisor: 6.0 };
                let mut found = [f32::NAN; 6];
                let loss = loss.evaluate(&machine, &logits, 3, &targets, &mut found);
                assert!((loss - value).abs() < 1e-8, "{weights:?}: {loss}");
                assert_close(&found, &gradient, 1e-8, &format!("{weights:?}"));
            }
        }
    }

    const CASES: [(&[f32], f64, [f64; 6]); 2] = [
        (
            &[],
            0.830_323_439_126,
            [
                -0.044_823_570_228,
                0.019_867_153_670,
                0.103_743_221_867,
                0.117_095_687_804,
                -0.083_333_333_333,
                0.072_970_583_186,
            ],
        ),
        (
            &[2.0, 0.5, 3.0],
            0.826_795_928_314,
            [
                -0.089_647_140_457,
                0.019_867_153_670,
                0.103_743_221_867,
                0.115_119_609_755,
                -0.041_666_666_667,
                0.072_970_583_186,
            ],
        ),
    ];

    #[test]
    fn gradients_are_slopes_of_the_definition() {
        let oracle = |x: f64, t: f64, weight: f64, smoothing: f64| {
            let t = t * (1.0 - smoothing) + 0.5 * smoothing;
            weight * t * (-x).exp().ln_1p() + (1.0 - t) * x.exp().ln_1p()
        };
        let (batch, classes) = (700, 61);
        let logits: Vec<f32> = numbers(1, batch * classes).iter().map(|x| x * 4.0).collect();
        let targets: Vec<f32> = numbers(2, batch * classes).iter().map(|x| x.abs().min(1.0)).collect();
        let weights: Vec<f32> = numbers(3, classes).iter().map(|x| x.abs() + 0.1).collect();
        for label_smoothing in [0.0, 0.2] {
            let loss = BinaryCrossEntropy { positive_weights: &weights, label_smoothing, divisor: 5.0 };
            for machine in machines() {
                let mut gradient = vec![f32::NAN; logits.len()];
                let value = loss.evaluate(&machine, &logits, classes, &targets, &mut gradient);
                let at = |index: usize, step: f64| {
                    let weight = f64::from(weights[index % classes]);
                    oracle(
                        f64::from(logits[index]) + step,
                        f64::from(targets[index]),
                        weight,
                        label_smoothing,
                    ) / 5.0
                };
                let expected: f64 = (0..logits.len()).map(|index| at(index, 0.0)).sum();
                assert!((value - expected).abs() < 1e-9 * expected, "{value}, {expected}");
                let slopes: Vec<f64> =
                    (0..logits.len()).map(|index| (at(index, 1e-4) - at(index, -1e-4)) / 2e-4).collect();
                assert_close(&gradient, &slopes, 2e-7, &format!("smoothing {label_smoothing}"));
            }
        }
    }

    #[test]
    fn extreme_logits_neither_overflow_nor_hide() {
        let loss = BinaryCrossEntropy { positive_weights: &[], label_smoothing: 0.0, divisor: 1.0 };
        let mut gradient = [f32::NAN; 2];
        let value = loss.evaluate(&Machine::new(1), &[1e30, -1e4], 2, &[1.0, 1.0], &mut gradient);
        assert!((value - 1e4).abs() < 1e-6, "{value}");
        assert_eq!(gradient, [0.0, -1.0]);
        assert!(loss.evaluate(&Machine::new(1), &[f32::NAN, 1.0], 2, &[1.0, 1.0], &mut gradient).is_nan());
    }
}
