//! Files that were set aside because they cannot be used, and why.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Files set aside, each once, in the order of their paths.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Quarantined>", into = "Vec<Quarantined>")]
pub struct Quarantine {
    reasons: BTreeMap<String, String>,
}

/// One file that was set aside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {
    /// The file, relative to the data set, with `/` between parts.
    pub path: String,
    /// Why, in one line.
    pub reason: String,
}

impl Quarantine {
    /// Sets a file aside. The first reason is kept.
    pub fn add(&mut self, path: impl Into<String>, reason: impl std::fmt::Display) {
        self.reasons.entry(path.into()).or_insert_with(|| reason.to_string());
    }

    /// Takes over what another has set aside.
    pub fn merge(&mut self, other: Self) {
        for (path, reason) in other.reasons {
            self.add(path, reason);
        }
    }

    /// How many files were set aside.
    pub fn len(&self) -> usize {
        self.reasons.len()
    }

    /// Whether no file was set aside.
    pub fn is_empty(&self) -> bool {
        self.reasons.is_empty()
    }

    /// Whether a file was set aside.
    pub fn contains(&self, path: &str) -> bool {
        self.reasons.contains_key(path)
    }

    /// Paths and reasons, ordered by path.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.reasons.iter().map(|(path, reason)| (path.as_str(), reason.as_str()))
    }
}

impl From<Vec<Quarantined>> for Quarantine {
    fn from(entries: Vec<Quarantined>) -> Self {
        Self { reasons: entries.into_iter().map(|entry| (entry.path, entry.reason)).collect() }
    }
}

impl From<Quarantine> for Vec<Quarantined> {
    fn from(quarantine: Quarantine) -> Self {
        quarantine.reasons.into_iter().map(|(path, reason)| Quarantined { path, reason }).collect()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn order_of_arrival_does_not_show() {
        let mut quarantine = Quarantine::default();
        quarantine.add("b.jpg", "the file is empty");
        quarantine.add("a.jpg", "truncated");
        quarantine.add("b.jpg", "a later reason");
        let text = serde_json::to_string(&quarantine).unwrap();
        let expected =
            r#"[{"path":"a.jpg","reason":"truncated"},{"path":"b.jpg","reason":"the file is empty"}]"#;
        assert_eq!(text, expected);
        assert_eq!(serde_json::from_str::<Quarantine>(&text).unwrap(), quarantine);
        let mut merged = Quarantine::default();
        merged.add("a.jpg", "first");
        merged.merge(quarantine);
        assert_eq!(merged.iter().collect::<Vec<_>>(), [("a.jpg", "first"), ("b.jpg", "the file is empty")]);
        assert_eq!((merged.len(), merged.is_empty(), merged.contains("c.jpg")), (2, false, false));
    }
}
