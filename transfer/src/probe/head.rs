//! A fitted probe of any kind, as a head of the network whose features it reads.

use serde::{Deserialize, Serialize};
use tk_engine::cpu::Machine;

use super::examples::expect_length;
use super::{
    CrossValidation, Examples, Features, FoldScore, Linear, LinearLoss, LinearModel, LinearOptions, Mlp,
    MlpOptions, ProbeError, Standardizer,
};
use crate::data::LabelKind;

/// The kinds of probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum ProbeKind {
    /// A linear model, its strength chosen by cross-validation.
    Linear {
        /// What it minimises.
        loss: LinearLoss,
    },
    /// A network with one hidden layer of this width.
    Hidden {
        /// Hidden units.
        hidden: usize,
    },
}

/// A fitted probe that reads raw features; standardisation is folded in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Probe {
    /// One affine layer, as logistic regression and support vector machines give.
    Linear(Linear),
    /// A network with one hidden layer.
    Mlp(Mlp),
}

impl Probe {
    /// Fits a linear model on standardised features; `scale` turns its scores into logits (see
    /// [`CrossValidation`]). The report's own layer still reads standardised features and gives scores.
    ///
    /// # Errors
    /// When an option is out of range.
    pub fn linear(
        examples: Examples<'_>,
        options: &LinearOptions,
        scale: f64,
        machine: &Machine,
    ) -> Result<(Self, LinearModel), ProbeError> {
        let features = examples.features();
        let standardizer = Standardizer::fit(features);
        let standard = standardizer.apply(features);
        let examples = examples.with_features(Features::new(&standard, features.width())?);
        let fit = LinearModel::fit(examples, options, machine)?;
        Ok((Self::Linear(standardizer.fold_into(&fit.layer.scaled(scale))), fit))
    }

    /// Fits the linear model that cross-validation chose.
    ///
    /// # Errors
    /// As [`Probe::linear`].
    pub fn chosen(
        examples: Examples<'_>,
        choice: &CrossValidation,
        machine: &Machine,
    ) -> Result<Self, ProbeError> {
        let CrossValidation { loss, strength, scale, .. } = *choice;
        let options = LinearOptions::new(loss, strength);
        Ok(Self::linear(examples, &options, scale, machine)?.0)
    }

    /// Trains a network with one hidden layer.
    ///
    /// # Errors
    /// As [`Mlp::fit`].
    pub fn mlp(examples: Examples<'_>, options: &MlpOptions, machine: &Machine) -> Result<Self, ProbeError> {
        Mlp::fit(examples, options, machine).map(Self::Mlp)
    }

    /// Logits, `[samples, classes]`, of raw features.
    ///
    /// # Errors
    /// When the features have another width.
    pub fn logits(&self, features: Features<'_>, machine: &Machine) -> Result<Vec<f32>, ProbeError> {
        match self {
            Self::Linear(layer) => layer.logits(features, machine),
            Self::Mlp(mlp) => mlp.logits(features, machine),
        }
    }

    /// Probabilities, `[samples, classes]`: what the logits mean for labels of a kind.
    ///
    /// # Errors
    /// When the features have another width.
    pub fn probabilities(
        &self,
        features: Features<'_>,
        kind: LabelKind,
        machine: &Machine,
    ) -> Result<Vec<f32>, ProbeError> {
        Ok(kind.probabilities(&self.logits(features, machine)?, self.classes()))
    }

    /// The layer, if the probe is one: what a linear head starts from, and what other tools read.
    pub fn as_linear(&self) -> Option<&Linear> {
        match self {
            Self::Linear(layer) => Some(layer),
            Self::Mlp(_) => None,
        }
    }

    /// The number of features it reads.
    pub fn features(&self) -> usize {
        match self {
            Self::Linear(layer) => layer.features(),
            Self::Mlp(mlp) => mlp.hidden.features(),
        }
    }

    /// The number of classes it tells apart.
    pub fn classes(&self) -> usize {
        match self {
            Self::Linear(layer) => layer.outputs(),
            Self::Mlp(mlp) => mlp.output.outputs(),
        }
    }
}

/// Each sample judged by a probe that did not learn from it.
#[derive(Clone, Debug, PartialEq)]
pub struct OutOfFold {
    /// Each fold's score.
    pub folds: Vec<FoldScore>,
    /// Probabilities, `[samples, classes]`.
    pub probabilities: Vec<f32>,
}

