//! What a job leaves: a classifier, its scores, and everything that is worth keeping of how it came about.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use tk_transfer::adapt::Outcome;
use tk_transfer::audit::AuditReport;
use tk_transfer::data::{Labelled, Quarantine};
use tk_transfer::fit::{Best, Record};
use tk_transfer::metrics::Interval;
use tk_transfer::probe::Probe;

use super::division::{Leaks, Part};
use super::evaluate::Scored;
use super::fit::Made;
use super::modality::{Modality, Network};
use super::trail::{PrecisionLine, Trail};
use super::{Error, Settings, card, page};
use crate::report::ReportData;

/// A finished run.
pub struct Run<M: Modality> {
    classifier: M::Classifier,
    summary: Summary,
    scored: Option<Scored>,
    tested: Option<Scored>,
    trail: Trail,
}

/// `summary.json`: a run in numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The task.
    pub task: String,
    /// The pretrained model.
    pub model: String,
    /// The mode.
    pub mode: String,
    /// The head.
    pub head: String,
    /// The classes' names.
    pub classes: Vec<String>,
    /// Samples that trained, validated and tested.
    pub samples: BTreeMap<String, usize>,
    /// Files that were set aside.
    pub quarantined: usize,
    /// What the metrics were measured on.
    pub scored_on: Option<String>,
    /// Scores on validation samples or folds, by fixed names.
    pub metrics: BTreeMap<String, f64>,
    /// Scores on test samples.
    pub test: BTreeMap<String, f64>,
    /// 95 % intervals of `metrics`.
    pub intervals: BTreeMap<String, Interval>,
    /// Numbers in parameters: `total`, `trained`, `frozen`.
    pub parameters: BTreeMap<String, usize>,
    /// Seconds: `total`, `load`, `features`, `train`, `evaluate`.
    pub seconds: BTreeMap<String, f64>,
    /// Prefix results that were remembered, and those that were computed.
    pub cache: BTreeMap<String, u64>,
    /// What frozen prefixes ran in, where something else than f32 was asked for.
    #[serde(default)]
    pub precision: Vec<PrecisionLine>,
    /// The epoch whose weights these are, where epochs were compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best: Option<Best>,
    /// The seed.
    pub seed: u64,
    /// The program's version.
    pub version: String,
}

/// What a finished run is told from.
pub(super) struct Gathered<'a, M: Modality> {
    pub data: &'a M::Dataset,
    pub training: &'a Part<'a, M::Dataset>,
    pub validation: Option<&'a Part<'a, M::Dataset>>,
    pub test: Option<&'a Part<'a, M::Dataset>>,
    pub leaks: Leaks,
    pub quarantine: Quarantine,
    pub seconds: BTreeMap<String, f64>,
    pub began: Instant,
}

impl<M: Modality> Run<M> {
    pub(super) fn new(
        prepared: &Made<M>,
        gathered: Gathered<'_, M>,
        outcome: Outcome,
        classifier: M::Classifier,
        scored: Option<Scored>,
        tested: Option<Scored>,
    ) -> Result<Self, Error> {
        let mut summary = summarise(prepared, &gathered, &outcome, scored.as_ref(), tested.as_ref());
        let told = page::Told {
            prepared,
            gathered: &gathered,
            outcome: &outcome,
            scored: scored.as_ref(),
            tested: tested.as_ref(),
        };
        let mut report = page::report(&told, &summary)?;
        summary.seconds.insert("total".into(), gathered.began.elapsed().as_secs_f64());
        report.seconds = summary.seconds.clone();
        let trail = Trail {
            settings: prepared.settings.clone(),
            records: outcome.records,
            audits: outcome.audits,
            quarantine: gathered.quarantine,
            report,
        };
        Ok(Self { classifier, summary, scored, tested, trail })
    }

    /// The classifier.
    pub fn model(&self) -> &M::Classifier {
        &self.classifier
    }

    /// The classifier, without the rest.
    pub fn into_model(self) -> M::Classifier {
        self.classifier
    }

    /// What was done: all settings, decided.
    pub fn settings(&self) -> &Settings {
        &self.trail.settings
    }

    /// The run in numbers.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Scores on validation samples or folds.
    pub fn validation(&self) -> Option<&Scored> {
        self.scored.as_ref()
    }

    /// Scores on test samples.
    pub fn test(&self) -> Option<&Scored> {
        self.tested.as_ref()
    }

    /// One record for each epoch of training.
    pub fn records(&self) -> &[Record] {
        &self.trail.records
    }

    /// What the audit found, one report for each phase.
    pub fn audits(&self) -> &[AuditReport] {
        &self.trail.audits
    }

    /// Files that were set aside, with the reason.
    pub fn quarantine(&self) -> impl Iterator<Item = (&str, &str)> {
        self.trail.quarantine.iter()
    }

    /// What the report tells; the command that made the run is the caller's to add.
    pub fn report_mut(&mut self) -> &mut ReportData {
        &mut self.trail.report
    }

    /// Writes the run's folder: the classifier as other tools open it, settings, scores, audit, report. Each file is written aside and
    /// renamed; `summary.json` comes last, so a folder that has it is complete.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn save(&self, folder: impl AsRef<Path>) -> Result<(), Error> {
        let (folder, summary) = (folder.as_ref(), &self.summary);
        self.trail.write(folder, summary, &summary.precision, || {
            let details = self.trail.details(folder, [&summary.metrics, &summary.test])?;
            M::save(&self.classifier, folder, details, &card::text(self))
        })
    }
}

fn summarise<M: Modality>(
    prepared: &Made<M>,
    gathered: &Gathered<'_, M>,
    outcome: &Outcome,
    scored: Option<&Scored>,
    tested: Option<&Scored>,
) -> Summary {
    let (mut total, mut trained) = prepared.plan.counts(prepared.model.graph());
    if let Some(Probe::Mlp(mlp)) = &outcome.probe {
        // It takes the place of the linear head that the plan knows.
        total -= trained;
        trained =
            [&mlp.hidden, &mlp.output].iter().map(|layer| layer.weight().len() + layer.bias().len()).sum();
        total += trained;
    }
    let validated = match gathered.validation {
        Some(_) => scored.map_or(0, Scored::samples),
        None => 0,
    };
    let named =
        |pairs: &[(&str, usize)]| pairs.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
    Summary {
        task: M::TASK.to_owned(),
        model: prepared.model.name().to_owned(),
        mode: prepared.preset.mode.name().to_owned(),
        head: prepared.preset.head.name().to_owned(),
        classes: gathered.data.classes().to_vec(),
        samples: named(&[
            ("train", outcome.trained_on),
            ("val", validated),
            ("test", tested.map_or(0, Scored::samples)),
        ]),
        quarantined: gathered.quarantine.len(),
        scored_on: scored.map(Scored::scored_on),
        metrics: scored.map(|scored| scored.metrics.clone()).unwrap_or_default(),
        test: tested.map(|scored| scored.metrics.clone()).unwrap_or_default(),
        intervals: scored.map(|scored| scored.intervals.clone()).unwrap_or_default(),
        parameters: named(&[("total", total), ("trained", trained), ("frozen", total - trained)]),
        seconds: gathered.seconds.clone(),
        cache: BTreeMap::from([("hits".to_owned(), outcome.cache.0), ("misses".to_owned(), outcome.cache.1)]),
        precision: PrecisionLine::all(&outcome.precisions),
        best: outcome.best.clone(),
        seed: prepared.seed(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}
