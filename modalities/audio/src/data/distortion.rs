//! Sound as it might have been recorded too: faster or slower, louder or quieter, with noise.

use tk_engine::random::Stream;

use super::resample::resample;
use super::{Clip, DecodeError};

/// How far a view of a recording may be from it. The default changes nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Distortion {
    /// By how many hundredths of its length a recording may become longer or shorter, below 100; its pitch follows (Ko et al. 2015,
    /// "Audio augmentation for speech recognition", Interspeech).
    pub length_percent: u32,
    /// By how many decibels it may become louder or quieter.
    pub gain_decibels: f64,
    /// Between which signal-to-noise ratios white noise is added, in decibels.
    pub noise_decibels: Option<[f64; 2]>,
}

impl Distortion {
    /// Whether views are what was recorded.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// How much longer a recording has to be than what is looked at, so that the shortest view is long enough.
    pub fn stretch(&self) -> f64 {
        100.0 / f64::from(100u32.saturating_sub(self.length_percent).max(1))
    }

    /// A view of a recording at its rate. The stream alone says which.
    ///
    /// # Errors
    /// When the sound cannot be resampled, or becomes too loud for numbers.
    pub fn apply(&self, clip: &Clip, stream: &mut Stream) -> Result<Clip, DecodeError> {
        let rate = clip.rate();
        // Whole hundredths, so that both rates are multiples of one that is not small and transforms are short.
        let most = self.length_percent.min(99);
        let percent = 100 - most + stream.below(2 * most as usize + 1) as u32;
        let mut samples = match percent {
            100 => clip.values().to_vec(),
            // More samples, played at the old rate, take longer.
            _ => resample(clip.values(), rate, (rate * percent).div_ceil(100))?,
        };
        let gain = 10f64.powf(stream.range(-self.gain_decibels, self.gain_decibels) / 20.0) as f32;
        samples.iter_mut().for_each(|sample| *sample *= gain);
        if let Some([least, most]) = self.noise_decibels {
            let ratio = 10f64.powf(stream.range(least, most) / 10.0);
            let deviation = (power(&samples) / ratio).sqrt();
            samples.iter_mut().for_each(|sample| *sample += (deviation * stream.normal()) as f32);
        }
        Clip::samples(&samples, rate)
    }
}

/// The mean square.
fn power(samples: &[f32]) -> f64 {
    samples.iter().map(|&sample| f64::from(sample).powi(2)).sum::<f64>() / samples.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn clip() -> Clip {
        let wave = |index: i32| (f64::from(index) * 0.1).sin() as f32 * 0.5;
        Clip::samples(&(0..8000).map(wave).collect::<Vec<_>>(), 16_000).unwrap()
    }

    fn view(distortion: Distortion, seed: u64) -> Clip {
        distortion.apply(&clip(), &mut Stream::new(seed, &["sound".into()])).unwrap()
    }

    fn decibels(numerator: &[f32], denominator: &[f32]) -> f64 {
        10.0 * (power(numerator) / power(denominator)).log10()
    }

    #[test]
    fn nothing_changes_unless_it_is_asked_for_and_a_seed_says_what() {
        assert_eq!(view(Distortion::default(), 1), clip());
        assert!(Distortion::default().is_none() && Distortion::default().stretch() == 1.0);
        let all = Distortion { length_percent: 10, gain_decibels: 6.0, noise_decibels: Some([10.0, 40.0]) };
        assert_eq!(view(all, 1), view(all, 1));
        assert_ne!(view(all, 1), view(all, 2));
        assert!(!all.is_none());
    }

    #[test]
    fn length_and_pitch_change_alike() {
        let distortion = Distortion { length_percent: 20, ..Distortion::default() };
        let crossings =
            |samples: &[f32]| samples.windows(2).filter(|pair| pair[0] < 0.0 && pair[1] >= 0.0).count();
        let mut lengths = Vec::new();
        for seed in 0..60 {
            let view = view(distortion, seed);
            // The same waves in another time; the cut ends may ring.
            assert!(crossings(view.values()).abs_diff(crossings(clip().values())) <= 2, "{seed}");
            assert_eq!(view.rate(), 16_000);
            lengths.push(view.values().len());
        }
        let (shortest, longest) = (lengths.iter().min().unwrap(), lengths.iter().max().unwrap());
        assert!((6400..7200).contains(shortest) && (8800..=9600).contains(longest), "{lengths:?}");
        assert!(distortion.stretch() * 6400.0 >= 8000.0);
    }

    #[test]
    fn noise_has_the_ratio_that_was_asked_for() {
        for ratio in [0.0, 10.0, 30.0] {
            let distortion = Distortion { noise_decibels: Some([ratio, ratio]), ..Distortion::default() };
            let view = view(distortion, 2);
            let noise: Vec<f32> = view.values().iter().zip(clip().values()).map(|(a, b)| a - b).collect();
            // The power of 8,000 draws is known within 1.6 %; five deviations are 0.35 dB.
            let found = decibels(clip().values(), &noise);
            assert!((found - ratio).abs() < 0.35, "{found} {ratio}");
        }
        let silent = Clip::samples(&[0.0; 100], 16_000).unwrap();
        let noisy = Distortion { noise_decibels: Some([0.0, 0.0]), ..Distortion::default() };
        assert_eq!(noisy.apply(&silent, &mut Stream::new(1, &["sound".into()])).unwrap(), silent);
    }

    #[test]
    fn gain_keeps_within_its_bounds_on_both_sides() {
        let distortion = Distortion { gain_decibels: 6.0, ..Distortion::default() };
        let gains: Vec<f64> =
            (0..200).map(|seed| decibels(view(distortion, seed).values(), clip().values())).collect();
        assert!(gains.iter().all(|gain| gain.abs() < 6.001), "{gains:?}");
        let louder = gains.iter().filter(|gain| **gain > 0.0).count();
        assert!((60..140).contains(&louder), "{louder}");
    }
}
