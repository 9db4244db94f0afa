//! What a job leaves: a recogniser, its scores, and everything that is worth keeping of how it came about.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use tk_audio::data::Utterances;
use tk_audio::recognition::Recognizer;
use tk_transfer::audit::AuditReport;
use tk_transfer::checkpoint::Precision;
use tk_transfer::data::Quarantine;
use tk_transfer::fit::{Best, Fitted};
use tk_transfer::metrics::Interval;

use super::prepare::{Made, TASK};
use super::{Scored, page};
use crate::classify::division::{Leaks, Part};
use crate::classify::trail::Trail;
use crate::classify::{Error, PrecisionLine, Settings, record};
use crate::report::ReportData;

/// A finished run.
pub struct Run {
    recognizer: Recognizer,
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
    /// What frames spell, in the order of their numbers.
    pub symbols: Vec<String>,
    /// Recordings that trained, validated and tested.
    pub samples: BTreeMap<String, usize>,
    /// Files that were set aside.
    pub quarantined: usize,
    /// Scores on validation recordings: `wer`, `cer`, the shares of words that were substituted, inserted, deleted, and `empty`.
    pub metrics: BTreeMap<String, f64>,
    /// Scores on test recordings.
    pub test: BTreeMap<String, f64>,
    /// 95 % intervals of `metrics`.
    pub intervals: BTreeMap<String, Interval>,
    /// Numbers in parameters: `total`, `trained`, `frozen`.
    pub parameters: BTreeMap<String, usize>,
    /// Seconds by what they were spent on.
    pub seconds: BTreeMap<String, f64>,
    /// Results of the frozen prefix that were remembered, and those that were computed.
    pub cache: BTreeMap<String, u64>,
    /// What frozen prefixes ran in, where something else than f32 was asked for.
    pub precision: Vec<PrecisionLine>,
    /// The epoch whose weights these are, where epochs were compared.
    pub best: Option<Best>,
    /// The seed.
    pub seed: u64,
    /// The program's version.
    pub version: String,
}

/// What a finished run is told from.
pub(super) struct Gathered<'a> {
    pub data: &'a Utterances,
    pub training: &'a Part<'a, Utterances>,
    pub validation: Option<&'a Part<'a, Utterances>>,
    pub test: Option<&'a Part<'a, Utterances>>,
    pub leaks: Leaks,
    pub quarantine: Quarantine,
    pub seconds: BTreeMap<String, f64>,
    pub began: Instant,
}

impl Run {
    pub(super) fn new(
        prepared: &Made,
        gathered: Gathered<'_>,
        fitted: Fitted,
        recognizer: Recognizer,
        scored: Option<Scored>,
        tested: Option<Scored>,
    ) -> Result<Self, Error> {
        let (total, trained) = prepared.plan.counts(&prepared.model.0.graph);
        let count = |part: Option<&Part<'_, Utterances>>| part.map_or(0, |part| part.positions.len());
        let named = |pairs: &[(&str, usize)]| {
            pairs.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
        };
        let metrics = |scored: &Option<Scored>| {
            scored.as_ref().map(|scored| scored.metrics.clone()).unwrap_or_default()
        };
        let mut summary = Summary {
            task: TASK.into(),
            model: prepared.model.0.name.clone(),
            mode: prepared.preset.mode.name().to_owned(),
            symbols: prepared.model.0.vocabulary.symbols().to_vec(),
            samples: named(&[
                ("train", count(Some(gathered.training))),
                ("val", count(gathered.validation)),
                ("test", count(gathered.test)),
            ]),
            quarantined: gathered.quarantine.len(),
            metrics: metrics(&scored),
            test: metrics(&tested),
            intervals: scored.as_ref().map(|scored| scored.intervals.clone()).unwrap_or_default(),
            parameters: named(&[("total", total), ("trained", trained), ("frozen", total - trained)]),
            seconds: gathered.seconds.clone(),
            cache: BTreeMap::from([
                ("hits".to_owned(), fitted.cache.0),
                ("misses".to_owned(), fitted.cache.1),
            ]),
            precision: PrecisionLine::all(&fitted.precisions),
            best: fitted.best.clone(),
            seed: prepared.seed(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let mut report =
            page::report(prepared, &gathered, &fitted, &summary, [scored.as_ref(), tested.as_ref()])?;
        summary.seconds.insert("total".into(), gathered.began.elapsed().as_secs_f64());
        report.seconds = summary.seconds.clone();
        let trail = Trail {
            settings: prepared.settings.clone(),
            records: fitted.records,
            audits: fitted.audits,
            quarantine: gathered.quarantine,
            report,
        };
        Ok(Self { recognizer, summary, scored, tested, trail })
    }

    /// The recogniser.
    pub fn model(&self) -> &Recognizer {
        &self.recognizer
    }

    /// The recogniser, without the rest.
    pub fn into_model(self) -> Recognizer {
        self.recognizer
    }

    /// What was done: all settings, decided.
    pub fn settings(&self) -> &Settings {
        &self.trail.settings
    }

    /// The run in numbers.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Scores on validation recordings.
    pub fn validation(&self) -> Option<&Scored> {
        self.scored.as_ref()
    }

    /// Scores on test recordings.
    pub fn test(&self) -> Option<&Scored> {
        self.tested.as_ref()
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

    /// Writes the run's folder: the recogniser as transformers opens it, settings, scores, audit, what was heard, report. Each file is written
    /// aside and renamed; `summary.json` comes last, so a folder that has it is complete.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn save(&self, folder: impl AsRef<Path>) -> Result<(), Error> {
        let (folder, summary) = (folder.as_ref(), &self.summary);
        self.trail.write(folder, summary, &summary.precision, || {
            let details = self.trail.details(folder, [&summary.metrics, &summary.test])?;
            self.recognizer.save(folder, Precision::F32, details, &self.card())?;
            for (name, scored) in [("heard.jsonl", &self.scored), ("heard-test.jsonl", &self.tested)] {
                if let Some(scored) = scored {
                    record::write_lines(&folder.join(name), &scored.compared)?;
                }
            }
            Ok(())
        })
    }

    /// `README.md`: the model card that other tools show.
    fn card(&self) -> String {
        let summary = &self.summary;
        let mut text = String::from(
            "---\nlibrary_name: transformers\npipeline_tag: automatic-speech-recognition\ntags:\n- transferkit\n---\n# Speech recognition\n\n",
        );
        text.push_str(&format!(
            "`{}` adapted to {} recordings in {} mode, with CTC over {} symbols.\n\n",
            summary.model,
            summary.samples["train"],
            summary.mode,
            summary.symbols.len()
        ));
        for (name, scored) in [("Validation", &self.scored), ("Test", &self.tested)] {
            if let Some(scored) = scored {
                text.push_str(&format!(
                    "## {name}\n\nOn {} recordings: {}.\n\n",
                    scored.compared.len(),
                    scored.line()
                ));
            }
        }
        text.push_str(
            "## Limits\n\nThe scores hold for recordings like those it was measured on. It spells what it hears, letter by letter, and knows no \
             other symbols than those of `vocab.json`.\n\n## Use\n\n`tk predict FOLDER recording.wav`, or `AutoModelForCTC.from_pretrained(\"FOLDER\")` with \
             `AutoProcessor.from_pretrained(\"FOLDER\")`. `report.html` tells how it came about.\n",
        );
        text
    }
}
