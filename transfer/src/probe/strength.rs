//! The strength of a linear model, chosen by cross-validation.
//!
//! Features are standardised by the training part of each fold, without copying them per fold: all are standardised once, and each
//! fold's own means and deviations go into its penalty, which has the same optimum.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use tk_engine::cpu::Machine;

use super::calibration;
use super::examples::expect_length;
use super::linear_model::{layer, solve};
use super::loss::log_loss;
use super::objective::{Design, Objective};
use super::{Examples, Features, LinearLoss, LinearOptions, ProbeError, Standardizer};
use crate::data::LabelKind;
use crate::metrics::scores::most_probable;

/// After so many strengths in a row with a worse log-loss and no better accuracy the weaker penalties are not tried.
const PATIENCE: usize = 3;

/// The strengths to choose from, and how long to fit each.
#[derive(Clone, Debug, PartialEq)]
pub struct StrengthSearch {
    /// What is minimised.
    pub loss: LinearLoss,
    /// Strengths, scikit-learn's `C`.
    pub grid: Vec<f64>,
    /// Iterations for one strength and fold, at most.
    pub max_iterations: usize,
    /// As in [`LinearOptions`]; scores need less than the final fit.
    pub tolerance: f64,
}

impl StrengthSearch {
    /// Half decades from 10⁻³ to 10⁴ over the number of features: the squared length of a standardised sample is the number of
    /// features, so that the same multiple means the same freedom for any network. A decade less for support vector machines: the
    /// squared hinge curves eight times as much as the softmax of two classes.
    pub fn for_width(loss: LinearLoss, width: usize) -> Self {
        let halves = match loss {
            LinearLoss::Softmax | LinearLoss::Logistic => -6..=8,
            LinearLoss::SquaredHinge => -8..=6,
        };
        let grid = halves.map(|half| 10f64.powf(f64::from(half) / 2.0) / width.max(1) as f64).collect();
        Self { loss, grid, max_iterations: 300, tolerance: 1e-4 }
    }
}

/// The score of one fold, which was left out when learning.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FoldScore {
    /// Samples in the fold.
    pub samples: usize,
    /// The part of them that was predicted right; of several classes a sample has, the part of the answers for each class.
    pub accuracy: f64,
    /// Their mean log-loss.
    pub log_loss: f64,
}

impl FoldScore {
    /// The score of a fold's logits, `[samples, classes]`, which become probabilities.
    pub(super) fn of<'a>(
        logits: &mut [f32],
        labels: impl Iterator<Item = &'a [usize]>,
        kind: LabelKind,
        classes: usize,
    ) -> Self {
        let (mut samples, mut right, mut loss) = (0usize, 0f64, 0f64);
        for (row, of) in logits.chunks_exact_mut(classes).zip(labels) {
            right += match kind {
                LabelKind::Single => f64::from(u8::from(of.contains(&most_probable(row)))),
                LabelKind::Multi => {
                    let is_right = |(class, logit): (usize, &f32)| (*logit > 0.0) == of.contains(&class);
                    row.iter().enumerate().filter(|&answer| is_right(answer)).count() as f64 / classes as f64
                }
            };
            loss += log_loss(kind, row, of);
            samples += 1;
        }
        let count = samples.max(1) as f64;
        Self { samples, accuracy: right / count, log_loss: loss / count }
    }
}

/// The scores of one strength.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StrengthScore {
    /// scikit-learn's `C`.
    pub strength: f64,
    /// The mean of the folds' accuracies.
    pub accuracy: f64,
    /// The mean of the folds' log-losses.
    pub log_loss: f64,
    /// The accuracy on each fold.
    pub folds: Vec<f64>,
}

