//! The confusion matrix and what follows from it.

use serde::{Deserialize, Serialize};

use super::MetricsError;

/// How often samples of one class were taken for another. Row: true class, column: predicted class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confusion {
    classes: usize,
    counts: Vec<u64>,
}

/// The scores of one class. A ratio whose denominator is zero is 0.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassScore {
    /// The part of the predictions of the class that are right.
    pub precision: f64,
    /// The part of the class's samples that were found.
    pub recall: f64,
    /// The harmonic mean of precision and recall.
    pub f1: f64,
    /// How many samples the class has.
    pub samples: u64,
    /// How often it was predicted.
    pub predicted: u64,
}

impl Confusion {
    /// An empty matrix.
    pub fn new(classes: usize) -> Self {
        Self { classes, counts: vec![0; classes * classes] }
    }

    /// The matrix of true and predicted classes.
    ///
    /// # Errors
    /// When the lists have different lengths or an index is not a class.
    pub fn of(classes: usize, labels: &[usize], predicted: &[usize]) -> Result<Self, MetricsError> {
        if labels.len() != predicted.len() {
            return Err(MetricsError::Shape { samples: labels.len(), classes, found: predicted.len() });
        }
        let mut confusion = Self::new(classes);
        for (sample, (&label, &guess)) in labels.iter().zip(predicted).enumerate() {
            if let Some(&class) = [label, guess].iter().find(|&&class| class >= classes) {
                return Err(MetricsError::Class { sample, class, classes });
            }
            confusion.add(label, guess);
        }
        Ok(confusion)
    }

    /// Counts one sample.
    ///
    /// # Panics
    /// When an index is not a class.
    pub fn add(&mut self, label: usize, predicted: usize) {
        let classes = self.classes;
        assert!(label < classes && predicted < classes, "({label}, {predicted}) with {classes} classes");
        self.counts[label * classes + predicted] += 1;
    }

    /// The number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// How often `predicted` was said of samples of class `label`; 0 for what is no class.
    pub fn count(&self, label: usize, predicted: usize) -> u64 {
        if label < self.classes && predicted < self.classes {
            self.counts[label * self.classes + predicted]
        } else {
            0
        }
    }

    /// The rows: for each true class, how often each class was predicted.
    pub fn rows(&self) -> impl Iterator<Item = &[u64]> {
        self.counts.chunks_exact(self.classes.max(1))
    }

    /// The number of samples.
    pub fn samples(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The number of samples that were predicted right.
    pub fn correct(&self) -> u64 {
        (0..self.classes).map(|class| self.count(class, class)).sum()
    }

    /// The part of the samples that were predicted right. With one label per sample this is micro precision, recall and F1 too.
    pub fn accuracy(&self) -> f64 {
        ratio(self.correct(), self.samples())
    }

    /// The scores of each class.
    pub fn per_class(&self) -> Vec<ClassScore> {
        (0..self.classes)
            .map(|class| {
                let right = self.count(class, class);
                let samples = (0..self.classes).map(|other| self.count(class, other)).sum();
                let predicted = (0..self.classes).map(|other| self.count(other, class)).sum();
                let (precision, recall) = (ratio(right, predicted), ratio(right, samples));
                // 2·TP / (2·TP + FP + FN), which needs no case for two zeros.
                ClassScore {
                    precision,
                    recall,
                    f1: ratio(2 * right, samples + predicted),
                    samples,
                    predicted,
                }
            })
            .collect()
    }

    /// The mean F1 over the classes that occur, as true or as predicted class, as scikit-learn's `f1_score(average="macro")`.
    pub fn macro_f1(&self) -> f64 {
        let scores = self.per_class();
        let occurring: Vec<f64> =
            scores.iter().filter(|score| score.samples + score.predicted > 0).map(|score| score.f1).collect();
        if occurring.is_empty() { 0.0 } else { occurring.iter().sum::<f64>() / occurring.len() as f64 }
    }

    /// The mean recall over the classes that have samples.
    pub fn balanced_accuracy(&self) -> f64 {
        let recalls: Vec<f64> =
            self.per_class().iter().filter(|score| score.samples > 0).map(|score| score.recall).collect();
        if recalls.is_empty() { 0.0 } else { recalls.iter().sum::<f64>() / recalls.len() as f64 }
    }

    /// The most frequent class, the first of equals, and the accuracy of always guessing it.
    pub fn majority(&self) -> (usize, f64) {
        let scores = self.per_class();
        let (class, samples) = scores.iter().enumerate().fold((0, 0), |best, (class, score)| {
            if score.samples > best.1 { (class, score.samples) } else { best }
        });
        (class, ratio(samples, self.samples()))
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn scores_equal_scikit_learn() {
        // sklearn 1.9.1: precision_recall_fscore_support, accuracy_score, f1_score(average="macro"), balanced_accuracy_score.
        let labels = [0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 2];
        let predicted = [0, 0, 1, 2, 1, 1, 0, 2, 2, 2, 1, 0];
        let confusion = Confusion::of(4, &labels, &predicted).unwrap();
        assert_eq!(
            confusion.rows().flatten().copied().collect::<Vec<_>>(),
            [2, 1, 1, 0, 1, 2, 0, 0, 1, 1, 3, 0, 0, 0, 0, 0]
        );
        let expected = [
            (0.5, 0.5, 0.5),
            (0.5, 2.0 / 3.0, 0.571_428_571_428_571_4),
            (0.75, 0.6, 2.0 / 3.0),
            (0.0, 0.0, 0.0),
        ];
        for (score, (precision, recall, f1)) in confusion.per_class().into_iter().zip(expected) {
            for (found, expected) in [(score.precision, precision), (score.recall, recall), (score.f1, f1)] {
                assert!((found - expected).abs() < 1e-12, "{score:?}");
            }
        }
        assert!((confusion.accuracy() - 7.0 / 12.0).abs() < 1e-12);
        assert!((confusion.macro_f1() - 0.579_365_079_365_079_4).abs() < 1e-12);
        assert!((confusion.balanced_accuracy() - 0.588_888_888_888_888_9).abs() < 1e-12);
        assert_eq!(confusion.majority(), (2, 5.0 / 12.0));
    }

    #[test]
    fn empty_matrices_score_zero() {
        let confusion = Confusion::new(3);
        assert_eq!((confusion.accuracy(), confusion.macro_f1(), confusion.majority()), (0.0, 0.0, (0, 0.0)));
        assert!(Confusion::of(2, &[0, 1], &[0]).is_err());
        assert_eq!(
            Confusion::of(2, &[0, 1], &[0, 2]),
            Err(MetricsError::Class { sample: 1, class: 2, classes: 2 })
        );
    }
}
