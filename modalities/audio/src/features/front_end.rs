//! The front end of a network, whichever it is.

use super::{Extractor, FilterBank, LogMel, LogMelExtractor, Waveform};
use crate::data::{Clip, DecodeError};

/// How sounds become what a network reads.
#[derive(Clone, Debug, PartialEq)]
pub enum FrontEnd {
    /// Kaldi's log filter banks, of a fixed count of frames.
    FilterBank(FilterBank),
    /// Log-mel spectrograms, of a fixed count of frames.
    LogMel(LogMel),
    /// Samples, as many as the sound has within bounds.
    Waveform {
        /// The settings.
        settings: Waveform,
        /// What is shorter is refused, in samples.
        least: usize,
        /// What is longer is cut, in samples.
        most: usize,
    },
}

impl FrontEnd {
    /// The rate in Hz at which sounds are heard.
    pub fn rate(&self) -> u32 {
        match self {
            Self::FilterBank(settings) => settings.sampling_rate,
            Self::LogMel(settings) => settings.sampling_rate,
            Self::Waveform { settings, .. } => settings.sampling_rate,
        }
    }

    /// How much of a recording it looks at, in seconds.
    pub fn seconds(&self) -> f64 {
        match self {
            Self::FilterBank(settings) => settings.seconds(),
            Self::LogMel(settings) => settings.seconds(),
            Self::Waveform { settings, most, .. } => *most as f64 / f64::from(settings.sampling_rate),
        }
    }

    /// Whether sounds of different lengths stay so; else all are filled up or cut.
    pub fn keeps_lengths(&self) -> bool {
        matches!(self, Self::Waveform { .. })
    }

    /// What `preprocessor_config.json` says of it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn to_json(&self) -> serde_json::Result<String> {
        let text = match self {
            Self::FilterBank(settings) => serde_json::to_string_pretty(settings),
            Self::LogMel(settings) => serde_json::to_string_pretty(settings),
            Self::Waveform { settings, .. } => serde_json::to_string_pretty(settings),
        };
        Ok(text? + "\n")
    }

    /// What computes features by these settings.
    pub fn extractor(&self) -> SoundExtractor {
        let computing = match self {
            Self::FilterBank(settings) => Computing::FilterBank(Box::new(settings.extractor())),
            Self::LogMel(settings) => Computing::LogMel(Box::new(settings.extractor())),
            Self::Waveform { .. } => Computing::Waveform,
        };
        SoundExtractor { front_end: self.clone(), computing }
    }
}

/// Computes features of sounds. `Send + Sync`; works through `&self`.
#[derive(Clone)]
pub struct SoundExtractor {
    front_end: FrontEnd,
    computing: Computing,
}

#[derive(Clone)]
enum Computing {
    FilterBank(Box<Extractor>),
    LogMel(Box<LogMelExtractor>),
    Waveform,
}

impl SoundExtractor {
    /// The settings.
    pub fn front_end(&self) -> &FrontEnd {
        &self.front_end
    }

    /// The features of a sound at any rate: `[bins, frames]` of spectrograms, `[samples]` of waveforms.
    ///
    /// # Errors
    /// When the sound is too short, or cannot be resampled.
    pub fn features(&self, clip: &Clip) -> Result<Vec<f32>, DecodeError> {
        match (&self.computing, &self.front_end) {
            (Computing::FilterBank(extractor), _) => extractor.spectrogram(clip),
            (Computing::LogMel(extractor), _) => extractor.features(clip),
            (Computing::Waveform, FrontEnd::Waveform { settings, least, most }) => {
                let clip = clip.at_rate(settings.sampling_rate)?;
                let shown = clip.values().get(..*most).unwrap_or(clip.values());
                if shown.len() < *least {
                    return Err(DecodeError::TooShort {
                        found: shown.len(),
                        rate: clip.rate(),
                        least: *least,
                    });
                }
                settings.features(&Clip::samples(shown, clip.rate())?)
            }
            (Computing::Waveform, _) => Err(DecodeError::Unsupported("another front end".into())),
        }
    }

    /// How many frames features of a length have, one after another within each bin.
    pub fn frames(&self, length: usize) -> usize {
        match &self.front_end {
            FrontEnd::FilterBank(settings) => settings.max_length,
            FrontEnd::LogMel(settings) => settings.frames(),
            FrontEnd::Waveform { .. } => length,
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn waveforms_keep_their_length_within_bounds() {
        let front_end = FrontEnd::Waveform { settings: Waveform::default(), least: 400, most: 1000 };
        let extractor = front_end.extractor();
        let noise: Vec<f32> = (0..2000).map(|index| ((index * 7919) % 101) as f32 / 101.0 - 0.5).collect();
        let of = |count: usize| extractor.features(&Clip::samples(&noise[..count], 16_000).unwrap());
        assert_eq!((of(500).unwrap().len(), of(2000).unwrap().len()), (500, 1000));
        // What is cut off has no part in the loudness.
        assert_eq!(of(2000).unwrap(), of(1000).unwrap());
        assert_eq!(of(399).unwrap_err(), DecodeError::TooShort { found: 399, rate: 16_000, least: 400 });
        assert_eq!((front_end.seconds(), front_end.rate(), extractor.frames(500)), (0.0625, 16_000, 500));
        assert!(front_end.keeps_lengths() && !FrontEnd::LogMel(LogMel::default()).keeps_lengths());
    }
}
