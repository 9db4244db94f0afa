//! The bytes of a checkpoint file: mapped into memory, or given by the program that embeds them.
//!
//! This is the one file of the crate that uses `unsafe`.

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Deref;
use std::path::Path;

use memmap2::Mmap;

/// Contents of one file.
pub(super) enum Bytes {
    Mapped(Mmap),
    Given(Cow<'static, [u8]>),
}

impl Bytes {
    /// Maps the file at `path`; only the pages that are used are ever read from disk.
    pub(super) fn map(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let facts = file.metadata()?;
        if facts.is_dir() {
            return Err(io::Error::new(io::ErrorKind::IsADirectory, "is a folder, not a file"));
        }
        if !facts.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "is not a regular file"));
        }
        if facts.len() == 0 {
            // An empty file cannot be mapped on every system.
            return Ok(Self::Given(Cow::Borrowed(&[])));
        }
        // SAFETY: the mapping is private and read-only, and is handed out as bytes only, for which every value is
        // valid. The contract of `Mmap::map` that nobody changes the file meanwhile cannot be enforced by a program: a
        // file rewritten in place gives other weights (digests show it), one cut short ends the process with SIGBUS,
        // never with a wrong access. Writers that replace a file by renaming, as `atomic` does, are safe.
        let mapped = unsafe { Mmap::map(&file)? };
        Ok(Self::Mapped(mapped))
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(mapped) => mapped,
            Self::Given(given) => given,
        }
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} bytes", self.len())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn maps_files_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        for contents in [&b""[..], b"abc"] {
            let path = folder.path().join("file");
            std::fs::write(&path, contents).unwrap();
            assert_eq!(&*Bytes::map(&path).unwrap(), contents);
        }
        assert_eq!(Bytes::map(folder.path()).unwrap_err().kind(), io::ErrorKind::IsADirectory);
        assert_eq!(Bytes::map(&folder.path().join("absent")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
