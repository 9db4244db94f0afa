//! What a classifier says of a sample.

use serde::Serialize;
use tk_transfer::classification::Prediction;
use tk_transfer::data::LabelKind;

/// The probability from which on a class is said to be there, where a sample may have several.
const THERE: f32 = 0.5;

/// What a classifier says of a sample.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Guess {
    /// The most probable class.
    pub label: String,
    /// Its probability.
    pub score: f32,
    /// The classes that the sample is said to have, most probable first: the most probable one, or, where classes do not exclude each
    /// other, all with a probability of at least one half, which may be none.
    pub labels: Vec<Found>,
    /// The probability of each class, in the classifier's order.
    pub probabilities: Vec<f32>,
    /// What they are made from.
    pub logits: Vec<f32>,
}

/// A class that a sample is said to have.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Found {
    /// The class.
    pub label: String,
    /// Its probability.
    pub score: f32,
}

impl Guess {
    pub(crate) fn new(classes: &[String], kind: LabelKind, prediction: Prediction) -> Self {
        let found = |(class, score): (usize, f32)| Found {
            label: classes.get(class).cloned().unwrap_or_else(|| class.to_string()),
            score,
        };
        let Found { label, score } = found(prediction.best());
        let labels = match kind {
            LabelKind::Single => vec![Found { label: label.clone(), score }],
            LabelKind::Multi => {
                let ranked = prediction.top(prediction.probabilities.len()).into_iter();
                ranked.take_while(|(_, score)| *score >= THERE).map(found).collect()
            }
        };
        Self { label, score, labels, probabilities: prediction.probabilities, logits: prediction.logits }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_one_or_those_that_are_probable() {
        let classes = ["a", "b", "c"].map(str::to_owned);
        let guess = |kind| Guess::new(&classes, kind, Prediction::of(vec![0.5, -1.0, 2.0], kind));
        let labels = |kind| guess(kind).labels.into_iter().map(|found| found.label).collect::<Vec<_>>();
        assert_eq!(labels(LabelKind::Single), ["c"]);
        assert_eq!(labels(LabelKind::Multi), ["c", "a"]);
        let none = Prediction::of(vec![-1.0; 3], LabelKind::Multi);
        assert!(Guess::new(&classes, LabelKind::Multi, none).labels.is_empty());
    }
}
