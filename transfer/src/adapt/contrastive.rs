//! Contrastive few-shot fine-tuning: samples of one class are drawn together and others apart, then a probe is fitted, as SetFit does (arXiv
//! 2209.11055). SetFit draws pairs and computes both samples of each; here every two samples of a batch are a pair, so a sample is computed once for all
//! its pairs.

use std::collections::BTreeMap;

use tk_engine::{EngineError, Result as EngineResult, Tensor};

use super::finetune::Steering;
use super::{AdaptError, Job, Outcome, Progress, Validation, adapt_by_probe};
use crate::data::LabelView;
use crate::fit::{Event, Recipe, Run, Signals, fit};
use crate::probe::ProbeKind;
use crate::task::{LossValue, Meter, Task};

/// Norms are at least this, so that a vector of zeros has a direction.
const LEAST_NORM: f64 = 1e-8;

/// Trains the backbone by a recipe on the pairs of training samples in each batch, then fits a probe on its features. `identity` tells the run
/// from others: a resumed run must have the same.
///
/// # Errors
/// See [`AdaptError`]. Samples with several classes have none in common with others or not, so they are refused.
pub fn adapt_by_contrast(
    job: &Job<'_>,
    recipe: &Recipe,
    kind: ProbeKind,
    identity: String,
    steering: &Steering<'_>,
) -> Result<Outcome, AdaptError> {
    let LabelView::Single(_) = job.training.labels else {
        return Err(EngineError::Unsupported {
            what: "contrastive mode".into(),
            why: "samples have several classes, so two of them are neither alike nor not".into(),
        }
        .into());
    };
    let boundary = job.graph.stages().len().saturating_sub(2);
    let cut = job.graph.cut(boundary).map_err(EngineError::from)?;
    let run = Run {
        machine: job.machine,
        graph: &cut.prefix,
        model: job.model,
        task: &Contrast,
        training: job.training.source,
        validation: None,
        recipe,
        identity,
        store: job.store,
        precision: job.precision,
    };
    let began = std::time::Instant::now();
    let observe = |event: &Event<'_>| match event {
        Event::Precision(report) => (steering.observe)(&Progress::Precision(report)),
        event => (steering.observe)(&Progress::Fit(event)),
    };
    let signals = Signals {
        state: steering.state.clone(),
        every: steering.every,
        cancel: steering.cancel,
        observe: &observe,
    };
    let fitted = fit(&run, job.parameters.clone(), &signals)?;
    let train = began.elapsed().as_secs_f64();
    let mut parameters = job.parameters.clone();
    for spec in cut.prefix.parameters() {
        parameters.set(&spec.name, fitted.parameters.get(&spec.name)?.clone());
    }
    // The backbone has seen the training samples' classes: folds of them would flatter.
    let validation = match job.validation {
        Validation::Folds(_) => Validation::None,
        other => other,
    };
    let probed = adapt_by_probe(&Job { parameters: &parameters, validation, ..*job }, kind, steering)?;
    let mut seconds = probed.seconds;
    *seconds.entry("train".into()).or_default() += train;
    let mut precisions = fitted.precisions;
    precisions.extend(probed.precisions);
    Ok(Outcome {
        records: fitted.records,
        audits: fitted.audits.into_iter().chain(probed.audits).collect(),
        cache: (fitted.cache.0 + probed.cache.0, fitted.cache.1 + probed.cache.1),
        precisions,
        seconds,
        ..probed
    })
}

/// What the cosine of two samples' features should be, 1 if they are of one class, else 0, and the mean over pairs of the squared distance from it
/// (sentence-transformers' `CosineSimilarityLoss`). Every two samples of a batch are a pair; those of one class count as much altogether as those of
/// two. The output is `[batch, width]`, the target the class of each, `[batch]`.
struct Contrast;

/// A batch's features, of length 1, and what they are compared with.
struct Compared<'a> {
    width: usize,
    classes: &'a [f32],
    norms: Vec<f64>,
    directions: Vec<f64>,
    /// How much a pair of two classes counts, and one of the same.
    weights: [f64; 2],
}

impl<'a> Compared<'a> {
    fn new(outputs: &[Tensor], targets: &'a [Tensor]) -> EngineResult<Self> {
        let misfit = |found: String| EngineError::Tensor {
            what: "contrastive learning".into(),
            expected: "features [batch, width] and classes [batch]".into(),
            found,
        };
        let ([features], [target]) = (outputs, targets) else {
            return Err(misfit(format!("{} outputs and {} targets", outputs.len(), targets.len())));
        };
        let (&[batch, width], &[count]) = (features.shape(), target.shape()) else {
            return Err(misfit(format!("{:?} and {:?}", features.shape(), target.shape())));
        };
        if batch != count {
            return Err(misfit(format!("{batch} samples and {count} classes")));
        }
        let classes = target.as_f32()?;
        let (mut norms, mut directions) = (Vec::with_capacity(batch), Vec::with_capacity(batch * width));
        for row in features.as_f32()?.chunks_exact(width.max(1)) {
            let norm = row.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt().max(LEAST_NORM);
            norms.push(norm);
            directions.extend(row.iter().map(|x| f64::from(*x) / norm));
        }
        let mut compared = Self { width, classes, norms, directions, weights: [0.0; 2] };
        let alike = compared.pairs().filter(|&(a, b)| compared.is_alike(a, b)).count();
        let others = batch * batch.saturating_sub(1) / 2 - alike;
        let kinds = f64::from(u8::from(alike > 0) + u8::from(others > 0));
        compared.weights = [others, alike].map(|count| 1.0 / (kinds * count as f64).max(1.0));
        Ok(compared)
    }

