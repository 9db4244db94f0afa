//! Sound in memory: one channel, a rate, and what is odd about it.

use std::fmt;
use std::path::Path;

use super::DecodeError;
use super::decode::{Decoded, decode_file};
use super::resample::resample;

/// Rates that are believed, in Hz.
pub(super) const RATES: std::ops::RangeInclusive<u32> = 1_000..=768_000;

/// From this share of samples at full scale on, a recording is called clipped.
const CLIPPED: f64 = 1e-3;

/// How loud the samples of one channel are.
#[derive(Clone, Copy, Default)]
pub(super) struct Levels {
    samples: usize,
    /// How many of them are not zero, and how many are at full scale.
    sounding: usize,
    clipped: usize,
}

impl Levels {
    /// Counts more samples.
    pub fn add(&mut self, samples: &[f32]) {
        self.samples += samples.len();
        self.sounding += samples.iter().filter(|sample| **sample != 0.0).count();
        // The largest number of 16 bits is a little less than 1.
        self.clipped += samples.iter().filter(|sample| sample.abs() >= 32_767.0 / 32_768.0).count();
    }

    /// What is odd about them.
    pub fn remark(&self) -> Option<Remark> {
        let share = self.clipped as f64 / self.samples.max(1) as f64;
        match self.sounding {
            0 if self.samples > 0 => Some(Remark::Silent),
            _ if share > CLIPPED => Some(Remark::Clipped { share }),
            _ => None,
        }
    }
}

/// Sound of one channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Clip {
    samples: Vec<f32>,
    rate: u32,
    remarks: Vec<Remark>,
}

/// Something odd about a recording that was read all the same.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Remark {
    /// Channels without any sound, which were left out of the mean.
    DeadChannels {
        /// How many.
        dead: usize,
        /// Of how many.
        channels: usize,
    },
    /// The file ends before its header says.
    EndedEarly,
    /// Every sample is zero.
    Silent,
    /// Samples at full scale.
    Clipped {
        /// Their share, 0 to 1.
        share: f64,
    },
    /// Energy above the highest frequency of the new rate.
    LostToResampling {
        /// Its share, 0 to 1.
        share: f64,
    },
}

impl fmt::Display for Remark {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DeadChannels { dead, channels } => {
                write!(formatter, "{dead} of {channels} channels are silent and were left out")
            }
            Self::EndedEarly => formatter.write_str("the file ends before its header says"),
            Self::Silent => formatter.write_str("silent throughout"),
            Self::Clipped { share } => write!(formatter, "{:.1} % of the samples are clipped", 100.0 * share),
            Self::LostToResampling { share } => {
                write!(formatter, "resampling loses {:.1} % of the energy", 100.0 * share)
            }
        }
    }
}

impl Clip {
    /// Sound from memory: samples of one channel, from −1 to 1, at a rate in Hz.
    ///
    /// # Errors
    /// When there are none, one is not a number, or the rate is not to be believed.
    pub fn samples(samples: &[f32], rate: u32) -> Result<Self, DecodeError> {
        Self::new(samples.to_vec(), rate, Vec::new())
    }

