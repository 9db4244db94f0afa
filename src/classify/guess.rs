//! What a classifier says of a sample.

use serde::Serialize;
use tk_transfer::classification::Prediction;

/// What a classifier says of a sample.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Guess {
    /// The most probable class.
    pub label: String,
    /// Its probability.
    pub score: f32,
    /// The probability of each class, in the classifier's order.
    pub probabilities: Vec<f32>,
    /// What they are made from.
    pub logits: Vec<f32>,
}

impl Guess {
    pub(crate) fn new(classes: &[String], prediction: Prediction) -> Self {
        let (best, score) = prediction.best();
        let label = classes.get(best).cloned().unwrap_or_else(|| best.to_string());
        Self { label, score, probabilities: prediction.probabilities, logits: prediction.logits }
    }
}
