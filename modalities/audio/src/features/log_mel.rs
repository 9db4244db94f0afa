//! Log-mel spectrograms, as Whisper reads them (Radford et al. 2022, arXiv 2212.04356; transformers' `WhisperFeatureExtractor`).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::error::{FrontEndError, check, check_given, check_kind};
use super::mel::{MelFilters, Scale};
use super::spectrum::Spectrum;
use crate::data::{Clip, DecodeError};

/// The highest frequency of the highest filter in Hz.
const HIGHEST: f64 = 8000.0;

/// What a filter lets through at least, and its logarithm.
const FLOOR: f64 = 1e-10;
const LOG_FLOOR: f64 = -10.0;

/// So many decades below the loudest all is alike.
const DECADES: f64 = 8.0;

/// transformers' name of this front end.
const EXTRACTOR: &str = "WhisperFeatureExtractor";

/// The settings of a front end, as `preprocessor_config.json` has them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogMel {
    /// Hz.
    #[serde(default = "sampling_rate")]
    pub sampling_rate: u32,
    /// Filters: 80, and 128 from Whisper's third large network on.
    #[serde(default = "feature_size")]
    pub feature_size: usize,
    /// Samples from one frame to the next.
    #[serde(default = "hop_length")]
    pub hop_length: usize,
    /// Samples of a frame.
    #[serde(default = "n_fft")]
    pub n_fft: usize,
    /// Seconds: what is shorter is filled up with silence, what is longer is cut.
    #[serde(default = "chunk_length")]
    pub chunk_length: usize,
    /// What else the file says.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

fn sampling_rate() -> u32 {
    16_000
}

fn feature_size() -> usize {
    80
}

fn hop_length() -> usize {
    160
}

fn n_fft() -> usize {
    400
}

fn chunk_length() -> usize {
    30
}

impl Default for LogMel {
    fn default() -> Self {
        Self {
            sampling_rate: sampling_rate(),
            feature_size: feature_size(),
            hop_length: hop_length(),
            n_fft: n_fft(),
            chunk_length: chunk_length(),
            other: Map::from_iter([("feature_extractor_type".to_owned(), EXTRACTOR.into())]),
        }
    }
}

impl LogMel {
    /// Reads `preprocessor_config.json`.
    ///
    /// # Errors
    /// When it is of another front end, or a setting cannot be followed.
    pub fn from_json(text: &str) -> Result<Self, FrontEndError> {
        let read: Self = serde_json::from_str(text)?;
        check_kind(&read.other, EXTRACTOR)?;
        check("sampling_rate", read.sampling_rate, 1_000..=768_000, "1000 to 768000 Hz")?;
        check("feature_size", read.feature_size, 1..=512, "1 to 512")?;
        check("chunk_length", read.chunk_length, 1..=3600, "1 to 3600 seconds")?;
        check("hop_length", read.hop_length, 1..=1000, "1 to 1000 samples")?;
        check("n_fft", read.n_fft, 2..=1000, "2 to 1000 samples")?;
        if !read.n_fft.is_multiple_of(2) {
            let (setting, expected) = ("n_fft", "an even number of samples");
            return Err(FrontEndError::Setting { setting, expected, found: read.n_fft.to_string() });
        }
        check_given(&read.other, "padding_value", 0.0, "0")?;
        check_given(&read.other, "dither", 0.0, "0: features of one recording are the same each time")?;
        Ok(read)
    }

    /// How much of a recording it looks at, in seconds.
    pub fn seconds(&self) -> f64 {
        self.chunk_length as f64
    }

    /// How many frames features have.
    pub fn frames(&self) -> usize {
        self.samples() / self.hop_length
    }

    /// What computes features by these settings.
    pub fn extractor(&self) -> LogMelExtractor {
        let (bins, length, rate) = (self.feature_size, self.n_fft, self.sampling_rate);
        LogMelExtractor {
            filters: MelFilters::new(Scale::Slaney, bins, length, rate, [0.0, HIGHEST]),
            spectrum: Spectrum::hann(length, length, length),
            settings: self.clone(),
        }
    }

    fn samples(&self) -> usize {
        self.chunk_length * self.sampling_rate as usize
    }
}

/// Computes features of sounds. `Send + Sync`; works through `&self`.
#[derive(Clone)]
pub struct LogMelExtractor {
    settings: LogMel,
    filters: MelFilters,
    spectrum: Spectrum,
}

impl LogMelExtractor {
    /// The settings.
    pub fn settings(&self) -> &LogMel {
        &self.settings
    }

