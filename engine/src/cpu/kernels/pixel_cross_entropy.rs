//! Softmax cross-entropy of many small rows, such as the pixels of a picture, some of which say nothing.

use crate::cpu::Machine;

use super::chunks::{self, CHUNK};
use super::elementary::exp;

/// In place of a class: the pixel is left out. PyTorch's `ignore_index`.
pub const IGNORED: f32 = -1.0;

/// The loss `−Σ weight of target · log softmax(logits)[target]` over pixels that have a target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PixelCrossEntropy<'a> {
    /// How much a pixel of each class weighs; empty: 1.
    pub class_weights: &'a [f32],
    /// What the sum is divided by.
    pub divisor: f64,
}

impl PixelCrossEntropy<'_> {
    /// What pixels weigh together: the divisor of a mean, as PyTorch takes it.
    pub fn weight(&self, targets: &[f32]) -> f64 {
        targets
            .iter()
            .filter(|&&target| target >= 0.0)
            .map(|&target| f64::from(self.of_class(target as usize)))
            .sum()
    }

    fn of_class(&self, class: usize) -> f32 {
        self.class_weights.get(class).copied().unwrap_or(1.0)
    }

    /// The loss of `logits`, `[pixels, classes]`, with the class of each pixel or [`IGNORED`]; its gradient is written to `gradient`.
    ///
    /// # Panics
    /// When sizes do not fit or a class is out of range.
    pub fn evaluate(
        &self,
        machine: &Machine,
        logits: &[f32],
        classes: usize,
        targets: &[f32],
        gradient: &mut [f32],
    ) -> f64 {
        assert!(classes > 0, "cross-entropy of pixels: no classes");
        assert_eq!(
            logits.len(),
            targets.len() * classes,
            "cross-entropy of pixels: logits are not [pixels, classes]"
        );
        assert_eq!(logits.len(), gradient.len(), "cross-entropy of pixels: sizes of logits and gradient");
        assert!(
            targets.iter().all(|&class| class < classes as f32),
            "cross-entropy of pixels: a class is not below {classes}"
        );
        let rows = (CHUNK / classes).max(1);
        let size = rows * classes;
        let chunks = gradient.chunks_mut(size).zip(logits.chunks(size).zip(targets.chunks(rows)));
        let parts = chunks::map(&machine.pool, chunks, |_, (gradient, (logits, targets))| {
            machine.isa.vectorize(
                #[inline(always)]
                || self.rows(logits, classes, targets, gradient),
            )
        });
        parts.into_iter().sum::<f64>() / self.divisor
    }

    #[inline(always)]
    fn rows(&self, logits: &[f32], classes: usize, targets: &[f32], gradient: &mut [f32]) -> f64 {
        let mut loss = 0.0;
        let rows = gradient.chunks_exact_mut(classes).zip(logits.chunks_exact(classes)).zip(targets);
        for ((gradient, logits), &target) in rows {
            if target < 0.0 {
                gradient.fill(0.0);
                continue;
            }
            let class = target as usize;
            let greatest =
                logits.iter().fold(f32::NEG_INFINITY, |most, &logit| if logit > most { logit } else { most });
            let mut sum = 0.0;
            for (power, &logit) in gradient.iter_mut().zip(logits) {
                *power = exp::<false>(logit - greatest);
                sum += *power;
            }
            let weight = self.of_class(class);
            let scale = (f64::from(weight) / self.divisor) as f32;
            let factor = scale / sum;
            gradient.iter_mut().for_each(|slope| *slope *= factor);
            gradient[class] -= scale;
            loss += f64::from(weight * (sum.ln() + (greatest - logits[class])));
        }
        loss
    }
}

#[cfg(test)]
mod tests {
    use super::super::cross_entropy::{CrossEntropy, Targets};
    use super::super::testing::{machines, numbers};
    use super::*;

    #[test]
    fn it_is_the_cross_entropy_of_the_rows_that_count() {
        for (pixels, classes) in [(1, 1), (7, 2), (900, 21), (70_000, 2)] {
            let logits: Vec<f32> = numbers(7, pixels * classes).iter().map(|number| 5.0 * number).collect();
            let targets: Vec<f32> = (0..pixels)
                .map(|pixel| if pixel % 5 == 4 { IGNORED } else { (pixel * 7 % classes) as f32 })
                .collect();
            let weights: Vec<f32> = (0..classes).map(|class| 0.5 + class as f32).collect();
            for machine in machines() {
                let loss = PixelCrossEntropy { class_weights: &weights, divisor: 3.0 };
                let mut found = vec![f32::NAN; logits.len()];
                let value = loss.evaluate(&machine, &logits, classes, &targets, &mut found);
                let mut expected = 0.0;
                for (pixel, &target) in targets.iter().enumerate().take(2000) {
                    let row = pixel * classes..(pixel + 1) * classes;
                    if target < 0.0 {
                        assert!(found[row].iter().all(|&slope| slope == 0.0));
                        continue;
                    }
                    let divisor = 3.0 / f64::from(weights[target as usize]);
                    let one = CrossEntropy { label_smoothing: 0.0, divisor };
                    let mut gradient = vec![0.0; classes];
                    let class = [target as u32];
                    expected += one.evaluate(
                        &machine,
                        &logits[row.clone()],
                        classes,
                        Targets::Classes(&class),
                        &mut gradient,
                    );
                    for (a, b) in found[row].iter().zip(&gradient) {
                        assert!((a - b).abs() < 2e-6 * weights[target as usize], "{pixel}: {a} {b}");
                    }
                }
                if pixels <= 2000 {
                    assert!((value - expected).abs() < 2e-6 * expected.abs().max(1.0), "{value} {expected}");
                }
            }
        }
    }

    #[test]
    fn weights_are_summed_over_pixels_that_count() {
        let loss = PixelCrossEntropy { class_weights: &[1.0, 2.0], divisor: 1.0 };
        assert_eq!(loss.weight(&[0.0, 1.0, IGNORED, 1.0]), 5.0);
        assert_eq!(PixelCrossEntropy { class_weights: &[], divisor: 1.0 }.weight(&[0.0, IGNORED]), 1.0);
    }

    #[test]
    fn gradients_are_the_slopes() {
        let logits: Vec<f32> = numbers(3, 12).iter().map(|number| 3.0 * number).collect();
        let targets = [0.0, IGNORED, 2.0, 1.0];
        let loss = PixelCrossEntropy { class_weights: &[], divisor: 3.0 };
        let machine = Machine::new(1);
        let mut gradient = vec![0.0; 12];
        loss.evaluate(&machine, &logits, 3, &targets, &mut gradient);
        for index in 0..12 {
            let at = |by: f32| {
                let mut moved = logits.clone();
                moved[index] += by;
                loss.evaluate(&machine, &moved, 3, &targets, &mut [0.0; 12])
            };
            let slope = (at(2e-2) - at(-2e-2)) / 4e-2;
            assert!(
                (slope - f64::from(gradient[index])).abs() < 1e-4,
                "{index}: {slope} {}",
                gradient[index]
            );
        }
    }
}
