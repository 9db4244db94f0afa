//! What `report.html` tells of a run, gathered.

use tk_image::framing::Marked;
use tk_transfer::data::{Labelled, Quarantined};
use tk_transfer::fit::Fitted;

use super::prepare::Made;
use super::run::Gathered;
use super::{Dense, Drawn, Scored};
use crate::classify::division::{Part, Parts};
use crate::classify::outlook::data_line;
use crate::classify::page::{groups, model_part};
use crate::classify::{Error, Summary};
use crate::report::{CacheCount, DataPart, FoundPart, ReportData, Scores};

/// Fewer scored photographs than this say little.
const FEW: usize = 100;

/// The report of a run. The command and what to do next are added by those who know them.
pub(super) fn report<T: Dense>(
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
            scored_on: format!("{} {what} photographs: {}", scored.samples(), scored.line()),
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
    Ok(ReportData {
        title: format!("{name}: {} {} {}", summary.model, summary.head, summary.mode),
        version: summary.version.clone(),
        seed: summary.seed,
        remarks: remarks(gathered, fitted, [validated, tested]),
        validation: scores(validated, "validation"),
        test: scores(tested, "test"),
        found: judged.and_then(|(scored, part)| Some(found::<T>(scored, part?, &summary.classes))),
        records: fitted.records.clone(),
        data: data_part(prepared, gathered),
        model: Some(model_part(prepared, &fitted.precisions)),
        audits: fitted.audits.clone(),
        settings: groups(&prepared.settings)?,
        cache: Some(CacheCount { hits: fitted.cache.0, misses: fitted.cache.1 }),
        ..ReportData::default()
    })
}

/// What a reader must know before believing the score.
fn remarks<T: Dense>(
    gathered: &Gathered<'_, T>,
    fitted: &Fitted,
    [validated, tested]: [Option<&T::Scored>; 2],
) -> Vec<String> {
    let mut remarks: Vec<String> =
        gathered.leaks.lines().into_iter().map(|line| format!("{line}: the score flatters.")).collect();
    if tested.or(validated).is_some_and(|scored| scored.samples() < FEW) {
        remarks
            .push(format!("Fewer than {FEW} photographs were scored: the interval says how little that is."));
    }
    if let Some(best) = &fitted.best {
        let end = if tested.is_some() {
            "; the test photographs chose nothing."
        } else {
            ", so their score flatters a little."
        };
        let (epoch, metric) = (best.epoch, &best.metric);
        remarks.push(format!(
            "The weights are those of epoch {epoch}, the best by {metric} on the validation photographs{end}"
        ));
    }
    remarks
}

/// What was found, with pictures of some samples of the part that was scored.
fn found<T: Dense>(scored: &T::Scored, part: &Part<'_, T::Data>, classes: &[String]) -> FoundPart {
    scored.found(classes, &|position| {
        let picture = part.dataset.picture(position).ok()?;
        Some(Drawn { file: part.dataset.name(position), picture })
    })
}

fn data_part<T: Dense>(prepared: &Made<T>, gathered: &Gathered<'_, T>) -> DataPart {
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
