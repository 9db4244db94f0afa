//! The mistakes that were made with most confidence.

use serde::{Deserialize, Serialize};

use super::Predictions;
use super::scores::most_probable;

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
}
