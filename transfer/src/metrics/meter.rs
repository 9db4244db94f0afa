//! Collecting the predictions of one pass over a data set, batch by batch.

use super::{Confusion, MetricsError, Predictions};

/// The probabilities and true classes of the samples seen so far, in the order in which they came.
#[derive(Clone, Debug, Default)]
pub struct ClassificationMeter {
    classes: usize,
    probabilities: Vec<f32>,
    labels: Vec<usize>,
    loss_sum: f64,
    loss_weight: f64,
}

impl ClassificationMeter {
    /// An empty meter.
    pub fn new(classes: usize) -> Self {
        Self { classes, ..Self::default() }
    }

    /// Adds a batch: probabilities `[samples, classes]` and true classes `[samples]`.
    ///
    /// # Errors
    /// When sizes do not fit, a label is not a class, or a probability is not in 0 to 1; nothing is added then.
    pub fn add(&mut self, probabilities: &[f32], labels: &[usize]) -> Result<(), MetricsError> {
        Predictions::new(probabilities, labels, self.classes)?;
        self.probabilities.extend_from_slice(probabilities);
        self.labels.extend_from_slice(labels);
        Ok(())
    }

    /// Adds a batch's mean loss with its weight, usually the number of targets.
    pub fn add_loss(&mut self, mean: f64, weight: f64) {
        self.loss_sum += mean * weight;
        self.loss_weight += weight;
    }

    /// The weighted mean of the losses; none before the first.
    pub fn loss(&self) -> Option<f64> {
        (self.loss_weight > 0.0).then(|| self.loss_sum / self.loss_weight)
    }

    /// Everything seen, for the metrics of this module.
    ///
    /// # Errors
    /// When the meter was made for no classes at all.
    pub fn predictions(&self) -> Result<Predictions<'_>, MetricsError> {
        Predictions::new(&self.probabilities, &self.labels, self.classes)
    }

    /// The confusion matrix of everything seen.
    ///
    /// # Errors
    /// As [`predictions`](Self::predictions).
    pub fn confusion(&self) -> Result<Confusion, MetricsError> {
        Confusion::of(self.classes, &self.labels, &self.predictions()?.predicted())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn batches_add_up_to_the_whole() {
        let mut meter = ClassificationMeter::new(2);
        assert_eq!(meter.loss(), None);
        meter.add(&[0.9, 0.1, 0.4, 0.6], &[0, 0]).unwrap();
        meter.add_loss(0.5, 2.0);
        assert!(meter.add(&[0.9, 0.1], &[2]).is_err());
        meter.add(&[0.2, 0.8], &[1]).unwrap();
        meter.add_loss(0.2, 1.0);
        assert_eq!(meter.predictions().unwrap().labels(), [0, 0, 1]);
        assert_eq!((meter.confusion().unwrap().correct(), meter.confusion().unwrap().samples()), (2, 3));
        assert!((meter.loss().unwrap() - 0.4).abs() < 1e-12);
    }
}
