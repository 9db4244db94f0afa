//! How far what a prefix leaves in fewer bits is from what it leaves in f32, beside how far samples are from each other.

use tk_engine::Tensor;

/// Fewer samples than these say too little.
const LEAST_SAMPLES: usize = 8;

/// Sums over samples, of all outputs flattened. A shorter sample is compared with the beginnings of longer ones.
#[derive(Default)]
pub(super) struct Disagreement {
    samples: usize,
    /// Σ|f − g|²
    error: f64,
    /// Σ|f − mean(f)|²
    variation: f64,
    /// For each output, of each of its numbers: the mean so far, and of how many samples.
    means: Vec<Vec<(f64, f64)>>,
}

impl Disagreement {
    /// Takes in what is left of a sample in f32, and in fewer bits.
    ///
    /// # Errors
    /// When a tensor is f64.
    pub fn add(&mut self, exact: &[Tensor], lowered: &[Tensor]) -> tk_engine::Result<()> {
        self.samples += 1;
        self.means.resize(exact.len(), Vec::new());
        for ((exact, lowered), means) in exact.iter().zip(lowered).zip(&mut self.means) {
            let (exact, lowered) = (exact.as_f32()?, lowered.as_f32()?);
            means.resize(means.len().max(exact.len()), (0.0, 0.0));
            for ((&f, &g), (mean, count)) in exact.iter().zip(lowered).zip(means) {
                let (f, g) = (f64::from(f), f64::from(g));
                self.error += (f - g).powi(2);
                // Welford's way of taking in one number more.
                let before = f - *mean;
                *count += 1.0;
                *mean += before / *count;
                self.variation += before * (f - *mean);
            }
        }
        Ok(())
    }

    /// The samples so far.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// √(Σ|f − g|² / Σ|f − mean(f)|²): the error as a share of the variation among samples. `None` when there are too few samples, they
    /// do not vary, or numbers are not finite.
    pub fn share(&self) -> Option<f64> {
        let share = (self.error / self.variation).sqrt();
        (self.samples >= LEAST_SAMPLES && share.is_finite()).then_some(share)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn share(rows: &[(&[f32], f32)]) -> Option<f64> {
        let mut disagreement = Disagreement::default();
        for (row, error) in rows {
            let tensor = |shift: f32| {
                let numbers = row.iter().map(|number| number + shift).collect();
                Tensor::new(&[1, row.len()], numbers).unwrap()
            };
            disagreement.add(&[tensor(0.0)], &[tensor(*error)]).unwrap();
        }
        assert_eq!(disagreement.samples(), rows.len());
        disagreement.share()
    }

    #[test]
    fn the_error_is_measured_by_the_variation_among_samples() {
        // Means 3 and 7; each sample is 1 and 2 off: 8 · 5 of variation, 8 · 2 · 0.25 of error.
        let rows: Vec<(&[f32], f32)> =
            (0..8).map(|row| (if row % 2 == 0 { &[2.0, 9.0][..] } else { &[4.0, 5.0] }, 0.5)).collect();
        assert!((share(&rows).unwrap() - 0.1f64.sqrt()).abs() < 1e-12);
        // Shorter samples have no part in what they lack, and a single long one does not vary there.
        let mut longer = rows.clone();
        longer[3].0 = &[4.0, 5.0, 77.0];
        assert!((share(&longer).unwrap() - (4.25f64 / 40.0).sqrt()).abs() < 1e-12);
    }

    #[test]
    fn where_nothing_can_be_said_nothing_is() {
        let two: Vec<(&[f32], f32)> =
            (0..7).map(|row| (if row < 3 { &[1.0][..] } else { &[2.0] }, 0.1)).collect();
        assert_eq!(share(&two), None, "too few");
        assert_eq!(share(&[(&[1.0][..], 0.1); 8]), None, "no variation");
        let broken: Vec<(&[f32], f32)> =
            (0..8).map(|row| (if row < 3 { &[1.0][..] } else { &[2.0] }, f32::NAN)).collect();
        assert_eq!(share(&broken), None, "not finite");
        assert_eq!(share(&[]), None);
    }
}
