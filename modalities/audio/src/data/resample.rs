//! Another rate, by overlapped Fourier transforms.

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler, WindowFunction};

use super::DecodeError;

/// Samples that are transformed at once, at least: long enough that the filter is steep.
const CHUNK: usize = 2048;

/// The same sound at another rate: `⌈samples · to / from⌉` samples that begin when the first did.
///
/// # Errors
/// When the rates cannot be brought together.
pub(super) fn resample(samples: &[f32], from: u32, to: u32) -> Result<Vec<f32>, DecodeError> {
    let fail = |reason: String| DecodeError::Unsupported(format!("{from} Hz to {to} Hz: {reason}"));
    let window = WindowFunction::BlackmanHarris2;
    // Whole blocks of both rates, and an even count of them: the filter of an odd count would be half a sample late.
    let block = (from / gcd(from, to)) as usize;
    let chunk = block * CHUNK.div_ceil(block).next_multiple_of(2);
    let mut resampler =
        Fft::<f64>::new_custom(from as usize, to as usize, chunk, 1, 1, window, FixedSync::Input)
            .map_err(|error| fail(error.to_string()))?;
    let wide: Vec<f64> = samples.iter().map(|&sample| f64::from(sample)).collect();
    let input = InterleavedSlice::new(&wide, 1, wide.len()).map_err(|error| fail(error.to_string()))?;
    let output = resampler.process_all(&input, wide.len(), None).map_err(|error| fail(error.to_string()))?;
    Ok(output.take_data().into_iter().map(|sample| sample as f32).collect())
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn tone(frequency: f64, rate: u32, samples: usize) -> Vec<f32> {
        let step = std::f64::consts::TAU * frequency / f64::from(rate);
        (0..samples).map(|index| (step * index as f64).sin() as f32).collect()
    }

    #[test]
    fn a_tone_stays_what_and_where_it_is() {
        for (from, to) in [(8000, 16_000), (44_100, 16_000), (48_000, 16_000), (16_000, 22_050)] {
            let samples = from as usize + 123;
            let found = resample(&tone(1000.0, from, samples), from, to).unwrap();
            assert_eq!(found.len(), (samples * to as usize).div_ceil(from as usize), "{from} to {to}");
            let expected = tone(1000.0, to, found.len());
            // Both ends are cut tones, which ring.
            let inner = 2000..found.len() - 2000;
            for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
                let is_inner = inner.contains(&index);
                // A tenth of a decibel is 0.0116.
                assert!(
                    !is_inner || (found - expected).abs() < 1e-3,
                    "{from} to {to}, {index}: {found} {expected}"
                );
            }
        }
    }

    #[test]
    fn what_the_new_rate_cannot_hold_is_gone() {
        let found = resample(&tone(9500.0, 44_100, 44_100), 44_100, 16_000).unwrap();
        let loudest = found[2000..14_000].iter().fold(0f32, |most, sample| most.max(sample.abs()));
        assert!(loudest < 1e-3, "{loudest}");
    }

    #[test]
    fn one_sample_and_odd_rates_do_not_fail() {
        assert_eq!(resample(&[0.5], 8000, 16_000).unwrap().len(), 2);
        assert_eq!(resample(&[0.5; 100], 11_025, 16_000).unwrap().len(), 146);
    }
}
