//! Parameters and inputs as pure functions of their names, so that programs in other languages make the same ones.
//!
//! `tests/parity/README.md` defines the numbers; `tests/parity/fill.py` is the twin.

use crate::graph::{Graph, Kind};
use crate::random::{fnv1a, mix, unit};
use crate::{Parameters, Result, Tensor};

/// `count` numbers in `[-1, 1)` that depend on the name and the position alone; their deviation is 1/√3.
pub fn signed(name: &str, count: usize) -> Vec<f64> {
    let key = fnv1a(name.as_bytes());
    (0..count as u64)
        .map(|i| mix(key ^ mix(i.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(key))))
        .map(|bits| 2.0 * unit(bits) - 1.0)
        .collect()
}

/// A parameter by its name, shape and kind, f32, scaled such that each layer about keeps the mean square of what it reads.
///
/// Convolutions (rank above 2) reckon with a ReLU before them, matrices do not; norms scale by 0.5 to 1; variances are positive.
///
/// # Errors
/// Passes on what tensors report.
pub fn fill(name: &str, shape: &[usize], kind: Kind) -> Result<Tensor> {
    let fan_in: usize = shape.iter().skip(1).product();
    let gain = if shape.len() > 2 { 2.0 } else { 1.0 };
    let bound = (3.0 * gain / fan_in.max(1) as f64).sqrt();
    let value = |s: f64| match kind {
        Kind::Weight if shape.len() > 1 => s * bound,
        Kind::Weight | Kind::NormWeight => 0.75 + 0.25 * s,
        Kind::Bias | Kind::NormBias | Kind::RunningMean | Kind::Fixed => 0.1 * s,
        Kind::RunningVariance => 1.0 + 0.5 * s,
    };
    let numbers = signed(name, shape.iter().product());
    Tensor::new(shape, numbers.into_iter().map(|s| value(s) as f32).collect())
}

/// Every parameter of a graph, filled by its name.
///
/// # Errors
/// Passes on what tensors report.
pub fn fill_all(graph: &Graph) -> Result<Parameters> {
    fill_all_scaled(graph, 1.0)
}

/// As [`fill_all`], with norms' weights times a factor: for graphs whose numbers would otherwise vanish or grow from layer to layer.
///
/// # Errors
/// Passes on what tensors report.
pub fn fill_all_scaled(graph: &Graph, norm_gain: f32) -> Result<Parameters> {
    let mut parameters = Parameters::default();
    for spec in graph.parameters() {
        let mut filled = fill(&spec.name, &spec.shape, spec.kind)?;
        if spec.kind == Kind::NormWeight {
            let scaled = filled.to_f32().iter().map(|weight| norm_gain * weight).collect();
            filled = Tensor::new(&spec.shape, scaled)?;
        }
        parameters.set(&spec.name, filled);
    }
    Ok(parameters)
}

/// An input by its name, f32 in `[-1, 1)`.
///
/// # Errors
/// Passes on what tensors report.
pub fn fill_input(name: &str, shape: &[usize]) -> Result<Tensor> {
    Tensor::new(shape, signed(name, shape.iter().product()).into_iter().map(|s| s as f32).collect())
}

/// Pictures `[batch, size, size, 3]`, f32 in `[-1, 1)`: the parity programs' `input`, which counts channels first.
///
/// # Errors
/// Passes on what tensors report.
pub fn pictures(batch: usize, size: usize) -> Result<Tensor> {
    let pixels = size * size;
    let planes = signed("input", batch * 3 * pixels);
    let at = |index: usize| (index / (3 * pixels) * 3 + index % 3) * pixels + index / 3 % pixels;
    Tensor::new(&[batch, size, size, 3], (0..planes.len()).map(|index| planes[at(index)] as f32).collect())
}

/// A gradient for each output, by its position: what stands for a loss where only gradients matter.
///
/// # Errors
/// Passes on what tensors report.
pub fn cotangents(outputs: &[Tensor]) -> Result<Vec<Tensor>> {
    let cotangent =
        |(number, output): (usize, &Tensor)| fill_input(&format!("cotangent.{number}"), output.shape());
    outputs.iter().enumerate().map(cotangent).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    /// By `tests/parity/fill.py`.
    #[test]
    fn numbers_are_those_of_the_twin() {
        let cases: [(&str, &[usize], Kind, [f32; 2]); 6] = [
            ("layer1.0.conv1.weight", &[8, 4, 3, 3], Kind::Weight, [0.164_754_64, -0.310_856_13]),
            ("fc.weight", &[5, 7], Kind::Weight, [0.308_856_34, 0.140_108_1]),
            ("bn1.weight", &[6], Kind::NormWeight, [0.918_866_34, 0.506_679_06]),
            ("bn1.bias", &[6], Kind::NormBias, [0.020_287_916, -0.005_739_349_4]),
            ("bn1.running_mean", &[6], Kind::RunningMean, [0.080_279_6, 0.085_732_97]),
            ("bn1.running_var", &[6], Kind::RunningVariance, [0.781_180_6, 1.262_339_4]),
        ];
        for (name, shape, kind, expected) in cases {
            let filled = fill(name, shape, kind).unwrap();
            assert_eq!(filled.as_f32().unwrap()[..2], expected, "{name}");
        }
    }

    #[test]
    fn pictures_are_channels_last() {
        let (picture, planes) = (pictures(2, 4).unwrap(), signed("input", 2 * 3 * 16));
        let picture = picture.as_f32().unwrap();
        // Sample 1, row 2, column 3, channel 1.
        assert_eq!(picture[((16) + 2 * 4 + 3) * 3 + 1], planes[(3 + 1) * 16 + 2 * 4 + 3] as f32);
    }
}