/// What cross-validation found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CrossValidation {
    /// What was minimised.
    pub loss: LinearLoss,
    /// The chosen strength: best mean accuracy, then lowest log-loss, then strongest penalty. Where samples have several classes, most
    /// answers are a right "no", so the log-loss comes first.
    pub strength: f64,
    /// What the model's scores are multiplied by to be logits: 1 for logistic regression, else what makes the log-loss of the samples
    /// lowest, each scored by the model that did not learn from it.
    pub scale: f64,
    /// Each fold's score at the chosen strength.
    pub folds: Vec<FoldScore>,
    /// Every strength tried, strongest penalty first.
    pub path: Vec<StrengthScore>,
    /// The probabilities of each sample from the model that did not learn from it, `[samples, classes]`, in the samples' order.
    #[serde(skip)]
    pub out_of_fold: Vec<f32>,
}

/// Chooses the strength. `folds` says in which fold each sample is (see [`crate::data::folds`]).
///
/// Strengths are tried from the strongest penalty, each from the solution before; when three in a row have a worse log-loss and no
/// better accuracy, the rest is left out.
///
/// # Errors
/// When the grid is empty or not positive, lengths differ, a fold is empty, or a class is missing outside a fold.
pub fn cross_validate(
    examples: Examples<'_>,
    folds: &[usize],
    search: &StrengthSearch,
    machine: &Machine,
) -> Result<CrossValidation, ProbeError> {
    let grid = sorted_grid(&search.grid)?;
    expect_length("folds", examples.samples(), folds.len())?;
    let order = Order::new(folds)?;
    let gathered = examples.gather(&order.samples);
    let sorted = gathered.examples()?;
    let standard = Standardizer::fit(sorted.features()).apply(sorted.features());
    let sorted = sorted.with_features(Features::new(&standard, sorted.features().width())?);
    let mut models =
        order.folds.iter().map(|fold| FoldModel::new(sorted, fold)).collect::<Result<Vec<_>, _>>()?;

    let mut path: Vec<StrengthScore> = Vec::new();
    let mut best: Option<(usize, Judged)> = None;
    for &strength in &grid {
        let options = LinearOptions {
            loss: search.loss.for_labels(sorted.labels().kind()),
            strength,
            max_iterations: search.max_iterations,
            tolerance: search.tolerance,
        };
        let judged = Judged::of(&mut models, sorted, &options, machine)?;
        let score = judged.score(strength);
        let kind = sorted.labels().kind();
        let is_better = best.as_ref().is_none_or(|(index, _)| score.is_better_than(&path[*index], kind));
        if is_better {
            best = Some((path.len(), judged));
        }
        path.push(score);
        if best.as_ref().is_some_and(|(index, _)| is_past_the_best(&path, *index)) {
            break;
        }
    }
    let (index, Judged { scale, folds, probabilities }) = best.ok_or_else(empty_grid)?;
    let (classes, kind) = (sorted.classes(), sorted.labels().kind());
    let loss = search.loss.for_labels(kind);
    let mut out_of_fold = vec![0f32; probabilities.len()];
    for (row, &sample) in probabilities.chunks_exact(classes).zip(&order.samples) {
        out_of_fold[sample * classes..][..classes].copy_from_slice(row);
    }
    Ok(CrossValidation { loss, strength: path[index].strength, scale, folds, path, out_of_fold })
}

/// What one strength gave on the samples that were left out.
struct Judged {
    scale: f64,
    folds: Vec<FoldScore>,
    /// `[samples, classes]`, sorted by fold.
    probabilities: Vec<f32>,
}

impl Judged {
    /// Fits all folds' models, then finds the scale of their scores on all samples.
    fn of(
        models: &mut [FoldModel],
        examples: Examples<'_>,
        options: &LinearOptions,
        machine: &Machine,
    ) -> Result<Self, ProbeError> {
        let (classes, labels) = (examples.classes(), examples.labels());
        let mut rows = vec![0f32; examples.samples() * classes];
        for model in models.iter_mut() {
            let held_out = model.held_out.start * classes..model.held_out.end * classes;
            model.fit(examples, options, &mut rows[held_out], machine)?;
        }
        let mut scale = 1.0;
        if !options.loss.gives_logits() {
            scale = calibration::scale(&rows, labels, examples.weights(), classes);
            rows.iter_mut().for_each(|score| *score = (scale * f64::from(*score)) as f32);
        }
        let folds = models
            .iter()
            .map(|FoldModel { held_out, .. }| {
                let rows = &mut rows[held_out.start * classes..held_out.end * classes];
                let labels_of = held_out.clone().map(|sample| labels.of(sample));
                FoldScore::of(rows, labels_of, labels.kind(), classes)
            })
            .collect();
        Ok(Self { scale, folds, probabilities: rows })
    }

