//! Where published weights are kept: the standard cache of `huggingface_hub`, and a folder for files of no repository.
//!
//! `CACHE/models--ORG--NAME/` holds `blobs/DIGEST`, `refs/REVISION` with a commit in it, and `snapshots/COMMIT/FILE`, links to blobs.

use std::fs;
use std::path::{Path, PathBuf};

use super::Repository;
use super::choose::{is_weights, numbered};
use super::repository::is_commit;

/// The folders in which published weights are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hub {
    cache: Option<PathBuf>,
    files: Option<PathBuf>,
}

/// A repository as it was at a commit, in the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The folder with its files, which may be some of the repository's only.
    pub folder: PathBuf,
    /// The commit.
    pub commit: String,
}

impl Hub {
    /// The standard cache in `cache`; files of no repository in `files`. Both are made when they are first written to.
    pub fn at(cache: impl Into<PathBuf>, files: impl Into<PathBuf>) -> Self {
        Self { cache: Some(cache.into()), files: Some(files.into()) }
    }

    /// No folders: nothing is found.
    pub fn none() -> Self {
        Self::default()
    }

    /// The folder of the standard cache.
    pub fn cache(&self) -> Option<&Path> {
        self.cache.as_deref()
    }

    /// The repository as it is here, at the commit that its revision had when it was last fetched.
    pub fn snapshot(&self, repository: &Repository) -> Option<Snapshot> {
        let folder = self.folder(repository)?;
        let commit = match repository.is_pinned() {
            true => repository.revision().to_owned(),
            false => {
                fs::read_to_string(folder.join("refs").join(repository.revision())).ok()?.trim().to_owned()
            }
        };
        let folder = folder.join("snapshots").join(&commit);
        (is_commit(&commit) && folder.is_dir()).then_some(Snapshot { folder, commit })
    }

    /// A file of no repository, by the name of its model and its address.
    pub fn file(&self, model: &str, url: &str) -> Option<PathBuf> {
        self.file_place(model, url).filter(|path| path.is_file())
    }

    /// Where such a file goes.
    pub(super) fn file_place(&self, model: &str, url: &str) -> Option<PathBuf> {
        let name = url.split(['?', '#']).next()?.rsplit('/').next().filter(|name| !name.is_empty())?;
        Some(self.files.as_ref()?.join(model).join(name))
    }

    /// A repository's folder.
    pub(super) fn folder(&self, repository: &Repository) -> Option<PathBuf> {
        Some(self.cache.as_ref()?.join(repository.folder()))
    }
}

impl Snapshot {
    /// Whether it has a configuration and weights, in its folder or in that of sentence-transformers' first module.
    pub fn holds_model(&self) -> bool {
        let holds = |folder: &Path| {
            let has_weights =
                names(folder).iter().any(|name| is_weights(name) && folder.join(name).is_file());
            folder.join("config.json").is_file() && has_weights
        };
        holds(&self.folder)
            || names(&self.folder)
                .iter()
                .any(|name| numbered(name) == Some(0) && holds(&self.folder.join(name)))
    }

    /// A file of it, if it is here.
    pub fn file(&self, name: &str) -> Option<PathBuf> {
        Some(self.folder.join(name)).filter(|path| path.is_file())
    }
}

/// What a model's folder is called: its name, or in the standard cache, where that would be a commit, the repository's.
pub fn folder_name(folder: &Path) -> String {
    let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
    let whole = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let own = name(&whole).unwrap_or_else(|| folder.display().to_string());
    let repository = whole
        .parent()
        .filter(|parent| is_commit(&own) && name(parent).is_some_and(|name| name == "snapshots"))
        .and_then(|parent| name(parent.parent()?));
    match repository.as_deref().and_then(|name| name.strip_prefix("models--")) {
        Some(id) => id.rsplit("--").next().unwrap_or(id).to_owned(),
        None => own,
    }
}

/// The names in a folder, sorted; none when it cannot be read.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    #[test]
    fn snapshots_are_found_by_revision_and_named_after_their_repository() {
        let cache = tempfile::tempdir().unwrap();
        let folder = cache.path().join("models--org--name.x");
        let snapshot = folder.join("snapshots").join(COMMIT);
        fs::create_dir_all(&snapshot).unwrap();
        fs::create_dir_all(folder.join("refs/refs/pr")).unwrap();
        fs::write(folder.join("refs/main"), COMMIT).unwrap();
        fs::write(folder.join("refs/refs/pr/1"), format!("{COMMIT}\n")).unwrap();
        fs::write(folder.join("refs/odd"), "../../..").unwrap();
        let hub = Hub::at(cache.path(), cache.path().join("files"));
        for (name, is_here) in [
            ("org/name.x", true),
            ("org/name.x@refs/pr/1", true),
            (&format!("org/name.x@{COMMIT}"), true),
            ("org/name.x@odd", false),
            ("org/name.x@v1", false),
            ("org/other", false),
        ] {
            let found = hub.snapshot(&name.parse().unwrap());
            assert_eq!(found.is_some(), is_here, "{name}");
            assert!(found.is_none_or(|found| found.folder == snapshot && found.commit == COMMIT), "{name}");
        }
        assert_eq!(folder_name(&snapshot), "name.x");
        assert_eq!(folder_name(&folder.join("snapshots")), "snapshots");
        assert_eq!(Hub::none().snapshot(&"org/name.x".parse().unwrap()), None);
    }

    #[test]
    fn a_model_is_a_configuration_and_weights() {
        let cache = tempfile::tempdir().unwrap();
        let snapshot = Snapshot { folder: cache.path().to_owned(), commit: COMMIT.to_owned() };
        let write = |name: &str| {
            let path = cache.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        };
        write("config.json");
        write("2_Dense/config.json");
        write("2_Dense/model.safetensors");
        assert!(!snapshot.holds_model());
        write("0_Transformer/config.json");
        write("0_Transformer/pytorch_model.bin");
        assert!(snapshot.holds_model());
        fs::remove_dir_all(cache.path().join("0_Transformer")).unwrap();
        write("model.safetensors");
        assert!(snapshot.holds_model());
    }

    #[test]
    fn files_of_no_repository_have_a_place() {
        let hub = Hub::at("c", "f");
        let place = hub.file_place("x.y", "https://h/a/w-12.pth?raw=1");
        assert_eq!(place.as_deref(), Some(Path::new("f/x.y/w-12.pth")));
        assert_eq!(hub.file_place("x.y", "https://h/a/"), None);
    }
}
