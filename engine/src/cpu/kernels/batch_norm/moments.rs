//! Mean and variance per channel.

use crate::cpu::Machine;

use super::super::chunks;
use super::super::lanes::Lanes;

/// Rows whose mean a chunk's numbers are taken relative to, so that squares do not cancel.
const SHIFT_ROWS: usize = 4;

/// Mean and variance per channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Moments {
    /// `[channels]`
    pub mean: Vec<f64>,
    /// Biased (divided by the number of rows), `[channels]`.
    pub variance: Vec<f64>,
    /// So many neighbouring channels are normalised together, and have one mean and variance; 1 but for group-norm.
    pub together: usize,
}

impl Moments {
    /// The stored statistics of a checkpoint, each `[channels]`.
    pub fn stored(mean: &[f32], variance: &[f32]) -> Self {
        assert_eq!(mean.len(), variance.len(), "batch-norm: sizes of mean and variance");
        let widen = |values: &[f32]| values.iter().map(|&value| f64::from(value)).collect();
        Self { mean: widen(mean), variance: widen(variance), together: 1 }
    }

    /// The moments of so many neighbouring channels together (group-norm, arXiv 1803.08494).
    ///
    /// # Panics
    /// When the channels are not whole groups.
    #[must_use]
    pub fn pooled(mut self, together: usize) -> Self {
        assert!(self.mean.len().is_multiple_of(together), "group-norm: whole groups of channels");
        for (means, variances) in self.mean.chunks_mut(together).zip(self.variance.chunks_mut(together)) {
            let mean = means.iter().sum::<f64>() / together as f64;
            let apart = means.iter().map(|channel| (channel - mean).powi(2));
            let variance = variances.iter().zip(apart).map(|(within, apart)| within + apart).sum::<f64>();
            means.fill(mean);
            variances.fill(variance / together as f64);
        }
        Self { together, ..self }
    }

    /// Moves stored statistics towards these, as PyTorch does: `momentum` is the share of the new, and the variance is
    /// unbiased. One row has no unbiased variance; PyTorch refuses to train on it, here the stored variance stays as it is.
    pub fn update_stored(&self, rows: usize, momentum: f64, mean: &mut [f32], variance: &mut [f32]) {
        let channels = self.mean.len();
        assert_eq!([mean.len(), variance.len()], [channels; 2], "batch-norm: sizes of stored statistics");
        let blend = |stored: &mut f32, new: f64| {
            *stored = ((1.0 - momentum) * f64::from(*stored) + momentum * new) as f32;
        };
        for channel in 0..channels {
            blend(&mut mean[channel], self.mean[channel]);
            if rows > 1 {
                let unbiased = self.variance[channel] * rows as f64 / (rows - 1) as f64;
                blend(&mut variance[channel], unbiased);
            }
        }
    }

    /// `1/√(variance + epsilon)`, `[channels]`.
    pub(super) fn inverse_deviation(&self, epsilon: f64) -> impl Iterator<Item = f64> {
        self.variance.iter().map(move |variance| 1.0 / (variance + epsilon).sqrt())
    }
}

/// Mean and biased variance of each channel of `y`, `[rows, channels]`.
///
/// Numbers are summed relative to the mean of their chunk's first rows, in f32 within blocks and in f64 above; chunks are combined
/// by the update of Chan, Golub and LeVeque (1979). A large mean beside a small deviation is no problem.
///
/// # Panics
/// When `y` is empty or not a whole number of rows.
pub fn statistics(machine: &Machine, y: &[f32], channels: usize) -> Moments {
    let lanes = Lanes::new(channels);
    assert!(lanes.rows(y.len()) > 0, "batch-norm: statistics of nothing");
    let parts = chunks::map(&machine.pool, y.chunks(lanes.chunk()), |_, y| {
        let shift = machine.isa.vectorize(
            #[inline(always)]
            || first_mean(y, channels),
        );
        let tiled = lanes.tile(&shift);
        let [sum, square] = lanes.sums(
            machine.isa,
            y.len(),
            #[inline(always)]
            |range, [sum, square]| {
                for (((&y, &shift), sum), square) in y[range].iter().zip(&tiled).zip(sum).zip(square) {
                    let distance = y - shift;
                    *sum += distance;
                    *square += distance * distance;
                }
            },
        );
        (lanes.rows(y.len()) as f64, shift, sum, square)
    });
    let (mut count, mut mean, mut deviation) = (0.0, vec![0f64; channels], vec![0f64; channels]);
    for (rows, shift, sum, square) in parts {
        let share = rows / (count + rows);
        for channel in 0..channels {
            let offset = sum[channel] / rows;
            let distance = f64::from(shift[channel]) + offset - mean[channel];
            mean[channel] += distance * share;
            deviation[channel] +=
                square[channel] - sum[channel] * offset + distance * distance * count * share;
        }
        count += rows;
    }
    let variance = deviation.into_iter().map(|sum| if sum < 0.0 { 0.0 } else { sum / count }).collect();
    Moments { mean, variance, together: 1 }
}