    /// The means over folds.
    fn score(&self, strength: f64) -> StrengthScore {
        let mean = |value: fn(&FoldScore) -> f64| {
            self.folds.iter().map(value).sum::<f64>() / self.folds.len() as f64
        };
        StrengthScore {
            strength,
            accuracy: mean(|score| score.accuracy),
            log_loss: mean(|score| score.log_loss),
            folds: self.folds.iter().map(|score| score.accuracy).collect(),
        }
    }
}

impl StrengthScore {
    /// Better accuracy, or the same and a lower log-loss. Sums of the same samples may differ by rounding.
    fn is_better_than(&self, other: &Self, kind: LabelKind) -> bool {
        let has_lower_loss = self.log_loss < other.log_loss - 1e-12;
        match kind {
            LabelKind::Multi => has_lower_loss,
            LabelKind::Single => {
                self.accuracy > other.accuracy + 1e-12
                    || (self.accuracy >= other.accuracy - 1e-12 && has_lower_loss)
            }
        }
    }
}

/// Whether the last strengths are all after the best one, and each has a worse log-loss than the one before.
fn is_past_the_best(path: &[StrengthScore], best: usize) -> bool {
    path.len() > best + PATIENCE
        && path
            .iter()
            .rev()
            .zip(path.iter().rev().skip(1))
            .take(PATIENCE)
            .all(|(later, earlier)| later.log_loss > earlier.log_loss)
}

fn sorted_grid(grid: &[f64]) -> Result<Vec<f64>, ProbeError> {
    if let Some(&found) = grid.iter().find(|strength| !(strength.is_finite() && **strength > 0.0)) {
        return Err(ProbeError::Setting { what: "strength", expected: "a finite number above 0", found });
    }
    if grid.is_empty() {
        return Err(empty_grid());
    }
    let mut grid = grid.to_vec();
    grid.sort_by(f64::total_cmp);
    Ok(grid)
}

fn empty_grid() -> ProbeError {
    ProbeError::Setting { what: "number of strengths", expected: "at least 1", found: 0.0 }
}

/// The samples sorted by fold, so that each fold is one range.
struct Order {
    samples: Vec<usize>,
    folds: Vec<Range<usize>>,
}

impl Order {
    fn new(fold_of: &[usize]) -> Result<Self, ProbeError> {
        let count = fold_of.iter().max().map_or(0, |&last| last + 1);
        let mut samples: Vec<usize> = (0..fold_of.len()).collect();
        samples.sort_by_key(|&sample| fold_of[sample]);
        let start_of = |fold: usize| samples.partition_point(|&sample| fold_of[sample] < fold);
        let folds: Vec<Range<usize>> =
            (0..count.min(fold_of.len())).map(|fold| start_of(fold)..start_of(fold + 1)).collect();
        if count < 2 || folds.len() < count || folds.iter().any(Range::is_empty) {
            let expected = "at least 2, numbered from 0, none empty";
            return Err(ProbeError::Setting { what: "folds", expected, found: count as f64 });
        }
        Ok(Self { samples, folds })
    }
}

/// The model that does not learn from one fold.
struct FoldModel {
    held_out: Range<usize>,
    training: [Range<usize>; 2],
    /// What standardises the training part.
    standard: Standardizer,
    point: Vec<f64>,
}

