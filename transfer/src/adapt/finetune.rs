//! Fine-tuning: the head starts from the probe, then the recipe trains.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use tk_engine::cpu::Plan;
use tk_engine::{Inference, Parameters};

use super::features::adapt_by_probe;
use super::{AdaptError, Evaluation, Job, Outcome, Progress, Samples, Scoring, Validation};
use crate::classification::Classification;
use crate::data::{LabelKind, Labels};
use crate::fit::{Balance, Balanced, Recipe, Run, Signals, View, class_weights, fit};
use crate::multi_label::{MultiLabel, positive_weights};
use crate::probe::{LinearLoss, ProbeKind};
use crate::task::Task;

/// How the head starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadInit {
    /// From a logistic regression on the frozen backbone's features (LP-FT, arXiv 2202.10054).
    Probe,
    /// As it is in the job's parameters.
    Given,
}

/// How a fine-tuning run is steered and watched.
pub struct Steering<'a> {
    /// Where the state is kept; a state that is there already is resumed.
    pub state: Option<PathBuf>,
    /// The time between two written states.
    pub every: Duration,
    /// Set to stop at the next update, with the state written.
    pub cancel: &'a AtomicBool,
    /// Told how far it has come.
    pub observe: &'a dyn Fn(&Progress<'_>),
}

/// Fine-tunes by a recipe. `identity` tells the run from others: a resumed run must have the same.
///
/// # Errors
/// See [`AdaptError`].
pub fn finetune(
    job: &Job<'_>,
    recipe: &Recipe,
    head: HeadInit,
    label_smoothing: f64,
    identity: String,
    steering: &Steering<'_>,
) -> Result<Outcome, AdaptError> {
    let mut seconds = BTreeMap::new();
    let mut parameters = job.parameters.clone();
    let resumes = steering.state.as_deref().is_some_and(std::path::Path::exists);
    // A resumed head comes from the state; a probe for it would be thrown away.
    let (mut cache, mut precisions) = ((0, 0), Vec::new());
    if head == HeadInit::Probe && !resumes {
        let plain = Job { validation: Validation::None, training: job.training, ..*job };
        let probed = adapt_by_probe(&plain, ProbeKind::Linear { loss: LinearLoss::Softmax }, steering)?;
        seconds.extend(probed.seconds);
        (cache, precisions) = (probed.cache, probed.precisions);
        parameters = probed.parameters;
    }
    let task = task(job, label_smoothing);
    let held = match job.validation {
        Validation::Held(held) => Some(held),
        Validation::Folds(_) | Validation::None => None,
    };
    let balanced = Balanced::new(job.training.source, job.training.labels, job.classes.len());
    let run = Run {
        machine: job.machine,
        graph: job.graph,
        model: job.model,
        task: task.as_ref(),
        training: if job.balance == Balance::Sampler { &balanced } else { job.training.source },
        validation: held.map(|held| held.source),
        recipe,
        identity,
        store: job.store,
        precision: job.precision,
    };
    let began = Instant::now();
    let observe = |event: &crate::fit::Event<'_>| match event {
        crate::fit::Event::Precision(report) => (steering.observe)(&Progress::Precision(report)),
        event => (steering.observe)(&Progress::Fit(event)),
    };
    let signals = Signals {
        state: steering.state.clone(),
        every: steering.every,
        cancel: steering.cancel,
        observe: &observe,
    };
    let fitted = fit(&run, parameters, &signals)?;
    seconds.insert("train".into(), began.elapsed().as_secs_f64());
    let began = Instant::now();
    let evaluation = held.map(|held| evaluate(job, &fitted.parameters, held)).transpose()?;
    precisions.extend(fitted.precisions);
    seconds.insert("evaluate".into(), began.elapsed().as_secs_f64());
    Ok(Outcome {
        parameters: fitted.parameters,
        probe: None,
        choice: None,
        evaluation,
        records: fitted.records,
        best: fitted.best,
        audits: fitted.audits,
        cache: (cache.0 + fitted.cache.0, cache.1 + fitted.cache.1),
        precisions,
        seconds,
        trained_on: job.training.labels.len(),
    })
}

/// What is trained: one class of several, or each class by itself.
fn task(job: &Job<'_>, label_smoothing: f64) -> Box<dyn Task> {
    let (classes, labels, machine) = (job.classes.len(), job.training.labels, job.machine.clone());
    let is_weighted = job.balance == Balance::Weights;
    match labels.kind() {
        LabelKind::Single => {
            let class_weights = if is_weighted { class_weights(labels, classes) } else { Vec::new() };
            Box::new(Classification { classes, label_smoothing, class_weights, machine })
        }
        LabelKind::Multi => {
            let positive_weights = if is_weighted { positive_weights(labels, classes) } else { Vec::new() };
            Box::new(MultiLabel { classes, label_smoothing, positive_weights, machine })
        }
    }
}

/// Predictions of the whole graph on held-out samples.
fn evaluate(job: &Job<'_>, parameters: &Parameters, held: Samples<'_>) -> Result<Evaluation, AdaptError> {
    let mut plan = Plan::new(job.machine, job.graph, parameters)?;
    let classes = job.classes.len();
    let mut evaluation = Evaluation {
        scoring: Scoring::Held,
        samples: vec![],
        labels: Labels::none(held.labels.kind()),
        probabilities: vec![],
        classes,
    };
    let mut all: Vec<usize> = (0..held.source.len()).collect();
    all.sort_by_key(|&sample| held.source.bucket(sample));
    let mut rows: BTreeMap<usize, Vec<f32>> = BTreeMap::new();
    // Chunks of one bucket run unpadded, so that a prediction does not depend on its companions.
    let buckets = all.chunk_by(|&a, &b| held.source.bucket(a) == held.source.bucket(b));
    for samples in buckets.flat_map(|bucket| bucket.chunks(32)) {
        let batch = held.source.load(samples, View::Plain).map_err(crate::fit::FitError::from)?;
        if batch.samples.is_empty() {
            continue;
        }
        if let Some(output) = plan.run(&batch.inputs)?.first() {
            let probabilities = held.labels.kind().probabilities(output.as_f32()?, classes);
            rows.extend(batch.samples.into_iter().zip(probabilities.chunks(classes).map(<[f32]>::to_vec)));
        }
    }
    for (sample, probabilities) in rows {
        evaluation.samples.push(sample);
        evaluation.labels.push(held.labels.of(sample));
        evaluation.probabilities.extend(probabilities);
    }
    Ok(evaluation)
}
