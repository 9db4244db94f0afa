//! Logistic regression and the linear support vector machine.
//!
//! The objective is scikit-learn's at the same `C`, `C · Σ wᵢ · loss(xᵢ·Wᵀ + b, yᵢ) + ½·‖W‖²`: that of `LogisticRegression` (since
//! 1.0, penalty L2), whose bias is not penalised, for one class of several or for each class by itself, and that of `LinearSVC` (squared hinge, one class against the rest, which
//! liblinear fits), whose bias is. Two classes have two rows here, of opposite sign, where scikit-learn fits one: the support vector
//! machine is the same with twice its objective, and logistic regression is scikit-learn's at twice the strength with half its
//! objective.

use serde::{Deserialize, Serialize};
use tk_engine::cpu::Machine;

use super::line_search::ROUNDING;
use super::minimize::{Minimum, Stop, minimize};
use super::objective::{Design, Objective};
use super::{Examples, Linear, LinearLoss, ProbeError};

/// How a linear model is fitted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LinearOptions {
    /// What is minimised.
    pub loss: LinearLoss,
    /// The inverse of the penalty, scikit-learn's `C`: larger fits the data more closely.
    pub strength: f64,
    /// Iterations, at most.
    pub max_iterations: usize,
    /// Fitting ends when no component of the gradient of the mean objective, `objective / (C · Σ w)`, is larger.
    pub tolerance: f64,
}

impl LinearOptions {
    /// What brings the objective within 10⁻⁶ of scikit-learn's on features of photographs. The squared hinge is flat where margins
    /// are kept, so the same gradient leaves more of it.
    pub fn new(loss: LinearLoss, strength: f64) -> Self {
        let tolerance = match loss {
            LinearLoss::Softmax | LinearLoss::Logistic => 1e-5,
            LinearLoss::SquaredHinge => 1e-6,
        };
        Self { loss, strength, max_iterations: 1000, tolerance }
    }
}

impl Default for LinearOptions {
    fn default() -> Self {
        Self::new(LinearLoss::Softmax, 1.0)
    }
}

/// A fitted linear model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LinearModel {
    /// Weight `[classes, features]` and bias `[classes]`. Rows of a logistic regression sum to zero, which leaves probabilities as
    /// they are.
    pub layer: Linear,
    /// What it minimises.
    pub loss: LinearLoss,
    /// The strength it was fitted with.
    pub strength: f64,
    /// scikit-learn's objective at the fitted point.
    pub objective: f64,
    /// The largest component of the gradient of the mean objective there.
    pub gradient: f64,
    /// Iterations taken.
    pub iterations: usize,
    /// Evaluations of the objective and its gradient: the work.
    pub evaluations: usize,
    /// Whether the tolerance, or the limit of f32 products, was reached.
    pub is_converged: bool,
}

impl LinearModel {
    /// Fits features as they are; standardise them first, or use [`Probe::linear`](super::Probe::linear).
    ///
    /// # Errors
    /// When an option is out of range.
    pub fn fit(
        examples: Examples<'_>,
        options: &LinearOptions,
        machine: &Machine,
    ) -> Result<Self, ProbeError> {
        options.check()?;
        let loss = options.loss.for_labels(examples.labels().kind());
        let weights: Vec<f32> = examples.weights().map(<[f32]>::to_vec).unwrap_or_default();
        let all = 0..examples.samples();
        let design = Design {
            features: examples.features(),
            labels: examples.labels(),
            weights: &weights,
            ranges: std::slice::from_ref(&all),
            classes: examples.classes(),
            loss,
        };
        let mut objective = Objective::new(design, options.strength, None, machine);
        let found = solve(&mut objective, vec![0.0; design.point_length()], options);
        Ok(Self {
            layer: layer(&found.point, examples.classes(), loss),
            loss,
            strength: options.strength,
            objective: found.value * options.strength * objective.total_weight(),
            gradient: found.gradient,
            iterations: found.iterations,
            evaluations: found.evaluations,
            is_converged: found.is_converged,
        })
    }
}

impl LinearOptions {
    fn check(&self) -> Result<(), ProbeError> {
        for (what, found) in [("strength", self.strength), ("tolerance", self.tolerance)] {
            if !(found.is_finite() && found > 0.0) {
                return Err(ProbeError::Setting { what, expected: "a finite number above 0", found });
            }
        }
        Ok(())
    }
}

/// Minimises from a start.
pub(super) fn solve(objective: &mut Objective<'_>, start: Vec<f64>, options: &LinearOptions) -> Minimum {
    let stop = Stop {
        iterations: options.max_iterations,
        gradient: options.tolerance,
        decrease: (1e-4 * options.tolerance).max(0.1 * ROUNDING),
    };
    minimize(start, stop, |point, gradient| objective.evaluate(point, gradient))
}

