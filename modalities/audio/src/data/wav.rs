//! Headers of WAV files that lie about lengths, put right before the file is read.
//!
//! A program that writes to a pipe cannot know the length, and one that was killed did not write it. What is there is read.

use std::io::{self, Read, Seek, SeekFrom};

/// The most that may stand before the sound.
const MAX_HEADER: u64 = 1 << 20;

/// The header of a WAV file up to the sound, with the true length of the sound in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub bytes: Vec<u8>,
    /// Whether the file ends before its header says.
    pub ended_early: bool,
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
    let mut block = 0u64;
    loop {
        file.seek(SeekFrom::Start(at))?;
        let mut chunk = [0u8; 8];
        if at + 8 > length.min(MAX_HEADER) {
            return Ok(None);
        }
        file.read_exact(&mut chunk)?;
        let [a, b, c, d, size @ ..] = chunk;
        let size = u64::from(u32::from_le_bytes(size));
        match &[a, b, c, d] {
            b"fmt " => {
                let mut format = [0u8; 14];
                if size < 14 || at + 22 > length {
                    return Ok(None);
                }
                file.read_exact(&mut format)?;
                block = u64::from(u16::from_le_bytes([format[12], format[13]]));
            }
            b"data" => {
                let rest = length - at - 8;
                // Unknown lengths are written as nothing, or as the most.
                let is_unknown = size == 0 || size >= 0xFFFF_FF00;
                let found = if is_unknown { rest } else { size.min(rest) };
                let found = found.checked_div(block).map_or(found, |blocks| blocks * block);
                return header(file, at, found.min(0xFFFF_FF00), !is_unknown && size > rest).map(Some);
            }
            _ => {}
        }
        // Chunks begin at even places.
        at += 8 + size + size % 2;
    }
}

fn header(file: &mut (impl Read + Seek), data: u64, found: u64, ended_early: bool) -> io::Result<Header> {
    let mut bytes = vec![0u8; data as usize + 8];
    file.seek(SeekFrom::Start(0))?;
    file.read_exact(&mut bytes)?;
    let end = bytes.len();
    bytes[4..8].copy_from_slice(&((end as u64 + found - 8).min(u64::from(u32::MAX)) as u32).to_le_bytes());
    bytes[end - 4..].copy_from_slice(&(found as u32).to_le_bytes());
    Ok(Header { bytes, ended_early })
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
            assert_eq!((header.ended_early, cursor.position()), (early, end as u64), "{said} {sound}");
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