impl FoldModel {
    fn new(examples: Examples<'_>, held_out: &Range<usize>) -> Result<Self, ProbeError> {
        let (width, classes) = (examples.features().width(), examples.classes());
        let training = [0..held_out.start, held_out.end..examples.samples()];
        examples.expect_every_class_among(training.iter().cloned().flatten())?;
        let values = examples.features().values();
        let rows = training
            .iter()
            .flat_map(|range| values[range.start * width..range.end * width].chunks_exact(width));
        let standard = Standardizer::of_rows(rows, width);
        Ok(Self { held_out: held_out.clone(), training, standard, point: vec![0.0; classes * (width + 1)] })
    }

    /// Fits from the last solution and writes the held-out samples' scores.
    fn fit(
        &mut self,
        examples: Examples<'_>,
        options: &LinearOptions,
        scores: &mut [f32],
        machine: &Machine,
    ) -> Result<(), ProbeError> {
        let design = Design {
            features: examples.features(),
            labels: examples.labels(),
            weights: examples.weights().unwrap_or_default(),
            ranges: &self.training,
            classes: examples.classes(),
            loss: options.loss,
        };
        let mut objective = Objective::new(design, options.strength, Some(&self.standard), machine);
        self.point = solve(&mut objective, std::mem::take(&mut self.point), options).point;
        let features = examples.features().range(self.held_out.clone());
        let layer = layer(&self.point, examples.classes(), options.loss);
        scores.copy_from_slice(&layer.logits(features, machine)?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use tk_engine::random::Stream;

    /// Classes whose means differ by `signal` in three of the features.
    fn data(samples: usize, width: usize, classes: usize, signal: f64) -> (Vec<f32>, Vec<usize>) {
        let mut stream = Stream::new(9, &["strength".into()]);
        let labels: Vec<usize> = (0..samples).map(|sample| sample % classes).collect();
        let values = (0..samples * width)
            .map(|index| {
                let (label, feature) = (labels[index / width], index % width);
                let shift = if feature % classes == label && feature < 3 * classes { signal } else { 0.0 };
                (5.0 + shift + stream.normal()) as f32
            })
            .collect();
        (values, labels)
    }

    #[test]
    fn out_of_fold_probabilities_are_those_of_fits_without_the_fold() {
        for loss in [LinearLoss::Softmax, LinearLoss::SquaredHinge] {
            fits_without_the_fold(loss);
        }
    }

    fn fits_without_the_fold(loss: LinearLoss) {
        let (samples, width, classes) = (90, 12, 3);
        let (values, labels) = data(samples, width, classes, 1.0);
        let folds: Vec<usize> = (0..samples).map(|sample| (sample * 7 + sample / 9) % 4).collect();
        let examples = Examples::new(Features::new(&values, width).unwrap(), &labels, classes).unwrap();
        let search = StrengthSearch { loss, grid: vec![0.05], max_iterations: 1000, tolerance: 1e-7 };
        let machine = Machine::new(2);
        let found = cross_validate(examples, &folds, &search, &machine).unwrap();
        for fold in 0..4 {
            let outside: Vec<usize> = (0..samples).filter(|&sample| folds[sample] != fold).collect();
            let inside: Vec<usize> = (0..samples).filter(|&sample| folds[sample] == fold).collect();
            let (outside, inside_rows) = (examples.gather(&outside), examples.gather(&inside));
            let training = outside.examples().unwrap();
            let standardizer = Standardizer::fit(training.features());
            let standard = standardizer.apply(training.features());
            let training = training.with_features(Features::new(&standard, width).unwrap());
            let options = LinearOptions { loss, strength: 0.05, tolerance: 1e-7, ..LinearOptions::default() };
            let fit = super::super::LinearModel::fit(training, &options, &machine).unwrap();
            let layer = standardizer.fold_into(&fit.layer).scaled(found.scale);
            let mut logits = layer.logits(inside_rows.features(), &machine).unwrap();
            for (row, &sample) in logits.chunks_exact_mut(classes).zip(&inside) {
                log_loss(LabelKind::Single, row, &labels[sample..=sample]);
                for (found, expected) in found.out_of_fold[sample * classes..].iter().zip(row) {
                    assert!((found - *expected).abs() < 1e-4, "sample {sample}: {found} {expected}");
                }
            }
        }
    }

    #[test]
    fn the_choice_lies_inside_the_grid_and_repeats() {
        for loss in [LinearLoss::Softmax, LinearLoss::SquaredHinge] {
            choice_of(loss);
        }
    }

    fn choice_of(loss: LinearLoss) {
        let (samples, width, classes) = (120, 60, 3);
        let (values, labels) = data(samples, width, classes, 1.2);
        let folds: Vec<usize> = (0..samples).map(|sample| (sample / 3) % 5).collect();
        let examples = Examples::new(Features::new(&values, width).unwrap(), &labels, classes).unwrap();
        let search = StrengthSearch::for_width(loss, width);
        let found = cross_validate(examples, &folds, &search, &Machine::new(1)).unwrap();
        assert_eq!(found, cross_validate(examples, &folds, &search, &Machine::new(3)).unwrap());
        assert!(found.path.len() < search.grid.len(), "hopeless strengths are left out: {:?}", found.path);
        let chosen = found.path.iter().find(|score| score.strength == found.strength).unwrap();
        assert!(found.path.iter().all(|score| !score.is_better_than(chosen, LabelKind::Single)));
        assert!(chosen.accuracy > 0.75, "{chosen:?}");
        let mean = found.folds.iter().map(|fold| fold.accuracy).sum::<f64>() / 5.0;
        assert!((mean - chosen.accuracy).abs() < 1e-12);
        assert_eq!(found.scale == 1.0, loss == LinearLoss::Softmax);
        let right = found
            .out_of_fold
            .chunks(classes)
            .zip(&labels)
            .filter(|(row, label)| most_probable(row) == **label)
            .count();
        assert!((right as f64 / samples as f64 - chosen.accuracy).abs() < 1e-9, "folds have equal sizes");
    }

    #[test]
    fn equal_scores_choose_the_stronger_penalty() {
        let score =
            |strength, accuracy, log_loss| StrengthScore { strength, accuracy, log_loss, folds: vec![] };
        let first = score(1.0, 0.9, 0.3);
        for (other, is_better) in [
            (score(2.0, 0.9, 0.3), false),
            (score(2.0, 0.9, 0.2), true),
            (score(2.0, 0.89, 0.1), false),
            (score(2.0, 0.91, 0.9), true),
        ] {
            assert_eq!(other.is_better_than(&first, LabelKind::Single), is_better, "{other:?}");
        }
    }

    #[test]
    fn what_cannot_be_validated_is_an_error() {
        let values = [0.0, 1.0, 2.0, 3.0];
        let examples = Examples::new(Features::new(&values, 1).unwrap(), &[0, 0, 1, 1], 2).unwrap();
        let machine = Machine::new(1);
        let search = StrengthSearch::for_width(LinearLoss::Softmax, 1);
        let validate = |folds: &[usize], search: &StrengthSearch| {
            cross_validate(examples, folds, search, &machine).unwrap_err()
        };
        assert!(matches!(validate(&[0, 1, 0], &search), ProbeError::Shape { .. }));
        assert!(matches!(validate(&[0, 0, 1, 1], &search), ProbeError::EmptyClass { class: 0, .. }));
        for folds in [[0, 0, 0, 0], [0, 2, 0, 2], [0, 9, 0, 9]] {
            assert!(matches!(validate(&folds, &search), ProbeError::Setting { .. }), "{folds:?}");
        }
        for grid in [vec![], vec![0.0], vec![1.0, f64::NAN]] {
            assert!(matches!(
                validate(&[0, 1, 0, 1], &StrengthSearch { grid, ..search.clone() }),
                ProbeError::Setting { .. }
            ));
        }
    }
}
