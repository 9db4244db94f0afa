//! The mistakes that were made with most confidence.

use serde::{Deserialize, Serialize};

use super::multi_label::THRESHOLD;
use super::scores::most_probable;
use super::{MultiLabelPredictions, Predictions};

/// A sample that was predicted wrong.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mistake {
    /// The sample's position.
    pub sample: usize,
    /// Its true class.
    pub label: usize,
    /// The class that was predicted.
    pub predicted: usize,
    /// The probability of the predicted class.
    pub confidence: f32,
    /// The probability of the true class.
    pub label_probability: f32,
}

/// The at most `count` mistakes with the highest confidence, highest first; of equals the earlier sample comes first.
pub fn worst_mistakes(predictions: &Predictions<'_>, count: usize) -> Vec<Mistake> {
    let mut mistakes: Vec<Mistake> = predictions
        .iter()
        .enumerate()
        .filter_map(|(sample, (row, label))| {
            let predicted = most_probable(row);
            (predicted != label).then(|| Mistake {
                sample,
                label,
                predicted,
                confidence: row[predicted],
                label_probability: row[label],
            })
        })
        .collect();
    mistakes.sort_by(|a, b| b.confidence.total_cmp(&a.confidence).then(a.sample.cmp(&b.sample)));
    mistakes.truncate(count);
    mistakes
}

/// A class that was found where it is not, or not found where it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WrongDecision {
    /// The sample's position.
    pub sample: usize,
    /// The class.
    pub class: usize,
    /// Whether the sample has it.
    pub is_there: bool,
    /// The probability of what was said.
    pub confidence: f32,
}

/// The wrong decisions about samples that may have several classes, each sample by the surest of its own, surest first; of equals the
/// earlier sample comes first.
pub fn worst_decisions(predictions: &MultiLabelPredictions<'_>) -> Vec<WrongDecision> {
    let mut wrong: Vec<WrongDecision> = predictions
        .iter()
        .enumerate()
        .filter_map(|(sample, (row, of))| {
            let decision = |(class, &probability): (usize, &f32)| {
                let is_there = of.contains(&class);
                let confidence = if is_there { 1.0 - probability } else { probability };
                ((probability >= THRESHOLD) != is_there).then_some(WrongDecision {
                    sample,
                    class,
                    is_there,
                    confidence,
                })
            };
            let decisions = row.iter().enumerate().filter_map(decision);
            decisions.reduce(|best, next| if next.confidence > best.confidence { next } else { best })
        })
        .collect();
    wrong.sort_by(|a, b| b.confidence.total_cmp(&a.confidence).then(a.sample.cmp(&b.sample)));
    wrong
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn the_surest_come_first() {
        let probabilities = [0.6, 0.4, 0.1, 0.9, 0.9, 0.1, 0.2, 0.8, 0.9, 0.1];
        let predictions = Predictions::new(&probabilities, &[1, 0, 0, 0, 1], 2).unwrap();
        let order = |count| worst_mistakes(&predictions, count).iter().map(|m| m.sample).collect::<Vec<_>>();
        assert_eq!(order(9), [1, 4, 3, 0]);
        assert_eq!(order(2), [1, 4]);
        let worst = worst_mistakes(&predictions, 1)[0];
        assert_eq!(
            (worst.label, worst.predicted, worst.confidence, worst.label_probability),
            (0, 1, 0.9, 0.1)
        );
    }

    #[test]
    fn of_several_classes_the_surest_wrong_decision_stands_for_a_sample() {
        let labels = [vec![0], vec![], vec![0, 1]];
        let probabilities = [0.9, 0.2, 0.6, 0.7, 0.1, 0.3];
        let predictions = MultiLabelPredictions::new(&probabilities, &labels, 2).unwrap();
        let found: Vec<_> =
            worst_decisions(&predictions).iter().map(|m| (m.sample, m.class, m.is_there)).collect();
        assert_eq!(found, [(2, 0, true), (1, 1, false)]);
    }
}
