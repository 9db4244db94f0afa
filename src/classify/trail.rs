//! What every run keeps of how it came about, beside its model and its scores.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tk_transfer::atomic::write_bytes_atomic;
use tk_transfer::audit::AuditReport;
use tk_transfer::data::Quarantine;
use tk_transfer::fit::Record;
use tk_transfer::prefix::PrecisionReport;

use super::{Error, Settings, record};
use crate::report::ReportData;

/// How a run came about.
pub(crate) struct Trail {
    pub settings: Settings,
    pub records: Vec<Record>,
    pub audits: Vec<AuditReport>,
    pub quarantine: Quarantine,
    pub report: ReportData,
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

impl PrecisionLine {
    /// Those of all frozen prefixes.
    pub(crate) fn all(reports: &[PrecisionReport]) -> Vec<Self> {
        let line = |report: &PrecisionReport| Self { line: report.to_string(), report: report.clone() };
        reports.iter().map(line).collect()
    }
}

impl Trail {
    /// Writes a run's folder: settings, what `model` writes, epochs, audit, what was set aside, report. Each file is written aside and
    /// renamed; `summary.json` comes last, so a folder that has it is complete.
    pub fn write(
        &self,
        folder: &Path,
        summary: &impl Serialize,
        precision: &[PrecisionLine],
        model: impl FnOnce() -> Result<(), Error>,
    ) -> Result<(), Error> {
        record::make_folder(folder)?;
        let remarks = precision.iter().map(|found| format!("precision: {}", found.line));
        record::write_settings(folder, &self.settings, remarks)?;
        model()?;
        record::write_metrics(folder, &self.records)?;
        record::write_json(&folder.join("freeze.json"), &self.audits)?;
        if !self.quarantine.is_empty() {
            record::write_json(&folder.join("quarantine.json"), &self.quarantine)?;
        }
        write_bytes_atomic(&folder.join("report.html"), crate::report::render(&self.report).as_bytes())?;
        record::write_json(&folder.join("summary.json"), summary)?;
        let state = record::state_path(folder);
        match std::fs::remove_file(&state) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::Folder { path: state, reason: format!("cannot be removed: {error}") })
            }
            _ => Ok(()),
        }
    }

    /// What only this toolkit knows of a run, for `transfer.json`.
    pub fn details(
        &self,
        folder: &Path,
        [metrics, test]: [&BTreeMap<String, f64>; 2],
    ) -> Result<Map<String, Value>, Error> {
        let mut fields = Map::new();
        let settings = serde_json::to_value(&self.settings).map_err(|error| record::not_json(&error, folder));
        fields.insert("settings".into(), settings?);
        for (name, scores) in [("metrics", metrics), ("test", test)] {
            fields.insert(name.into(), scores.iter().map(|(name, &score)| (name.clone(), score)).collect());
        }
        Ok(fields)
    }
}
