//! Scores of a classifier on samples whose classes are known.

use std::collections::BTreeMap;

use serde::Serialize;
use tk_engine::cpu::Pool;
use tk_transfer::adapt::{Evaluation, Scoring};
use tk_transfer::data::{Labelled, Quarantine};
use tk_transfer::metrics::Interval;

use super::Error;
use super::modality::Modality;

/// Predictions beside the truth, and how good they are.
#[derive(Clone, Debug)]
pub struct Scored {
    /// The classes' names.
    pub classes: Vec<String>,
    /// What the samples are called, such as files relative to their data.
    pub files: Vec<String>,
    /// What several samples are called.
    samples: &'static str,
    pub(super) evaluation: Evaluation,
    /// Scores by their fixed names.
    pub metrics: BTreeMap<String, f64>,
    /// The 95 % interval of each score that has one.
    pub intervals: BTreeMap<String, Interval>,
}

/// The scores of a class.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassLine {
    /// The class.
    pub class: String,
    /// Its samples.
    pub samples: u64,
    /// The part of what was said to be of the class that is.
    pub precision: f64,
    /// The part of the class that was found.
    pub recall: f64,
    /// The harmonic mean of both.
    pub f1: f64,
}

impl Scored {
    pub(super) fn new<M: Modality>(
        classes: &[String],
        files: Vec<String>,
        evaluation: Evaluation,
        seed: u64,
    ) -> Result<Self, Error> {
        let (metrics, intervals) = evaluation.scores(seed)?;
        Ok(Self { classes: classes.to_vec(), files, samples: M::SAMPLES, evaluation, metrics, intervals })
    }

    /// The number of samples.
    pub fn samples(&self) -> usize {
        self.evaluation.labels.len()
    }

    /// Where the predictions come from, in words.
    pub fn scored_on(&self) -> String {
        match self.evaluation.scoring {
            Scoring::Held => format!("{} {} held out", self.samples(), self.samples),
            Scoring::Folds(folds) => format!("{folds} folds of {} {}", self.samples(), self.samples),
        }
    }

    /// The scores of each class.
    ///
    /// # Errors
    /// When sizes do not fit.
    pub fn per_class(&self) -> Result<Vec<ClassLine>, Error> {
        let scores = self.evaluation.confusion()?.per_class();
        let line = |(class, score): (&String, tk_transfer::metrics::ClassScore)| ClassLine {
            class: class.clone(),
            samples: score.samples,
            precision: score.precision,
            recall: score.recall,
            f1: score.f1,
        };
        Ok(self.classes.iter().zip(scores).map(line).collect())
    }

    /// How often each class (row) was taken for each (column).
    ///
    /// # Errors
    /// When sizes do not fit.
    pub fn confusion(&self) -> Result<Vec<Vec<u64>>, Error> {
        Ok(self.evaluation.confusion()?.rows().map(<[u64]>::to_vec).collect())
    }

    /// The share of the commonest class: what one gets for always saying it.
    pub fn majority(&self) -> f64 {
        let mut counts = vec![0usize; self.classes.len()];
        self.evaluation.labels.iter().for_each(|&label| counts[label] += 1);
        counts.into_iter().max().unwrap_or(0) as f64 / self.samples().max(1) as f64
    }
}

/// Scores a classifier on samples of a data set, whose classes are found by name. What cannot be read is set aside.
///
/// # Errors
/// When the data has a class that the classifier does not know, or nothing can be read.
pub fn evaluate<M: Modality>(
    classifier: &M::Classifier,
    data: &M::Dataset,
    positions: &[usize],
    pool: &Pool,
) -> Result<(Scored, Quarantine), Error> {
    let known = M::classes(classifier);
    let root = data.root().display();
    let mut class_of = Vec::with_capacity(data.classes().len());
    for class in data.classes() {
        let Some(position) = known.iter().position(|known| known == class) else {
            let known = known.join(", ");
            return Err(Error::Misfit(format!("`{root}` has the class `{class}`, the model knows {known}")));
        };
        class_of.push(position);
    }
    let mut evaluation = Evaluation {
        scoring: Scoring::Held,
        samples: Vec::new(),
        labels: Vec::new(),
        probabilities: Vec::new(),
        classes: known.len(),
    };
    let (mut quarantine, mut files) = (Quarantine::default(), Vec::new());
    M::probabilities(classifier, data, positions, pool, &mut |sample, answer| match answer {
        Ok(probabilities) => {
            evaluation.probabilities.extend(probabilities);
            evaluation.labels.push(class_of[data.class(sample)]);
            evaluation.samples.push(sample);
            files.push(data.name(sample));
        }
        Err(reason) => quarantine.add(data.name(sample), reason),
    })?;
    if evaluation.labels.is_empty() {
        return Err(Error::Misfit(format!("none of the {} in `{root}` can be read", M::SAMPLES)));
    }
    Ok((Scored::new::<M>(known, files, evaluation, 0)?, quarantine))
}
