//! From a file's bytes to samples: WAV by `hound`, everything else by `symphonia`, told by content.

use std::fs::File;
use std::io::{BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::Path;

use hound::{SampleFormat, WavReader};
use symphonia::core::codecs::audio::AudioDecoderOptions;
use symphonia::core::codecs::audio::well_known::CODEC_ID_FLAC;
use symphonia::core::errors::Error;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, TrackType};
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

/// The samples of a file; of its first seconds, where only they are wanted.
pub(super) fn decode_file(path: &Path, seconds: Option<f64>) -> Result<Decoded, DecodeError> {
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
        && let Some(decoded) = decode_wav(&mut file, seconds)?
    {
        return Ok(decoded);
    }
    file.seek(SeekFrom::Start(0)).map_err(unreadable)?;
    decode_any(file, seconds, first.get(..read).unwrap_or_default())
}

/// The most samples of all channels that are wanted.
fn most(seconds: Option<f64>, rate: u32, channels: usize) -> usize {
    seconds.map_or(usize::MAX, |seconds| (seconds * f64::from(rate)).ceil() as usize * channels)
}

/// A WAV file of whole numbers or floats; `None` where it holds another code, which is the other library's.
fn decode_wav(file: &mut File, seconds: Option<f64>) -> Result<Option<Decoded>, DecodeError> {
    let header = read_header(file).map_err(|error| DecodeError::Unreadable(error.to_string()))?;
    let Some(header) = header else {
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
    let reader = match WavReader::new(Cursor::new(header.bytes).chain(BufReader::new(file))) {
        Ok(reader) => reader,
        // The other library reads doubles and companded codes, and does not mind numbers that only repeat others.
        Err(hound::Error::Unsupported | hound::Error::FormatError(_)) => return Ok(None),
        Err(error) => return Err(DecodeError::Damaged(error.to_string())),
    };
    let spec = reader.spec();
    let (channels, rate) = (usize::from(spec.channels), spec.sample_rate);
    let wanted = most(seconds, rate, channels.max(1));
    let (interleaved, is_cut) = match spec.sample_format {
        SampleFormat::Float => collect(reader.into_samples::<f32>(), wanted, |sample| sample),
        SampleFormat::Int => {
            let scale = 1.0 / (1u64 << (spec.bits_per_sample.clamp(1, 32) - 1)) as f32;
            collect(reader.into_samples::<i32>(), wanted, move |sample| sample as f32 * scale)
        }
    };
    if interleaved.is_empty() && is_cut {
        let bits = spec.bits_per_sample;
        return Err(DecodeError::Damaged(format!("no sample of {bits} bits can be read")));
    }
    Ok(Some(Decoded { interleaved, channels, rate, ended_early: header.ended_early || is_cut }))
}

/// Samples until there are enough, or one cannot be read.
fn collect<S>(
    samples: impl Iterator<Item = Result<S, hound::Error>>,
    wanted: usize,
    value: impl Fn(S) -> f32,
) -> (Vec<f32>, bool) {
    let mut found = Vec::new();
    for sample in samples.take(wanted) {
        match sample {
            Ok(sample) => found.push(value(sample)),
            Err(_) => return (found, true),
        }
    }
    (found, false)
}

fn decode_any(file: File, seconds: Option<f64>, first: &[u8]) -> Result<Decoded, DecodeError> {
    let stream = MediaSourceStream::new(Box::new(file), Default::default());
    let probed = symphonia::default::get_probe().probe(
        &Hint::new(),
        stream,
        FormatOptions::default(),
        MetadataOptions::default(),
    );
    let mut format = probed.map_err(|error| match error {
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
    let (id, parameters) =
        (track.id, track.codec_params.as_ref().and_then(|codec| codec.audio()).ok_or_else(none)?);
    // Only FLAC's header counts samples; of others the number is a guess from the file's length.
    let counted = track.num_frames.filter(|_| parameters.codec == CODEC_ID_FLAC);
    let mut decoder = symphonia::default::get_codecs()
        .make_audio_decoder(parameters, &AudioDecoderOptions::default())
        .map_err(|error| DecodeError::Unsupported(one_line(&error)))?;
    let mut decoded = Decoded { interleaved: Vec::new(), channels: 0, rate: 0, ended_early: false };
    let mut block = Vec::new();
    loop {
        let packet = match format.next_packet() {
            Ok(Some(packet)) => packet,
            Ok(None) => break,
            Err(_) => {
                decoded.ended_early = true;
                break;
            }
        };
        if packet.track_id != id {
            continue;
        }
        match decoder.decode(&packet) {
            Ok(buffer) => {
                let spec = buffer.spec();
                let (channels, rate) = (spec.channels().count(), spec.rate());
                if decoded.channels == 0 {
                    (decoded.channels, decoded.rate) = (channels, rate);
                }
                if (channels, rate) != (decoded.channels, decoded.rate) {
                    return Err(DecodeError::Unsupported(
                        "the rate or the channels change within the file".into(),
                    ));
                }
                block.clear();
                buffer.copy_to_vec_interleaved(&mut block);
                decoded.interleaved.extend_from_slice(&block);
            }
            // One packet may be damaged; what follows may not.
            Err(Error::DecodeError(_)) => decoded.ended_early = true,
            Err(_) => {
                decoded.ended_early = true;
                break;
            }
        }
        if decoded.interleaved.len() >= most(seconds, decoded.rate, decoded.channels.max(1)) {
            break;
        }
    }
    let wanted = most(seconds, decoded.rate, decoded.channels.max(1));
    decoded.interleaved.truncate(wanted);
    let is_all =
        seconds.is_none_or(|seconds| counted.unwrap_or(0) as f64 <= seconds * f64::from(decoded.rate));
    let frames = decoded.interleaved.len() / decoded.channels.max(1);
    decoded.ended_early |= is_all && counted.is_some_and(|counted| (frames as u64) < counted);
    if decoded.interleaved.is_empty() {
        if counted.is_none_or(|counted| counted == 0) && !decoded.ended_early {
            return Err(DecodeError::Empty);
        }
        return Err(DecodeError::Damaged("no part of it can be decoded".into()));
    }
    Ok(decoded)
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
