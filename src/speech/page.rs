//! What `report.html` tells of a run, gathered.

use tk_audio::data::Utterances;
use tk_transfer::data::{Labelled, Quarantined};
use tk_transfer::fit::Fitted;

use super::Scored;
use super::prepare::Made;
use super::run::{Gathered, Summary};
use crate::audio::portrait;
use crate::classify::Error;
use crate::classify::division::{Part, Parts};
use crate::classify::outlook::data_line;
use crate::classify::page::{groups, model_part};
use crate::report::{CacheCount, DataPart, Heard, HeardPart, Note, ReportData, Scores};

/// Recordings that are shown.
const SHOWN: usize = 30;

/// Those that can be played, and so much of each in seconds.
const PLAYED: usize = 12;
const SECONDS: f64 = 10.0;

/// The report of a run. The command and what to do next are added by those who know them.
pub(super) fn report(
    prepared: &Made,
    gathered: &Gathered<'_>,
    fitted: &Fitted,
    summary: &Summary,
    [validated, tested]: [Option<&Scored>; 2],
) -> Result<ReportData, Error> {
    let root = gathered.data.root();
    let name = root.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let scores = |scored: Option<&Scored>, what: &str| {
        scored.map(|scored| Scores {
            scored_on: format!("{} {what} recordings: {}", scored.compared.len(), scored.line()),
            headline: "wer".into(),
            metrics: scored.metrics.clone(),
            intervals: scored.intervals.clone(),
            ..Scores::default()
        })
    };
    let judged = match tested {
        Some(scored) => Some((scored, gathered.test)),
        None => validated.map(|scored| (scored, gathered.validation)),
    };
    Ok(ReportData {
        title: format!("{name}: {} {}", summary.model, summary.mode),
        version: summary.version.clone(),
        seed: summary.seed,
        remarks: remarks(gathered, fitted, [validated, tested]),
        validation: scores(validated, "validation"),
        test: scores(tested, "test"),
        heard: judged.map(|(scored, part)| heard(scored, part)).unwrap_or_default(),
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
fn remarks(
    gathered: &Gathered<'_>,
    fitted: &Fitted,
    [validated, tested]: [Option<&Scored>; 2],
) -> Vec<String> {
    let mut remarks: Vec<String> =
        gathered.leaks.lines().into_iter().map(|line| format!("{line}: the score flatters.")).collect();
    if tested.or(validated).is_some_and(|scored| scored.compared.len() < 100) {
        remarks.push("Fewer than 100 recordings were scored: the interval says how little that is.".into());
    }
    if tested.or(validated).is_some_and(Scored::is_silent) {
        remarks.push("Nothing but blanks comes out: it has not learned to spell.".into());
    }
    if let Some(best) = &fitted.best {
        let (epoch, metric) = (best.epoch, &best.metric);
        let end = if tested.is_some() {
            "; the test recordings chose nothing."
        } else {
            ", so their score flatters a little."
        };
        remarks.push(format!(
            "The weights are those of epoch {epoch}, the best by {metric} on the validation recordings{end}"
        ));
    }
    remarks
}

/// The recordings with most edits.
fn heard(scored: &Scored, part: Option<&Part<'_, Utterances>>) -> HeardPart {
    let worst = scored.worst();
    let sound = |file: &str| {
        let part = part?;
        let position = part.positions.iter().find(|&&position| part.dataset.name(position) == file)?;
        portrait::sound(&part.dataset.load(*position).ok()?, SECONDS)
    };
    let shown = worst.iter().take(SHOWN).enumerate().map(|(at, one)| Heard {
        file: one.file.clone(),
        said: one.said.clone(),
        heard: one.heard.clone(),
        edits: [one.words.substitutions, one.words.insertions, one.words.deletions],
        sound: if at < PLAYED { sound(&one.file) } else { None },
    });
    HeardPart { worst: shown.collect(), wrong: worst.len(), total: scored.compared.len() }
}

fn data_part(prepared: &Made, gathered: &Gathered<'_>) -> DataPart {
    let divided = Parts {
        training: gathered.training.clone(),
        validation: gathered.validation.cloned(),
        test: gathered.test.cloned(),
        leaks: gathered.leaks,
    };
    let rates = gathered.data.rates();
    let mut notes = Vec::new();
    if rates.len() > 1 {
        notes.push(Note {
            title: format!("{} rates", rates.len()),
            text: "All are brought to the model's.".into(),
            items: rates.iter().map(|(rate, count)| format!("{rate} Hz: {count}")).collect(),
        });
    }
    let quarantine = gathered.quarantine.iter();
    DataPart {
        summary: data_line(gathered.data, &divided, &prepared.division.validation),
        notes,
        quarantine: quarantine
            .map(|(id, reason)| Quarantined { id: id.into(), reason: reason.into() })
            .collect(),
        ..DataPart::default()
    }
}
