//! What a job leaves: a classifier, its scores, and everything that is worth keeping of how it came about.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use tk_transfer::adapt::Outcome;
use tk_transfer::atomic::write_bytes_atomic;
use tk_transfer::audit::AuditReport;
use tk_transfer::data::{Labelled, Quarantine};
use tk_transfer::fit::{Best, Record};
use tk_transfer::metrics::Interval;
use tk_transfer::prefix::PrecisionReport;
use tk_transfer::probe::Probe;

use super::division::{Leaks, Part};
use super::evaluate::Scored;
use super::fit::Made;
use super::modality::{Modality, Network};
use super::{Error, Settings, card, page, record};
use crate::report::ReportData;

/// A finished run.
pub struct Run<M: Modality> {
    classifier: M::Classifier,
    settings: Settings,
    summary: Summary,
    scored: Option<Scored>,
    tested: Option<Scored>,
    records: Vec<Record>,
    audits: Vec<AuditReport>,
    quarantine: Quarantine,
    report: ReportData,
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

/// What a frozen prefix ran in, for people and for programs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PrecisionLine {
    /// In one line.
    pub line: String,
    /// The same in parts.
    #[serde(flatten)]
    pub report: PrecisionReport,
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
        Ok(Self {
            classifier,
            settings: prepared.settings.clone(),
            summary,
            scored,
            tested,
            records: outcome.records,
            audits: outcome.audits,
            quarantine: gathered.quarantine,
            report,
        })
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
        &self.settings
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
        &self.records
    }

    /// What the audit found, one report for each phase.
    pub fn audits(&self) -> &[AuditReport] {
        &self.audits
    }

    /// Files that were set aside, with the reason.
    pub fn quarantine(&self) -> impl Iterator<Item = (&str, &str)> {
        self.quarantine.iter()
    }

    /// What the report tells; the command that made the run is the caller's to add.
    pub fn report_mut(&mut self) -> &mut ReportData {
        &mut self.report
    }

    /// Writes the run's folder: the classifier as other tools open it, settings, scores, audit, report. Each file is written aside and
    /// renamed; `summary.json` comes last, so a folder that has it is complete.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn save(&self, folder: impl AsRef<Path>) -> Result<(), Error> {
        let folder = folder.as_ref();
        record::make_folder(folder)?;
        let remarks = self.summary.precision.iter().map(|found| format!("precision: {}", found.line));
        record::write_settings(folder, &self.settings, remarks)?;
        M::save(&self.classifier, folder, self.details(folder)?, &card::text(self))?;
        record::write_metrics(folder, &self.records)?;
        record::write_json(&folder.join("freeze.json"), &self.audits)?;
        if !self.quarantine.is_empty() {
            record::write_json(&folder.join("quarantine.json"), &self.quarantine)?;
        }
        write_bytes_atomic(&folder.join("report.html"), crate::report::render(&self.report).as_bytes())?;
        record::write_json(&folder.join("summary.json"), &self.summary)?;
        let state = record::state_path(folder);
        match std::fs::remove_file(&state) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::Folder { path: state, reason: format!("cannot be removed: {error}") })
            }
            _ => Ok(()),
        }
    }

    /// What only this toolkit knows of the run.
    fn details(&self, folder: &Path) -> Result<serde_json::Map<String, serde_json::Value>, Error> {
        let fail =
            |error: serde_json::Error| Error::Folder { path: folder.to_owned(), reason: error.to_string() };
        let mut fields = serde_json::Map::new();
        fields.insert("settings".into(), serde_json::to_value(&self.settings).map_err(fail)?);
        fields.insert("metrics".into(), serde_json::to_value(&self.summary.metrics).map_err(fail)?);
        fields.insert("test".into(), serde_json::to_value(&self.summary.test).map_err(fail)?);
        Ok(fields)
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
        precision: outcome
            .precisions
            .iter()
            .map(|report| PrecisionLine { line: report.to_string(), report: report.clone() })
            .collect(),
        best: outcome.best.clone(),
        seed: prepared.seed(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}
