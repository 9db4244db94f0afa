//! Headers of WAV files, read leniently and written anew for the reader that follows.
//!
//! A program that writes to a pipe cannot know the length, and one that was killed did not write it; others write wrong byte rates, or
//! chunks of odd length. What is there is read.

use std::io::{self, Read, Seek, SeekFrom};

/// The most that may stand before the sound.
const MAX_HEADER: u64 = 1 << 20;

/// Codes of samples.
const WHOLE: u16 = 1;
const FLOAT: u16 = 3;
const EXTENSIBLE: u16 = 0xFFFE;

/// What a WAV file's header says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// A plain header, with the true length of the sound in it.
    pub bytes: Vec<u8>,
    /// Whether the file ends before its own header says.
    pub ended_early: bool,
    /// Whether samples are whole numbers or floats, and not another code.
    pub is_plain: bool,
    /// As the format says, believable or not.
    pub channels: u16,
    /// A bit for each place that has a channel; 0 where the format says nothing of places.
    pub places: u32,
    /// Bytes of the sound.
    sound: u32,
    format: Format,
}

impl Header {
    /// Leaves out the first seconds, and says how many bytes of the sound they are.
    pub fn skip(&mut self, seconds: f64) -> u64 {
        let block = u64::from(self.format.block());
        let frames = (seconds.max(0.0) * f64::from(self.format.rate)).round() as u64;
        let skipped = frames.saturating_mul(block).min(u64::from(self.sound));
        self.sound -= skipped as u32;
        self.bytes = self.format.header(self.sound);
        skipped
    }
}

/// Whether a file is WAV by its first bytes.
pub(super) fn is_wav(first: &[u8]) -> bool {
    first.starts_with(b"RIFF") && first.get(8..12) == Some(b"WAVE")
}

/// Reads the header and leaves the file where the sound begins. `None` when there is no sound or no format before it.
///
/// # Errors
/// When the file cannot be read.
pub(super) fn read_header(file: &mut (impl Read + Seek)) -> io::Result<Option<Header>> {
    let length = file.seek(SeekFrom::End(0))?;
    let mut at = 12u64;
    let mut format: Option<Format> = None;
    while at + 8 <= length.min(MAX_HEADER) {
        file.seek(SeekFrom::Start(at))?;
        let mut chunk = [0u8; 8];
        file.read_exact(&mut chunk)?;
        let [a, b, c, d, size @ ..] = chunk;
        let size = u64::from(u32::from_le_bytes(size));
        match &[a, b, c, d] {
            b"fmt " if size >= 16 && at + 24 <= length => format = Some(Format::read(file, size)?),
            b"data" => {
                let Some(format) = format else { return Ok(None) };
                let rest = length - at - 8;
                // Unknown lengths are written as nothing, or as the most.
                let is_unknown = size == 0 || size >= 0xFFFF_FF00;
                let found = if is_unknown { rest } else { size.min(rest) }.min(0xFFFF_FF00);
                let block = u64::from(format.block());
                let found = found.checked_div(block).map_or(found, |blocks| blocks * block);
                return Ok(Some(Header {
                    bytes: format.header(found as u32),
                    ended_early: !is_unknown && size > rest,
                    is_plain: matches!(format.code, WHOLE | FLOAT),
                    channels: format.channels,
                    places: format.places,
                    sound: found as u32,
                    format,
                }));
            }
            _ => {}
        }
        // Chunks begin at even places.
        at += 8 + size + size % 2;
    }
    Ok(None)
}

/// What a `fmt ` chunk says.
#[derive(Debug, PartialEq, Eq)]
struct Format {
    code: u16,
    channels: u16,
    rate: u32,
    bits: u16,
    places: u32,
}

