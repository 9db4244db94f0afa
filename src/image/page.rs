//! What `report.html` tells of a run, gathered.

use tk_image::data::{Dataset, Report as DataReport, thumbnail};
use tk_transfer::adapt::Outcome;
use tk_transfer::data::Quarantined;
use tk_transfer::metrics::{suspected_labels, worst_mistakes};
use tk_transfer::probe::CrossValidation;

use super::evaluate::Scored;
use super::fit::Prepared;
use super::outlook::data_line;
use super::parts::{Part, Parts};
use super::run::{Gathered, Summary};
use super::{Error, ModeName};
use crate::report::{
    CacheCount, Calibration, Candidate, ClassCount, DataPart, Gallery, ModelPart, Note, ParameterCount,
    Pictured, ProbePart, ReportData, Scores, SettingGroup, StagePart, StageRole,
};

/// Pictures of each kind that are shown.
const SHOWN: usize = 12;

/// The longer side of a shown picture in pixels.
const THUMBNAIL: u32 = 160;

/// Bins of confidence in the diagram.
const BINS: usize = 10;

/// Settings by what they have in common, in the order in which they are read.
const GROUPS: [(&str, &[&str]); 3] = [
    ("Data", &["data", "val", "test", "limit", "max-bad", "size", "augment", "views"]),
    ("Model", &["model", "mode", "head", "hidden", "head-init", "unfreeze", "freeze", "batch-norm"]),
    (
        "Training",
        &[
            "epochs",
            "batch",
            "accumulate",
            "optimizer",
            "lr",
            "schedule",
            "warmup",
            "layer-decay",
            "weight-decay",
            "clip",
            "label-smoothing",
            "moving-average",
            "seed",
        ],
    ),
];

/// What there is to tell.
pub(super) struct Told<'a> {
    pub prepared: &'a Prepared,
    pub gathered: &'a Gathered<'a>,
    pub outcome: &'a Outcome,
    pub scored: Option<&'a Scored>,
    pub tested: Option<&'a Scored>,
}

/// The report of a run. The command and what to do next are added by those who know them.
pub(super) fn report(told: &Told<'_>, summary: &Summary) -> Result<ReportData, Error> {
    let Told { prepared, gathered, outcome, scored, tested } = told;
    let judged = gathered.validation.unwrap_or(gathered.training);
    let (mistakes, suspects) = match scored {
        Some(scored) => galleries(scored, judged)?,
        None => Default::default(),
    };
    let name =
        gathered.data.root().file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    Ok(ReportData {
        title: format!("{name}: {} {}", summary.model, summary.mode),
        version: summary.version.clone(),
        seed: summary.seed,
        remarks: remarks(told),
        validation: scored.map(scores).transpose()?,
        test: tested.map(scores).transpose()?,
        mistakes,
        suspects,
        records: outcome.records.clone(),
        data: data_part(told),
        model: Some(model_part(prepared)),
        audits: outcome.audits.clone(),
        settings: groups(prepared)?,
        probe: outcome.choice.as_ref().map(probe_part),
        cache: Some(CacheCount { hits: outcome.cache.0, misses: outcome.cache.1 }),
        ..ReportData::default()
    })
}

/// What a reader must know before believing the score.
fn remarks(told: &Told<'_>) -> Vec<String> {
    let mut remarks = Vec::new();
    let repeated = told.gathered.repeated;
    if repeated > 0 {
        remarks.push(format!(
            "{repeated} held-out files are byte for byte among the training files: the score flatters."
        ));
    }
    let across = told.gathered.data.report().duplicates_across_classes.len();
    if across > 0 {
        remarks.push(format!(
            "{across} files lie under more than one class: at least one label of each is wrong."
        ));
    }
    if told.scored.is_some_and(|scored| scored.samples() < 100) {
        remarks.push("Fewer than 100 samples were scored: the interval says how little that is.".into());
    }
    remarks
}

fn probe_part(choice: &CrossValidation) -> ProbePart {
    let candidates = choice.path.iter();
    ProbePart {
        kind: "logistic regression".into(),
        strength: choice.strength,
        candidates: candidates
            .map(|tried| Candidate { strength: tried.strength, folds: tried.folds.clone() })
            .collect(),
    }
}

fn scores(scored: &Scored) -> Result<Scores, Error> {
    Ok(Scores {
        scored_on: scored.scored_on(),
        headline: "accuracy".into(),
        metrics: scored.metrics.clone(),
        intervals: scored.intervals.clone(),
        confusion: Some(scored.evaluation.confusion()?),
        calibration: Some(Calibration::of(&scored.evaluation.predictions()?, BINS)),
    })
}

/// The worst mistakes, and the labels that are probably wrong.
fn galleries(scored: &Scored, part: &Part<'_>) -> Result<(Gallery, Gallery), Error> {
    let predictions = scored.evaluation.predictions()?;
    let class = |class: usize| scored.classes.get(class).cloned().unwrap_or_default();
    let shown = |sample: usize, label: usize, predicted: usize, probabilities: [f32; 2]| Pictured {
        file: scored.files.get(sample).cloned().unwrap_or_default(),
        jpeg: scored
            .evaluation
            .samples
            .get(sample)
            .and_then(|&at| small(part.dataset, part.positions.get(at)?)),
        label: class(label),
        predicted: class(predicted),
        probability: f64::from(probabilities[0]),
        label_probability: f64::from(probabilities[1]),
    };
    let mistakes = worst_mistakes(&predictions, predictions.samples());
    let pictures = mistakes.iter().take(SHOWN);
    let pictures =
        pictures.map(|m| shown(m.sample, m.label, m.predicted, [m.confidence, m.label_probability]));
    let worst = Gallery { pictures: pictures.collect(), total: mistakes.len() };
    let suspects = suspected_labels(&predictions);
    let pictures = suspects.iter().take(SHOWN);
    let pictures = pictures
        .map(|s| shown(s.sample, s.label, s.suggested, [s.suggested_probability, s.label_probability]));
    Ok((worst, Gallery { pictures: pictures.collect(), total: suspects.len() }))
}

