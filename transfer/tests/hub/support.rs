//! A cache of a test's own, and a server to fill it from.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use tk_transfer::hub::{Files, Hub, HubError, Patience, PullEvent, Remote, Repository, Snapshot};

use crate::server::{Kept, Server};

/// Bytes of a file of weights, more than one read takes.
pub fn weights() -> Vec<u8> {
    (0..300_000_u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).collect()
}

/// A cache, a server with a model, and what was told.
pub struct Place {
    folder: tempfile::TempDir,
    pub server: Server,
    pub hub: Hub,
    pub remote: Remote,
    pub events: Mutex<Vec<PullEvent>>,
}

impl Place {
    /// The usual model.
    pub fn new() -> Self {
        let weights = weights();
        Self::with(&[
            ("README.md", Kept::InGit, b"# A model"),
            ("config.json", Kept::InGit, b"{}"),
            ("model.safetensors", Kept::InStorage, &weights),
            ("pytorch_model.bin", Kept::InStorage, b"other weights"),
        ])
    }

    /// A model of other files.
    pub fn with(files: &[(&str, Kept, &[u8])]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(files);
        let hub = Hub::at(folder.path().join("hub"), folder.path().join("files"));
        let patience = Patience {
            attempts: 3,
            pause: Duration::from_millis(1),
            longest_pause: Duration::from_secs(2),
            silence: Duration::from_millis(400),
        };
        let remote = Remote { patience, ..Remote::new(&*server.hub) };
        Self { folder, server, hub, remote, events: Mutex::default() }
    }

    pub fn pull(&self) -> Result<Snapshot, HubError> {
        self.pull_from("org/model", Files::Model)
    }

    pub fn pull_from(&self, name: &str, files: Files<'_>) -> Result<Snapshot, HubError> {
        let repository: Repository = name.parse().unwrap();
        self.remote
            .pull(&self.hub, &repository, files, &|event| self.events.lock().unwrap().push(event.clone()))
    }

    /// A path in the folder of the model's repository.
    pub fn repository(&self, inside: &str) -> PathBuf {
        self.folder.path().join("hub/models--org--model").join(inside)
    }

    pub fn path(&self, inside: &str) -> PathBuf {
        self.folder.path().join(inside)
    }
}

/// The names in a folder, sorted.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
