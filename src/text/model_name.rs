//! What `-m` means for texts: a repository of the hub, or a folder.

use std::path::PathBuf;

use crate::classify::Error;
use crate::hub::{self, Hub, Repository};

/// The folder of a model by what it is called: `hf:ORG/NAME[@REVISION]`, as it is in the hub's cache, or a folder.
///
/// # Errors
/// When there is no such folder, or the repository is not here.
pub fn resolve(name: &str, hub: &Hub) -> Result<PathBuf, Error> {
    if let Some(repository) = Repository::of_model(name) {
        return Ok(hub::snapshot(hub, &repository?)?.folder);
    }
    let path = PathBuf::from(name);
    match path.is_dir() {
        true => Ok(path),
        false => Err(Error::usage_with(
            format!("no model at `{name}`: no such folder"),
            "a model for texts is hf:ORG/NAME, or a folder as transformers or sentence-transformers writes it",
        )),
    }
}
