//! A repository's files, or a file of no repository, brought into the cache.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::choose::choose;
use super::client::{Ask, Client, header};
use super::digest::{Digest, sha256};
use super::fetch::{Wanted, fetch};
use super::listing::{Described, address_of, describe, list};
use super::{Hub, HubError, Remote, Repository, Snapshot};
use crate::atomic::{write_atomic, write_bytes_atomic};

/// Which files of a repository are brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Files<'a> {
    /// Those that a model needs: configuration, tokenizer, weights in one form, modules.
    Model,
    /// The file of this name.
    Named(&'a str),
}

/// What happens while weights are brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PullEvent {
    /// What will be fetched; told before the first byte of it.
    Found {
        /// Where it comes from.
        address: String,
        /// The commit, where it is of a repository.
        commit: Option<String>,
        /// As the model's card says.
        licence: Option<String>,
        /// All files.
        files: usize,
        /// The bytes that are not here yet; a lower bound where the server does not say all lengths.
        missing_bytes: u64,
        /// The bytes of all files.
        bytes: u64,
    },
    /// A file in the cache is not what its name says, and is fetched anew.
    Damaged {
        /// The file.
        file: String,
    },
    /// Another process fetches the same file.
    Waiting {
        /// The file.
        file: String,
    },
    /// Some bytes more.
    Fetched {
        /// The file.
        file: String,
        /// Its bytes so far.
        done: u64,
        /// All of them, where the server says it.
        total: Option<u64>,
    },
    /// An attempt failed, and another follows.
    Again {
        /// What happened.
        reason: String,
        /// After which time.
        pause: Duration,
    },
}

/// A file of a repository, and where it goes.
struct Planned<'a> {
    file: &'a str,
    address: String,
    described: Described,
    blob: PathBuf,
    is_here: bool,
}

impl Remote {
    /// Brings files of a repository into the cache; what is there is verified and not fetched again. The revision means the new commit once
    /// all of them are there. Two processes may do so at once.
    ///
    /// # Errors
    /// When the server refuses, has no such repository, revision or file, sends what is wrong, or cannot be reached.
    pub fn pull(
        &self,
        hub: &Hub,
        repository: &Repository,
        files: Files<'_>,
        observe: &dyn Fn(&PullEvent),
    ) -> Result<Snapshot, HubError> {
        let cache = hub.cache().ok_or(HubError::NoCache)?;
        let folder = cache.join(repository.folder());
        let client = Client::new(self, observe)?;
        let listing = list(&client, repository)?;
        let commit = &listing.commit;
        let chosen = match files {
            Files::Model => choose(&listing.files),
            Files::Named(name) => {
                listing.files.iter().map(String::as_str).filter(|file| *file == name).collect()
            }
        };
        if chosen.is_empty() {
            let what = match files {
                Files::Model => "a model.safetensors, whole or sharded, or pytorch_model.bin".to_owned(),
                Files::Named(name) => format!("`{name}`"),
            };
            let address = format!("{}/{}", self.endpoint, repository.id());
            return Err(HubError::NotFound { what, address, exists: listing.files });
        }
        let mut planned = Vec::new();
        for file in chosen {
            let address = address_of(&client, repository, commit, file);
            let described = describe(&client, &address, commit)?;
            let blob = folder.join("blobs").join(described.digest.digits());
            let is_here = is_whole(&client, file, &blob, &described.digest)?;
            planned.push(Planned { file, address, described, blob, is_here });
        }
        let bytes = |is_counted: fn(&Planned<'_>) -> bool| {
            planned
                .iter()
                .filter(|planned| is_counted(planned))
                .filter_map(|planned| planned.described.bytes)
                .sum()
        };
        client.tell(&PullEvent::Found {
            address: format!("{}/{}", self.endpoint, repository.id()),
            commit: Some(commit.clone()),
            licence: listing.licence,
            files: planned.len(),
            missing_bytes: bytes(|planned| !planned.is_here),
            bytes: bytes(|_| true),
        });
        let locks = cache.join(".locks").join(repository.folder());
        let snapshot = folder.join("snapshots").join(commit);
        for Planned { file, address, described, blob, is_here } in planned {
            if !is_here {
                make_parent(&blob)?;
                let lock = locks.join(format!("{}.lock", described.digest.digits()));
                let _held = lock_file(&client, file, &lock)?;
                // Another process may have fetched it meanwhile.
                if !is_whole(&client, file, &blob, &described.digest)? {
                    let Described { digest, bytes } = described;
                    let wanted = Wanted { name: file, address: &address, bytes, digest: Some(digest) };
                    fetch(&client, &wanted, &blob)?;
                }
            }
            link(&blob, &snapshot, file)?;
        }
        if !repository.is_pinned() {
            let reference = folder.join("refs").join(repository.revision());
            make_parent(&reference)?;
            write_bytes_atomic(&reference, commit.as_bytes())?;
        }
        Ok(Snapshot { folder: snapshot, commit: commit.clone() })
    }

