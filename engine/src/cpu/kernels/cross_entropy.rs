//! Softmax cross-entropy: value and gradient in one pass over the logits.

use crate::cpu::Machine;

use super::chunks::{self, CHUNK};
use super::elementary::exp;

/// What the logits of a batch should have said.
#[derive(Clone, Copy, Debug)]
pub enum Targets<'a> {
    /// The class of each sample, `[batch]`.
    Classes(&'a [u32]),
    /// The share of each class in each sample, `[batch, classes]`; rows usually sum to 1 (mixup, distillation).
    Shares(&'a [f32]),
}

/// The loss `−Σ target · log softmax(logits)` and how it is averaged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CrossEntropy {
    /// The part of each target that is spread evenly over all classes (arXiv 1512.00567), from 0 to 1.
    pub label_smoothing: f64,
    /// What the sum over samples is divided by: the batch size, or that of all batches accumulated into one step.
    pub divisor: f64,
}

impl CrossEntropy {
    /// The loss of `logits`, `[batch, classes]`, divided by the divisor; its gradient is written to `gradient`.
    ///
    /// # Panics
    /// When sizes do not fit or a class is out of range.
    pub fn evaluate(
        &self,
        machine: &Machine,
        logits: &[f32],
        classes: usize,
        targets: Targets<'_>,
        gradient: &mut [f32],
    ) -> f64 {
        assert!(
            classes > 0 && logits.len().is_multiple_of(classes),
            "cross-entropy: logits are not [batch, {classes}]"
        );
        assert_eq!(logits.len(), gradient.len(), "cross-entropy: sizes of logits and gradient");
        let batch = logits.len() / classes;
        match targets {
            Targets::Classes(indices) => {
                assert_eq!(indices.len(), batch, "cross-entropy: one class per sample");
                assert!(
                    indices.iter().all(|&index| (index as usize) < classes),
                    "cross-entropy: a class is not below {classes}"
                );
            }
            Targets::Shares(shares) => {
                assert_eq!(shares.len(), logits.len(), "cross-entropy: sizes of shares")
            }
        }
        let rows = (CHUNK / classes).max(1);
        let parts = chunks::map(&machine.pool, gradient.chunks_mut(rows * classes), |index, gradient| {
            let samples = gradient.chunks_exact_mut(classes).enumerate();
            samples
                .map(|(row, gradient)| {
                    let sample = index * rows + row;
                    let logits = &logits[sample * classes..][..classes];
                    match targets {
                        Targets::Classes(indices) => {
                            self.class_row(machine, logits, indices[sample] as usize, gradient)
                        }
                        Targets::Shares(shares) => {
                            self.share_row(machine, logits, &shares[sample * classes..][..classes], gradient)
                        }
                    }
                })
                .sum::<f64>()
        });
        parts.into_iter().sum::<f64>() / self.divisor
    }

    /// Loss and gradient of one sample with one class.
    fn class_row(&self, machine: &Machine, logits: &[f32], class: usize, gradient: &mut [f32]) -> f64 {
        let classes = logits.len() as f64;
        let (spread, hit) = (self.label_smoothing / classes, 1.0 - self.label_smoothing);
        machine.isa.vectorize(
            #[inline(always)]
            || {
                let (greatest, sum) = exponentials(logits, gradient);
                let log_sum = f64::from(greatest) + sum.ln();
                let factor = (1.0 / (sum * self.divisor)) as f32;
                let spread_gradient = (spread / self.divisor) as f32;
                gradient.iter_mut().for_each(|gradient| *gradient = *gradient * factor - spread_gradient);
                gradient[class] -= (hit / self.divisor) as f32;
                let mut loss = hit * (log_sum - f64::from(logits[class]));
                if spread > 0.0 {
                    loss += spread * logits.iter().map(|&logit| log_sum - f64::from(logit)).sum::<f64>();
                }
                loss
            },
        )
    }

