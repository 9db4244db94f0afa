//! Between which bounds the values of a graph lie, as calibration saw them.

use super::kernels::narrow::Quantization;

/// The least and the greatest number of each value. Of use to a plan of the same graph and parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranges(Vec<[f32; 2]>);

impl Ranges {
    /// Of so many values, of which nothing was seen.
    pub(super) fn unseen(values: usize) -> Self {
        Self(vec![[f32::INFINITY, f32::NEG_INFINITY]; values])
    }

    /// Widens what is known of a value by what it is now.
    pub(super) fn observe(&mut self, value: usize, numbers: &[f32]) {
        let [least, greatest] = &mut self.0[value];
        for &number in numbers {
            *least = if number < *least { number } else { *least };
            *greatest = if number > *greatest { number } else { *greatest };
        }
    }

    /// What a byte stands for, for each value that was seen.
    pub(super) fn quantizations(&self) -> Vec<Option<Quantization>> {
        let known = |&[least, greatest]: &[f32; 2]| {
            (least <= greatest).then(|| Quantization::of_range(least, greatest))
        };
        self.0.iter().map(known).collect()
    }

    /// A digest of what decides results: what a byte stands for, for each value. Hexadecimal BLAKE3.
    pub fn digest(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for quantization in self.quantizations() {
            match quantization {
                None => hasher.update(&[0]),
                Some(Quantization { scale, zero_point }) => {
                    hasher.update(&[1, zero_point]).update(&scale.to_le_bytes())
                }
            };
        }
        hasher.finalize().to_hex().to_string()
    }
}
