//! Kaldi's log filter banks, as AST reads them (Gong et al. 2021, arXiv 2104.01778; transformers' `ASTFeatureExtractor`).

use serde::{Deserialize, Serialize};

use super::error::{FrontEndError, check, check_kind};
use super::mel::{MelFilters, Scale};
use super::spectrum::Spectrum;
use crate::data::{Clip, DecodeError};

/// Samples of a frame at 16 kHz, 25 ms, and from one frame to the next, 10 ms.
const FRAME: usize = 400;
const HOP: usize = 160;
const FFT: usize = 512;

/// The share of the sample before that is taken off each.
const PREEMPHASIS: f64 = 0.97;

/// What a filter lets through at least, so that it has a logarithm.
const FLOOR: f64 = 1.192_092_955_078_125e-7;

/// The lowest frequency of the lowest filter in Hz.
const LOWEST: f64 = 20.0;

/// The settings of a front end, as `preprocessor_config.json` has them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FilterBank {
    /// Hz.
    #[serde(default = "sampling_rate")]
    pub sampling_rate: u32,
    /// Filters.
    #[serde(default = "num_mel_bins")]
    pub num_mel_bins: usize,
    /// Frames: what is shorter is filled up with zeros, what is longer is cut.
    #[serde(default = "max_length")]
    pub max_length: usize,
    /// Whether values are normalised.
    #[serde(default = "yes")]
    pub do_normalize: bool,
    /// What is taken off each value.
    #[serde(default = "mean")]
    pub mean: f64,
    /// What is left is divided by twice this.
    #[serde(default = "std")]
    pub std: f64,
    /// What else the file says.
    #[serde(flatten)]
    pub other: serde_json::Map<String, serde_json::Value>,
}

fn sampling_rate() -> u32 {
    16_000
}

fn num_mel_bins() -> usize {
    128
}

fn max_length() -> usize {
    1024
}

fn yes() -> bool {
    true
}

// Of AudioSet's training set.
fn mean() -> f64 {
    -4.267_739_3
}

fn std() -> f64 {
    4.568_997_4
}

impl Default for FilterBank {
    fn default() -> Self {
        let other = serde_json::Map::from_iter([("feature_extractor_type".to_owned(), EXTRACTOR.into())]);
        Self {
            sampling_rate: sampling_rate(),
            num_mel_bins: num_mel_bins(),
            max_length: max_length(),
            do_normalize: true,
            mean: mean(),
            std: std(),
            other,
        }
    }
}

/// transformers' name of this front end.
const EXTRACTOR: &str = "ASTFeatureExtractor";

impl FilterBank {
    /// Reads `preprocessor_config.json`.
    ///
    /// # Errors
    /// When it is of another front end, or a setting cannot be followed.
    pub fn from_json(text: &str) -> Result<Self, FrontEndError> {
        let read: Self = serde_json::from_str(text)?;
        check_kind(&read.other, EXTRACTOR)?;
        check("sampling_rate", read.sampling_rate, sampling_rate()..=sampling_rate(), "16000")?;
        check("num_mel_bins", read.num_mel_bins, 1..=512, "1 to 512")?;
        check("max_length", read.max_length, 1..=100_000, "1 to 100000 frames")?;
        check("mean", read.mean, f64::MIN..=f64::MAX, "a finite number")?;
        check("std", read.std, f64::MIN_POSITIVE..=f64::MAX, "a number above 0")?;
        Ok(read)
    }

    /// How much of a recording it looks at, in seconds.
    pub fn seconds(&self) -> f64 {
        ((self.max_length.saturating_sub(1)) * HOP + FRAME) as f64 / f64::from(self.sampling_rate)
    }

    /// What computes features by these settings.
    pub fn extractor(&self) -> Extractor {
        let highest = f64::from(self.sampling_rate / 2);
        Extractor {
            filters: MelFilters::new(
                Scale::Kaldi,
                self.num_mel_bins,
                FFT,
                self.sampling_rate,
                [LOWEST, highest],
            ),
            // The window of Kaldi is symmetric.
            spectrum: Spectrum::hann(FRAME, FRAME - 1, FFT),
            settings: self.clone(),
        }
    }

    fn normalized(&self, value: f64) -> f32 {
        if self.do_normalize { ((value - self.mean) / (2.0 * self.std)) as f32 } else { value as f32 }
    }
}

/// Computes features of sounds. `Send + Sync`; works through `&self`.
#[derive(Clone)]
pub struct Extractor {
    settings: FilterBank,
    filters: MelFilters,
    spectrum: Spectrum,
}

impl Extractor {
    /// The settings.
    pub fn settings(&self) -> &FilterBank {
        &self.settings
    }

