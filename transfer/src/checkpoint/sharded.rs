//! The index of a checkpoint that is split over several safetensors files (`model.safetensors.index.json`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path};

use serde::Deserialize;

use super::CheckpointProblem;

/// An index: which file of its folder holds each tensor.
#[derive(Debug, Deserialize)]
pub(super) struct Index {
    #[serde(rename = "weight_map")]
    shard_of: BTreeMap<String, String>,
}

impl Index {
    /// Reads an index and checks that its shards are plain file names.
    pub(super) fn read(file: &[u8]) -> Result<Self, CheckpointProblem> {
        let index: Self =
            serde_json::from_slice(file).map_err(|error| CheckpointProblem::Index(error.to_string()))?;
        if index.shard_of.is_empty() {
            return Err(CheckpointProblem::Index("its `weight_map` is empty".to_owned()));
        }
        if let Some(shard) = index.shards().find(|shard| !is_plain(shard)) {
            return Err(CheckpointProblem::Index(format!("the shard `{shard}` is not a file of its folder")));
        }
        Ok(index)
    }

    /// Names of the shards, sorted.
    pub(super) fn shards(&self) -> impl Iterator<Item = &str> {
        self.shard_of.values().map(String::as_str).collect::<BTreeSet<_>>().into_iter()
    }

    /// Whether `tensor` is to be read from `shard`.
    pub(super) fn assigns(&self, tensor: &str, shard: &str) -> bool {
        self.shard_of.get(tensor).is_some_and(|assigned| assigned == shard)
    }

    /// Names of the tensors in `shard`, sorted.
    pub(super) fn tensors_of(&self, shard: &str) -> impl Iterator<Item = &str> {
        self.shard_of.iter().filter(move |(_, assigned)| *assigned == shard).map(|(name, _)| name.as_str())
    }
}

/// An index from elsewhere must not lead out of its folder.
fn is_plain(name: &str) -> bool {
    let mut components = Path::new(name).components();
    matches!((components.next(), components.next()), (Some(Component::Normal(_)), None))
        && !name.contains(['/', '\\'])
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn reads_an_index() {
        let index =
            Index::read(br#"{"metadata":{"total_size":8},"weight_map":{"b":"1","a":"2","c":"1"}}"#).unwrap();
        assert_eq!(index.shards().collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(index.tensors_of("1").collect::<Vec<_>>(), ["b", "c"]);
        assert!(index.assigns("a", "2") && !index.assigns("a", "1") && !index.assigns("d", "1"));
    }

    #[test]
    fn refuses_other_json_and_paths_that_lead_elsewhere() {
        for (json, expected) in
            [
                (r#"{"weights":{}}"#.to_owned(), "missing field `weight_map`"),
                (r#"{"weight_map":{}}"#.to_owned(), "its `weight_map` is empty"),
                ("{".to_owned(), "EOF"),
            ]
            .into_iter()
            .chain(["../x", "/x", "a/b", "..", "", "./x", "a\\\\b"].map(|shard| {
                (format!(r#"{{"weight_map":{{"a":"{shard}"}}}}"#), "is not a file of its folder")
            }))
        {
            let error = Index::read(json.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(expected), "{json}: {error}");
        }
    }
}