    /// The sound in a file, whatever its name says of the format; several channels become their mean.
    ///
    /// # Errors
    /// When the file cannot be read or holds no sound.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, DecodeError> {
        Self::from_decoded(decode_file(path.as_ref(), 0.0, None)?)
    }

    /// As [`Clip::open`], the first seconds only: no more is decoded, so that a long file takes no more memory.
    ///
    /// # Errors
    /// As [`Clip::open`].
    pub fn open_beginning(path: impl AsRef<Path>, seconds: f64) -> Result<Self, DecodeError> {
        Self::from_decoded(decode_file(path.as_ref(), 0.0, Some(seconds))?)
    }

    /// As [`Clip::open`], from one second to another, or to the end where that comes before. What lies before is passed over in WAV files
    /// and has to be decoded in others; what lies behind is not looked at.
    ///
    /// # Errors
    /// As [`Clip::open`]; or when the recording ends before the part begins.
    pub fn open_part(path: impl AsRef<Path>, start: f64, end: f64) -> Result<Self, DecodeError> {
        let decoded = decode_file(path.as_ref(), start, Some((end - start).max(0.0)))?;
        match decoded.interleaved.is_empty() {
            true => Err(DecodeError::NoSuchPart { start, end }),
            false => Self::from_decoded(decoded),
        }
    }

    fn from_decoded(decoded: Decoded) -> Result<Self, DecodeError> {
        let Decoded { interleaved, channels, rate, ended_early } = decoded;
        let channels = channels.max(1);
        let mut remarks = Vec::new();
        if ended_early {
            remarks.push(Remark::EndedEarly);
        }
        let mut loud = vec![false; channels];
        for frame in interleaved.chunks_exact(channels) {
            loud.iter_mut().zip(frame).for_each(|(loud, sample)| *loud |= *sample != 0.0);
        }
        let alive = loud.iter().filter(|loud| **loud).count();
        if alive > 0 && alive < channels {
            remarks.push(Remark::DeadChannels { dead: channels - alive, channels });
        }
        let divisor = if alive == 0 { channels } else { alive } as f32;
        let mean = |frame: &[f32]| frame.iter().sum::<f32>() / divisor;
        let samples = match channels {
            1 => interleaved,
            _ => interleaved.chunks_exact(channels).map(mean).collect(),
        };
        Self::new(samples, rate, remarks)
    }

    fn new(samples: Vec<f32>, rate: u32, mut remarks: Vec<Remark>) -> Result<Self, DecodeError> {
        if !RATES.contains(&rate) {
            return Err(DecodeError::Rate(rate));
        }
        if samples.is_empty() {
            return Err(DecodeError::Empty);
        }
        if let Some(index) = samples.iter().position(|sample| !sample.is_finite()) {
            return Err(DecodeError::NotFinite(index));
        }
        let mut levels = Levels::default();
        levels.add(&samples);
        remarks.extend(levels.remark());
        Ok(Self { samples, rate, remarks })
    }

    /// The samples, usually from −1 to 1.
    pub fn values(&self) -> &[f32] {
        &self.samples
    }

    /// Samples per second.
    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// The sound as a WAV file of 16 bits; what is beyond full scale is clipped.
    ///
    /// # Errors
    /// When it is longer than such a file can be.
    pub fn to_wav(&self) -> Result<Vec<u8>, hound::Error> {
        let form = hound::WavSpec {
            channels: 1,
            sample_rate: self.rate,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut bytes = std::io::Cursor::new(Vec::new());
        let mut writer = hound::WavWriter::new(&mut bytes, form)?;
        for sample in &self.samples {
            writer.write_sample((sample * 32_768.0).round().clamp(-32_768.0, 32_767.0) as i16)?;
        }
        writer.finalize()?;
        Ok(bytes.into_inner())
    }

    /// How long it is.
    pub fn seconds(&self) -> f64 {
        self.samples.len() as f64 / f64::from(self.rate)
    }

    /// What is odd about it.
    pub fn remarks(&self) -> &[Remark] {
        &self.remarks
    }

    /// The same sound at another rate in Hz. What lies above the new rate's highest frequency is filtered out; where that is more than a
    /// hundredth of the energy, a remark says so.
    ///
    /// # Errors
    /// When the rate is not to be believed.
    pub fn at_rate(&self, rate: u32) -> Result<Self, DecodeError> {
        if !RATES.contains(&rate) {
            return Err(DecodeError::Rate(rate));
        }
        if rate == self.rate {
            return Ok(self.clone());
        }
        let samples = resample(&self.samples, self.rate, rate)?;
        let energy = |samples: &[f32], rate: u32| {
            samples.iter().map(|&sample| f64::from(sample).powi(2)).sum::<f64>() / f64::from(rate)
        };
        let mut remarks = self.remarks.clone();
        let before = energy(&self.samples, self.rate);
        if rate < self.rate && before > 0.0 {
            let share = 1.0 - energy(&samples, rate) / before;
            if share > 0.01 {
                remarks.push(Remark::LostToResampling { share });
            }
        }
        Ok(Self { samples, rate, remarks })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn decoded(interleaved: &[f32], channels: usize) -> Decoded {
        Decoded { interleaved: interleaved.to_vec(), channels, rate: 8000, ended_early: false }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let clip = Clip::samples(&[0.5, -1.0, 1.5, 0.25], 8_000).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        std::fs::write(&path, clip.to_wav().unwrap()).unwrap();
        let again = Clip::open(&path).unwrap();
        assert_eq!((again.rate(), again.values()), (8_000, &[0.5, -1.0, 32_767.0 / 32_768.0, 0.25][..]));
    }

    #[test]
    fn channels_become_their_mean_and_dead_ones_are_left_out() {
        let clip = Clip::from_decoded(decoded(&[0.5, 0.0, 0.25, -0.5, 0.0, 0.25], 3)).unwrap();
        assert_eq!(
            (clip.values(), clip.remarks()),
            (&[0.375, -0.125][..], &[Remark::DeadChannels { dead: 1, channels: 3 }][..])
        );
        let silent = Clip::from_decoded(decoded(&[0.0; 4], 2)).unwrap();
        assert_eq!((silent.values().len(), silent.remarks()), (2, &[Remark::Silent][..]));
    }

    #[test]
    fn what_is_no_sound_is_refused_and_what_is_odd_is_said() {
        assert_eq!(Clip::samples(&[], 8000), Err(DecodeError::Empty));
        assert_eq!(Clip::samples(&[0.0, f32::NAN], 8000), Err(DecodeError::NotFinite(1)));
        assert_eq!(Clip::samples(&[0.5], 0), Err(DecodeError::Rate(0)));
        let clip = Clip::samples(&[1.0, -1.0, 0.2, 0.1], 8000).unwrap();
        assert_eq!(clip.remarks(), [Remark::Clipped { share: 0.5 }]);
        assert_eq!(clip.remarks()[0].to_string(), "50.0 % of the samples are clipped");
        assert_eq!(Clip::samples(&[0.25], 8000).unwrap().seconds(), 1.0 / 8000.0);
    }

    #[test]
    fn energy_that_resampling_loses_is_said() {
        let tone = |frequency: f64, amplitude: f64| {
            move |index: usize| {
                amplitude * (std::f64::consts::TAU * frequency * index as f64 / 16_000.0).sin()
            }
        };
        let (low, high) = (tone(440.0, 0.5), tone(6000.0, 0.5));
        let both: Vec<f32> = (0..16_000).map(|index| (low(index) + high(index)) as f32).collect();
        let clip = Clip::samples(&both, 16_000).unwrap().at_rate(8000).unwrap();
        let [Remark::LostToResampling { share }] = clip.remarks() else { panic!("{:?}", clip.remarks()) };
        assert!((share - 0.5).abs() < 0.01, "{share}");
        let plain: Vec<f32> = (0..16_000).map(|index| low(index) as f32).collect();
        let clip = Clip::samples(&plain, 16_000).unwrap();
        assert_eq!(clip.at_rate(8000).unwrap().remarks(), []);
        assert_eq!(clip.at_rate(16_000).unwrap(), clip);
    }
}
