//! What `report.html` tells of a run, gathered.

use tk_transfer::data::{Labelled, Quarantined};
use tk_transfer::fit::Fitted;

use super::prepare::Made;
use super::run::Gathered;
use super::{Scored, Structured};
use crate::classify::division::Parts;
use crate::classify::outlook::data_line;
use crate::classify::page::{groups, model_part};
use crate::classify::{Error, Summary};
use crate::report::{CacheCount, DataPart, ReportData, Scores};

/// Fewer scored samples than this say little.
const FEW: usize = 100;

/// The report of a run. The command and what to do next are added by those who know them.
pub(super) fn report<T: Structured>(
    prepared: &Made<T>,
    gathered: &Gathered<'_, T>,
    fitted: &Fitted,
    summary: &Summary,
    [validated, tested]: [Option<&T::Scored>; 2],
) -> Result<ReportData, Error> {
    let root = gathered.data.root();
    let name = root.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let scores = |scored: Option<&T::Scored>, what: &str| {
        scored.map(|scored| Scores {
            scored_on: format!("{} {what} {}: {}", scored.samples(), T::SAMPLES, scored.line()),
            headline: scored.headline().into(),
            metrics: scored.metrics().clone(),
            intervals: scored.intervals().clone(),
            ..Scores::default()
        })
    };
    let judged = match tested {
        Some(scored) => Some((scored, gathered.test)),
        None => validated.map(|scored| (scored, gathered.validation)),
    };
    let parts = [&summary.model, &summary.head, &summary.mode];
    let title: Vec<&str> = parts.into_iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
    let mut report = ReportData {
        title: format!("{name}: {}", title.join(" ")),
        version: summary.version.clone(),
        seed: summary.seed,
        remarks: remarks(gathered, fitted, [validated, tested]),
        validation: scores(validated, "validation"),
        test: scores(tested, "test"),
        records: fitted.records.clone(),
        data: data_part(prepared, gathered),
        model: Some(model_part(prepared, &fitted.precisions)),
        audits: fitted.audits.clone(),
        settings: groups(&prepared.settings)?,
        cache: Some(CacheCount { hits: fitted.cache.0, misses: fitted.cache.1 }),
        ..ReportData::default()
    };
    if let Some((scored, Some(part))) = judged {
        T::show(scored, part, &summary.classes, &mut report);
    }
    Ok(report)
}

/// What a reader must know before believing the score.
fn remarks<T: Structured>(
    gathered: &Gathered<'_, T>,
    fitted: &Fitted,
    [validated, tested]: [Option<&T::Scored>; 2],
) -> Vec<String> {
    let mut remarks: Vec<String> =
        gathered.leaks.lines().into_iter().map(|line| format!("{line}: the score flatters.")).collect();
    if tested.or(validated).is_some_and(|scored| scored.samples() < FEW) {
        remarks.push(format!(
            "Fewer than {FEW} {} were scored: the interval says how little that is.",
            T::SAMPLES
        ));
    }
    remarks.extend(tested.or(validated).and_then(Scored::remark).map(str::to_owned));
    if let Some(best) = &fitted.best {
        let end = match tested {
            Some(_) => format!("; the test {} chose nothing.", T::SAMPLES),
            None => ", so their score flatters a little.".to_owned(),
        };
        let (epoch, metric) = (best.epoch, &best.metric);
        remarks.push(format!(
            "The weights are those of epoch {epoch}, the best by {metric} on the validation {}{end}",
            T::SAMPLES
        ));
    }
    remarks
}

fn data_part<T: Structured>(prepared: &Made<T>, gathered: &Gathered<'_, T>) -> DataPart {
    let divided = Parts {
        training: gathered.training.clone(),
        validation: gathered.validation.cloned(),
        test: gathered.test.cloned(),
        leaks: gathered.leaks,
    };
    let quarantine = gathered.quarantine.iter();
    DataPart {
        summary: data_line(gathered.data, &divided, &prepared.division.validation),
        notes: T::notes(gathered.data),
        quarantine: quarantine
            .map(|(id, reason)| Quarantined { id: id.into(), reason: reason.into() })
            .collect(),
        ..DataPart::default()
    }
}