/// The layer of a point. A constant added to every class's logits changes no probability of a softmax; it is chosen so that rows sum to zero.
pub(super) fn layer(point: &[f64], classes: usize, loss: LinearLoss) -> Linear {
    let width = point.len() / classes - 1;
    let (weight, bias) = point.split_at(classes * width);
    if loss != LinearLoss::Softmax {
        let plain = |values: &[f64]| values.iter().map(|&value| value as f32).collect();
        return Linear::from_parts(plain(weight), plain(bias), width);
    }
    let centred = |values: &[f64], stride: usize| -> Vec<f32> {
        let mut means = vec![0f64; stride];
        for row in values.chunks_exact(stride) {
            means.iter_mut().zip(row).for_each(|(sum, value)| *sum += value / classes as f64);
        }
        values.iter().enumerate().map(|(index, value)| (value - means[index % stride]) as f32).collect()
    };
    Linear::from_parts(centred(weight, width), centred(bias, 1), width)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::super::Features;
    use super::*;

    /// 60 samples, 4 features, 3 classes, by formula; the program below makes the same.
    fn data() -> (Vec<f32>, Vec<usize>) {
        let labels: Vec<usize> = (0..60).map(|i| (i * i + i / 7) % 3).collect();
        let value = |i: usize, j: usize| {
            ((i * 13 + j * 29) % 17) as f32 / 8.0 - 1.0 + if labels[i] == j { 0.75 } else { 0.0 }
        };
        ((0..240).map(|index| value(index / 4, index % 4)).collect(), labels)
    }

    #[test]
    fn objective_and_optimum_equal_scikit_learn() {
        // sklearn 1.9.1: LogisticRegression(C=C, tol=1e-12, max_iter=100000), objective by its definition in f64:
        //   y = [(i*i + i//7) % 3 for i in range(60)]
        //   X = [[((i*13 + j*29) % 17)/8 - 1 + (0.75 if y[i] == j else 0) for j in range(4)] for i in range(60)]
        // (C, objective, coef_[0][0], intercept_[2] - intercept_[0])
        let expected = [
            (0.01, 0.629745840, 0.056597, -0.118338),
            (1.0, 38.678233605, 0.517030, -0.608888),
            (100.0, 3151.368963969, 0.822080, -0.724830),
        ];
        let (values, labels) = data();
        let features = Features::new(&values, 4).unwrap();
        let examples = Examples::new(features, &labels, 3).unwrap();
        for (strength, objective, weight, bias) in expected {
            let options = LinearOptions { strength, tolerance: 1e-7, ..LinearOptions::default() };
            let found = LinearModel::fit(examples, &options, &Machine::new(1)).unwrap();
            assert!(found.is_converged);
            assert!((found.objective - objective).abs() < 1e-6 * objective, "{strength}: {found:?}");
            assert!(
                (f64::from(found.layer.weight()[0]) - weight).abs() < 1e-3 * weight.abs(),
                "{strength}: {found:?}"
            );
            let difference = f64::from(found.layer.bias()[2] - found.layer.bias()[0]);
            assert!((difference - bias).abs() < 1e-3, "{strength}: {difference}");
        }
    }

    #[test]
    fn a_support_vector_machine_s_objective_and_optimum_equal_scikit_learn() {
        // sklearn 1.9.1: LinearSVC(C=C, tol=1e-10, max_iter=1000000, dual=True) on the same X and y, objective by its definition in
        // f64: C·Σ max(0, 1 − s·score)² + ½(‖coef_‖² + ‖intercept_‖²).
        // (C, objective, coef_[0][0], intercept_[0])
        let expected = [
            (0.01, 1.417558413, 0.107312, -0.112414),
            (1.0, 87.140746793, 0.186741, 0.003434),
            (100.0, 8391.821295187, 0.179420, 0.021400),
        ];
        let (values, labels) = data();
        let features = Features::new(&values, 4).unwrap();
        let examples = Examples::new(features, &labels, 3).unwrap();
        for (strength, objective, weight, bias) in expected {
            let loss = LinearLoss::SquaredHinge;
            let options = LinearOptions { loss, strength, tolerance: 1e-7, ..LinearOptions::default() };
            let found = LinearModel::fit(examples, &options, &Machine::new(1)).unwrap();
            assert!(found.is_converged);
            assert!((found.objective - objective).abs() < 1e-6 * objective, "{strength}: {found:?}");
            for (found, expected) in [(found.layer.weight()[0], weight), (found.layer.bias()[0], bias)] {
                assert!((f64::from(found) - expected).abs() < 1e-3 * expected.abs(), "{strength}: {found}");
            }
        }
    }

    #[test]
    fn a_logistic_regression_for_each_class_equals_scikit_learn() {
        // sklearn 1.9.1: for each column of Y, LogisticRegression(C=C, tol=1e-12, max_iter=100000) on the same X; the sum of the
        // objectives by their definition in f64, coefficient and intercept of the first.
        //   Y = [[(c == y[i] or (i % 5 == 0 and c == (y[i] + 1) % 3)) and i % 7 != 0 for c in range(3)] for i in range(60)]
        // (C, objective, coef_[0][0], intercept_[0])
        let expected = [
            (0.01, 1.136426821, 0.021021, -0.682464),
            (1.0, 94.936496237, 0.042298, -0.387496),
            (100.0, 8937.240993816, -0.173061, -0.138392),
        ];
        let (values, labels) = data();
        let features = Features::new(&values, 4).unwrap();
        let several: Vec<Vec<usize>> = (0..60)
            .map(|i| {
                let is_of = |c: &usize| *c == labels[i] || (i % 5 == 0 && *c == (labels[i] + 1) % 3);
                (0..3).filter(|c| i % 7 != 0 && is_of(c)).collect()
            })
            .collect();
        let examples = Examples::new(features, &several[..], 3).unwrap();
        for (strength, objective, weight, bias) in expected {
            // Asked for a logistic regression, labels say of which kind.
            let options = LinearOptions { strength, tolerance: 1e-7, ..LinearOptions::default() };
            let found = LinearModel::fit(examples, &options, &Machine::new(1)).unwrap();
            assert!(found.is_converged && found.loss == LinearLoss::Logistic);
            assert!((found.objective - objective).abs() < 1e-6 * objective, "{strength}: {found:?}");
            for (found, expected) in [(found.layer.weight()[0], weight), (found.layer.bias()[0], bias)] {
                assert!((f64::from(found) - expected).abs() < 2e-3, "{strength}: {found} {expected}");
            }
        }
    }

    #[test]
    fn weights_count_like_copies() {
        let (values, labels) = data();
        let weights: Vec<f32> = (0..60).map(|i| (1 + i % 3) as f32).collect();
        let copies: Vec<usize> = (0..60).flat_map(|i| vec![i; 1 + i % 3]).collect();
        let copied_values: Vec<f32> = copies.iter().flat_map(|&i| values[i * 4..][..4].to_vec()).collect();
        let copied_labels: Vec<usize> = copies.iter().map(|&i| labels[i]).collect();
        let options = LinearOptions { tolerance: 1e-7, ..LinearOptions::default() };
        let fit = |values: &[f32], labels: &[usize], weights: Option<&[f32]>| {
            let examples = Examples::new(Features::new(values, 4).unwrap(), labels, 3).unwrap();
            let examples = weights.map_or(examples, |weights| examples.weighted(weights).unwrap());
            LinearModel::fit(examples, &options, &Machine::new(1)).unwrap()
        };
        let (weighted, copied) =
            (fit(&values, &labels, Some(&weights)), fit(&copied_values, &copied_labels, None));
        assert!((weighted.objective / copied.objective - 1.0).abs() < 1e-7);
        for (a, b) in weighted.layer.weight().iter().zip(copied.layer.weight()) {
            // The minimum is flat: objectives equal to 1e-7 leave weights free to about its square root.
            assert!((a - b).abs() < 1e-3, "{a} {b}");
        }
    }

    #[test]
    fn separable_data_end_and_options_are_checked() {
        let values: Vec<f32> = (0..20).map(|i| i as f32).collect();
        let labels: Vec<usize> = (0..20).map(|i| usize::from(i >= 10)).collect();
        let examples = Examples::new(Features::new(&values, 1).unwrap(), &labels, 2).unwrap();
        let options = LinearOptions { strength: 1e6, ..LinearOptions::default() };
        let found = LinearModel::fit(examples, &options, &Machine::new(1)).unwrap();
        let logits = found.layer.logits(examples.features(), &Machine::new(1)).unwrap();
        assert!(logits.chunks(2).zip(&labels).all(|(row, &label)| row[label] > row[1 - label]));
        for strength in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let options = LinearOptions { strength, ..options };
            assert!(matches!(
                LinearModel::fit(examples, &options, &Machine::new(1)),
                Err(ProbeError::Setting { .. })
            ));
        }
    }
}
