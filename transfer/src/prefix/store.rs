//! The cache folder: `ROOT/KEY/NAME.safetensors`, files that are written whole and never changed.
//!
//! A key's folder holds shards, each with the results of some samples. Two processes may write the same results twice; both are
//! right. A damaged shard is ignored, and what it held is computed again.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::PrefixError;

/// Where results are kept, and how much of them.
#[derive(Clone, Debug)]
pub struct PrefixStore {
    root: Option<PathBuf>,
    cap_bytes: u64,
}

/// What a key's folder uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// The key.
    pub key: String,
    /// Its bytes.
    pub bytes: u64,
    /// Its shards.
    pub shards: usize,
    /// When it was last written.
    pub modified: SystemTime,
}

impl PrefixStore {
    /// A store in a folder, which is made when it is first written to, for at most `cap_bytes`.
    pub fn at(root: impl Into<PathBuf>, cap_bytes: u64) -> Self {
        Self { root: Some(root.into()), cap_bytes }
    }

    /// A store that keeps nothing on disk.
    pub fn none() -> Self {
        Self { root: None, cap_bytes: 0 }
    }

    /// The folder.
    pub fn root(&self) -> Option<&Path> {
        self.root.as_deref()
    }

    /// The folder of a key, or `None` when nothing is kept.
    pub(super) fn folder(&self, key: &str) -> Option<PathBuf> {
        self.root.as_ref().map(|root| root.join(key))
    }

    /// Makes room for more bytes under a key: the keys written longest ago go first, never the key itself.
    /// Returns whether there is room.
    pub(super) fn make_room(&self, key: &str, bytes: u64) -> Result<bool, PrefixError> {
        let mut usages = self.usage()?;
        let mut total: u64 = usages.iter().map(|usage| usage.bytes).sum();
        usages.sort_by(|a, b| a.modified.cmp(&b.modified).then_with(|| a.key.cmp(&b.key)));
        for usage in usages.iter().filter(|usage| usage.key != key) {
            if total + bytes <= self.cap_bytes {
                break;
            }
            self.remove(&usage.key)?;
            total -= usage.bytes;
        }
        Ok(total + bytes <= self.cap_bytes)
    }

    /// What each key uses, by key.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn usage(&self) -> Result<Vec<Usage>, PrefixError> {
        let Some(root) = &self.root else { return Ok(Vec::new()) };
        let fail = |source| PrefixError::Folder { path: root.clone(), source };
        let mut usages = Vec::new();
        for folder in entries(root).map_err(fail)? {
            let mut usage = Usage {
                key: folder.file_name().to_string_lossy().into_owned(),
                bytes: 0,
                shards: 0,
                modified: SystemTime::UNIX_EPOCH,
            };
            // Another process may clear the cache meanwhile: what is gone is not counted.
            for shard in entries(&folder.path()).unwrap_or_default() {
                if let Ok(metadata) = shard.metadata() {
                    usage.bytes += metadata.len();
                    usage.shards += 1;
                    usage.modified =
                        usage.modified.max(metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH));
                }
            }
            usages.push(usage);
        }
        usages.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(usages)
    }

    /// Removes everything; returns the bytes that were freed.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub fn clear(&self) -> Result<u64, PrefixError> {
        let usages = self.usage()?;
        for usage in &usages {
            self.remove(&usage.key)?;
        }
        Ok(usages.iter().map(|usage| usage.bytes).sum())
    }

    fn remove(&self, key: &str) -> Result<(), PrefixError> {
        let Some(folder) = self.folder(key) else { return Ok(()) };
        match fs::remove_dir_all(&folder) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(PrefixError::Folder { path: folder, source })
            }
            _ => Ok(()),
        }
    }
}

/// The entries of a folder; none when it is not there.
fn entries(folder: &Path) -> io::Result<Vec<fs::DirEntry>> {
    match fs::read_dir(folder) {
        Ok(entries) => entries.collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn old_keys_make_room_for_new_ones() {
        let folder = tempfile::tempdir().unwrap();
        let store = PrefixStore::at(folder.path(), 250);
        for (key, age) in [("old", 200), ("new", 100), ("own", 300)] {
            fs::create_dir(folder.path().join(key)).unwrap();
            let path = folder.path().join(key).join("0.safetensors");
            fs::write(&path, [0; 60]).unwrap();
            let file = fs::File::options().write(true).open(&path).unwrap();
            file.set_modified(SystemTime::now() - std::time::Duration::from_secs(age)).unwrap();
        }
        assert!(store.make_room("own", 100).unwrap());
        let keys: Vec<String> = store.usage().unwrap().into_iter().map(|usage| usage.key).collect();
        assert_eq!(keys, ["new", "own"]);
        assert!(!store.make_room("own", 200).unwrap());
        assert_eq!(store.clear().unwrap(), 60);
        assert!(store.usage().unwrap().is_empty());
    }
}