    /// The features of a sound at any rate, `[max_length, num_mel_bins]`, in f64 between f32 ends.
    ///
    /// # Errors
    /// When the sound is shorter than one frame, or cannot be resampled.
    pub fn features(&self, clip: &Clip) -> Result<Vec<f32>, DecodeError> {
        let settings = &self.settings;
        let clip = clip.at_rate(settings.sampling_rate)?;
        let samples = clip.values();
        if samples.len() < FRAME {
            return Err(DecodeError::TooShort { found: samples.len(), rate: clip.rate(), least: FRAME });
        }
        let frames = (1 + (samples.len() - FRAME) / HOP).min(settings.max_length);
        let bins = settings.num_mel_bins;
        let mut frame = self.spectrum.frame();
        // What is filled up is zero before values are normalised.
        let mut features = vec![settings.normalized(0.0); settings.max_length * bins];
        let rows = features.chunks_exact_mut(bins).take(frames);
        for (row, shown) in rows.zip(samples.windows(FRAME).step_by(HOP)) {
            emphasize(shown, &mut frame.samples);
            self.spectrum.measure(&mut frame)?;
            for (value, energy) in row.iter_mut().zip(self.filters.apply(&frame.power)) {
                *value = settings.normalized(energy.max(FLOOR).ln());
            }
        }
        Ok(features)
    }

    /// The features as networks over pictures take them: `[num_mel_bins, max_length]`.
    ///
    /// # Errors
    /// As [`Extractor::features`].
    pub fn spectrogram(&self, clip: &Clip) -> Result<Vec<f32>, DecodeError> {
        let features = self.features(clip)?;
        let (frames, bins) = (self.settings.max_length, self.settings.num_mel_bins);
        Ok((0..bins)
            .flat_map(|bin| (0..frames).map(move |frame| (bin, frame)))
            .map(|(bin, frame)| features[frame * bins + bin])
            .collect())
    }
}

/// A frame without its mean, its high frequencies raised.
fn emphasize(frame: &[f32], into: &mut [f64]) {
    let mean = frame.iter().map(|&sample| f64::from(sample)).sum::<f64>() / FRAME as f64;
    let mut before = f64::from(frame.first().copied().unwrap_or(0.0)) - mean;
    for (into, &sample) in into.iter_mut().zip(frame) {
        let sample = f64::from(sample) - mean;
        *into = sample - PREEMPHASIS * before;
        before = sample;
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn settings_are_read_and_others_are_refused() {
        let read =
            FilterBank::from_json(r#"{"max_length": 64, "num_mel_bins": 32, "padding_side": "right"}"#)
                .unwrap();
        assert_eq!((read.max_length, read.num_mel_bins, read.std), (64, 32, std()));
        assert_eq!(read.other["padding_side"], "right");
        let written = serde_json::to_string(&read).unwrap();
        assert_eq!(FilterBank::from_json(&written).unwrap(), read);
        for (text, expected) in [
            (r#"{"feature_extractor_type": "Wav2Vec2FeatureExtractor"}"#, "expected ASTFeatureExtractor"),
            (r#"{"sampling_rate": 8000}"#, "expected 16000"),
            (r#"{"max_length": 0}"#, "`max_length` is 0"),
            (r#"{"std": 0.0}"#, "above 0"),
            ("[", "expected struct FilterBank"),
        ] {
            let error = FilterBank::from_json(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn short_sounds_are_filled_up_and_long_ones_cut() {
        let bank = FilterBank { max_length: 8, num_mel_bins: 4, ..FilterBank::default() };
        let noise = |count: usize| -> Vec<f32> {
            (0..count).map(|index| ((index * 7919) % 101) as f32 / 101.0 - 0.5).collect()
        };
        let extractor = bank.extractor();
        let of = |count: usize| extractor.features(&Clip::samples(&noise(count), 16_000).unwrap());
        let (short, long) = (of(720).unwrap(), of(16_000).unwrap());
        assert_eq!((short.len(), long.len()), (32, 32));
        assert_eq!(short[..12], long[..12]);
        let filled = bank.normalized(0.0);
        assert!(
            short[12..].iter().all(|value| *value == filled)
                && long[12..].iter().all(|value| *value != filled)
        );
        assert!(matches!(of(399), Err(DecodeError::TooShort { found: 399, .. })));
        assert!((bank.seconds() - (7.0 * 160.0 + 400.0) / 16_000.0).abs() < 1e-12);
        // A sound of zeros has the floor everywhere.
        let silent = extractor.features(&Clip::samples(&[0.0; 2000], 16_000).unwrap()).unwrap();
        assert!(silent.iter().take(16).all(|value| *value == bank.normalized(FLOOR.ln())));
    }
}
