//! Metrics of probabilities: log-loss, calibration, top-k.

use super::Predictions;
use super::scores::most_probable;

/// The mean negative natural logarithm of the true class's probability, as scikit-learn's `log_loss`: probabilities are taken
/// to lie at least f32's epsilon from 0, and rows to sum to 1. 0 without samples.
pub fn log_loss(predictions: &Predictions<'_>) -> f64 {
    let sum: f64 = predictions
        .iter()
        .map(|(row, label)| -f64::from(row[label].clamp(f32::EPSILON, 1.0 - f32::EPSILON)).ln())
        .sum();
    sum / predictions.samples().max(1) as f64
}

/// The expected calibration error in `bins` equal bins of confidence (Guo et al., arXiv 1706.04599, equation 3): the mean
/// distance between confidence and accuracy, weighted by the samples in a bin. A bin holds its upper edge. 0 without samples.
pub fn expected_calibration_error(predictions: &Predictions<'_>, bins: usize) -> f64 {
    let bins = bins.max(1);
    // Sum of confidence minus number right, per bin: its absolute value is samples × distance.
    let mut gaps = vec![0f64; bins];
    for (row, label) in predictions.iter() {
        let guess = most_probable(row);
        let confidence = f64::from(row[guess]);
        let bin = ((confidence * bins as f64).ceil() as usize).clamp(1, bins) - 1;
        gaps[bin] += confidence - f64::from(u8::from(guess == label));
    }
    gaps.iter().map(|gap| gap.abs()).sum::<f64>() / predictions.samples().max(1) as f64
}

/// The part of the samples whose true class is among the `k` most probable; of equals the first classes count as more probable.
/// 0 without samples.
pub fn top_k_accuracy(predictions: &Predictions<'_>, k: usize) -> f64 {
    let found = predictions
        .iter()
        .filter(|&(row, label)| {
            let is_ahead =
                |(class, &value): (usize, &f32)| value > row[label] || (value == row[label] && class < label);
            row.iter().enumerate().filter(|&entry| is_ahead(entry)).count() < k
        })
        .count();
    found as f64 / predictions.samples().max(1) as f64
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    const PROBABILITIES: [f32; 15] =
        [0.7, 0.2, 0.1, 0.1, 0.3, 0.6, 0.4, 0.35, 0.25, 0.05, 0.9, 0.05, 0.31, 0.29, 0.4];
    const LABELS: [usize; 5] = [0, 1, 2, 1, 0];

    #[test]
    fn values_equal_scikit_learn() {
        let predictions = Predictions::new(&PROBABILITIES, &LABELS, 3).unwrap();
        // sklearn 1.9.1: log_loss, top_k_accuracy_score. Calibration by hand, 3 bins: (1/3, 2/3] has 0.6 + 0.4 + 0.4, none
        // right; (2/3, 1] has 0.7 + 0.9, both right; (1.4 + 0.4) / 5.
        assert!((log_loss(&predictions) - 0.844697).abs() < 1e-6, "{}", log_loss(&predictions));
        assert!((expected_calibration_error(&predictions, 3) - 0.36).abs() < 1e-6);
        for (k, expected) in [(0, 0.0), (1, 0.4), (2, 0.8), (3, 1.0), (9, 1.0)] {
            assert!((top_k_accuracy(&predictions, k) - expected).abs() < 1e-12, "top {k}");
        }
    }

    #[test]
    fn certain_mistakes_are_finite_and_nothing_is_zero() {
        let wrong = Predictions::new(&[1.0, 0.0], &[1], 2).unwrap();
        assert!((log_loss(&wrong) - 15.942_385).abs() < 1e-5, "{}", log_loss(&wrong));
        let none = Predictions::new(&[], &[], 2).unwrap();
        assert_eq!(
            (log_loss(&none), expected_calibration_error(&none, 10), top_k_accuracy(&none, 1)),
            (0.0, 0.0, 0.0)
        );
    }
}
