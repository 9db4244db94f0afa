//! What adapting leaves, and what goes wrong.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tk_engine::{EngineError, Parameters};

use crate::audit::{AuditReport, Violation};
use crate::data::{DataError, Labels};
use crate::fit::{Best, FitError, Record};
use crate::metrics::interval::Bootstrap;
use crate::metrics::{
    ClassScore, Interval, MetricsError, MultiLabelPredictions, MultiLabelScores, Predictions,
    bootstrap_macro_f1, wilson_interval,
};
use crate::prefix::{PrecisionReport, PrefixError};
use crate::probe::{CrossValidation, Probe, ProbeError};

/// What adapting leaves.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// All values. With a hidden-layer probe those of its head are in `probe` alone.
    pub parameters: Parameters,
    /// The probe, in features mode.
    pub probe: Option<Probe>,
    /// How the strength of a linear probe was chosen.
    pub choice: Option<CrossValidation>,
    /// The scores on validation samples or folds, where there were any.
    pub evaluation: Option<Evaluation>,
    /// One record for each epoch of fine-tuning.
    pub records: Vec<Record>,
    /// The epoch whose weights these are, where epochs were compared.
    pub best: Option<Best>,
    /// One report for each phase.
    pub audits: Vec<AuditReport>,
    /// Prefix results that were remembered, and those that were computed.
    pub cache: (u64, u64),
    /// What each frozen prefix ran in, where something else than f32 was asked for.
    pub precisions: Vec<PrecisionReport>,
    /// Seconds by what they were spent on.
    pub seconds: BTreeMap<String, f64>,
    /// Training samples that could be read.
    pub trained_on: usize,
}

/// Scores by their fixed names.
pub type Scores = BTreeMap<String, f64>;

/// The 95 % intervals of scores, by name.
pub type Intervals = BTreeMap<String, Interval>;

/// Predictions on samples that did not train what predicted them.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// Where they come from.
    pub scoring: Scoring,
    /// The positions of the samples in their source.
    pub samples: Vec<usize>,
    /// Their classes.
    pub labels: Labels,
    /// `[samples, classes]`
    pub probabilities: Vec<f32>,
    /// The count of classes.
    pub classes: usize,
}

/// Where predictions come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scoring {
    /// Samples held out for validation.
    Held,
    /// Folds of the training samples: each was predicted by a probe that did not see it.
    Folds(usize),
}

/// Predictions by what samples are labelled with.
#[derive(Clone, Copy, Debug)]
pub enum Judged<'a> {
    /// One class each.
    Single(Predictions<'a>),
    /// Any number of classes each.
    Multi(MultiLabelPredictions<'a>),
}

impl Evaluation {
    /// The predictions, checked.
    ///
    /// # Errors
    /// When sizes do not fit.
    pub fn judged(&self) -> Result<Judged<'_>, MetricsError> {
        let (probabilities, classes) = (&self.probabilities, self.classes);
        Ok(match &self.labels {
            Labels::Single(labels) => Judged::Single(Predictions::new(probabilities, labels, classes)?),
            Labels::Multi(labels) => {
                Judged::Multi(MultiLabelPredictions::new(probabilities, labels, classes)?)
            }
        })
    }

    /// The scores of each class.
    ///
    /// # Errors
    /// When sizes do not fit.
    pub fn per_class(&self) -> Result<Vec<ClassScore>, MetricsError> {
        Ok(match self.judged()? {
            Judged::Single(predictions) => predictions.confusion().per_class(),
            Judged::Multi(predictions) => predictions.per_class(),
        })
    }

    /// Scores by their fixed names, and the 95 % interval of each that has one.
    ///
    /// # Errors
    /// When sizes do not fit.
    pub fn scores(&self, seed: u64) -> Result<(Scores, Intervals), MetricsError> {
        let bootstrap = Bootstrap { seed, ..Bootstrap::default() };
        let named = |[first, second]: [(&str, f64, Interval); 2]| {
            let scores = [(first.0.to_owned(), first.1), (second.0.to_owned(), second.1)];
            let intervals = [(first.0.to_owned(), first.2), (second.0.to_owned(), second.2)];
            (BTreeMap::from(scores), BTreeMap::from(intervals))
        };
        match self.judged()? {
            Judged::Single(predictions) => {
                let confusion = predictions.confusion();
                let of_hits = wilson_interval(confusion.correct(), confusion.samples(), 0.95);
                let (labels, predicted) = (predictions.labels(), predictions.predicted());
                let of_f1 = bootstrap_macro_f1(self.classes, labels, &predicted, bootstrap)?;
                Ok(named([
                    ("accuracy", confusion.accuracy(), of_hits),
                    ("macro_f1", confusion.macro_f1(), of_f1),
                ]))
            }
            Judged::Multi(predictions) => {
                let MultiLabelScores { map, micro_f1 } = predictions.scores();
                let [of_map, of_f1] = predictions.intervals(bootstrap);
                Ok(named([("map", map, of_map), ("micro_f1", micro_f1, of_f1)]))
            }
        }
    }
}

/// How far adapting has come. Read-only.
#[derive(Clone, Debug)]
pub enum Progress<'a> {
    /// It was found what a frozen prefix runs in, where something else than f32 was asked for.
    Precision(&'a PrecisionReport),
    /// Features were extracted.
    Features {
        /// Samples so far.
        done: usize,
        /// Samples in all.
        total: usize,
    },
    /// A probe is being fitted on this many samples.
    Probe {
        /// The samples.
        samples: usize,
    },
    /// Fine-tuning went on.
    Fit(&'a crate::fit::Event<'a>),
}

/// What stops adapting.
#[derive(Debug, thiserror::Error)]
pub enum AdaptError {
    /// No training sample could be read.
    #[error("none of the {0} training samples could be read")]
    NothingReadable(usize),
    /// Stopped from outside while features were extracted; what was computed is in the cache.
    #[error("interrupted while extracting features; run again to go on")]
    Interrupted,
    /// Fine-tuning stopped.
    #[error(transparent)]
    Fit(#[from] FitError),
    /// A probe cannot be fitted.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// The data cannot be divided.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The prefix cache failed.
    #[error(transparent)]
    Prefix(#[from] PrefixError),
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Predictions cannot be scored.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// The audit found a broken promise.
    #[error(transparent)]
    Audit(#[from] Violation),
}
