//! Whether two executors train a graph alike.

use super::{CheckError, Checked, breaks, cotangents};
use crate::{GroupRate, StepKey, Tensor, Training};

/// How far numbers may lie apart, as a share of the largest expected number of the same tensor.
#[derive(Clone, Copy, Debug)]
pub struct Tolerances {
    /// Of outputs.
    pub outputs: f64,
    /// Of gradients.
    pub gradients: f64,
    /// Of parameters and running statistics after the updates.
    pub parameters: f64,
}

impl Tolerances {
    /// For f32 against f64 in graphs of a few layers: sums of some hundred products, each rounded at 6·10⁻⁸.
    pub const SINGLE: Self = Self { outputs: 2e-5, gradients: 5e-5, parameters: 2e-5 };
}

/// Trains both for two steps on the same inputs and compares outputs, the gradient of every trained parameter, and at the end
/// parameters, running statistics and a run without training behaviour. `expected` is the authority.
///
/// Give both an optimizer whose step is proportional to the gradient (SGD): AdamW's first step is the gradient's sign, which rounding
/// decides where the true gradient is zero.
///
/// # Errors
/// Names the first thing that differs.
pub fn check_agreement(
    found: &mut dyn Training,
    expected: &mut dyn Training,
    inputs: &[Tensor],
    rates: &[GroupRate],
    tolerances: Tolerances,
) -> Checked {
    let names: Vec<String> = expected.parameters()?.iter().map(|(name, _)| name.to_owned()).collect();
    let batch = inputs.first().and_then(|input| input.shape().first().copied()).unwrap_or(0);
    for step in 0..2 {
        let key = StepKey { seed: 1, step, samples: (0..batch as u64).map(|sample| 100 + sample).collect() };
        let (outputs, wanted) = (found.forward(inputs, &key)?, expected.forward(inputs, &key)?);
        compare_all(&format!("step {step}, output"), &outputs, &wanted, tolerances.outputs)?;
        let gradients = cotangents(&wanted)?;
        found.backward(&gradients)?;
        expected.backward(&gradients)?;
        let mut pairs = Vec::new();
        for name in &names {
            match (found.gradient(name), expected.gradient(name)) {
                (Ok(a), Ok(b)) => pairs.push((format!("step {step}, gradient of `{name}`"), a, b)),
                (Err(_), Err(_)) => {}
                (Ok(_), Err(_)) => {
                    return Err(breaks(name, "is trained by one executor, frozen in the other"));
                }
                (Err(error), Ok(_)) => return Err(error.into()),
            }
        }
        check_gradients_close(&pairs, tolerances.gradients)?;
        let trained = pairs.len();
        let counts =
            [found.gradient_norms()?, expected.gradient_norms()?].map(|norms| norms.iter().flatten().count());
        if counts != [trained; 2] || trained == 0 {
            return Err(breaks("gradient norms", format!("{counts:?} for {trained} trained parameters")));
        }
        found.update(rates, 0.5)?;
        expected.update(rates, 0.5)?;
    }
    let (found_parameters, expected_parameters) = (found.parameters()?, expected.parameters()?);
    for name in &names {
        let (a, b) = (found_parameters.get(name)?, expected_parameters.get(name)?);
        check_close(&format!("`{name}` after two updates"), a, b, tolerances.parameters)?;
    }
    compare_all("inference, output", &found.run(inputs)?, &expected.run(inputs)?, tolerances.outputs)
}

fn compare_all(what: &str, found: &[Tensor], expected: &[Tensor], tolerance: f64) -> Checked {
    if found.len() != expected.len() {
        return Err(breaks(what, format!("{} of them, expected {}", found.len(), expected.len())));
    }
    for (number, (found, expected)) in found.iter().zip(expected).enumerate() {
        check_close(&format!("{what} {number}"), found, expected, tolerance)?;
    }
    Ok(())
}

/// Compares pairs of found and expected gradients. Rounding is measured by the largest number of the same tensor, or a hundredth of the
/// largest of all where that is more: a gradient that is zero by design, such as a bias's before a batch-norm, has the
/// rounding of the terms that cancel in it.
pub(super) fn check_gradients_close(pairs: &[(String, Tensor, Tensor)], tolerance: f64) -> Checked {
    let largest_of_all = pairs.iter().map(|(_, _, expected)| largest(&expected.to_f64())).fold(0.0, f64::max);
    for (what, found, expected) in pairs {
        let scale = largest(&expected.to_f64()).max(0.01 * largest_of_all);
        check_within(what, found, expected, tolerance * scale)?;
    }
    Ok(())
}

/// Compares two tensors; differences may be `tolerance` times the largest expected number. NaN never agrees.
///
/// # Errors
/// Names the number that differs most.
pub fn check_close(what: &str, found: &Tensor, expected: &Tensor, tolerance: f64) -> Checked {
    check_within(what, found, expected, tolerance * largest(&expected.to_f64()))
}

fn largest(numbers: &[f64]) -> f64 {
    numbers.iter().fold(0.0, |largest, number| largest.max(number.abs()))
}

fn check_within(what: &str, found: &Tensor, expected: &Tensor, allowed: f64) -> Checked {
    if found.shape() != expected.shape() {
        return Err(CheckError::Shape {
            what: what.to_owned(),
            expected: expected.shape().to_vec(),
            found: found.shape().to_vec(),
        });
    }
    let (found, expected) = (found.to_f64(), expected.to_f64());
    let distance = |at: usize| (found[at] - expected[at]).abs();
    let agrees = |at: usize| distance(at) <= allowed || found[at] == expected[at];
    match (0..found.len()).filter(|&at| !agrees(at)).max_by(|&a, &b| distance(a).total_cmp(&distance(b))) {
        Some(at) => Err(CheckError::Differs {
            what: what.to_owned(),
            at,
            expected: expected[at],
            found: found[at],
            tolerance: allowed,
        }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn differences_are_measured_by_the_largest_number() {
        let expected = Tensor::new(&[2], vec![10.0, 0.1]).unwrap();
        for (numbers, agrees) in
            [([10.0, 0.1], true), ([10.0, 0.105], true), ([10.0, 0.2], false), ([f32::NAN, 0.1], false)]
        {
            let found = Tensor::new(&[2], numbers.to_vec()).unwrap();
            assert_eq!(check_close("x", &found, &expected, 1e-3).is_ok(), agrees, "{numbers:?}");
        }
        assert!(check_close("x", &Tensor::zeros(&[2, 1]), &expected, 1.0).is_err());
    }
}
