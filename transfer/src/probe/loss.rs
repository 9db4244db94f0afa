//! What a linear model minimises: losses of one sample's scores, and their gradients.

use serde::{Deserialize, Serialize};

use crate::data::LabelKind;

/// The loss of a linear model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinearLoss {
    /// `−ln softmax(scores)[label]`: multinomial logistic regression, scikit-learn's `LogisticRegression`. The bias is not penalised.
    #[default]
    Softmax,
    /// `Σ ln(1 + exp(−s·score))` over the classes, `s` being 1 for the sample's classes and −1 for the others: a logistic regression for
    /// each class, scikit-learn's `OneVsRestClassifier(LogisticRegression)`. Biases are not penalised.
    Logistic,
    /// `Σ max(0, 1 − s·score)²` over the classes, `s` being 1 for the sample's classes and −1 for the others: the linear support
    /// vector machine of liblinear (Fan et al. 2008, L2-regularised L2-loss, one class against the rest), scikit-learn's
    /// `LinearSVC`. The bias is penalised like a weight.
    SquaredHinge,
}

impl LinearLoss {
    /// What a model of this loss is called.
    pub fn model(self) -> &'static str {
        match self {
            Self::Softmax | Self::Logistic => "logistic regression",
            Self::SquaredHinge => "linear support vector machine",
        }
    }

    /// Whether the penalty counts the bias.
    pub(super) fn penalises_bias(self) -> bool {
        self == Self::SquaredHinge
    }

    /// Whether scores are logits; others are to be scaled first.
    pub(super) fn gives_logits(self) -> bool {
        self != Self::SquaredHinge
    }

    /// The same model for labels of a kind: a logistic regression has a class for each sample, or is one for each class.
    pub(super) fn for_labels(self, kind: LabelKind) -> Self {
        match (self, kind) {
            (Self::Softmax, LabelKind::Multi) => Self::Logistic,
            (Self::Logistic, LabelKind::Single) => Self::Softmax,
            (same, _) => same,
        }
    }

    /// The loss of a sample's scores, which become its gradient. A softmax looks at the first of the sample's classes alone.
    #[inline]
    pub(super) fn differentiate(self, row: &mut [f32], of: &[usize]) -> f64 {
        match self {
            Self::Softmax => {
                let loss = log_loss(LabelKind::Single, row, of);
                of.iter().take(1).for_each(|&label| row[label] -= 1.0);
                loss
            }
            Self::Logistic => {
                let loss = log_loss(LabelKind::Multi, row, of);
                of.iter().for_each(|&label| row[label] -= 1.0);
                loss
            }
            Self::SquaredHinge => {
                let mut loss = 0.0;
                for (class, score) in row.iter_mut().enumerate() {
                    let sign = if of.contains(&class) { 1.0 } else { -1.0 };
                    let short = (1.0 - sign * *score).max(0.0);
                    loss += f64::from(short) * f64::from(short);
                    *score = -2.0 * sign * short;
                }
                loss
            }
        }
    }
}

/// What a sample's logits cost that has these classes, and their slopes: the logits become probabilities, of which 1 is to be taken for
/// each of the classes. Softmax cross-entropy for one class, `Σ ln(1 + exp(−s·logit))` for several.
pub(super) fn log_loss(kind: LabelKind, row: &mut [f32], of: &[usize]) -> f64 {
    let logits: f64 = of.iter().map(|&label| f64::from(row[label])).sum();
    match kind {
        LabelKind::Single => softmax(row) - logits,
        LabelKind::Multi => {
            let mut loss = 0.0;
            for value in row.iter_mut() {
                let logit = f64::from(*value);
                let power = (-logit.abs()).exp();
                loss += logit.max(0.0) + power.ln_1p();
                *value = (if logit < 0.0 { power / (1.0 + power) } else { 1.0 / (1.0 + power) }) as f32;
            }
            loss - logits
        }
    }
}

/// `ln Σ exp(logits)`; turns the logits into probabilities. In f64 between f32 ends.
pub(super) fn softmax(row: &mut [f32]) -> f64 {
    let highest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0f64;
    for value in row.iter_mut() {
        *value = (*value - highest).exp();
        sum += f64::from(*value);
    }
    row.iter_mut().for_each(|value| *value = (f64::from(*value) / sum) as f32);
    sum.ln() + f64::from(highest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gradients_are_the_slopes_of_losses() {
        for loss in [LinearLoss::Softmax, LinearLoss::Logistic, LinearLoss::SquaredHinge] {
            let several = if loss == LinearLoss::Softmax { vec![2] } else { vec![0, 2] };
            for (scores, of) in
                [([0.3f32, -0.2, 0.9], several), ([1.5, -2.0, 0.1], vec![0]), ([0.0, 0.0, -3.0], vec![1])]
            {
                let mut gradient = scores;
                loss.differentiate(&mut gradient, &of);
                for class in 0..3 {
                    let at = |offset: f32| {
                        let mut moved = scores;
                        moved[class] += offset;
                        loss.differentiate(&mut moved, &of)
                    };
                    let numeric = (at(1e-2) - at(-1e-2)) / 2e-2;
                    // Differences of f32 losses near 1 over a step of a hundredth.
                    assert!(
                        (f64::from(gradient[class]) - numeric).abs() < 1e-3,
                        "{loss:?} {scores:?} {class}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_margin_of_one_costs_nothing() {
        let mut row = [1.0, -1.5, -1.0];
        assert_eq!(LinearLoss::SquaredHinge.differentiate(&mut row, &[0]), 0.0);
        assert!(row.iter().all(|slope| *slope == 0.0));
        let mut row = [0.5, 0.5];
        assert_eq!(LinearLoss::SquaredHinge.differentiate(&mut row, &[0]), 0.25 + 2.25);
    }
}
