//! Whether what is in the cache is what its names say.

use std::fs;
use std::path::Path;

use super::digest::Digest;
use super::pull::digest_file;
use super::{Hub, HubError, Repository};

/// A file that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The repository, or the model whose file it is.
    pub model: String,
    /// The commit, where it is of a repository.
    pub commit: Option<String>,
    /// The file.
    pub file: String,
    /// What was found.
    pub verdict: Verdict,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Its digest is the expected one.
    Good,
    /// Its digest is another one.
    Damaged {
        /// The expected digest.
        expected: String,
        /// That of the file.
        found: String,
    },
    /// It is a link to nothing.
    Gone,
    /// Nobody kept its digest, as where links cannot be made.
    Unknown,
}

impl Hub {
    /// The repositories of the cache, in the order of their names.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn repositories(&self) -> Result<Vec<Repository>, HubError> {
        let Some(cache) = self.cache() else { return Ok(Vec::new()) };
        let mut found: Vec<_> = names(cache)?.iter().filter_map(|name| Repository::of_folder(name)).collect();
        found.sort();
        Ok(found)
    }

    /// Recomputes the digests of all files of a repository that are here, of every commit.
    ///
    /// # Errors
    /// When a file or folder cannot be read.
    pub fn verify(&self, repository: &Repository) -> Result<Vec<Checked>, HubError> {
        let Some(folder) = self.folder(repository) else { return Ok(Vec::new()) };
        let snapshots = folder.join("snapshots");
        let mut checked = Vec::new();
        for commit in names(&snapshots)? {
            let mut files = Vec::new();
            walk(&snapshots.join(&commit), "", &mut files)?;
            for file in files {
                let verdict = verdict(&snapshots.join(&commit).join(&file))?;
                checked.push(Checked {
                    model: repository.id().to_owned(),
                    commit: Some(commit.clone()),
                    file,
                    verdict,
                });
            }
        }
        Ok(checked)
    }

    /// Recomputes the digest of a file of no repository; `None` when it is not here.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn verify_file(&self, model: &str, url: &str) -> Result<Option<Checked>, HubError> {
        let Some(path) = self.file(model, url) else { return Ok(None) };
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let kept = fs::read_to_string(digest_file(&path)).unwrap_or_default();
        let kept = kept.split_whitespace().next().and_then(Digest::of_tag);
        let verdict = match kept.or_else(|| Digest::of_file_name(&file)) {
            Some(digest) => compare(&digest, &path)?,
            None => Verdict::Unknown,
        };
        Ok(Some(Checked { model: model.to_owned(), commit: None, file, verdict }))
    }
}

/// A file of a snapshot is a link to a blob, whose name is its digest.
fn verdict(path: &Path) -> Result<Verdict, HubError> {
    let Ok(target) = fs::read_link(path) else { return Ok(Verdict::Unknown) };
    if !path.exists() {
        return Ok(Verdict::Gone);
    }
    match target.file_name().and_then(|name| Digest::of_tag(&name.to_string_lossy())) {
        Some(digest) => compare(&digest, path),
        None => Ok(Verdict::Unknown),
    }
}

fn compare(digest: &Digest, path: &Path) -> Result<Verdict, HubError> {
    let found = digest.of(path).map_err(HubError::io(path))?;
    Ok(match digest.is_met_by(&found) {
        true => Verdict::Good,
        false => Verdict::Damaged { expected: digest.digits().to_owned(), found },
    })
}

/// The files below a folder, with `/` between parts, sorted.
fn walk(folder: &Path, inside: &str, files: &mut Vec<String>) -> Result<(), HubError> {
    for name in names(folder)? {
        let path = if inside.is_empty() { name.clone() } else { format!("{inside}/{name}") };
        // A link is a file also where it leads nowhere.
        match folder.join(&name).symlink_metadata().is_ok_and(|metadata| metadata.is_dir()) {
            true => walk(&folder.join(&name), &path, files)?,
            false => files.push(path),
        }
    }
    Ok(())
}

/// The names in a folder, sorted; none when it is not there.
fn names(folder: &Path) -> Result<Vec<String>, HubError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.and_then(|entries| entries.collect::<Result<Vec<_>, _>>()),
    };
    let entries = entries.map_err(HubError::io(folder))?;
    let mut names: Vec<String> =
        entries.iter().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    Ok(names)
}
