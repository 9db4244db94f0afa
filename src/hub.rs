//! Published weights: where they are kept, and how a model's name leads to them.
//!
//! A model is looked up in the folders of a [`Hub`]; only [`Remote::pull`] reaches for the network.

use std::path::PathBuf;

#[cfg(feature = "hub")]
pub use tk_transfer::hub::{Certificates, Checked, Files, Patience, Proxy, PullEvent, Remote, Verdict};
pub use tk_transfer::hub::{Hub, HubError, PREFIX, Repository, Snapshot};

use crate::classify::{Error, Kind};

impl From<HubError> for Error {
    fn from(error: HubError) -> Self {
        let kind = if matches!(error, HubError::Name { .. }) { Kind::Usage } else { Kind::Failure };
        let help = error.help();
        Self::modality(error, kind, help.as_deref())
    }
}

/// A repository's snapshot; where it is not here, an error with the command that fetches it.
pub(crate) fn snapshot(hub: &Hub, repository: &Repository) -> Result<Snapshot, Error> {
    hub.snapshot(repository).ok_or_else(|| missing(&format!("{PREFIX}{repository}")))
}

/// The error about weights that are known and not here.
pub(crate) fn missing(name: &str) -> Error {
    Error::usage_with(
        format!("`{name}` is known, but its weights are not here"),
        format!("fetch them: tk models pull {name}"),
    )
}

/// The same repository at the commit that it has here, so that its name means the same later.
pub(crate) fn pinned(hub: &Hub, repository: Repository) -> Result<Repository, Error> {
    let commit = snapshot(hub, &repository)?.commit;
    Ok(repository.at(&commit)?)
}

/// The folder of a model by what it is called: `hf:ORG/NAME[@REVISION]`, as it is in the hub's cache, or a folder. The embedded default's
/// name stays as it is: it never means a folder of that name, which is `./NAME`. `kinds` says what there might be, for the way out.
pub(crate) fn model_folder(name: &str, hub: &Hub, embedded: &str, kinds: &str) -> Result<PathBuf, Error> {
    if let Some(repository) = Repository::of_model(name) {
        return Ok(snapshot(hub, &repository?)?.folder);
    }
    let path = PathBuf::from(name);
    match embedded == name || path.is_dir() {
        true => Ok(path),
        false => Err(Error::usage_with(format!("no model at `{name}`: no such folder"), kinds)),
    }
}
