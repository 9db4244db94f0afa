//! Scores of a classifier on samples whose classes are known.

use std::collections::BTreeMap;

use serde::Serialize;
use tk_engine::cpu::Pool;
use tk_transfer::adapt::{Evaluation, Judged, Scoring};
use tk_transfer::data::{LabelKind, Labelled, Labels, Quarantine};
use tk_transfer::metrics::{ClassScore, Interval};

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
    /// The average precision, where a sample may have several classes and some have this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub average_precision: Option<f64>,
}

/// What one gets without looking at the samples.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Baseline {
    /// The score that it is to be compared with.
    pub metric: &'static str,
    /// How it is had.
    pub how: &'static str,
    /// The score.
    pub value: f64,
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
        let precision = self.average_precision()?;
        let scores = self.evaluation.per_class()?.into_iter().enumerate();
        let line = |(class, (position, score)): (&String, (usize, ClassScore))| ClassLine {
            class: class.clone(),
            samples: score.samples,
            precision: score.precision,
            recall: score.recall,
            f1: score.f1,
            average_precision: precision.get(position).copied().flatten(),
        };
        Ok(self.classes.iter().zip(scores).map(line).collect())
    }

    /// The average precision of each class where a sample may have several, `None` for a class that none has; else empty.
    pub(super) fn average_precision(&self) -> Result<Vec<Option<f64>>, Error> {
        Ok(match self.evaluation.judged()? {
            Judged::Single(_) => Vec::new(),
            Judged::Multi(predictions) => predictions.average_precision(),
        })
    }

    /// How often each class (row) was taken for each (column); `None` where a sample may have several classes.
    ///
    /// # Errors
    /// When sizes do not fit.
    pub fn confusion(&self) -> Result<Option<Vec<Vec<u64>>>, Error> {
        Ok(match self.evaluation.judged()? {
            Judged::Single(predictions) => {
                Some(predictions.confusion().rows().map(<[u64]>::to_vec).collect())
            }
            Judged::Multi(_) => None,
        })
    }

    /// Whether a sample may have several classes.
    pub fn kind(&self) -> LabelKind {
        self.evaluation.labels.view().kind()
    }

    /// What one gets without looking: by always saying the commonest class, or by ranking samples at random.
    pub fn baseline(&self) -> Baseline {
        let members = self.evaluation.labels.view().members(self.classes.len());
        let shares: Vec<f64> =
            members.iter().map(|of| of.len() as f64 / self.samples().max(1) as f64).collect();
        match self.kind() {
            LabelKind::Single => Baseline {
                metric: "accuracy",
                how: "majority guess",
                value: shares.into_iter().fold(0.0, f64::max),
            },
            LabelKind::Multi => {
                let there = shares.into_iter().filter(|share| *share > 0.0);
                let count = there.clone().count().max(1) as f64;
                Baseline { metric: "map", how: "random order", value: there.sum::<f64>() / count }
            }
        }
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
    let says = |kind| match kind {
        LabelKind::Single => "one class",
        LabelKind::Multi => "any number of classes",
    };
    if M::kind(classifier) != data.kind() {
        let (model, data) = (says(M::kind(classifier)), says(data.kind()));
        return Err(Error::Misfit(format!("`{root}` gives each sample {data}, the model {model}")));
    }
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
        labels: Labels::none(data.kind()),
        probabilities: Vec::new(),
        classes: known.len(),
    };
    let (mut quarantine, mut files) = (Quarantine::default(), Vec::new());
    M::probabilities(classifier, data, positions, pool, &mut |sample, answer| match answer {
        Ok(probabilities) => {
            evaluation.probabilities.extend(probabilities);
            let of: Vec<usize> = data.labels_of(sample).iter().map(|&class| class_of[class]).collect();
            evaluation.labels.push(&of);
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
