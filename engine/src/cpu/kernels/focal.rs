//! Focal loss of logits (Lin et al. 2017, arXiv 1708.02002): value and gradient in one pass. What is already told well counts little, so
//! that the many places without an object do not drown the few with one.

use crate::cpu::Machine;

use super::chunks::{self, CHUNK};

/// In place of a class: nothing is there.
pub const NOTHING: u32 = u32::MAX;

/// The loss `−α·(1 − p)^γ·log p` of what is there and `−(1 − α)·p^γ·log (1 − p)` of what is not, with `p = σ(x)` of each logit `x` by itself,
/// summed: torchvision's `sigmoid_focal_loss`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Focal {
    /// How much what is there weighs beside what is not, from 0 to 1.
    pub alpha: f64,
    /// How little well told logits count; 0 is plain cross-entropy.
    pub gamma: f64,
    /// What the sum over all logits is divided by.
    pub divisor: f64,
}

impl Focal {
    /// As published: α 0.25, γ 2.
    pub fn published(divisor: f64) -> Self {
        Self { alpha: 0.25, gamma: 2.0, divisor }
    }

    /// The loss of `logits`, `[places, classes]`, where each place has one of the classes or [`NOTHING`]; its gradient is written to
    /// `gradient`.
    ///
    /// # Panics
    /// When sizes do not fit or a class is out of range.
    pub fn evaluate(
        &self,
        machine: &Machine,
        logits: &[f32],
        classes: usize,
        targets: &[u32],
        gradient: &mut [f32],
    ) -> f64 {
        assert!(classes > 0, "focal loss: no classes");
        assert_eq!(logits.len(), targets.len() * classes, "focal loss: logits are not [places, classes]");
        assert_eq!(logits.len(), gradient.len(), "focal loss: sizes of logits and gradient");
        assert!(
            targets.iter().all(|&class| class == NOTHING || (class as usize) < classes),
            "focal loss: a class is not below {classes}"
        );
        let rows = (CHUNK / classes).max(1);
        let size = rows * classes;
        let chunks = gradient.chunks_mut(size).zip(logits.chunks(size).zip(targets.chunks(rows)));
        let parts = chunks::map(&machine.pool, chunks, |_, (gradient, (logits, targets))| {
            let places = gradient.chunks_exact_mut(classes).zip(logits.chunks_exact(classes)).zip(targets);
            let mut loss = 0.0;
            for ((gradient, logits), &target) in places {
                for (class, (slope, &logit)) in gradient.iter_mut().zip(logits).enumerate() {
                    let (value, derivative) = self.of(f64::from(logit), class as u32 == target);
                    loss += value;
                    *slope = (derivative / self.divisor) as f32;
                }
            }
            loss
        });
        parts.into_iter().sum::<f64>() / self.divisor
    }

    /// Value and derivative of one logit. What is not there costs what is there would at the opposite logit, by the other weight.
    fn of(&self, logit: f64, is_there: bool) -> (f64, f64) {
        let (x, weight, sign) =
            if is_there { (logit, self.alpha, 1.0) } else { (-logit, 1.0 - self.alpha, -1.0) };
        let power = (-x.abs()).exp();
        let sure = 1.0 / (1.0 + power);
        // σ(x), 1 − σ(x) and log σ(x), none of them by a difference that cancels.
        let (told, rest) = if x < 0.0 { (power * sure, sure) } else { (sure, power * sure) };
        let log = x.min(0.0) - power.ln_1p();
        let scale = if self.gamma == 2.0 { rest * rest } else { rest.powf(self.gamma) };
        (-weight * scale * log, sign * weight * scale * (self.gamma * told * log - rest))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_close, machines, numbers};
    use super::*;

    #[test]
    fn values_and_gradients_are_torchvisions() {
        // x = torch.tensor([1., -2., .5, 3., 0., -.25], dtype=torch.double).view(3, 2).requires_grad_()
        // t = torch.tensor([[0., 1.], [0., 0.], [1., 0.]])
        // v = sigmoid_focal_loss(x, t, alpha=.25, gamma=g, reduction="sum"); v.backward(); v, x.grad
        let logits = [1.0, -2.0, 0.5, 3.0, 0.0, -0.25];
        for (gamma, value, gradient) in CASES {
            for machine in machines() {
                let mut found = [0.0; 6];
                let loss = Focal { alpha: 0.25, gamma, divisor: 1.0 };
                let sum = loss.evaluate(&machine, &logits, 2, &[1, NOTHING, 0], &mut found);
                assert!((sum - value).abs() < 1e-9, "{gamma}: {sum}");
                assert_close(&found, &gradient, 1e-6, "gradient");
            }
        }
    }

    #[test]
    fn gradients_are_the_slopes() {
        let logits: Vec<f32> = numbers(5, 60).iter().map(|number| 4.0 * number).collect();
        let targets: Vec<u32> =
            (0..20).map(|place| if place % 4 == 3 { NOTHING } else { place % 3 }).collect();
        let loss = Focal::published(7.0);
        let machine = Machine::new(2);
        let mut gradient = vec![0.0; 60];
        loss.evaluate(&machine, &logits, 3, &targets, &mut gradient);
        for index in 0..60 {
            let at = |by: f32| {
                let mut moved = logits.clone();
                moved[index] += by;
                loss.evaluate(&machine, &moved, 3, &targets, &mut vec![0.0; 60])
            };
            let slope = (at(1e-2) - at(-1e-2)) / 2e-2;
            assert!(
                (slope - f64::from(gradient[index])).abs() < 1e-5,
                "{index}: {slope} {}",
                gradient[index]
            );
        }
    }

    #[test]
    fn far_logits_are_finite() {
        let mut gradient = [0.0; 4];
        let loss = Focal::published(1.0);
        let value =
            loss.evaluate(&Machine::new(1), &[200.0, -200.0, 200.0, -200.0], 2, &[0, 1], &mut gradient);
        assert!((value - (0.75 * 200.0 + 0.25 * 200.0)).abs() < 1e-3, "{value}");
        assert_close(&gradient, &[0.0, 0.0, 0.75, -0.25], 1e-5, "gradient");
    }

    const CASES: [(f64, f64, [f64; 6]); 3] = [
        (
            2.0,
            3.42281262106,
            [0.576176042, -0.269178433, 0.394613866, 0.845062410, -0.074571699, 0.156042284],
        ),
        (
            0.0,
            5.13891788026,
            [0.548293934, -0.220199269, 0.466844498, 0.714430595, -0.125000000, 0.328367624],
        ),
        (1.5, 3.7261154389, [0.591086419, -0.260617588, 0.432443196, 0.815436187, -0.090143774, 0.200651971]),
    ];
}
