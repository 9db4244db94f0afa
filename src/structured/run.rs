//! What a job leaves: a network, its scores, and everything that is worth keeping of how it came about.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use tk_transfer::audit::AuditReport;
use tk_transfer::data::Quarantine;
use tk_transfer::fit::Fitted;

use super::prepare::Made;
use super::{Card, Scored, Structured, page};
use crate::classify::division::{Leaks, Part};
use crate::classify::trail::Trail;
use crate::classify::{Error, Network, PrecisionLine, Settings, Summary, record};
use crate::report::ReportData;

/// A finished run.
pub struct Run<T: Structured> {
    model: T::Model,
    summary: Summary,
    scored: Option<T::Scored>,
    tested: Option<T::Scored>,
    trail: Trail,
}

/// What a finished run is told from.
pub(super) struct Gathered<'a, T: Structured> {
    pub data: &'a T::Data,
    pub training: &'a Part<'a, T::Data>,
    pub validation: Option<&'a Part<'a, T::Data>>,
    pub test: Option<&'a Part<'a, T::Data>>,
    pub leaks: Leaks,
    pub quarantine: Quarantine,
    pub seconds: BTreeMap<String, f64>,
    pub began: Instant,
}

impl<T: Structured> Run<T> {
    pub(super) fn new(
        prepared: &Made<T>,
        gathered: Gathered<'_, T>,
        fitted: Fitted,
        model: T::Model,
        scored: Option<T::Scored>,
        tested: Option<T::Scored>,
    ) -> Result<Self, Error> {
        let mut summary = summarise(prepared, &gathered, &fitted, [scored.as_ref(), tested.as_ref()]);
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
        Ok(Self { model, summary, scored, tested, trail })
    }

    /// What answers.
    pub fn model(&self) -> &T::Model {
        &self.model
    }

    /// What answers, without the rest.
    pub fn into_model(self) -> T::Model {
        self.model
    }

    /// What was done: all settings, decided.
    pub fn settings(&self) -> &Settings {
        &self.trail.settings
    }

    /// The run in numbers.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Scores on validation samples.
    pub fn validation(&self) -> Option<&T::Scored> {
        self.scored.as_ref()
    }

    /// Scores on test samples.
    pub fn test(&self) -> Option<&T::Scored> {
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

    /// Writes the run's folder: the model as other tools open it, settings, scores, audit, answers, report. Each file is written
    /// aside and renamed; `summary.json` comes last, so a folder that has it is complete.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn save(&self, folder: impl AsRef<Path>) -> Result<(), Error> {
        let (folder, summary) = (folder.as_ref(), &self.summary);
        self.trail.write(folder, summary, &summary.precision, || {
            let details = self.trail.details(folder, [&summary.metrics, &summary.test])?;
            T::save(&self.model, folder, details, &self.card())?;
            for (end, scored) in [("", &self.scored), ("-test", &self.tested)] {
                if let Some(scored) = scored {
                    record::write_lines(&folder.join(format!("{}{end}.jsonl", T::ANSWERS)), &scored.lines())?;
                }
            }
            Ok(())
        })
    }

    /// `README.md`: the model card that other tools show.
    fn card(&self) -> String {
        let summary = &self.summary;
        let Card { front, title, limits, usage } = T::card(summary);
        let head = match summary.head.as_str() {
            "" => String::new(),
            head => format!(" with the head `{head}`,"),
        };
        let mut text = format!(
            "---\n{front}\ntags:\n- transferkit\n---\n# {title}\n\n`{}`{head} adapted to {} {} in {} mode.\n\n",
            summary.model,
            summary.samples["train"],
            T::SAMPLES,
            summary.mode
        );
        for (name, scored) in [("Validation", &self.scored), ("Test", &self.tested)] {
            if let Some(scored) = scored {
                text.push_str(&format!(
                    "## {name}\n\nOn {} {}: {}.\n\n",
                    scored.samples(),
                    T::SAMPLES,
                    scored.line()
                ));
            }
        }
        text.push_str(&format!(
            "## Limits\n\n{limits} The scores hold for {} like those it was measured on.\n\n## Use\n\n{usage} `report.html` tells how it came about.\n",
            T::SAMPLES
        ));
        text
    }
}

fn summarise<T: Structured>(
    prepared: &Made<T>,
    gathered: &Gathered<'_, T>,
    fitted: &Fitted,
    [scored, tested]: [Option<&T::Scored>; 2],
) -> Summary {
    let model = &prepared.model;
    let (total, trained) = prepared.plan.counts(model.graph());
    let count = |part: &Part<'_, T::Data>| part.positions.len();
    let scored_of = |scored: Option<&T::Scored>| scored.map_or(0, Scored::samples);
    let named =
        |pairs: &[(&str, usize)]| pairs.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
    let metrics =
        |scored: Option<&T::Scored>| scored.map(|scored| scored.metrics().clone()).unwrap_or_default();
    Summary {
        task: T::TASK.into(),
        model: model.name().to_owned(),
        mode: prepared.preset.mode.name().to_owned(),
        head: prepared.settings.graft.clone().unwrap_or_default(),
        classes: T::classes(model).to_vec(),
        samples: named(&[
            ("train", count(gathered.training)),
            ("val", scored_of(scored)),
            ("test", scored_of(tested)),
        ]),
        quarantined: gathered.quarantine.len(),
        scored_on: scored.map(|scored| format!("{} {} held out", scored.samples(), T::SAMPLES)),
        metrics: metrics(scored),
        test: metrics(tested),
        intervals: scored.map(|scored| scored.intervals().clone()).unwrap_or_default(),
        parameters: named(&[("total", total), ("trained", trained), ("frozen", total - trained)]),
        seconds: gathered.seconds.clone(),
        cache: BTreeMap::from([("hits".to_owned(), fitted.cache.0), ("misses".to_owned(), fitted.cache.1)]),
        precision: PrecisionLine::all(&fitted.precisions),
        best: fitted.best.clone(),
        seed: prepared.seed(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}
