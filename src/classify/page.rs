//! What `report.html` tells of a run, gathered.

use tk_transfer::adapt::{Judged, Outcome};
use tk_transfer::data::{Labelled, Quarantined};
use tk_transfer::metrics::{Predictions, suspected_labels, worst_decisions, worst_mistakes};
use tk_transfer::prefix::PrecisionReport;
use tk_transfer::probe::CrossValidation;

use super::division::{Part, Parts};
use super::evaluate::Scored;
use super::fit::{Made, Prepared};
use super::modality::{Modality, Network};
use super::outlook::{data_line, pairs_line};
use super::run::{Gathered, Summary};
use super::{Error, ModeName, Settings};
use crate::report::{
    CacheCount, Calibration, Candidate, ClassCount, DataPart, Gallery, ModelPart, ParameterCount, Pictured,
    ProbePart, ReportData, Scores, SettingGroup, StagePart, StageRole,
};

/// Pictures of each kind that are shown.
const SHOWN: usize = 12;

/// Bins of confidence in the diagram.
const BINS: usize = 10;

/// Settings by what they have in common, in the order in which they are read.
const GROUPS: [(&str, &[&str]); 3] = [
    (
        "Data",
        &[
            "data",
            "input",
            "label",
            "multi",
            "split",
            "group",
            "val",
            "test",
            "limit",
            "max-bad",
            "size",
            "augment",
            "mixup",
            "views",
            "max-tokens",
            "max-seconds",
            "words",
            "spelling",
        ],
    ),
    (
        "Model",
        &[
            "model",
            "mode",
            "head",
            "hidden",
            "head-init",
            "unfreeze",
            "freeze",
            "batch-norm",
            "pooling",
            "vocabulary",
            "from-scratch",
            "lora-rank",
            "lora-alpha",
            "precision",
        ],
    ),
    (
        "Training",
        &[
            "balance",
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
            "patience",
            "monitor",
            "seed",
        ],
    ),
];

/// What there is to tell.
pub(super) struct Told<'a, M: Modality> {
    pub prepared: &'a Made<M>,
    pub gathered: &'a Gathered<'a, M>,
    pub outcome: &'a Outcome,
    pub scored: Option<&'a Scored>,
    pub tested: Option<&'a Scored>,
}

/// The report of a run. The command and what to do next are added by those who know them.
pub(super) fn report<M: Modality>(told: &Told<'_, M>, summary: &Summary) -> Result<ReportData, Error> {
    let Told { prepared, gathered, outcome, scored, tested } = told;
    let judged = gathered.validation.unwrap_or(gathered.training);
    let (mistakes, suspects) = match scored {
        Some(scored) => galleries::<M>(scored, judged)?,
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
        model: Some(model_part(prepared, &outcome.precisions)),
        audits: outcome.audits.clone(),
        settings: groups(&prepared.settings)?,
        probe: outcome.choice.as_ref().map(probe_part),
        cache: Some(CacheCount { hits: outcome.cache.0, misses: outcome.cache.1 }),
        ..ReportData::default()
    })
}

/// What a reader must know before believing the score.
fn remarks<M: Modality>(told: &Told<'_, M>) -> Vec<String> {
    let leaks = told.gathered.leaks.lines().into_iter();
    let mut remarks: Vec<String> = leaks.map(|line| format!("{line}: the score flatters.")).collect();
    if told.scored.is_some_and(|scored| scored.samples() < 100) {
        remarks.push("Fewer than 100 samples were scored: the interval says how little that is.".into());
    }
    if let Some(best) = &told.outcome.best {
        let (epoch, metric) = (best.epoch, &best.metric);
        let chosen =
            format!("The weights are those of epoch {epoch}, the best by {metric} on the validation samples");
        remarks.push(match told.tested {
            Some(_) => format!("{chosen}; the test samples chose nothing."),
            None => format!("{chosen}, so their score flatters a little."),
        });
    }
    remarks
}

fn probe_part(choice: &CrossValidation) -> ProbePart {
    let candidates = choice.path.iter();
    ProbePart {
        kind: choice.loss.model().into(),
        strength: choice.strength,
        candidates: candidates
            .map(|tried| Candidate { strength: tried.strength, folds: tried.folds.clone() })
            .collect(),
    }
}

fn scores(scored: &Scored) -> Result<Scores, Error> {
    let judged = scored.evaluation.judged()?;
    let judged = match &judged {
        Judged::Single(predictions) => Some(predictions),
        Judged::Multi(_) => None,
    };
    Ok(Scores {
        scored_on: scored.scored_on(),
        headline: scored.baseline().metric.into(),
        metrics: scored.metrics.clone(),
        intervals: scored.intervals.clone(),
        confusion: judged.map(Predictions::confusion),
        calibration: judged.map(|predictions| Calibration::of(predictions, BINS)),
        per_class: scored.evaluation.per_class()?,
        average_precision: scored.average_precision()?,
    })
}

