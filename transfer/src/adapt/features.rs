//! Feature extraction with a probe on top.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Instant;

use tk_engine::{EngineError, Tensor};

use super::finetune::Steering;
use super::{AdaptError, Evaluation, Job, Outcome, Progress, Samples, Scoring, Validation};
use crate::audit::Audit;
use crate::data::{LabelKind, Labels, Strata, folds};
use crate::fit::{Balance, View};
use crate::prefix::{Frozen, Prefix};
use crate::probe::{
    CrossValidation, Examples, Features, LinearOptions, MlpOptions, Probe, ProbeKind, StrengthSearch,
    cross_validate, out_of_fold,
};

/// Folds that choose a probe's strength.
const FOLDS: usize = 5;

/// Samples whose features are extracted between two reports of progress.
const AT_ONCE: usize = 32;

/// The features of samples.
#[derive(Clone, Debug, PartialEq)]
pub struct FeatureSet {
    /// `[samples, width]`
    pub values: Vec<f32>,
    /// How many there are of each sample.
    pub width: usize,
    /// The positions of the samples in their source; those that could not be read are missing.
    pub samples: Vec<usize>,
    /// Their classes.
    pub labels: Labels,
}

impl FeatureSet {
    /// Puts the samples into the order of their positions.
    fn sort(&mut self) {
        let mut order: Vec<usize> = (0..self.samples.len()).collect();
        order.sort_by_key(|&at| self.samples[at]);
        self.values =
            order.iter().flat_map(|&at| &self.values[at * self.width..][..self.width]).copied().collect();
        self.samples.sort_unstable();
    }

    fn examples(&self, classes: usize) -> Result<Examples<'_>, AdaptError> {
        Ok(Examples::new(Features::new(&self.values, self.width)?, &self.labels, classes)?)
    }
}

/// The features of all samples, as they are, through a prefix.
///
/// # Errors
/// When samples cannot be loaded, or it is stopped from outside.
pub fn extract(
    prefix: &Prefix,
    samples: Samples<'_>,
    done_before: usize,
    total: usize,
    steering: &Steering<'_>,
) -> Result<FeatureSet, AdaptError> {
    let kind = samples.labels.kind();
    let mut set =
        FeatureSet { values: Vec::new(), width: 0, samples: Vec::new(), labels: Labels::none(kind) };
    let mut all: Vec<usize> = (0..samples.source.len()).collect();
    all.sort_by_key(|&sample| samples.source.bucket(sample));
    let mut done = done_before;
    for wanted in all.chunks(AT_ONCE) {
        if steering.cancel.load(Ordering::Relaxed) {
            prefix.flush()?;
            return Err(AdaptError::Interrupted);
        }
        let (read, outputs) = prefix.outputs(samples.source, wanted, View::Plain)?;
        if let Some(output) = outputs.first() {
            set.width = output.len() / read.len().max(1);
            set.values.extend_from_slice(output.as_f32()?);
        }
        set.samples.extend(read);
        done += wanted.len();
        (steering.observe)(&Progress::Features { done, total });
    }
    prefix.flush()?;
    set.sort();
    set.labels = samples.labels.gather(&set.samples);
    Ok(set)
}

/// Fits a probe on the features of the frozen backbone. With [`Validation::Folds`] every training sample is scored by a probe that did
/// not see it, and the head is fitted on all of them.
///
/// # Errors
/// See [`AdaptError`].
pub fn adapt_by_probe(
    job: &Job<'_>,
    kind: ProbeKind,
    steering: &Steering<'_>,
) -> Result<Outcome, AdaptError> {
    let mut seconds = BTreeMap::new();
    let began = Instant::now();
    let boundary = job.graph.stages().len().saturating_sub(2);
    let cut = job.graph.cut(boundary).map_err(EngineError::from)?;
    let frozen =
        Frozen { machine: job.machine, graph: &cut.prefix, parameters: job.parameters, store: job.store };
    let until = &job.graph.stages()[boundary].name;
    let (prefix, precision) = frozen.compile(job.precision, until, job.training.source)?;
    precision.iter().for_each(|report| (steering.observe)(&Progress::Precision(report)));
    let mut audit = Audit::begin(job.graph, job.parameters, &head_names(job), Vec::new())
        .map_err(crate::fit::FitError::from)?;
    let statistics =
        job.graph.parameters().iter().filter(|spec| !spec.kind.is_trainable()).map(|spec| spec.name.clone());
    audit.watch(job.parameters, statistics).map_err(crate::fit::FitError::from)?;

    let held = match job.validation {
        Validation::Held(held) => Some(held),
        _ => None,
    };
    let count = job.training.source.len();
    let total = count + held.map_or(0, |held| held.source.len());
    let training = extract(&prefix, job.training, 0, total, steering)?;
    if training.samples.is_empty() {
        return Err(AdaptError::NothingReadable(count));
    }
    let held = held.map(|held| extract(&prefix, held, count, total, steering)).transpose()?;
    seconds.insert("features".into(), began.elapsed().as_secs_f64());

    let began = Instant::now();
    (steering.observe)(&Progress::Probe { samples: training.samples.len() });
    let classes = job.classes.len();
    let mut examples = training.examples(classes)?;
    let weights = examples.balanced_weights();
    if let Some(weights) = weights.as_deref().filter(|_| job.balance != Balance::None) {
        examples = examples.weighted(weights)?;
    }
    let groups: Option<Vec<String>> = job
        .training
        .groups
        .map(|groups| training.samples.iter().map(|&sample| groups[sample].clone()).collect());
    let strata =
        Strata { classes: job.classes, labels: training.labels.view(), groups: groups.as_deref(), ids: None };
    let fitted = Fitting { kind, job, strata }.fit(examples)?;
    let evaluation = match (job.validation, &held) {
        (Validation::Held(_), Some(held)) => Some(Evaluation {
            scoring: Scoring::Held,
            samples: held.samples.clone(),
            labels: held.labels.clone(),
            probabilities: match held.samples.is_empty() {
                true => Vec::new(),
                false => {
                    let features = Features::new(&held.values, held.width)?;
                    fitted.probe.probabilities(features, held.labels.view().kind(), job.machine)?
                }
            },
            classes,
        }),
        (Validation::Folds(folds), _) => Some(Evaluation {
            scoring: Scoring::Folds(folds),
            samples: training.samples.clone(),
            labels: training.labels.clone(),
            probabilities: Fitting { kind, job, strata }.out_of_fold(
                examples,
                folds,
                fitted.choice.as_ref(),
            )?,
            classes,
        }),
        _ => None,
    };
    seconds.insert("train".into(), began.elapsed().as_secs_f64());

    let mut parameters = job.parameters.clone();
    if let Some(layer) = fitted.probe.as_linear() {
        let shape = [classes, training.width];
        parameters.set(&format!("{}.weight", job.head), Tensor::new(&shape, layer.weight().to_vec())?);
        parameters.set(&format!("{}.bias", job.head), Tensor::new(&[classes], layer.bias().to_vec())?);
    }
    let mut report = audit.end(&parameters, head_names(job)).map_err(crate::fit::FitError::from)?;
    report.stages = job.graph.stages().last().map(|stage| stage.name.clone()).into_iter().collect();
    report.prefix = prefix.audit()?;
    let cache = prefix.counts();
    Ok(Outcome {
        parameters,
        probe: Some(fitted.probe),
        choice: fitted.choice,
        evaluation,
        records: Vec::new(),
        best: None,
        audits: vec![report],
        cache,
        precisions: precision.into_iter().collect(),
        seconds,
        trained_on: training.samples.len(),
    })
}

