//! How far probabilities can be trusted: stated confidence against observed accuracy.

use maud::{Markup, html};
use tk_transfer::metrics::{Predictions, expected_calibration_error, most_probable};

use super::chart::{Axis, Chart, Series};
use super::number::{percent, significant};

/// Confidence against accuracy, and the mean distance of the two.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Calibration {
    /// The expected calibration error, 0 to 1.
    pub expected_error: f64,
    /// Bins of confidence that hold samples, by ascending confidence.
    pub bins: Vec<ReliabilityBin>,
}

/// The predictions whose confidence lies in one range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReliabilityBin {
    /// Their mean confidence.
    pub confidence: f64,
    /// The part of them that is right.
    pub accuracy: f64,
    /// How many there are.
    pub samples: usize,
}

impl Calibration {
    /// The calibration of predictions in `bins` equal ranges of confidence (Guo et al., arXiv 1706.04599); a range holds its upper edge.
    pub fn of(predictions: &Predictions<'_>, bins: usize) -> Self {
        let bins = bins.max(1);
        // Sum of confidence, number right, number in all.
        let mut sums = vec![(0f64, 0usize, 0usize); bins];
        for (row, label) in predictions.iter() {
            let guess = most_probable(row);
            let confidence = row.get(guess).copied().map_or(0.0, f64::from);
            let bin = ((confidence * bins as f64).ceil() as usize).clamp(1, bins) - 1;
            if let Some(sum) = sums.get_mut(bin) {
                *sum = (sum.0 + confidence, sum.1 + usize::from(guess == label), sum.2 + 1);
            }
        }
        let filled =
            sums.into_iter().filter(|sum| sum.2 > 0).map(|(confidence, right, samples)| ReliabilityBin {
                confidence: confidence / samples as f64,
                accuracy: right as f64 / samples as f64,
                samples,
            });
        Self { expected_error: expected_calibration_error(predictions, bins), bins: filled.collect() }
    }

    /// Whether predictions are on the whole surer than right, by mean confidence less accuracy.
    fn overconfidence(&self) -> f64 {
        let samples: usize = self.bins.iter().map(|bin| bin.samples).sum();
        let gap: f64 = self.bins.iter().map(|bin| (bin.confidence - bin.accuracy) * bin.samples as f64).sum();
        gap / samples.max(1) as f64
    }
}

/// The error in words, and a diagram where there are bins.
pub(super) fn figure(calibration: &Calibration) -> Markup {
    let leaning = match calibration.overconfidence() {
        gap if gap > 0.01 => "; on the whole the model is surer than it is right",
        gap if gap < -0.01 => "; on the whole the model is righter than it is sure",
        _ => "",
    };
    let points = calibration.bins.iter().map(|bin| (bin.confidence, bin.accuracy)).collect();
    let series = [
        Series { name: "perfect".into(), points: vec![(0.0, 0.0), (1.0, 1.0)], style: "ideal" },
        Series { name: "observed".into(), points, style: "first" },
    ];
    let share = |value: f64| format!("{} %", significant(100.0 * value));
    let chart = Chart {
        label: "Accuracy by confidence",
        x: Axis::around([0.0, 1.0].into_iter(), share),
        y: Axis::around([0.0, 1.0].into_iter(), share),
        series: &series,
        marks: &[],
    };
    html! {
        h3 { "Can the probabilities be believed?" }
        p {
            "Stated confidence and observed accuracy differ by " strong { (percent(calibration.expected_error)) }
            " on average (expected calibration error)" (leaning) "."
        }
        @if !calibration.bins.is_empty() {
            figure.single {
                figcaption { strong { "Accuracy by confidence" } span.key.first { "observed" } span.key.ideal { "perfect" } }
                (chart.draw())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn bins_hold_their_upper_edge_and_agree_with_the_error() {
        let probabilities = [0.5, 0.5, 0.6, 0.4, 0.9, 0.1, 1.0, 0.0];
        let predictions = Predictions::new(&probabilities, &[0, 1, 0, 0], 2).unwrap();
        let calibration = Calibration::of(&predictions, 2);
        let sizes: Vec<_> = calibration.bins.iter().map(|bin| (bin.samples, bin.accuracy)).collect();
        assert_eq!(sizes, [(1, 1.0), (3, 2.0 / 3.0)]);
        let by_bins: f64 = calibration
            .bins
            .iter()
            .map(|bin| (bin.confidence - bin.accuracy).abs() * bin.samples as f64 / 4.0)
            .sum();
        assert!((by_bins - calibration.expected_error).abs() < 1e-12);
        assert!(figure(&calibration).into_string().contains("<svg"));
    }

    #[test]
    fn the_leaning_is_said() {
        for (confidence, expected) in
            [(0.9, "surer than it is right"), (0.5, "righter than"), (0.7, "error).")]
        {
            let bins = vec![ReliabilityBin { confidence, accuracy: 0.7, samples: 10 }];
            let text = figure(&Calibration { expected_error: 0.1, bins }).into_string();
            assert!(text.contains(expected), "{text}");
        }
        let bare = figure(&Calibration { expected_error: 0.1, bins: vec![] }).into_string();
        assert!(!bare.contains("<svg") && bare.contains("10.0"), "{bare}");
    }
}