/// Fits a probe of any kind without each fold in turn, and judges the fold. `folds` says in which fold each sample is.
///
/// # Errors
/// When lengths differ, a fold is empty, a class is missing outside a fold, or `fit` fails.
pub fn out_of_fold(
    examples: Examples<'_>,
    folds: &[usize],
    machine: &Machine,
    mut fit: impl FnMut(Examples<'_>) -> Result<Probe, ProbeError>,
) -> Result<OutOfFold, ProbeError> {
    expect_length("folds", examples.samples(), folds.len())?;
    let count = folds.iter().max().map_or(0, |&last| last + 1);
    let classes = examples.classes();
    let mut probabilities = vec![0f32; examples.samples() * classes];
    let mut scores = Vec::new();
    for fold in 0..count {
        let part = |inside: bool| {
            (0..folds.len()).filter(|&sample| (folds[sample] == fold) == inside).collect::<Vec<_>>()
        };
        let (held_out, training) = (part(true), part(false));
        if held_out.is_empty() || training.is_empty() {
            let expected = "at least 2, numbered from 0, none empty";
            return Err(ProbeError::Setting { what: "folds", expected, found: count as f64 });
        }
        let probe = fit(examples.gather(&training).examples()?)?;
        let judged = examples.gather(&held_out);
        let mut rows = probe.logits(judged.features(), machine)?;
        let labels = judged.labels();
        scores.push(FoldScore::of(&mut rows, labels.iter(), labels.kind(), classes));
        for (row, &sample) in rows.chunks_exact(classes).zip(&held_out) {
            probabilities[sample * classes..][..classes].copy_from_slice(row);
        }
    }
    Ok(OutOfFold { folds: scores, probabilities })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::super::{StrengthSearch, cross_validate};
    use super::*;
    use tk_engine::random::Stream;

    fn data() -> (Vec<f32>, Vec<usize>) {
        let mut stream = Stream::new(8, &["head".into()]);
        let labels: Vec<usize> = (0..120).map(|sample| sample % 3).collect();
        let values = (0..120 * 5)
            .map(|index| {
                (stream.normal() * 3.0 + 50.0 + if index % 5 == labels[index / 5] { 6.0 } else { 0.0 }) as f32
            })
            .collect();
        (values, labels)
    }

    #[test]
    fn probes_are_written_and_read_without_a_change() {
        let (values, labels) = data();
        let examples = Examples::new(Features::new(&values, 5).unwrap(), &labels, 3).unwrap();
        let machine = Machine::new(1);
        let (linear, report) = Probe::linear(examples, &LinearOptions::default(), 1.0, &machine).unwrap();
        let mlp = Probe::mlp(examples, &MlpOptions { width: 8, ..MlpOptions::default() }, &machine).unwrap();
        assert!(report.is_converged && linear.as_linear().is_some() && mlp.as_linear().is_none());
        for probe in [linear, mlp] {
            assert_eq!((probe.features(), probe.classes()), (5, 3));
            let read: Probe = serde_json::from_str(&serde_json::to_string(&probe).unwrap()).unwrap();
            assert_eq!(read, probe);
            let rows = probe.probabilities(examples.features(), LabelKind::Single, &machine).unwrap();
            assert!(rows.chunks(3).all(|row| (row.iter().sum::<f32>() - 1.0).abs() < 1e-6));
            let wrong = probe.logits(Features::new(&values, 4).unwrap(), &machine);
            assert!(matches!(wrong, Err(ProbeError::Shape { .. })));
        }
    }

    #[test]
    fn folds_are_judged_as_by_cross_validation() {
        let (values, labels) = data();
        let examples = Examples::new(Features::new(&values, 5).unwrap(), &labels, 3).unwrap();
        let folds: Vec<usize> = (0..120).map(|sample| sample / 3 % 4).collect();
        let machine = Machine::new(1);
        let loss = LinearLoss::SquaredHinge;
        let search = StrengthSearch { loss, grid: vec![0.2], max_iterations: 1000, tolerance: 1e-7 };
        let expected = cross_validate(examples, &folds, &search, &machine).unwrap();
        let options = LinearOptions { loss, strength: 0.2, tolerance: 1e-7, ..LinearOptions::default() };
        let fit = |examples: Examples<'_>| Ok(Probe::linear(examples, &options, expected.scale, &machine)?.0);
        let found = out_of_fold(examples, &folds, &machine, fit).unwrap();
        for (found, expected) in found.probabilities.iter().zip(&expected.out_of_fold) {
            assert!((found - expected).abs() < 1e-4, "{found} {expected}");
        }
        for (found, expected) in found.folds.iter().zip(&expected.folds) {
            assert!((found.log_loss - expected.log_loss).abs() < 1e-4, "{found:?} {expected:?}");
        }
        let missing = out_of_fold(examples, &[0; 120], &machine, fit).unwrap_err();
        assert!(matches!(missing, ProbeError::Setting { .. }));
    }
}