/// The worst mistakes, and the labels that are probably wrong.
fn galleries<M: Modality>(scored: &Scored, part: &Part<'_, M::Dataset>) -> Result<(Gallery, Gallery), Error> {
    let class = |class: usize| scored.classes.get(class).cloned().unwrap_or_default();
    let picture = |sample: usize| {
        let position = part.positions.get(*scored.evaluation.samples.get(sample)?)?;
        Some(M::picture(part.dataset, *position))
    };
    let shown = |sample: usize, label: String, predicted: String, probabilities: [f32; 2]| Pictured {
        file: scored.files.get(sample).cloned().unwrap_or_default(),
        label,
        predicted,
        probability: f64::from(probabilities[0]),
        label_probability: f64::from(probabilities[1]),
        ..picture(sample).unwrap_or_default()
    };
    match scored.evaluation.judged()? {
        Judged::Single(predictions) => {
            let mistakes = worst_mistakes(&predictions, predictions.samples());
            let pictures = mistakes.iter().take(SHOWN).map(|m| {
                shown(m.sample, class(m.label), class(m.predicted), [m.confidence, m.label_probability])
            });
            let worst = Gallery { pictures: pictures.collect(), total: mistakes.len() };
            let suspects = suspected_labels(&predictions);
            let pictures = suspects.iter().take(SHOWN).map(|s| {
                let probabilities = [s.suggested_probability, s.label_probability];
                shown(s.sample, class(s.label), class(s.suggested), probabilities)
            });
            Ok((worst, Gallery { pictures: pictures.collect(), total: suspects.len() }))
        }
        Judged::Multi(predictions) => {
            let mistakes = worst_decisions(&predictions);
            let pictures = mistakes.iter().take(SHOWN).map(|m| {
                let of = scored.evaluation.labels.of(m.sample);
                let names: Vec<String> = of.iter().map(|&label| class(label)).collect();
                let label = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
                let said = if m.is_there { format!("no {}", class(m.class)) } else { class(m.class) };
                shown(m.sample, label, said, [m.confidence, 1.0 - m.confidence])
            });
            Ok((Gallery { pictures: pictures.collect(), total: mistakes.len() }, Gallery::default()))
        }
    }
}

fn data_part<M: Modality>(told: &Told<'_, M>) -> DataPart {
    let gathered = told.gathered;
    let parts = [("train", Some(gathered.training)), ("val", gathered.validation), ("test", gathered.test)];
    let parts: Vec<(&str, &Part<'_, M::Dataset>)> =
        parts.into_iter().filter_map(|(name, part)| Some((name, part?))).collect();
    let count = gathered.data.classes().len();
    let counts: Vec<Vec<usize>> = parts
        .iter()
        .map(|(_, part)| part.labels().view().members(count).iter().map(Vec::len).collect())
        .collect();
    let classes = gathered.data.classes().iter().enumerate().map(|(class, name)| ClassCount {
        name: name.clone(),
        samples: counts.iter().map(|counts| counts[class]).collect(),
    });
    let divided = Parts {
        training: gathered.training.clone(),
        validation: gathered.validation.cloned(),
        test: gathered.test.cloned(),
        leaks: gathered.leaks,
    };
    let quarantine = gathered.quarantine.iter();
    DataPart {
        summary: data_line(gathered.data, &divided, &told.prepared.division.validation),
        splits: parts.iter().map(|(name, _)| (*name).to_owned()).collect(),
        classes: classes.collect(),
        notes: M::notes(gathered.data),
        quarantine: quarantine
            .map(|(id, reason)| Quarantined { id: id.into(), reason: reason.into() })
            .collect(),
    }
}

/// The model, as a report shows it.
pub(crate) fn model_part<N: Network, D>(
    prepared: &Prepared<N, D>,
    precisions: &[PrecisionReport],
) -> ModelPart {
    let (model, plan) = (&prepared.model, &prepared.plan);
    let (total, trained) = plan.counts(model.graph());
    let stages = model.graph().parameter_stages();
    let stage = |(index, stage): (usize, &tk_engine::graph::Stage)| {
        let specs = model.graph().parameters().iter().zip(&stages).filter(|(_, at)| **at == index);
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
        name: model.name().to_owned(),
        architecture: model.architecture().to_owned(),
        remark: match model.low_rank() {
            Some(pairs) => Some(pairs_line(pairs)),
            None => model.remark().filter(|_| prepared.preset.mode == ModeName::Features).map(str::to_owned),
        },
        parameters: ParameterCount { total, trained, frozen: total - trained },
        load: model.report().cloned(),
        stages: model.graph().stages().iter().enumerate().map(stage).collect(),
        precision: precisions.iter().map(ToString::to_string).collect(),
    }
}

/// Settings as a report shows them.
pub(crate) fn groups(settings: &Settings) -> Result<Vec<SettingGroup>, Error> {
    let table = settings.to_table()?;
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
