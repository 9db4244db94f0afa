//! What a file's bytes must hash to.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha1::Sha1;
use sha2::{Digest as _, Sha256};

/// A digest that a file is known by, hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Digest {
    /// SHA-256, of files in large file storage.
    Sha256(String),
    /// SHA-1 of a header and the bytes, as git has it, of small files.
    GitBlob(String),
    /// The beginning of SHA-256, as in the names of PyTorch's files.
    Sha256Prefix(String),
}

impl Digest {
    /// What an entity tag says; it is also the blob's name.
    pub(super) fn of_tag(tag: &str) -> Option<Self> {
        let is_hex = tag.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        match tag.len() {
            64 if is_hex => Some(Self::Sha256(tag.to_owned())),
            40 if is_hex => Some(Self::GitBlob(tag.to_owned())),
            _ => None,
        }
    }

    /// What a file's name says, as in `resnet50-0676ba61.pth` (`torch.hub`).
    pub(super) fn of_file_name(name: &str) -> Option<Self> {
        let (stem, _) = name.rsplit_once('.')?;
        let (_, digits) = stem.rsplit_once('-')?;
        let is_hex =
            digits.len() >= 8 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        is_hex.then(|| Self::Sha256Prefix(digits.to_owned()))
    }

    /// The digest of this kind of a file; of a prefix, the whole one.
    pub(super) fn of(&self, path: &Path) -> io::Result<String> {
        match self {
            Self::Sha256(_) | Self::Sha256Prefix(_) => sha256(path),
            Self::GitBlob(_) => {
                let mut hasher = Sha1::new();
                hasher.update(format!("blob {}\0", path.metadata()?.len()));
                each_part(path, |part| hasher.update(part))?;
                Ok(hex(&hasher.finalize()))
            }
        }
    }

    /// Whether a digest of this kind is the expected one.
    pub(super) fn is_met_by(&self, found: &str) -> bool {
        match self {
            Self::Sha256(expected) | Self::GitBlob(expected) => found == expected,
            Self::Sha256Prefix(expected) => found.starts_with(expected),
        }
    }

    /// The expected digits.
    pub(super) fn digits(&self) -> &str {
        match self {
            Self::Sha256(digits) | Self::GitBlob(digits) | Self::Sha256Prefix(digits) => digits,
        }
    }
}

/// A file's SHA-256, hexadecimal.
pub(super) fn sha256(path: &Path) -> io::Result<String> {
    let mut hasher = Sha256::new();
    each_part(path, |part| hasher.update(part))?;
    Ok(hex(&hasher.finalize()))
}

fn each_part(path: &Path, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 1 << 18];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => take(buffer.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    /// `printf 'hello\n' | sha256sum`, and `| git hash-object --stdin`.
    #[test]
    fn digests_are_those_of_the_tools() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        std::fs::write(&path, "hello\n").unwrap();
        let sha = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
        let git = "ce013625030ba8dba906f756967f9e9ca394464a";
        for (digest, expected) in [
            (Digest::of_tag(sha).unwrap(), sha),
            (Digest::of_tag(git).unwrap(), git),
            (Digest::of_file_name("x-y-5891b5b5.pth").unwrap(), sha),
        ] {
            let found = digest.of(&path).unwrap();
            assert_eq!(found, expected);
            assert!(digest.is_met_by(&found));
            assert!(!digest.is_met_by(&found.replace('5', "6")));
        }
    }

    #[test]
    fn other_tags_and_names_say_nothing() {
        for tag in ["", "abc", "../5891b5b522d5df086d0ff0b110fbd9d21bb4fc7", &"G".repeat(64)] {
            assert_eq!(Digest::of_tag(tag), None, "{tag}");
        }
        for name in ["resnet50.pth", "resnet-final.pth", "x-12ab.pth", "5891b5b5.pth"] {
            assert_eq!(Digest::of_file_name(name), None, "{name}");
        }
    }
}
