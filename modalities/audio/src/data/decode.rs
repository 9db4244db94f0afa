//! From a file's bytes to samples: WAV by `hound`, everything else by `symphonia`, told by content.

use std::fs::File;
use std::io::{BufReader, Chain, Cursor, Read, Seek, SeekFrom};
use std::path::Path;

use hound::{SampleFormat, WavIntoSamples, WavReader};
use symphonia::core::codecs::audio::well_known::CODEC_ID_FLAC;
use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, FormatReader, TrackType};
use symphonia::core::io::MediaSourceStream;
use symphonia::core::meta::MetadataOptions;

use super::DecodeError;
use super::wav::{Header, is_wav, read_header};

/// How many channels a WAV file may have.
const CHANNELS: std::ops::RangeInclusive<u16> = 1..=26;

/// Samples as they were decoded, channels interleaved.
pub(super) struct Decoded {
    pub interleaved: Vec<f32>,
    pub channels: usize,
    pub rate: u32,
    /// Whether the file ends before its header says, or is damaged from some place on.
    pub ended_early: bool,
}

/// The samples of a file from a second on; so many seconds of them, where only they are wanted.
pub(super) fn decode_file(path: &Path, start: f64, seconds: Option<f64>) -> Result<Decoded, DecodeError> {
    let mut blocks = Blocks::open(path, start)?;
    let mut interleaved = Vec::new();
    while blocks.read(&mut interleaved)? {
        if interleaved.len() >= most(seconds, blocks.rate, blocks.channels) {
            break;
        }
    }
    let Blocks { channels, rate, ended_early, .. } = blocks;
    interleaved.truncate(most(seconds, rate, channels));
    Ok(Decoded { interleaved, channels, rate, ended_early })
}

/// The most samples of all channels that are wanted.
fn most(seconds: Option<f64>, rate: u32, channels: usize) -> usize {
    seconds.map_or(usize::MAX, |seconds| (seconds * f64::from(rate)).ceil() as usize * channels)
}

/// A file that is decoded block by block.
pub(super) struct Blocks {
    decoder: Decoder,
    /// 0 until the first block is read, where the header does not say.
    pub channels: usize,
    /// As `channels`.
    pub rate: u32,
    /// Whether the file ends before its header says, or is damaged from some place on; known for certain when all was read.
    pub ended_early: bool,
    /// The second at which samples begin to be given.
    start: f64,
    /// Samples of all channels that were decoded, those before `start` included.
    decoded: u64,
    /// Bits of a sample, where that is known.
    bits: u16,
}

enum Decoder {
    Floats(WavIntoSamples<WavBytes, f32>),
    /// With what brings the largest number to 1.
    Wholes(WavIntoSamples<WavBytes, i32>, f32),
    Packets(Box<Packets>),
    Ended,
}

type WavBytes = Chain<Cursor<Vec<u8>>, BufReader<File>>;

/// What `symphonia` decodes.
struct Packets {
    format: Box<dyn FormatReader>,
    decoder: Box<dyn AudioDecoder>,
    track: u32,
    /// Frames by the header, where it can be believed.
    counted: Option<u64>,
    block: Vec<f32>,
}

impl Blocks {
    /// Opens a file; blocks begin at a second. Those before are passed over in WAV files, and decoded in others.
    pub fn open(path: &Path, start: f64) -> Result<Self, DecodeError> {
        let unreadable = |error: std::io::Error| DecodeError::Unreadable(error.to_string());
        let mut file = File::open(path).map_err(unreadable)?;
        let mut first = [0u8; 12];
        let mut read = 0;
        while read < first.len() {
            match file.read(&mut first[read..]).map_err(unreadable)? {
                0 => break,
                more => read += more,
            }
        }
        if read == 0 {
            return Err(DecodeError::Unreadable("the file is empty".into()));
        }
        if is_wav(&first)
            && let Some(blocks) = Self::wav(file.try_clone().map_err(unreadable)?, start)?
        {
            return Ok(blocks);
        }
        file.seek(SeekFrom::Start(0)).map_err(unreadable)?;
        let packets = Packets::open(file, first.get(..read).unwrap_or_default())?;
        let decoder = Decoder::Packets(Box::new(packets));
        Ok(Self { decoder, channels: 0, rate: 0, ended_early: false, start, decoded: 0, bits: 0 })
    }

