//! Labels that are probably wrong, found by confident learning (Northcutt, Jiang, Chuang, arXiv 1911.00068).
//!
//! The threshold of a class is the mean probability that its own samples get for it. A sample *confidently* belongs to the most
//! probable of the classes whose thresholds it reaches; where that is not its label, the label is suspect (the off-diagonal of the
//! confident joint, section 3.1). Probabilities must be out of fold: a model that learned a wrong label defends it.

use serde::{Deserialize, Serialize};

use super::Predictions;

/// A sample whose label is probably wrong.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Suspect {
    /// The sample's position.
    pub sample: usize,
    /// The label it has.
    pub label: usize,
    /// The class it confidently belongs to.
    pub suggested: usize,
    /// The probability of its label.
    pub label_probability: f32,
    /// The probability of the suggested class.
    pub suggested_probability: f32,
}

/// The samples whose label is suspect, most suspect first: by the margin of the suggested class over the label, then by position.
/// A sample that is still above the threshold of its own class is not listed unless another class above threshold is more probable.
pub fn suspected_labels(out_of_fold: &Predictions<'_>) -> Vec<Suspect> {
    let thresholds = thresholds(out_of_fold);
    let mut suspects: Vec<Suspect> = out_of_fold
        .iter()
        .enumerate()
        .filter_map(|(sample, (row, label))| {
            let suggested = confident_class(row, &thresholds)?;
            (suggested != label && row[suggested] > row[label]).then(|| Suspect {
                sample,
                label,
                suggested,
                label_probability: row[label],
                suggested_probability: row[suggested],
            })
        })
        .collect();
    let margin = |suspect: &Suspect| suspect.suggested_probability - suspect.label_probability;
    suspects.sort_by(|a, b| margin(b).total_cmp(&margin(a)).then(a.sample.cmp(&b.sample)));
    suspects
}

/// Per class the mean probability of the class among samples labelled so; infinite for a class without samples.
fn thresholds(predictions: &Predictions<'_>) -> Vec<f64> {
    let mut sums = vec![(0f64, 0usize); predictions.classes()];
    for (row, label) in predictions.iter() {
        sums[label].0 += f64::from(row[label]);
        sums[label].1 += 1;
    }
    sums.into_iter().map(|(sum, count)| if count == 0 { f64::INFINITY } else { sum / count as f64 }).collect()
}

/// The most probable of the classes whose threshold is reached, the first of equals.
fn confident_class(row: &[f32], thresholds: &[f64]) -> Option<usize> {
    let mut best: Option<(usize, f32)> = None;
    for (class, (&value, &threshold)) in row.iter().zip(thresholds).enumerate() {
        if f64::from(value) >= threshold && best.is_none_or(|(_, most)| value > most) {
            best = Some((class, value));
        }
    }
    best.map(|(class, _)| class)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use tk_engine::random::Stream;

    #[test]
    fn thresholds_decide_and_not_the_largest_probability() {
        // Class 0 is predicted shyly (threshold 0.55), class 1 boldly (threshold 0.725).
        let probabilities = [0.6, 0.4, 0.5, 0.5, 0.55, 0.45, 0.05, 0.95, 0.05, 0.95, 0.1, 0.9, 0.9, 0.1];
        let predictions = Predictions::new(&probabilities, &[0, 0, 0, 1, 1, 1, 1], 2).unwrap();
        let suspects = suspected_labels(&predictions);
        assert_eq!(suspects.len(), 1);
        assert_eq!((suspects[0].sample, suspects[0].label, suspects[0].suggested), (6, 1, 0));
        // 0.6 for class 1 is more than 0.4, but class 1's own samples do better: not confident, not suspect.
        let probabilities = [0.4, 0.6, 0.9, 0.1, 0.1, 0.9, 0.1, 0.9];
        let predictions = Predictions::new(&probabilities, &[0, 0, 1, 1], 2).unwrap();
        assert!(suspected_labels(&predictions).is_empty());
    }

    #[test]
    fn planted_errors_are_found_first() {
        let mut stream = Stream::new(3, &["suspects".into()]);
        let classes = 4;
        let (mut probabilities, mut labels) = (Vec::new(), Vec::new());
        for sample in 0..400 {
            let truth = sample % classes;
            let sureness = stream.range(0.55, 0.95) as f32;
            probabilities.extend(
                (0..classes).map(|class| if class == truth { sureness } else { (1.0 - sureness) / 3.0 }),
            );
            labels.push(if sample % 20 == 7 { (truth + 1) % classes } else { truth });
        }
        let suspects = suspected_labels(&Predictions::new(&probabilities, &labels, classes).unwrap());
        assert!(
            suspects
                .iter()
                .all(|suspect| suspect.sample % 20 == 7 && suspect.suggested == suspect.sample % classes)
        );
        assert!(suspects.len() >= 10, "{} of 20 found", suspects.len());
        assert!(suspects.is_sorted_by(|a, b| {
            a.suggested_probability - a.label_probability >= b.suggested_probability - b.label_probability
        }));
    }
}