impl Format {
    fn read(file: &mut impl Read, size: u64) -> io::Result<Self> {
        let mut chunk = [0u8; 40];
        let known = (size as usize).min(40);
        // Of a chunk that the file's end cuts, the rest is zero.
        let _ = io::copy(&mut file.take(known as u64), &mut &mut chunk[..])?;
        let word = |at: usize| u16::from_le_bytes([chunk[at], chunk[at + 1]]);
        let code = word(0);
        Ok(Self {
            // The extensible form names the code at the beginning of an identifier.
            code: if code == EXTENSIBLE && known == 40 { word(24) } else { code },
            channels: word(2),
            rate: u32::from_le_bytes([chunk[4], chunk[5], chunk[6], chunk[7]]),
            bits: word(14),
            places: match code {
                EXTENSIBLE => u32::from_le_bytes([chunk[20], chunk[21], chunk[22], chunk[23]]),
                _ => 0,
            },
        })
    }

    /// Bytes of a sample of every channel.
    fn block(&self) -> u16 {
        self.channels.saturating_mul(self.bits.div_ceil(8))
    }

    fn header(&self, sound: u32) -> Vec<u8> {
        let mut bytes = b"RIFF".to_vec();
        bytes.extend(sound.saturating_add(36).to_le_bytes());
        bytes.extend(b"WAVEfmt \x10\0\0\0");
        bytes.extend(self.code.to_le_bytes());
        bytes.extend(self.channels.to_le_bytes());
        bytes.extend(self.rate.to_le_bytes());
        bytes.extend(self.rate.saturating_mul(u32::from(self.block())).to_le_bytes());
        bytes.extend(self.block().to_le_bytes());
        bytes.extend(self.bits.to_le_bytes());
        bytes.extend(b"data");
        bytes.extend(sound.to_le_bytes());
        bytes
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use std::io::Cursor;

    use super::*;

    /// Ten frames of two channels in 16 bits, with the length that is said.
    fn file(said: u32, sound: usize) -> Vec<u8> {
        let mut bytes = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x02\0\x40\x1f\0\0\0\x7d\0\0\x04\0\x10\0LIST\x03\0\0\0abc\0data".to_vec();
        bytes.extend(said.to_le_bytes());
        bytes.extend((0..sound).map(|byte| byte as u8));
        bytes
    }

    #[test]
    fn lengths_are_what_is_there() {
        for (said, sound, expected, early) in [
            (40, 40, 40, false),
            (40, 30, 28, true),
            (0, 40, 40, false),
            (u32::MAX, 41, 40, false),
            (20, 40, 20, false),
        ] {
            let bytes = file(said, sound);
            assert!(is_wav(&bytes));
            let mut cursor = Cursor::new(&bytes);
            let header = read_header(&mut cursor).unwrap().unwrap();
            let end = header.bytes.len();
            assert_eq!(header.bytes[end - 4..], (expected as u32).to_le_bytes(), "{said} {sound}");
            assert_eq!((end, header.ended_early, header.is_plain), (44, early, true), "{said} {sound}");
            assert_eq!(cursor.position(), bytes.len() as u64 - sound as u64, "{said} {sound}");
        }
    }

    #[test]
    fn seconds_that_are_skipped_are_whole_frames_of_what_is_there() {
        // 8,000 frames a second, of 4 bytes; ten frames in all.
        for (seconds, skipped) in [(0.0, 0), (0.0005, 16), (1.0, 40), (-1.0, 0)] {
            let mut header = read_header(&mut Cursor::new(&file(40, 40))).unwrap().unwrap();
            assert_eq!(header.skip(seconds), skipped, "{seconds}");
            assert_eq!(header.bytes[40..], (40 - skipped as u32).to_le_bytes(), "{seconds}");
        }
    }

    #[test]
    fn a_file_without_sound_has_no_header() {
        let bytes = file(40, 40);
        for length in [12, 20, 40, 50] {
            assert_eq!(read_header(&mut Cursor::new(&bytes[..length])).unwrap(), None, "{length}");
        }
    }
}