    /// A WAV file of whole numbers or floats; `None` where it holds another code, which is the other library's.
    fn wav(mut file: File, start: f64) -> Result<Option<Self>, DecodeError> {
        let unreadable = |error: std::io::Error| DecodeError::Unreadable(error.to_string());
        let Some(mut header) = read_header(&mut file).map_err(unreadable)? else {
            return Err(DecodeError::Damaged("a WAV file without `fmt ` and `data` chunks".into()));
        };
        // The other library counts on these.
        if !CHANNELS.contains(&header.channels) || header.places > i32::MAX as u32 {
            let Header { channels, places, .. } = header;
            return Err(DecodeError::Damaged(format!(
                "{channels} channels at places {places:#x}; expected 1 to 26 channels, at places below 0x80000000"
            )));
        }
        if !header.is_plain {
            return Ok(None);
        }
        let skipped = header.skip(start);
        file.seek_relative(skipped as i64).map_err(unreadable)?;
        let reader = match WavReader::new(Cursor::new(header.bytes).chain(BufReader::new(file))) {
            Ok(reader) => reader,
            // The other library reads doubles and companded codes, and does not mind numbers that only repeat others.
            Err(hound::Error::Unsupported | hound::Error::FormatError(_)) => return Ok(None),
            Err(error) => return Err(DecodeError::Damaged(error.to_string())),
        };
        let spec = reader.spec();
        let decoder = match spec.sample_format {
            SampleFormat::Float => Decoder::Floats(reader.into_samples()),
            SampleFormat::Int => {
                let scale = 1.0 / (1u64 << (spec.bits_per_sample.clamp(1, 32) - 1)) as f32;
                Decoder::Wholes(reader.into_samples(), scale)
            }
        };
        Ok(Some(Self {
            decoder,
            channels: usize::from(spec.channels).max(1),
            rate: spec.sample_rate,
            ended_early: header.ended_early,
            start: 0.0,
            decoded: 0,
            bits: spec.bits_per_sample,
        }))
    }

    /// Appends the next samples, channels interleaved; false when there are no more.
    pub fn read(&mut self, into: &mut Vec<f32>) -> Result<bool, DecodeError> {
        let before = into.len();
        let is_more = match &mut self.decoder {
            Decoder::Floats(samples) => take(samples, |sample| sample, into),
            Decoder::Wholes(samples, scale) => {
                let scale = *scale;
                take(samples, |sample| sample as f32 * scale, into)
            }
            Decoder::Packets(_) => return self.read_packet(into),
            Decoder::Ended => return Ok(false),
        };
        self.decoded += (into.len() - before) as u64;
        if is_more != Some(true) {
            self.decoder = Decoder::Ended;
            self.ended_early |= is_more.is_none();
            if is_more.is_none() && self.decoded == 0 {
                return Err(DecodeError::Damaged(format!("no sample of {} bits can be read", self.bits)));
            }
        }
        Ok(is_more == Some(true))
    }

    fn read_packet(&mut self, into: &mut Vec<f32>) -> Result<bool, DecodeError> {
        let Decoder::Packets(packets) = &mut self.decoder else { return Ok(false) };
        let spec = match packets.decode(&mut self.ended_early) {
            Some(spec) => spec,
            None => {
                let (counted, frames) = (packets.counted, self.decoded / self.channels.max(1) as u64);
                self.decoder = Decoder::Ended;
                self.ended_early |= counted.is_some_and(|counted| frames < counted);
                return match self.decoded {
                    0 if counted.is_none_or(|counted| counted == 0) && !self.ended_early => {
                        Err(DecodeError::Empty)
                    }
                    0 => Err(DecodeError::Damaged("no part of it can be decoded".into())),
                    _ => Ok(false),
                };
            }
        };
        if self.channels == 0 {
            (self.channels, self.rate) = spec;
        }
        if (self.channels, self.rate) != spec {
            return Err(DecodeError::Unsupported("the rate or the channels change within the file".into()));
        }
        let start = (self.start * f64::from(self.rate)).round() as u64 * self.channels as u64;
        let skipped = start.saturating_sub(self.decoded).min(packets.block.len() as u64);
        into.extend_from_slice(&packets.block[skipped as usize..]);
        self.decoded += packets.block.len() as u64;
        Ok(true)
    }
}

