//! What a head must say of itself to be grafted.

use serde::{Serialize, de::DeserializeOwned};
use tk_engine::Graph;
use tk_transfer::checkpoint::{Checkpoint, Rule};

use crate::architectures::Architecture;
use crate::backbone::BackboneError;

/// A head with all that it is built with besides the count of classes.
pub trait Graft: Clone + Serialize + DeserializeOwned + Send + Sync {
    /// What it does, as `config.json` says it.
    const TASK: &'static str;

    /// The network of backbone and head: stages of the backbone, and `head`.
    ///
    /// # Errors
    /// When the backbone does not leave the maps that it needs.
    fn graft(
        &self,
        backbone: &Graph,
        architecture: &Architecture,
        classes: usize,
    ) -> Result<Graph, BackboneError>;

    /// The head's name.
    fn name(&self) -> &'static str;

    /// What the names of a backbone's parameters begin with on disk.
    fn prefix(&self) -> &'static str;

    /// How many classes the weights of a checkpoint tell, names on disk; `None` where that cannot be seen.
    fn classes_of(&self, checkpoint: &Checkpoint) -> Option<usize>;

    /// A backbone parameter's name on disk, and what its numbers are less there.
    fn published(&self, _graph: &Graph, parameter: &str) -> (String, f32) {
        (format!("{}{parameter}", self.prefix()), 0.0)
    }

    /// How names on disk become those in memory.
    fn rules(&self) -> Vec<Rule> {
        vec![Rule::Prefix { from: self.prefix(), to: "" }]
    }
}
