//! `config.json` of a network with a grafted head.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Graft, GraftError};
use crate::architectures;
use crate::framing::Input;

/// The contents of the file: what the backbone is, as timm says it, and what stands on it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound = "H: Graft")]
pub struct Config<H> {
    /// The task, [`Graft::TASK`].
    pub task: String,
    /// The names of the classes, in the order of the head's channels.
    pub label_names: Vec<String>,
    /// The head.
    pub head: H,
    /// How pictures become input.
    pub input: Input,
    /// The backbone, as timm's `config.json` says it.
    pub backbone: architectures::Config,
}

impl<H: Graft> Config<H> {
    /// Reads a folder's file.
    ///
    /// # Errors
    /// When it is not there, or says something else than expected.
    pub fn read(folder: &Path) -> Result<Self, GraftError> {
        let path = folder.join("config.json");
        let text = std::fs::read_to_string(&path).map_err(|error| GraftError::Missing {
            path: folder.to_owned(),
            reason: format!("config.json: {error}"),
        })?;
        let config: Self = serde_json::from_str(&text)
            .map_err(|error| GraftError::Config { path: path.clone(), problem: error.to_string() })?;
        let refuse = |problem: String| Err(GraftError::Config { path: path.clone(), problem });
        if config.task != H::TASK {
            return refuse(format!("its task is `{}`; expected `{}`", config.task, H::TASK));
        }
        if config.label_names.is_empty() {
            return refuse("`label_names` is empty; expected the names of the classes".into());
        }
        match config.input.framing.problem() {
            Some(problem) => refuse(problem),
            None => Ok(config),
        }
    }
}
