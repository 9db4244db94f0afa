//! What adapting leaves, and what goes wrong.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tk_engine::{EngineError, Parameters};

use crate::audit::{AuditReport, Violation};
use crate::data::DataError;
use crate::fit::{Best, FitError, Record};
use crate::metrics::interval::Bootstrap;
use crate::metrics::{Confusion, Interval, MetricsError, Predictions, bootstrap_macro_f1, wilson_interval};
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
    pub labels: Vec<usize>,
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

impl Evaluation {
    /// The predictions, checked.
    ///
    /// # Errors
    /// When sizes do not fit.
    pub fn predictions(&self) -> Result<Predictions<'_>, MetricsError> {
        Predictions::new(&self.probabilities, &self.labels, self.classes)
    }

    /// The confusion matrix.
    ///
    /// # Errors
    /// When sizes do not fit.
    pub fn confusion(&self) -> Result<Confusion, MetricsError> {
        Confusion::of(self.classes, &self.labels, &self.predictions()?.predicted())
    }

    /// Scores by their fixed names, and the 95 % interval of each that has one.
    ///
    /// # Errors
    /// When sizes do not fit.
    pub fn scores(&self, seed: u64) -> Result<(Scores, Intervals), MetricsError> {
        let confusion = self.confusion()?;
        let scores = BTreeMap::from([
            ("accuracy".to_owned(), confusion.accuracy()),
            ("macro_f1".to_owned(), confusion.macro_f1()),
        ]);
        let predicted = self.predictions()?.predicted();
        let bootstrap = Bootstrap { seed, ..Bootstrap::default() };
        let intervals = BTreeMap::from([
            ("accuracy".to_owned(), wilson_interval(confusion.correct(), confusion.samples(), 0.95)),
            ("macro_f1".to_owned(), bootstrap_macro_f1(self.classes, &self.labels, &predicted, bootstrap)?),
        ]);
        Ok((scores, intervals))
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
