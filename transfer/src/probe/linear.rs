//! One affine layer.

use serde::{Deserialize, Serialize};
use tk_engine::cpu::Machine;

use super::product::{Left, add_product, padded, transposed_padded};
use super::{Features, ProbeError};

/// Rows that a task multiplies at once; a multiple of the six rows of a tile.
const BLOCK: usize = 120;

/// `logits = features · weightᵀ + bias`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Parts")]
pub struct Linear {
    weight: Vec<f32>,
    bias: Vec<f32>,
    features: usize,
}

/// A layer as it is read, before its sizes are checked.
#[derive(Deserialize)]
struct Parts {
    weight: Vec<f32>,
    bias: Vec<f32>,
    features: usize,
}

impl TryFrom<Parts> for Linear {
    type Error = ProbeError;

    fn try_from(parts: Parts) -> Result<Self, ProbeError> {
        Self::new(parts.weight, parts.bias, parts.features)
    }
}

impl Linear {
    /// A layer with weight `[outputs, features]` and bias `[outputs]`.
    ///
    /// # Errors
    /// When sizes do not fit.
    pub fn new(weight: Vec<f32>, bias: Vec<f32>, features: usize) -> Result<Self, ProbeError> {
        if features == 0 || Some(weight.len()) != bias.len().checked_mul(features) {
            let expected = format!("{} rows of {features}, at least 1", bias.len());
            return Err(ProbeError::Shape { what: "weight", expected, found: weight.len().to_string() });
        }
        Ok(Self { weight, bias, features })
    }

    pub(super) fn from_parts(weight: Vec<f32>, bias: Vec<f32>, features: usize) -> Self {
        assert_eq!(weight.len(), bias.len() * features, "a layer's weight");
        Self { weight, bias, features }
    }

    /// The weight, `[outputs, features]`.
    pub fn weight(&self) -> &[f32] {
        &self.weight
    }

    /// The bias, `[outputs]`.
    pub fn bias(&self) -> &[f32] {
        &self.bias
    }

    /// The number of inputs.
    pub fn features(&self) -> usize {
        self.features
    }

    /// The number of outputs.
    pub fn outputs(&self) -> usize {
        self.bias.len()
    }

    /// The layer whose outputs are those of this one times a factor.
    #[must_use]
    pub fn scaled(&self, factor: f64) -> Self {
        let times = |values: &[f32]| values.iter().map(|&value| (factor * f64::from(value)) as f32).collect();
        Self { weight: times(&self.weight), bias: times(&self.bias), features: self.features }
    }

    /// The outputs for each sample, `[samples, outputs]`.
    ///
    /// # Errors
    /// When the features have another width.
    pub fn logits(&self, features: Features<'_>, machine: &Machine) -> Result<Vec<f32>, ProbeError> {
        if features.width() != self.features {
            let (what, expected) = ("features of a sample", self.features.to_string());
            return Err(ProbeError::Shape { what, expected, found: features.width().to_string() });
        }
        let (width, outputs) = (self.features, self.outputs());
        let mut logits = vec![0f32; features.samples() * outputs];
        if logits.is_empty() {
            return Ok(logits);
        }
        let columns = padded(machine.isa, outputs);
        let turned = transposed_padded(&self.weight, width, columns);
        machine.pool.for_each_chunk(&mut logits, BLOCK * outputs, |block, logits| {
            let rows = logits.len() / outputs;
            let values = &features.values()[block * BLOCK * width..][..rows * width];
            let mut wide = vec![0f32; rows * columns];
            wide.chunks_exact_mut(columns).for_each(|row| row[..outputs].copy_from_slice(&self.bias));
            add_product(machine.isa, Left::plain(values, rows), &turned, &mut wide);
            for (row, wide) in logits.chunks_exact_mut(outputs).zip(wide.chunks_exact(columns)) {
                row.copy_from_slice(&wide[..outputs]);
            }
        });
        Ok(logits)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn logits_are_exact_and_do_not_depend_on_companions_or_threads() {
        let (samples, width, outputs) = (250, 33, 5);
        let values: Vec<f32> = (0..samples * width).map(|i| (i * 7 % 13) as f32 - 6.0).collect();
        let weight: Vec<f32> = (0..outputs * width).map(|i| (i * 5 % 11) as f32 - 5.0).collect();
        let layer = Linear::new(weight.clone(), vec![1.0, 2.0, 3.0, 4.0, 5.0], width).unwrap();
        let features = Features::new(&values, width).unwrap();
        let logits = layer.logits(features, &Machine::new(1)).unwrap();
        for (sample, row) in features.rows().enumerate() {
            for output in 0..outputs {
                let expected: f32 =
                    row.iter().zip(&weight[output * width..]).map(|(a, b)| a * b).sum::<f32>()
                        + layer.bias()[output];
                assert_eq!(logits[sample * outputs + output], expected, "sums of small integers are exact");
            }
            let alone = layer.logits(Features::new(row, width).unwrap(), &Machine::new(1)).unwrap();
            assert_eq!(alone, logits[sample * outputs..][..outputs]);
        }
        assert_eq!(logits, layer.logits(features, &Machine::new(3)).unwrap());
    }

    #[test]
    fn sizes_are_checked_when_read() {
        assert!(Linear::new(vec![0.0; 5], vec![0.0; 2], 3).is_err());
        assert!(serde_json::from_str::<Linear>(r#"{"weight":[1.0],"bias":[1.0,2.0],"features":1}"#).is_err());
        let layer = Linear::new(vec![0.1, -2.5e-8], vec![1.0, 2.0], 1).unwrap();
        assert_eq!(serde_json::from_str::<Linear>(&serde_json::to_string(&layer).unwrap()).unwrap(), layer);
    }
}