    /// Every two samples.
    fn pairs(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let batch = self.classes.len();
        (0..batch).flat_map(move |a| (a + 1..batch).map(move |b| (a, b)))
    }

    fn is_alike(&self, a: usize, b: usize) -> bool {
        self.classes[a] == self.classes[b]
    }

    fn direction(&self, sample: usize) -> &[f64] {
        &self.directions[sample * self.width..][..self.width]
    }

    /// How much a pair counts, and its cosine less what that should be.
    fn away(&self, a: usize, b: usize) -> (f64, f64) {
        let wanted = usize::from(self.is_alike(a, b));
        let cosine: f64 = self.direction(a).iter().zip(self.direction(b)).map(|(a, b)| a * b).sum();
        (self.weights[wanted], cosine - wanted as f64)
    }

    fn loss(&self) -> f64 {
        self.pairs().map(|(a, b)| self.away(a, b)).map(|(weight, away)| weight * away * away).sum()
    }
}

impl Task for Contrast {
    fn loss(&self, outputs: &[Tensor], targets: &[Tensor], total: f64) -> EngineResult<LossValue> {
        let compared = Compared::new(outputs, targets)?;
        let width = compared.width;
        let share = compared.classes.len() as f64 / total;
        // By directions first.
        let mut slopes = vec![0.0; compared.directions.len()];
        for (a, b) in compared.pairs() {
            let (weight, away) = compared.away(a, b);
            for (own, other) in [(a, b), (b, a)] {
                let own = &mut slopes[own * width..][..width];
                let slope = 2.0 * share * weight * away;
                own.iter_mut().zip(compared.direction(other)).for_each(|(own, other)| *own += slope * other);
            }
        }
        // What changes a length alone changes no cosine.
        let mut gradient = Vec::with_capacity(slopes.len());
        for (sample, slopes) in slopes.chunks_exact(width.max(1)).enumerate() {
            let direction = compared.direction(sample);
            let along: f64 = slopes.iter().zip(direction).map(|(slope, direction)| slope * direction).sum();
            let of_row = slopes.iter().zip(direction);
            gradient.extend(
                of_row
                    .map(|(slope, direction)| ((slope - along * direction) / compared.norms[sample]) as f32),
            );
        }
        Ok(LossValue {
            value: share * compared.loss(),
            gradients: vec![Tensor::new(outputs[0].shape(), gradient)?],
        })
    }

    fn meter(&self) -> Box<dyn Meter> {
        Box::new(Distances::default())
    }
}

/// Sums batches' losses.
#[derive(Default)]
struct Distances {
    sum: f64,
    samples: usize,
}

impl Meter for Distances {
    fn add(&mut self, outputs: &[Tensor], targets: &[Tensor]) -> EngineResult<()> {
        let compared = Compared::new(outputs, targets)?;
        self.sum += compared.loss() * compared.classes.len() as f64;
        self.samples += compared.classes.len();
        Ok(())
    }

    /// `loss`.
    fn scores(&self) -> BTreeMap<String, f64> {
        [("loss".to_owned(), self.sum / self.samples.max(1) as f64)].into()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn loss(features: &[f32], classes: &[f32]) -> LossValue {
        let shape = [classes.len(), features.len() / classes.len()];
        let outputs = [Tensor::new(&shape, features.to_vec()).unwrap()];
        let targets = [Tensor::new(&[classes.len()], classes.to_vec()).unwrap()];
        Contrast.loss(&outputs, &targets, classes.len() as f64).unwrap()
    }

    #[test]
    fn the_loss_has_the_slope_that_numbers_say() {
        let features = vec![0.3, -1.0, 0.5, 0.9, 0.2, -0.4, 1.0, 0.1, 0.7, -0.6, 0.8, 0.2];
        let classes = [1.0, 1.0, 0.0, 2.0];
        let found = loss(&features, &classes);
        for (at, slope) in found.gradients[0].as_f32().unwrap().iter().enumerate() {
            let moved = |by: f32| {
                let mut features = features.clone();
                features[at] += by;
                loss(&features, &classes).value
            };
            let expected = (moved(1e-3) - moved(-1e-3)) / 2e-3;
            assert!((f64::from(*slope) - expected).abs() < 1e-4, "{at}: {slope} {expected}");
        }
    }

    #[test]
    fn both_kinds_of_pairs_count_alike() {
        let parallel = [1.0, 2.0, 2.0, 4.0];
        assert!(loss(&parallel, &[1.0, 1.0]).value < 1e-12);
        assert!((loss(&parallel, &[1.0, 0.0]).value - 1.0).abs() < 1e-9);
        // Three pairs of one class with a cosine of 1, three of two classes with a cosine of 1.
        assert!((loss(&[1.0; 8], &[0.0, 0.0, 0.0, 1.0]).value - 0.5).abs() < 1e-9);
        // A sample alone is no pair.
        let alone = loss(&[1.0, 0.0], &[0.0]);
        assert_eq!((alone.value, alone.gradients[0].as_f32().unwrap()), (0.0, &[0.0, 0.0][..]));
    }
}
