//! What became of a model's parameters when a checkpoint was loaded.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How many classes a line names.
const NAMED: usize = 4;

/// Outcome of a load: `loaded + initialised + replaced = parameters`. Prints as one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadReport {
    /// Path of the checkpoint.
    pub checkpoint: String,
    /// The entry of a PyTorch file that was taken for the weights; absent when the file itself is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// What stood before every name and was dropped (`module.`), or nothing.
    pub dropped_prefix: String,
    /// Parameters of the model.
    pub parameters: usize,
    /// Parameters whose values come from the checkpoint.
    pub loaded: usize,
    /// Loaded parameters that the checkpoint calls by another name.
    pub renamed: usize,
    /// Parameters that the checkpoint does not have, to be initialised.
    pub initialised: Vec<Initialised>,
    /// Parameters of the head that the checkpoint has for another task, to be initialised.
    pub replaced: Vec<Replaced>,
    /// The classes whose rows of an earlier run's head were kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<String>,
    /// Tensors of the checkpoint that no parameter asks for, under their names in the file.
    pub unused: Vec<String>,
    /// Batch-norm's step counters in the checkpoint, which nothing needs.
    pub counters: usize,
}

/// A parameter that the checkpoint does not have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Initialised {
    /// Its name in the model.
    pub name: String,
    /// Why that is no error.
    pub reason: Reason,
}

/// Why a parameter may start without the checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The architecture declares it optional.
    Optional,
    /// It belongs to the head.
    Head,
}

/// A parameter of the head whose stored values are not used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replaced {
    /// Its name in the model.
    pub name: String,
    /// Its shape in the model.
    pub expected: Vec<usize>,
    /// Its shape in the checkpoint.
    pub found: Vec<usize>,
}

impl LoadReport {
    /// Sizes of the checkpoint's and the model's output, where the head was replaced by one of another size.
    pub fn classes(&self) -> Option<(usize, usize)> {
        let last = self.replaced.last()?;
        let (found, expected) = (*last.found.first()?, *last.expected.first()?);
        (found != expected).then_some((found, expected))
    }
}

impl fmt::Display for LoadReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "loaded {}/{}", self.loaded, self.parameters)?;
        if let Some(container) = &self.container {
            write!(formatter, " from `{container}`")?;
        }
        match self.classes() {
            Some((found, expected)) => write!(formatter, ", head replaced ({found} → {expected} classes)")?,
            None if !self.replaced.is_empty() => write!(formatter, ", head replaced")?,
            None => {}
        }
        if !self.kept.is_empty() {
            let named = self.kept.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
            let more = if self.kept.len() > NAMED { ", …" } else { "" };
            write!(formatter, ", rows of {} classes kept ({named}{more})", self.kept.len())?;
        }
        if !self.initialised.is_empty() {
            write!(formatter, ", {} initialised", self.initialised.len())?;
        }
        if !self.unused.is_empty() {
            write!(formatter, ", {} unused", self.unused.len())?;
        }
        Ok(())
    }
}