    /// Brings a file of no repository into its own folder, and its SHA-256 beside it. Where its name ends in a digest, as those of PyTorch's
    /// files do, it is verified.
    ///
    /// # Errors
    /// As [`Remote::pull`].
    pub fn pull_file(
        &self,
        hub: &Hub,
        model: &str,
        url: &str,
        licence: Option<&str>,
        observe: &dyn Fn(&PullEvent),
    ) -> Result<PathBuf, HubError> {
        let path = hub.file_place(model, url).ok_or(HubError::NoCache)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let client = Client::new(self, observe)?;
        make_parent(&path)?;
        let _held = lock_file(&client, &name, &path.with_file_name(format!(".{name}.lock")))?;
        let digest = Digest::of_file_name(&name);
        let is_here = match &digest {
            Some(digest) => is_whole(&client, &name, &path, digest)?,
            None => path.is_file(),
        };
        let head = client.ask(url, Ask::Head)?;
        let bytes: Option<u64> = header(&head, "content-length").and_then(|text| text.trim().parse().ok());
        client.tell(&PullEvent::Found {
            address: url.to_owned(),
            commit: None,
            licence: licence.map(str::to_owned),
            files: 1,
            missing_bytes: bytes.filter(|_| !is_here).unwrap_or_default(),
            bytes: bytes.unwrap_or_default(),
        });
        if !is_here {
            fetch(&client, &Wanted { name: &name, address: url, bytes, digest }, &path)?;
        }
        let line = format!("{}  {name}\n", sha256(&path).map_err(HubError::io(&path))?);
        write_bytes_atomic(&digest_file(&path), line.as_bytes())?;
        Ok(path)
    }
}

/// Where the digest of a file of no repository stands, in the form of `sha256sum`.
pub(super) fn digest_file(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".sha256");
    name.into()
}

/// Whether a file is here and is what its name says.
fn is_whole(client: &Client<'_>, file: &str, path: &Path, digest: &Digest) -> Result<bool, HubError> {
    if !path.is_file() {
        return Ok(false);
    }
    let is_good = digest.is_met_by(&digest.of(path).map_err(HubError::io(path))?);
    if !is_good {
        client.tell(&PullEvent::Damaged { file: file.to_owned() });
    }
    Ok(is_good)
}

/// Makes the folder of a file.
fn make_parent(path: &Path) -> Result<(), HubError> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).map_err(HubError::io(folder))
}

/// Holds a lock until it is dropped, the one that `huggingface_hub` takes for the same blob. File systems without locks go without.
fn lock_file(client: &Client<'_>, file: &str, path: &Path) -> Result<File, HubError> {
    make_parent(path)?;
    let lock = File::options().create(true).append(true).open(path).map_err(HubError::io(path))?;
    match lock.try_lock() {
        Err(TryLockError::WouldBlock) => {
            client.tell(&PullEvent::Waiting { file: file.to_owned() });
            lock.lock().map_err(HubError::io(path))?;
        }
        Err(TryLockError::Error(error)) if error.kind() != io::ErrorKind::Unsupported => {
            return Err(HubError::io(path)(error));
        }
        _ => {}
    }
    Ok(lock)
}

/// Lets a file of a snapshot be a link to its blob; where links cannot be made, a copy.
fn link(blob: &Path, snapshot: &Path, file: &str) -> Result<(), HubError> {
    let path = snapshot.join(file);
    make_parent(&path)?;
    let name = blob.file_name().unwrap_or_default();
    // From the file's folder up to the repository's: `snapshots/COMMIT`, and the folders in the file's own path.
    let up: PathBuf = std::iter::repeat_n("..", 1 + file.split('/').count()).collect();
    let target = up.join("blobs").join(name);
    if fs::read_link(&path).is_ok_and(|found| found == target) {
        return Ok(());
    }
    let aside = path.with_file_name(format!(".{}.{}.partial", name.to_string_lossy(), std::process::id()));
    if make_link(&target, &aside).is_ok() {
        return fs::rename(&aside, &path).map_err(HubError::io(&path));
    }
    write_atomic(&path, |out| io::copy(&mut File::open(blob)?, out).map(|_| ()))?;
    Ok(())
}

#[cfg(unix)]
fn make_link(target: &Path, path: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, path)
}

#[cfg(windows)]
fn make_link(target: &Path, path: &Path) -> io::Result<()> {
    std::os::windows::fs::symlink_file(target, path)
}
