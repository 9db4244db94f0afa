//! Another rate, by overlapped Fourier transforms.

use std::fmt::Display;

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
    let mut resampling = Resampling::new(from, to)?;
    let mut resampled = Vec::with_capacity(resampling.expected(samples.len() as u64) as usize);
    resampling.push(samples, &mut resampled)?;
    resampling.finish(&mut resampled)?;
    Ok(resampled)
}

/// Sound that comes piece by piece, at another rate. How it is cut into pieces changes nothing.
pub(super) struct Resampling {
    from: u32,
    to: u32,
    resampler: Fft<f64>,
    /// What is too little for a transform.
    pending: Vec<f64>,
    output: Vec<f64>,
    /// Samples of the filter's delay that are still to be left out.
    delay: usize,
    taken: u64,
    given: u64,
}

impl Resampling {
    /// Nothing so far, from one rate to another.
    ///
    /// # Errors
    /// When the rates cannot be brought together.
    pub fn new(from: u32, to: u32) -> Result<Self, DecodeError> {
        // Whole blocks of both rates, and an even count of them: the filter of an odd count would be half a sample late.
        let block = (from / gcd(from, to)) as usize;
        let chunk = block * CHUNK.div_ceil(block).next_multiple_of(2);
        let window = WindowFunction::BlackmanHarris2;
        let resampler =
            Fft::<f64>::new_custom(from as usize, to as usize, chunk, 1, 1, window, FixedSync::Input)
                .map_err(|error| unsupported(from, to, &error))?;
        let (output, delay) = (vec![0.0; resampler.output_frames_max()], resampler.output_delay());
        Ok(Self { from, to, resampler, pending: Vec::new(), output, delay, taken: 0, given: 0 })
    }

    /// Takes a piece, and appends what follows from it and those before.
    ///
    /// # Errors
    /// When the resampler fails.
    pub fn push(&mut self, samples: &[f32], into: &mut Vec<f32>) -> Result<(), DecodeError> {
        self.taken += samples.len() as u64;
        let mut rest = samples.iter().map(|&sample| f64::from(sample));
        loop {
            let wanted = self.resampler.input_frames_next();
            self.pending.extend(rest.by_ref().take(wanted - self.pending.len()));
            if self.pending.len() < wanted {
                return Ok(());
            }
            self.transform(into)?;
        }
    }

    /// Appends the rest, after which no piece may come.
    ///
    /// # Errors
    /// When the resampler fails.
    pub fn finish(&mut self, into: &mut Vec<f32>) -> Result<(), DecodeError> {
        while self.given < self.expected(self.taken) {
            self.pending.resize(self.resampler.input_frames_next(), 0.0);
            self.transform(into)?;
        }
        Ok(())
    }

    fn expected(&self, samples: u64) -> u64 {
        (samples * u64::from(self.to)).div_ceil(u64::from(self.from))
    }

    fn transform(&mut self, into: &mut Vec<f32>) -> Result<(), DecodeError> {
        let fail = |error: &dyn Display| unsupported(self.from, self.to, error);
        let (count, room) = (self.pending.len(), self.output.len());
        let input = InterleavedSlice::new(&self.pending, 1, count).map_err(|error| fail(&error))?;
        let mut output =
            InterleavedSlice::new_mut(&mut self.output, 1, room).map_err(|error| fail(&error))?;
        let (_, made) =
            self.resampler.process_into_buffer(&input, &mut output, None).map_err(|error| fail(&error))?;
        self.pending.clear();
        let late = self.delay.min(made);
        self.delay -= late;
        // What the end of the sound leaves in the filter is not more than the sound.
        let room = self.expected(self.taken).saturating_sub(self.given) as usize;
        let made = &self.output[late..made];
        let kept = &made[..made.len().min(room)];
        into.extend(kept.iter().map(|&sample| sample as f32));
        self.given += kept.len() as u64;
        Ok(())
    }
}

fn unsupported(from: u32, to: u32, reason: &dyn Display) -> DecodeError {
    DecodeError::Unsupported(format!("{from} Hz to {to} Hz: {reason}"))
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
