//! Checked probabilities with the true classes beside them: what most metrics take.

use super::Confusion;

/// Something wrong with what a metric was given.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum MetricsError {
    /// Rows and labels do not fit.
    #[error("{found} probabilities are not rows of {classes} classes for {samples} samples")]
    Shape {
        /// The number of labels.
        samples: usize,
        /// The number of classes.
        classes: usize,
        /// The number of probabilities.
        found: usize,
    },
    /// A label or prediction outside the classes.
    #[error("sample {sample}: class {class} is not one of the {classes} classes (0 to {})", classes.saturating_sub(1))]
    Class {
        /// The sample's position.
        sample: usize,
        /// The class index.
        class: usize,
        /// The number of classes.
        classes: usize,
    },
    /// A probability that is not a number between 0 and 1.
    #[error("sample {sample}, class {class}: probability {value} is not between 0 and 1")]
    Probability {
        /// The sample's position.
        sample: usize,
        /// The class index.
        class: usize,
        /// What was found.
        value: f32,
    },
}

/// Probabilities `[samples, classes]` and the true class of each sample.
#[derive(Clone, Copy, Debug)]
pub struct Predictions<'a> {
    probabilities: &'a [f32],
    labels: &'a [usize],
    classes: usize,
}

impl<'a> Predictions<'a> {
    /// Rows of probabilities, `[samples, classes]`, and the true classes, `[samples]`.
    ///
    /// # Errors
    /// When sizes do not fit, a label is not a class, or a probability is not in 0 to 1.
    pub fn new(probabilities: &'a [f32], labels: &'a [usize], classes: usize) -> Result<Self, MetricsError> {
        let (samples, found) = (labels.len(), probabilities.len());
        if classes == 0 || found != samples * classes {
            return Err(MetricsError::Shape { samples, classes, found });
        }
        if let Some((sample, &class)) = labels.iter().enumerate().find(|&(_, &label)| label >= classes) {
            return Err(MetricsError::Class { sample, class, classes });
        }
        // Sums of rounded exponentials may pass 1 by a little.
        let is_outside = |value: f32| !(0.0..=1.0 + 1e-4).contains(&value);
        if let Some((index, &value)) = probabilities.iter().enumerate().find(|&(_, &value)| is_outside(value))
        {
            return Err(MetricsError::Probability { sample: index / classes, class: index % classes, value });
        }
        Ok(Self { probabilities, labels, classes })
    }

    /// Each sample's probabilities and true class.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&'a [f32], usize)> {
        self.probabilities.chunks_exact(self.classes).zip(self.labels.iter().copied())
    }

    /// The number of samples.
    pub fn samples(&self) -> usize {
        self.labels.len()
    }

    /// The number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The true classes, `[samples]`.
    pub fn labels(&self) -> &'a [usize] {
        self.labels
    }

    /// How often each class was taken for each.
    pub fn confusion(&self) -> Confusion {
        let mut confusion = Confusion::new(self.classes);
        self.iter().for_each(|(row, label)| confusion.add(label, most_probable(row)));
        confusion
    }

    /// Each sample's most probable class, the first of equals.
    pub fn predicted(&self) -> Vec<usize> {
        self.iter().map(|(row, _)| most_probable(row)).collect()
    }
}

/// The position of the largest value, the first of equals; 0 for an empty row.
pub fn most_probable(row: &[f32]) -> usize {
    row.iter()
        .enumerate()
        .fold(
            (0, f32::NEG_INFINITY),
            |best, (class, &value)| {
                if value > best.1 { (class, value) } else { best }
            },
        )
        .0
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn what_does_not_fit_is_an_error() {
        let cases: [(&[f32], &[usize], usize, &str); 6] = [
            (&[0.5, 0.5, 1.0], &[0, 1], 2, "3 probabilities are not rows of 2 classes for 2 samples"),
            (&[], &[], 0, "0 probabilities are not rows of 0 classes for 0 samples"),
            (&[0.5, 0.5], &[2], 2, "sample 0: class 2 is not one of the 2 classes (0 to 1)"),
            (
                &[1.0, 0.0, f32::NAN, 0.0],
                &[0, 1],
                2,
                "sample 1, class 0: probability NaN is not between 0 and 1",
            ),
            (&[1.0, -0.5], &[0], 2, "sample 0, class 1: probability -0.5 is not between 0 and 1"),
            (&[2.0, 0.5], &[0], 2, "sample 0, class 0: probability 2 is not between 0 and 1"),
        ];
        for (probabilities, labels, classes, message) in cases {
            assert_eq!(Predictions::new(probabilities, labels, classes).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn the_first_of_equals_is_predicted() {
        let predictions = Predictions::new(&[0.2, 0.4, 0.4, 0.5, 0.5, 0.0], &[0, 0], 3).unwrap();
        assert_eq!(predictions.predicted(), [1, 0]);
    }
}
