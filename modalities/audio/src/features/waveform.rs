//! Samples brought to mean 0 and variance 1, as wav2vec 2.0 and its kin read them (Baevski et al. 2020, arXiv 2006.11477; transformers'
//! `Wav2Vec2FeatureExtractor`).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::error::{FrontEndError, check, check_given, check_kind};
use crate::data::{Clip, DecodeError};

/// What is added to the variance, so that silence has one.
const EPSILON: f64 = 1e-7;

/// transformers' name of this front end.
const EXTRACTOR: &str = "Wav2Vec2FeatureExtractor";

/// The settings of a front end, as `preprocessor_config.json` has them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Waveform {
    /// Hz.
    #[serde(default = "sampling_rate")]
    pub sampling_rate: u32,
    /// Whether each recording is brought to mean 0 and variance 1.
    #[serde(default = "yes")]
    pub do_normalize: bool,
    /// What else the file says.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

fn sampling_rate() -> u32 {
    16_000
}

fn yes() -> bool {
    true
}

impl Default for Waveform {
    fn default() -> Self {
        Self {
            sampling_rate: sampling_rate(),
            do_normalize: true,
            other: Map::from_iter([("feature_extractor_type".to_owned(), EXTRACTOR.into())]),
        }
    }
}

impl Waveform {
    /// Reads `preprocessor_config.json`.
    ///
    /// # Errors
    /// When it is of another front end, or a setting cannot be followed.
    pub fn from_json(text: &str) -> Result<Self, FrontEndError> {
        let read: Self = serde_json::from_str(text)?;
        check_kind(&read.other, EXTRACTOR)?;
        check("sampling_rate", read.sampling_rate, 1_000..=768_000, "1000 to 768000 Hz")?;
        check_given(&read.other, "feature_size", 1.0, "1")?;
        Ok(read)
    }

    /// The features of a sound at any rate, `[samples]` at this rate, computed in f64. They depend on the whole sound; padding comes after.
    ///
    /// # Errors
    /// When the sound cannot be resampled.
    pub fn features(&self, clip: &Clip) -> Result<Vec<f32>, DecodeError> {
        let clip = clip.at_rate(self.sampling_rate)?;
        Ok(if self.do_normalize { normalized(clip.values()) } else { clip.values().to_vec() })
    }
}

fn normalized(samples: &[f32]) -> Vec<f32> {
    let count = samples.len() as f64;
    let mean = samples.iter().map(|&sample| f64::from(sample)).sum::<f64>() / count;
    let variance = samples.iter().map(|&sample| (f64::from(sample) - mean).powi(2)).sum::<f64>() / count;
    let deviation = (variance + EPSILON).sqrt();
    samples.iter().map(|&sample| ((f64::from(sample) - mean) / deviation) as f32).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn settings_are_read_and_others_are_refused() {
        let read = Waveform::from_json(r#"{"do_normalize": false, "return_attention_mask": true}"#).unwrap();
        assert_eq!((read.do_normalize, read.sampling_rate), (false, 16_000));
        assert_eq!(read.other["return_attention_mask"], true);
        let written = serde_json::to_string(&Waveform::default()).unwrap();
        assert_eq!(Waveform::from_json(&written).unwrap(), Waveform::default());
        for (text, expected) in [
            (r#"{"feature_extractor_type": "ASTFeatureExtractor"}"#, "expected Wav2Vec2FeatureExtractor"),
            (r#"{"sampling_rate": 0}"#, "`sampling_rate` is 0"),
            (r#"{"feature_size": 80}"#, "`feature_size` is 80; expected 1"),
            ("{", "EOF"),
        ] {
            let error = Waveform::from_json(text).unwrap_err().to_string();
            assert!(error.contains(expected) && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn loudness_and_offset_do_not_matter_and_silence_stays() {
        let of =
            |samples: &[f32]| Waveform::default().features(&Clip::samples(samples, 16_000).unwrap()).unwrap();
        let plain: Vec<f32> = (0..1000).map(|index| ((index * 7919) % 101) as f32 / 101.0 - 0.5).collect();
        let other: Vec<f32> = plain.iter().map(|sample| 0.5 * sample + 0.1).collect();
        assert!(of(&plain).iter().zip(of(&other)).all(|(a, b)| (a - b).abs() < 1e-4));
        assert_eq!(of(&[0.0; 100]), [0.0; 100]);
        let clip = Clip::samples(&plain, 8000).unwrap();
        assert_eq!(Waveform::default().features(&clip).unwrap().len(), 2000);
    }
}