/// Fits probes of one kind on the samples of a job.
struct Fitting<'a> {
    kind: ProbeKind,
    job: &'a Job<'a>,
    strata: Strata<'a>,
}

/// A fitted probe, and how its strength was chosen.
struct FittedProbe {
    probe: Probe,
    choice: Option<CrossValidation>,
}

impl Fitting<'_> {
    fn fit(&self, examples: Examples<'_>) -> Result<FittedProbe, AdaptError> {
        let machine = self.job.machine;
        match self.kind {
            ProbeKind::Hidden { hidden } => Ok(FittedProbe {
                probe: Probe::mlp(examples, &self.hidden_options(hidden), machine)?,
                choice: None,
            }),
            ProbeKind::Linear { loss } => {
                let folds = folds::stratified(&self.strata, self.fold_count(), self.job.seed)?;
                let search = StrengthSearch::for_width(loss, examples.features().width());
                let choice = cross_validate(examples, &folds, &search, machine)?;
                let probe = Probe::chosen(examples, &choice, machine)?;
                Ok(FittedProbe { probe, choice: Some(choice) })
            }
        }
    }

    /// Every training sample's probabilities from a probe that did not see it. A linear probe's were made when its strength was
    /// chosen, so they are those of the best of some strengths, and by that much too good.
    fn out_of_fold(
        &self,
        examples: Examples<'_>,
        count: usize,
        choice: Option<&CrossValidation>,
    ) -> Result<Vec<f32>, AdaptError> {
        if let Some(choice) = choice.filter(|_| count == self.fold_count()) {
            return Ok(choice.out_of_fold.clone());
        }
        let (machine, folds) = (self.job.machine, folds::stratified(&self.strata, count, self.job.seed)?);
        Ok(out_of_fold(examples, &folds, machine, |seen| match (self.kind, choice) {
            (_, Some(choice)) => Probe::chosen(seen, choice, machine),
            (ProbeKind::Hidden { hidden }, _) => Probe::mlp(seen, &self.hidden_options(hidden), machine),
            (ProbeKind::Linear { loss }, _) => {
                Probe::linear(seen, &LinearOptions::new(loss, 1.0), 1.0, machine).map(|(probe, _)| probe)
            }
        })?
        .probabilities)
    }

    fn hidden_options(&self, hidden: usize) -> MlpOptions {
        MlpOptions { width: hidden, seed: self.job.seed, ..MlpOptions::default() }
    }

    /// As many folds as usual, or as the smallest class has samples, where each sample has one.
    fn fold_count(&self) -> usize {
        if self.strata.labels.kind() == LabelKind::Multi {
            return FOLDS.min(self.strata.labels.len()).max(2);
        }
        let members = self.strata.labels.members(self.strata.classes.len());
        members.iter().map(Vec::len).filter(|&count| count > 0).min().unwrap_or(2).clamp(2, FOLDS)
    }
}

/// The names of the head's parameters.
fn head_names(job: &Job<'_>) -> Vec<String> {
    let prefix = format!("{}.", job.head);
    let names = job.graph.parameters().iter().map(|spec| &spec.name);
    names.filter(|name| name.starts_with(&prefix)).cloned().collect()
}
