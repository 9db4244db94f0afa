//! Learning rates over the course of a phase.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

/// How the learning rate changes over a phase, as a factor of its peak.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// The peak throughout.
    Constant,
    /// Up from 1/25 over the first quarter, then down to 1/250,000, both along a cosine (Smith, Topin, arXiv 1708.07120;
    /// the numbers are fastai's).
    OneCycle,
    /// Down to zero along a half cosine (arXiv 1608.03983).
    Cosine,
    /// Down to zero in a straight line.
    Linear,
}

impl Schedule {
    /// The factor at a step of a phase of `steps` steps, of which the first `warmup` rise in a straight line.
    /// One-cycle has its own warm-up and ignores the other.
    pub fn factor(self, step: usize, steps: usize, warmup: usize) -> f64 {
        if self == Self::OneCycle {
            let rise = 0.25 * steps.max(1) as f64;
            let at = step as f64;
            return if at < rise {
                between(1.0 / 25.0, 1.0, at / rise)
            } else {
                between(1.0, 1.0 / 250_000.0, (at - rise) / (steps as f64 - 1.0 - rise).max(1.0))
            };
        }
        if step < warmup {
            return (step + 1) as f64 / warmup as f64;
        }
        let progress = (step - warmup) as f64 / (steps.saturating_sub(warmup)).max(1) as f64;
        match self {
            Self::Constant | Self::OneCycle => 1.0,
            Self::Cosine => between(1.0, 0.0, progress),
            Self::Linear => (1.0 - progress).max(0.0),
        }
    }
}

/// The point of a half cosine from `start` to `end`.
fn between(start: f64, end: f64, progress: f64) -> f64 {
    end + (start - end) * (1.0 + (PI * progress.clamp(0.0, 1.0)).cos()) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_at_landmarks() {
        let cases = [
            (Schedule::Constant, 7, 0, 1.0),
            (Schedule::OneCycle, 0, 0, 0.04),
            (Schedule::OneCycle, 25, 0, 1.0),
            (Schedule::OneCycle, 99, 0, 4e-6),
            (Schedule::Cosine, 0, 0, 1.0),
            (Schedule::Cosine, 50, 0, 0.5),
            (Schedule::Linear, 75, 0, 0.25),
            (Schedule::Linear, 4, 10, 0.5),
            (Schedule::Linear, 10, 10, 1.0),
            (Schedule::Linear, 55, 10, 0.5),
        ];
        for (schedule, step, warmup, expected) in cases {
            let factor = schedule.factor(step, 100, warmup);
            assert!((factor - expected).abs() < 1e-9, "{schedule:?} at {step}: {factor}");
        }
    }

    #[test]
    fn a_phase_of_one_step_has_a_finite_rate() {
        for schedule in [Schedule::Constant, Schedule::OneCycle, Schedule::Cosine, Schedule::Linear] {
            let factor = schedule.factor(0, 1, 0);
            assert!(factor > 0.0 && factor <= 1.0, "{schedule:?}: {factor}");
        }
    }
}