    /// The features of a sound at any rate, `[feature_size, frames]`, about −1 to 2, in f64 between f32 ends.
    ///
    /// # Errors
    /// When the sound cannot be resampled.
    pub fn features(&self, clip: &Clip) -> Result<Vec<f32>, DecodeError> {
        let settings = &self.settings;
        let clip = clip.at_rate(settings.sampling_rate)?;
        let (length, half) = (settings.samples(), settings.n_fft / 2);
        let samples = clip.values().get(..length).unwrap_or(clip.values());
        let (frames, bins) = (settings.frames(), settings.feature_size);
        let mut logs = vec![LOG_FLOOR; frames * bins];
        let mut frame = self.spectrum.frame();
        for (index, row) in logs.chunks_exact_mut(bins).enumerate() {
            let middle = index * settings.hop_length;
            // From here on a frame shows only silence, until the end is mirrored.
            if middle >= samples.len() + half && middle + half < length {
                continue;
            }
            show(samples, length, (middle, half), &mut frame.samples);
            self.spectrum.measure(&mut frame)?;
            for (value, energy) in row.iter_mut().zip(self.filters.apply(&frame.power)) {
                *value = energy.max(FLOOR).log10();
            }
        }
        let least = logs.iter().copied().fold(LOG_FLOOR, f64::max) - DECADES;
        let scaled = |value: f64| ((value.max(least) + 4.0) / 4.0) as f32;
        let along = |bin: usize| logs.iter().skip(bin).step_by(bins);
        Ok((0..bins).flat_map(along).map(|&value| scaled(value)).collect())
    }
}

/// Copies what lies `half` before and after a sample. Silence follows the sound up to `length`; at 0 and at `length` all is mirrored.
fn show(samples: &[f32], length: usize, (middle, half): (usize, usize), into: &mut [f64]) {
    for (into, ahead) in into.iter_mut().zip(middle..) {
        // The place is `ahead − half`.
        let place = ahead.abs_diff(half);
        let place = if place >= length { (2 * length - 2).saturating_sub(place) } else { place };
        *into = samples.get(place).copied().map_or(0.0, f64::from);
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn settings_are_read_and_others_are_refused() {
        let read =
            LogMel::from_json(r#"{"feature_size": 128, "chunk_length": 2, "nb_max_frames": 200}"#).unwrap();
        assert_eq!((read.feature_size, read.frames(), read.seconds()), (128, 200, 2.0));
        let written = serde_json::to_string(&read).unwrap();
        assert_eq!(LogMel::from_json(&written).unwrap(), read);
        assert_eq!(LogMel::default().frames(), 3000);
        for (text, expected) in [
            (r#"{"feature_extractor_type": "ASTFeatureExtractor"}"#, "expected WhisperFeatureExtractor"),
            (r#"{"sampling_rate": 0}"#, "`sampling_rate` is 0"),
            (r#"{"hop_length": 0}"#, "`hop_length` is 0"),
            (r#"{"n_fft": 401}"#, "`n_fft` is 401; expected an even"),
            (r#"{"dither": 0.1}"#, "`dither` is 0.1; expected 0"),
            (r#"{"chunk_length": "x"}"#, "invalid type: string"),
        ] {
            let error = LogMel::from_json(text).unwrap_err().to_string();
            assert!(error.contains(expected) && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn long_sounds_are_cut_and_silence_is_the_floor() {
        let settings = LogMel { chunk_length: 1, feature_size: 8, ..LogMel::default() };
        let extractor = settings.extractor();
        let noise: Vec<f32> = (0..20_000).map(|index| ((index * 7919) % 101) as f32 / 101.0 - 0.5).collect();
        let of = |samples: &[f32]| extractor.features(&Clip::samples(samples, 16_000).unwrap()).unwrap();
        let long = of(&noise);
        assert_eq!(long.len(), 8 * 100);
        assert_eq!(long, of(&noise[..16_000]));
        assert_ne!(long, of(&noise[..15_999]));
        assert!(of(&[0.0; 500]).iter().all(|value| *value == -1.5));
        // One sample is sound enough: what follows is silence, eight decades or more below.
        assert_eq!(of(&[0.5])[50], of(&[0.5])[99]);
    }

    #[test]
    fn both_ends_are_mirrored() {
        let samples = [1.0, 2.0, 3.0, 4.0];
        let shown = |length: usize, middle: usize| {
            let mut into = [9.0; 4];
            show(&samples, length, (middle, 2), &mut into);
            into
        };
        assert_eq!(shown(4, 0), [3.0, 2.0, 1.0, 2.0]);
        assert_eq!(shown(4, 2), [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(shown(4, 3), [2.0, 3.0, 4.0, 3.0]);
        assert_eq!(shown(6, 5), [4.0, 0.0, 0.0, 0.0]);
    }
}