fn small(data: &Dataset, position: &usize) -> Option<Vec<u8>> {
    thumbnail(&data.load(data.samples().get(*position)?).ok()?, THUMBNAIL).ok()
}

fn data_part(told: &Told<'_>) -> DataPart {
    let gathered = told.gathered;
    let parts = [("train", Some(gathered.training)), ("val", gathered.validation), ("test", gathered.test)];
    let parts: Vec<(&str, &Part<'_>)> =
        parts.into_iter().filter_map(|(name, part)| Some((name, part?))).collect();
    let counts: Vec<Vec<usize>> = parts
        .iter()
        .map(|(_, part)| {
            let mut counts = vec![0; gathered.data.classes().len()];
            part.labels().iter().for_each(|&class| counts[class] += 1);
            counts
        })
        .collect();
    let classes = gathered.data.classes().iter().enumerate().map(|(class, name)| ClassCount {
        name: name.clone(),
        samples: counts.iter().map(|counts| counts[class]).collect(),
    });
    let divided = Parts {
        training: gathered.training.clone(),
        validation: gathered.validation.cloned(),
        test: gathered.test.cloned(),
        repeated: gathered.repeated,
    };
    let quarantine = gathered.quarantine.iter();
    DataPart {
        summary: data_line(gathered.data, &divided, &told.prepared.division.validation),
        splits: parts.iter().map(|(name, _)| (*name).to_owned()).collect(),
        classes: classes.collect(),
        notes: notes(gathered.data.report()),
        quarantine: quarantine
            .map(|(id, reason)| Quarantined { id: id.into(), reason: reason.into() })
            .collect(),
    }
}

/// What is odd about the data.
fn notes(report: &DataReport) -> Vec<Note> {
    let mut notes = Vec::new();
    let mut note = |title: String, text: &str, items: Vec<String>| {
        if !items.is_empty() {
            notes.push(Note { title, text: text.into(), items });
        }
    };
    let unlike: Vec<String> =
        report.unlike.iter().map(|(path, format)| format!("{path} ({})", format.name())).collect();
    note(format!("{} unlike the rest", unlike.len()), "Their format is rare here. They were kept.", unlike);
    for (groups, title, text) in [
        (
            &report.duplicates_across_splits,
            "identical in more than one split",
            "Scores on them are too good.",
        ),
        (
            &report.duplicates_across_classes,
            "identical under different classes",
            "At least one label is wrong.",
        ),
        (&report.duplicates_within_split, "identical within one split", "They count twice."),
    ] {
        let items: Vec<String> = groups.iter().map(|group| group.paths.join(" = ")).collect();
        note(format!("{} {title}", items.len()), text, items);
    }
    let absent: Vec<String> =
        report.absent.iter().map(|(class, split)| format!("{class} in {}", split.name())).collect();
    note(format!("{} classes absent from a split", absent.len()), "What is absent is not measured.", absent);
    let ignored: Vec<String> =
        report.ignored.iter().map(|(path, reason)| format!("{path}: {reason}")).collect();
    note(format!("{} left out", ignored.len()), "Because of where they stand.", ignored);
    notes
}

fn model_part(prepared: &Prepared) -> ModelPart {
    let (model, plan) = (&prepared.model, &prepared.plan);
    let (total, trained) = plan.counts(&model.graph);
    let stages = model.graph.parameter_stages();
    let stage = |(index, stage): (usize, &tk_engine::graph::Stage)| {
        let specs = model.graph.parameters().iter().zip(&stages).filter(|(_, at)| **at == index);
        StagePart {
            name: stage.name.clone(),
            role: match (plan.live[index], plan.boundary.is_some_and(|boundary| index <= boundary)) {
                (true, _) => StageRole::Trained,
                (false, true) => StageRole::Cached,
                (false, false) => StageRole::Frozen,
            },
            parameters: specs.map(|(spec, _)| spec.shape.iter().product::<usize>()).sum(),
        }
    };
    ModelPart {
        name: model.name.clone(),
        architecture: model.architecture.name.to_owned(),
        remark: (model.name == tk_image::model::EMBEDDED && prepared.preset.mode == ModeName::Features).then(
            || "The embedded default is small; larger published weights are usually better.".to_owned(),
        ),
        parameters: ParameterCount { total, trained, frozen: total - trained },
        load: model.report.clone(),
        stages: model.graph.stages().iter().enumerate().map(stage).collect(),
    }
}

fn groups(prepared: &Prepared) -> Result<Vec<SettingGroup>, Error> {
    let table = prepared.settings.to_table()?;
    let entry = |key: &&str| {
        let value = table.get(*key)?;
        Some(((*key).to_owned(), value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
    };
    let group = |(name, keys): (&str, &[&str])| SettingGroup {
        name: name.to_owned(),
        entries: keys.iter().filter_map(entry).collect(),
    };
    Ok(GROUPS.map(|(name, keys)| group((name, keys))).into())
}