    /// Loss and gradient of one sample with a share per class.
    fn share_row(&self, machine: &Machine, logits: &[f32], shares: &[f32], gradient: &mut [f32]) -> f64 {
        let spread = self.label_smoothing / logits.len() as f64;
        let target = |share: f32| f64::from(share) * (1.0 - self.label_smoothing) + spread;
        machine.isa.vectorize(
            #[inline(always)]
            || {
                let (greatest, sum) = exponentials(logits, gradient);
                let log_sum = f64::from(greatest) + sum.ln();
                let (mut loss, mut total) = (0.0, 0.0);
                for (&logit, &share) in logits.iter().zip(shares) {
                    let target = target(share);
                    total += target;
                    // A class without a share costs nothing, even at a logit of minus infinity.
                    loss += if target == 0.0 { 0.0 } else { target * (log_sum - f64::from(logit)) };
                }
                let factor = total / (sum * self.divisor);
                for (gradient, &share) in gradient.iter_mut().zip(shares) {
                    *gradient = (f64::from(*gradient) * factor - target(share) / self.divisor) as f32;
                }
                loss
            },
        )
    }
}

/// Writes `exp(logit − greatest)` and returns the greatest logit and the sum of what was written.
#[inline(always)]
fn exponentials(logits: &[f32], powers: &mut [f32]) -> (f32, f64) {
    let greatest = logits
        .iter()
        .fold(f32::NEG_INFINITY, |greatest, &logit| if logit > greatest { logit } else { greatest });
    for (power, &logit) in powers.iter_mut().zip(logits) {
        *power = exp::<false>(logit - greatest);
    }
    (greatest, powers.iter().map(|&power| f64::from(power)).sum())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_close, machines, numbers};
    use super::*;

    const LOGITS: [f32; 8] = [1.0, -2.0, 0.5, 3.0, 0.0, 0.25, -1.0, 2.0];

    /// The definition for one sample, in f64.
    fn oracle(logits: &[f64], targets: &[f64], smoothing: f64) -> f64 {
        let greatest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let log_sum = greatest + logits.iter().map(|logit| (logit - greatest).exp()).sum::<f64>().ln();
        let spread = smoothing / logits.len() as f64;
        logits
            .iter()
            .zip(targets)
            .map(|(logit, t)| (t * (1.0 - smoothing) + spread) * (log_sum - logit))
            .sum()
    }

    #[test]
    fn values_and_gradients_are_pytorchs() {
        // a = torch.tensor(LOGITS, dtype=torch.double).view(2, 4).requires_grad_()
        // v = torch.nn.functional.cross_entropy(a, targets, label_smoothing=smoothing); v.backward(); v, a.grad
        let classes = Targets::Classes(&[2, 3]);
        let shares = Targets::Shares(&[0.1, 0.2, 0.3, 0.4, 0.5, 0.5, 0.0, 0.0]);
        for (targets, label_smoothing, value, gradient) in [
            (
                classes,
                0.0,
                1.504_463_14,
                [
                    0.055_276_875_2,
                    0.002_752_073_56,
                    -0.466_472_88,
                    0.408_443_932,
                    0.049_796_030_7,
                    0.063_939_369_1,
                    0.018_318_935_9,
                    -0.132_054_336,
                ],
            ),
            (
                classes,
                0.1,
                1.582_588_14,
                [
                    0.042_776_875_2,
                    -0.009_747_926_44,
                    -0.428_972_88,
                    0.395_943_932,
                    0.037_296_030_7,
                    0.051_439_369_1,
                    0.005_818_935_94,
                    -0.094_554_335_7,
                ],
            ),
            (
                shares,
                0.1,
                2.178_838_16,
                [
                    -0.002_223_124_38,
                    -0.099_747_927_7,
                    -0.113_972_885,
                    0.215_943_937,
                    -0.187_703_969,
                    -0.173_560_631,
                    0.005_818_935_94,
                    0.355_445_664,
                ],
            ),
        ] {
            for machine in machines() {
                let mut found = [f32::NAN; 8];
                let loss = CrossEntropy { label_smoothing, divisor: 2.0 };
                let loss = loss.evaluate(&machine, &LOGITS, 4, targets, &mut found);
                assert!(
                    (loss - value).abs() < 5e-7,
                    "{targets:?}, smoothing {label_smoothing}: {loss}, expected {value}"
                );
                assert_close(&found, &gradient, 2e-7, &format!("{targets:?}, smoothing {label_smoothing}"));
            }
        }
    }

    #[test]
    fn gradients_are_slopes_of_the_oracle() {
        let loss = |label_smoothing| CrossEntropy { label_smoothing, divisor: 3.0 };
        for machine in machines() {
            for (batch, classes) in [(1, 1), (3, 2), (2, 17), (3, 33), (1, 1000)] {
                for label_smoothing in [0.0, 0.2] {
                    let logits: Vec<f32> = numbers(1, batch * classes).iter().map(|x| x * 4.0).collect();
                    // Not normalised: rows need not sum to 1.
                    let shares: Vec<f32> = numbers(2, batch * classes).iter().map(|x| x.abs()).collect();
                    let mut gradient = vec![f32::NAN; logits.len()];
                    let found = loss(label_smoothing).evaluate(
                        &machine,
                        &logits,
                        classes,
                        Targets::Shares(&shares),
                        &mut gradient,
                    );
                    let (mut expected, mut slopes) = (0.0, Vec::new());
                    for sample in 0..batch {
                        let range = sample * classes..(sample + 1) * classes;
                        let widen = |values: &[f32]| values.iter().map(|&x| f64::from(x)).collect::<Vec<_>>();
                        let (logits, targets) = (widen(&logits[range.clone()]), widen(&shares[range]));
                        expected += oracle(&logits, &targets, label_smoothing) / 3.0;
                        for class in 0..classes {
                            let at = |step: f64| {
                                let mut moved = logits.clone();
                                moved[class] += step;
                                oracle(&moved, &targets, label_smoothing) / 3.0
                            };
                            slopes.push((at(1e-4) - at(-1e-4)) / 2e-4);
                        }
                    }
                    let context = format!("{batch} samples of {classes}, smoothing {label_smoothing}");
                    assert!(
                        (found - expected).abs() < 1e-6 * expected.abs().max(1.0),
                        "{context}: {found}, {expected}"
                    );
                    // The values are sums of up to 1000 shares; differences of them are good to about 1e-6.
                    assert_close(&gradient, &slopes, 5e-6, &context);
                }
            }
        }
    }

    #[test]
    fn a_class_is_a_share_of_one() {
        let (batch, classes) = (700, 61);
        let logits = numbers(3, batch * classes);
        let indices: Vec<u32> = (0..batch as u32).map(|sample| sample * 7 % 61).collect();
        let mut shares = vec![0.0; logits.len()];
        indices
            .iter()
            .enumerate()
            .for_each(|(sample, &class)| shares[sample * classes + class as usize] = 1.0);
        let loss = CrossEntropy { label_smoothing: 0.1, divisor: batch as f64 };
        let (mut by_class, mut by_share) = (vec![0.0; logits.len()], vec![0.0; logits.len()]);
        let values = [1, 3].map(|threads| {
            let machine = Machine::new(threads);
            let by_index =
                loss.evaluate(&machine, &logits, classes, Targets::Classes(&indices), &mut by_class);
            (by_index, loss.evaluate(&machine, &logits, classes, Targets::Shares(&shares), &mut by_share))
        });
        assert_eq!(values[0], values[1], "one thread and three");
        assert!((values[0].0 - values[0].1).abs() < 1e-9, "{values:?}");
        let exact: Vec<f64> = by_share.iter().map(|&x| f64::from(x)).collect();
        assert_close(&by_class, &exact, 1e-8, "gradients");
    }

    #[test]
    fn extreme_logits_neither_overflow_nor_hide() {
        let loss = CrossEntropy { label_smoothing: 0.0, divisor: 1.0 };
        for (logits, expected) in [([1e30, 0.0], 0.0), ([-1e4, 1e4], 2e4), ([1e4, f32::NEG_INFINITY], 0.0)] {
            for targets in [Targets::Classes(&[0]), Targets::Shares(&[1.0, 0.0])] {
                let mut gradient = [f32::NAN; 2];
                let value = loss.evaluate(&Machine::new(1), &logits, 2, targets, &mut gradient);
                assert!((value - expected).abs() < 1e-6, "{logits:?}: {value}");
                assert!(gradient.iter().all(|gradient| gradient.is_finite()), "{logits:?}: {gradient:?}");
            }
        }
        let mut gradient = [0.0; 2];
        let value =
            loss.evaluate(&Machine::new(1), &[f32::NAN, 1.0], 2, Targets::Classes(&[1]), &mut gradient);
        assert!(value.is_nan(), "NaN is not hidden");
    }
}