/// The mean of each channel over the first rows.
#[inline(always)]
fn first_mean(y: &[f32], channels: usize) -> Vec<f32> {
    let mut sums = vec![0f64; channels];
    let mut rows = 0.0;
    for row in y.chunks_exact(channels).take(SHIFT_ROWS) {
        sums.iter_mut().zip(row).for_each(|(sum, &y)| *sum += f64::from(y));
        rows += 1.0;
    }
    sums.into_iter().map(|sum| (sum / rows) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{assert_close, machines, numbers, widen};
    use super::super::oracle::{cases, moments_oracle};
    use super::*;

    #[test]
    fn statistics_agree_with_two_passes_in_f64() {
        for machine in machines() {
            for case in cases() {
                let (found, expected) = (
                    statistics(&machine, &case.y, case.channels),
                    moments_oracle(&widen(&case.y), case.channels),
                );
                for channel in 0..case.channels {
                    let context = format!("{} rows, channel {channel} of {}", case.rows(), case.channels);
                    let mean = (found.mean[channel] - expected.mean[channel]).abs();
                    assert!(
                        mean < 1e-6 * expected.mean[channel].abs().max(1.0),
                        "{context}: mean off by {mean:e}"
                    );
                    let ratio = found.variance[channel] / expected.variance[channel] - 1.0;
                    assert!(ratio.abs() < 2e-6, "{context}: variance off by {ratio:e}");
                }
            }
        }
    }

    #[test]
    fn a_large_mean_does_not_cancel_the_variance() {
        for machine in machines() {
            for (mean, deviation, drift) in
                [(1e4, 0.5, 0.0), (-3e5, 2.0, 0.0), (1e3, 1e-2, 0.0), (0.0, 1.0, 1e-3)]
            {
                let (rows, channels) = (30_000, 5);
                let y: Vec<f32> = numbers(6, rows * channels)
                    .iter()
                    .enumerate()
                    .map(|(index, y)| mean + deviation * y + drift * (index / channels) as f32)
                    .collect();
                // The oracle sees the same rounded numbers.
                let (found, expected) =
                    (statistics(&machine, &y, channels), moments_oracle(&widen(&y), channels));
                for channel in 0..channels {
                    let ratio = found.variance[channel] / expected.variance[channel] - 1.0;
                    assert!(
                        ratio.abs() < 1e-5,
                        "mean {mean}, deviation {deviation}: variance off by {ratio:e}"
                    );
                    let error = (found.mean[channel] - expected.mean[channel]).abs()
                        / expected.variance[channel].sqrt();
                    assert!(
                        error < 1e-5,
                        "mean {mean}, deviation {deviation}: mean off by {error:e} deviations"
                    );
                }
            }
            let constant = statistics(&machine, &[7.3; 3000], 3);
            assert!(constant.variance.iter().all(|&variance| variance < 1e-12), "{constant:?}");
            assert!(statistics(&machine, &[1.0, f32::NAN], 1).variance[0].is_nan(), "NaN is not hidden");
        }
    }

    #[test]
    fn stored_statistics_move_as_pytorchs_do() {
        // bn = torch.nn.BatchNorm1d(2); bn(a); bn(b); bn.running_mean, bn.running_var
        let (mut mean, mut variance) = ([0.0; 2], [1.0; 2]);
        for batch in [[1.0, 10.0, 2.0, -4.0, 6.0, 3.0], [0.0, 1.0, 2.0, 2.0, 5.0, -3.0]] {
            statistics(&Machine::new(1), &batch, 2).update_stored(3, 0.1, &mut mean, &mut variance);
        }
        assert_close(&mean, &[0.503_333_33, 0.27], 1e-7, "running mean");
        assert_close(&variance, &[2.073_333_26, 5.920_000_08], 1e-7, "running variance");
    }
}
