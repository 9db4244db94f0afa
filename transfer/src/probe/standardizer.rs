//! Features with mean 0 and deviation 1.

use serde::{Deserialize, Serialize};

use super::{Features, Linear};

/// The mean and the deviation of each feature, `[width]` each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Standardizer {
    mean: Vec<f64>,
    deviation: Vec<f64>,
}

impl Standardizer {
    /// The population mean and deviation of each feature, summed in f64 in two passes. The deviation of a constant feature, one
    /// that varies by no more than rounding, is taken as 1.
    pub fn fit(features: Features<'_>) -> Self {
        Self::of_rows(features.rows(), features.width())
    }

    /// The same for some rows of `width` numbers.
    pub(super) fn of_rows<'a>(rows: impl Iterator<Item = &'a [f32]> + Clone, width: usize) -> Self {
        let count = rows.clone().count().max(1) as f64;
        let mut mean = vec![0f64; width];
        for row in rows.clone() {
            mean.iter_mut().zip(row).for_each(|(sum, &value)| *sum += f64::from(value));
        }
        mean.iter_mut().for_each(|sum| *sum /= count);
        let mut deviation = vec![0f64; width];
        for row in rows {
            for ((sum, &value), mean) in deviation.iter_mut().zip(row).zip(&mean) {
                *sum += (f64::from(value) - mean).powi(2);
            }
        }
        for (sum, mean) in deviation.iter_mut().zip(&mean) {
            let found = (*sum / count).sqrt();
            let is_constant =
                found <= f64::from(f32::EPSILON) * mean.abs() || found < f64::from(f32::MIN_POSITIVE);
            *sum = if is_constant { 1.0 } else { found };
        }
        Self { mean, deviation }
    }

    /// The mean of each feature, `[width]`.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// The deviation of each feature, `[width]`; 1 for constants.
    pub fn deviation(&self) -> &[f64] {
        &self.deviation
    }

    /// `(value − mean) / deviation`, `[samples, width]`.
    ///
    /// # Panics
    /// When the features have another width.
    pub fn apply(&self, features: Features<'_>) -> Vec<f32> {
        assert_eq!(features.width(), self.mean.len(), "features of another width");
        let mut values = Vec::with_capacity(features.values().len());
        for row in features.rows() {
            let parameters = self.mean.iter().zip(&self.deviation);
            values.extend(
                row.iter()
                    .zip(parameters)
                    .map(|(&value, (mean, deviation))| ((f64::from(value) - mean) / deviation) as f32),
            );
        }
        values
    }

    /// The layer that does to raw features what `layer` does to standardised ones.
    ///
    /// # Panics
    /// When the layer has another width.
    pub fn fold_into(&self, layer: &Linear) -> Linear {
        let width = layer.features();
        assert_eq!(width, self.mean.len(), "a layer of another width");
        let mut weight = Vec::with_capacity(layer.weight().len());
        let mut bias = Vec::with_capacity(layer.bias().len());
        for (row, &old) in layer.weight().chunks_exact(width).zip(layer.bias()) {
            let folded =
                row.iter().zip(&self.deviation).map(|(&weight, deviation)| f64::from(weight) / deviation);
            // With the rounded weight, so that the shift cancels exactly what the product will add.
            let start = weight.len();
            weight.extend(folded.map(|weight| weight as f32));
            let shift: f64 =
                weight[start..].iter().zip(&self.mean).map(|(&weight, mean)| f64::from(weight) * mean).sum();
            bias.push((f64::from(old) - shift) as f32);
        }
        Linear::from_parts(weight, bias, width)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn features_become_standard_and_constants_zero() {
        let values = [1.0, 5.0, 1e6, 3.0, 5.0, 1e6 + 1.0, 5.0, 5.0, 1e6 + 2.0];
        let features = Features::new(&values, 3).unwrap();
        let standard = Standardizer::fit(features).apply(features);
        let high = 1.5f32.sqrt();
        for (found, expected) in standard.iter().zip([-high, 0.0, -high, 0.0, 0.0, 0.0, high, 0.0, high]) {
            assert!((found - expected).abs() < 1e-6, "{standard:?}");
        }
    }

    #[test]
    fn folded_layers_read_raw_features() {
        let values: Vec<f32> =
            (0..40).map(|i| (i * 37 % 23) as f32 * [0.1, 3.0, 1.0, 10.0][i % 4] + 7.0).collect();
        let features = Features::new(&values, 4).unwrap();
        let standardizer = Standardizer::fit(features);
        let layer = Linear::from_parts(vec![1.0, -2.0, 0.5, 0.25, 3.0, 0.0, 1.0, -1.0], vec![0.1, -0.2], 4);
        let folded = standardizer.fold_into(&layer);
        let standard = standardizer.apply(features);
        let machine = tk_engine::cpu::Machine::new(1);
        let expected = layer.logits(Features::new(&standard, 4).unwrap(), &machine).unwrap();
        for (found, expected) in folded.logits(features, &machine).unwrap().iter().zip(expected) {
            assert!((found - expected).abs() < 1e-5, "{found} {expected}");
        }
    }
}
