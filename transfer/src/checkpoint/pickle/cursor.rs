//! Bytes of a pickle, read in order and never beyond their end.

use crate::checkpoint::CheckpointProblem;

/// A position in a pickle.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8], position: usize) -> Self {
        Self { bytes, position }
    }

    /// Bytes read so far, counted from the start of the file or record.
    pub(super) fn position(&self) -> usize {
        self.position
    }

    /// The next `length` bytes.
    pub(super) fn take(&mut self, length: u64) -> Result<&'a [u8], CheckpointProblem> {
        let end = usize::try_from(length).ok().and_then(|length| self.position.checked_add(length));
        let taken = end.and_then(|end| self.bytes.get(self.position..end));
        let taken = taken.ok_or_else(|| CheckpointProblem::Pickle {
            what: format!("{length} bytes wanted, {} left", self.bytes.len().saturating_sub(self.position)),
            offset: self.position,
        })?;
        self.position += taken.len();
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], CheckpointProblem> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N as u64)?);
        Ok(array)
    }

    pub(super) fn u8(&mut self) -> Result<u8, CheckpointProblem> {
        self.array().map(u8::from_le_bytes)
    }

    pub(super) fn u16(&mut self) -> Result<u16, CheckpointProblem> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, CheckpointProblem> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, CheckpointProblem> {
        self.array().map(u64::from_le_bytes)
    }

    /// The next `length` bytes as text.
    pub(super) fn text(&mut self, length: u64) -> Result<&'a str, CheckpointProblem> {
        let offset = self.position;
        std::str::from_utf8(self.take(length)?)
            .map_err(|_| CheckpointProblem::Pickle { what: "text that is not UTF-8".to_owned(), offset })
    }

    /// Text up to the next line feed, which is skipped.
    pub(super) fn line(&mut self) -> Result<&'a str, CheckpointProblem> {
        let rest = self.bytes.get(self.position..).unwrap_or_default();
        let length = rest.iter().position(|&byte| byte == b'\n').ok_or_else(|| {
            CheckpointProblem::Pickle { what: "a name without an end".to_owned(), offset: self.position }
        })?;
        let line = self.text(length as u64)?;
        self.position += 1;
        Ok(line)
    }
}