/// Samples of a WAV file that are read at once.
const AT_ONCE: usize = 1 << 14;

/// Appends samples until there are enough for once, which is true, or no more, which is false; `None` when one cannot be read.
fn take<S>(
    samples: &mut impl Iterator<Item = Result<S, hound::Error>>,
    value: impl Fn(S) -> f32,
    into: &mut Vec<f32>,
) -> Option<bool> {
    for _ in 0..AT_ONCE {
        match samples.next() {
            Some(Ok(sample)) => into.push(value(sample)),
            Some(Err(_)) => return None,
            None => return Some(false),
        }
    }
    Some(true)
}

impl Packets {
    fn open(file: File, first: &[u8]) -> Result<Self, DecodeError> {
        let stream = MediaSourceStream::new(Box::new(file), Default::default());
        let probed = symphonia::default::get_probe().probe(
            &Hint::new(),
            stream,
            FormatOptions::default(),
            MetadataOptions::default(),
        );
        let format = probed.map_err(|error| match error {
            Error::Unsupported(_) | Error::IoError(_) => match begun(first) {
                Some(format) => {
                    DecodeError::Damaged(format!("it begins as {format}, and no sound can be found in it"))
                }
                None => DecodeError::Unknown(shown(first)),
            },
            other => DecodeError::Damaged(one_line(&other)),
        })?;
        let none = || DecodeError::Unsupported("no track of sound that is known".into());
        let track = format.default_track(TrackType::Audio).ok_or_else(none)?;
        let parameters = track.codec_params.as_ref().and_then(|codec| codec.audio()).ok_or_else(none)?;
        let decoder = symphonia::default::get_codecs()
            .make_audio_decoder(parameters, &AudioDecoderOptions::default())
            .map_err(|error| DecodeError::Unsupported(one_line(&error)))?;
        // Only FLAC's header counts samples; of others the number is a guess from the file's length.
        let counted = track.num_frames.filter(|_| parameters.codec == CODEC_ID_FLAC);
        Ok(Self { track: track.id, counted, decoder, format, block: Vec::new() })
    }

    /// Decodes the next packet that can be into `block`, and says its channels and rate; `None` at the end.
    fn decode(&mut self, is_damaged: &mut bool) -> Option<(usize, u32)> {
        loop {
            let packet = match self.format.next_packet() {
                Ok(Some(packet)) if packet.track_id == self.track => packet,
                Ok(Some(_)) => continue,
                Ok(None) => return None,
                Err(_) => {
                    *is_damaged = true;
                    return None;
                }
            };
            match self.decoder.decode(&packet) {
                Ok(buffer) => {
                    let spec = (buffer.spec().channels().count(), buffer.spec().rate());
                    self.block.clear();
                    buffer.copy_to_vec_interleaved(&mut self.block);
                    return Some(spec);
                }
                // One packet may be damaged; what follows may not.
                Err(Error::DecodeError(_)) => *is_damaged = true,
                Err(_) => {
                    *is_damaged = true;
                    return None;
                }
            }
        }
    }
}

/// The format that the first bytes announce. MP3 announces none.
fn begun(first: &[u8]) -> Option<&'static str> {
    match first {
        [b'f', b'L', b'a', b'C', ..] => Some("FLAC"),
        [b'O', b'g', b'g', b'S', ..] => Some("Ogg"),
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => Some("M4A"),
        _ => None,
    }
}

/// The first bytes as text where they are, else as numbers.
fn shown(first: &[u8]) -> String {
    first
        .iter()
        .take(8)
        .map(|byte| match byte {
            b' '..=b'~' => char::from(*byte).to_string(),
            other => format!("\\x{other:02x}"),
        })
        .collect()
}

fn one_line(error: &Error) -> String {
    error.to_string().replace(['\n', '\r'], " ")
}
