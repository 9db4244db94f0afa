//! What `-m` means for texts: the embedded default, a repository of the hub, or a folder.

use std::path::PathBuf;

use tk_text::EMBEDDED;

use crate::classify::Error;
use crate::hub::{self, Hub};

/// The folder of a model by what it is called: `text`, the embedded default; `hf:ORG/NAME[@REVISION]`, as it is in the hub's cache; or a folder.
///
/// # Errors
/// When there is no such folder, or the repository is not here.
pub fn resolve(name: &str, hub: &Hub) -> Result<PathBuf, Error> {
    let kinds = "a model for texts is `text` (the embedded default), hf:ORG/NAME, or a folder as transformers or sentence-transformers writes it";
    hub::model_folder(name, hub, EMBEDDED, kinds)
}
