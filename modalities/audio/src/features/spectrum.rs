//! Power spectra of windows, in f64.

use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};

use crate::data::DecodeError;

/// A Hann window and the transform of what it shows.
#[derive(Clone)]
pub(super) struct Spectrum {
    window: Vec<f64>,
    transform: Arc<dyn RealToComplex<f64>>,
}

/// What one thread needs to compute spectra.
pub(super) struct Frame {
    /// What the window shows; what is behind it, up to the length of the transform, is taken for zero.
    pub samples: Vec<f64>,
    /// The power of each bin, `[length / 2 + 1]`.
    pub power: Vec<f64>,
    complex: Vec<Complex<f64>>,
    scratch: Vec<Complex<f64>>,
}

impl Spectrum {
    /// A Hann window of so many samples with this period, and a transform that is no shorter.
    pub fn hann(window: usize, period: usize, length: usize) -> Self {
        let angle = |index: usize| std::f64::consts::TAU * index as f64 / period as f64;
        let window = (0..window).map(|index| 0.5 - 0.5 * angle(index).cos()).collect();
        Self { window, transform: RealFftPlanner::new().plan_fft_forward(length) }
    }

    /// Room for one frame.
    pub fn frame(&self) -> Frame {
        Frame {
            samples: self.transform.make_input_vec(),
            power: vec![0.0; self.transform.len() / 2 + 1],
            complex: self.transform.make_output_vec(),
            scratch: self.transform.make_scratch_vec(),
        }
    }

    /// Computes the power of a frame from its samples, which are used up.
    ///
    /// # Errors
    /// When the frame was made for another transform.
    pub fn measure(&self, frame: &mut Frame) -> Result<(), DecodeError> {
        let Frame { samples, power, complex, scratch } = frame;
        samples.iter_mut().zip(&self.window).for_each(|(sample, weight)| *sample *= weight);
        samples.iter_mut().skip(self.window.len()).for_each(|sample| *sample = 0.0);
        self.transform
            .process_with_scratch(samples, complex, scratch)
            .map_err(|error| DecodeError::Unsupported(format!("a frame of another length: {error}")))?;
        power.iter_mut().zip(complex).for_each(|(power, value)| *power = value.norm_sqr());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_wave_stands_in_its_bin_and_the_two_beside_it() {
        let spectrum = Spectrum::hann(64, 64, 64);
        let mut frame = spectrum.frame();
        let step = std::f64::consts::TAU * 10.0 / 64.0;
        frame
            .samples
            .iter_mut()
            .enumerate()
            .for_each(|(index, sample)| *sample = (step * index as f64).cos());
        spectrum.measure(&mut frame).unwrap();
        // A periodic Hann window of a wave has half the wave in its bin and a quarter in each neighbour: (64 / 2)² · ¼ and · 1/16.
        for (bin, power) in frame.power.iter().enumerate() {
            let expected = match bin {
                10 => 256.0,
                9 | 11 => 64.0,
                _ => 0.0,
            };
            assert!((power - expected).abs() < 1e-9, "{bin}: {power}");
        }
        assert_eq!(frame.power.len(), 33);
    }
}
