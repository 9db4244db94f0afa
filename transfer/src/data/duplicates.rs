//! Byte-identical samples: on two sides of a split they flatter the score, with two labels one of them is wrong.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Digest, Split};

/// What the search needs to know of a sample.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// The sample's name.
    pub id: &'a str,
    /// The digest of its content.
    pub digest: Digest,
    /// The indices of its classes.
    pub labels: &'a [usize],
    /// Where it is used.
    pub side: Split,
}

/// Samples with the same content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Duplicate {
    /// The content.
    pub digest: Digest,
    /// Names, sorted.
    pub ids: Vec<String>,
    /// The sides on which the content is used.
    pub sides: BTreeSet<Split>,
    /// The labels it was given, each time a list.
    pub labels: BTreeSet<Vec<usize>>,
}

impl Duplicate {
    /// Whether the content is both learned from and judged by.
    pub fn crosses_sides(&self) -> bool {
        self.sides.len() > 1
    }

    /// Whether the content was labelled in two ways, of which at most one is right.
    pub fn labels_differ(&self) -> bool {
        self.labels.len() > 1
    }
}

/// Every content that more than one sample has, by the first of their names.
pub fn duplicates<'a>(entries: impl IntoIterator<Item = Entry<'a>>) -> Vec<Duplicate> {
    let mut by_content: BTreeMap<Digest, Vec<Entry<'a>>> = BTreeMap::new();
    for entry in entries {
        by_content.entry(entry.digest).or_default().push(entry);
    }
    let mut found: Vec<Duplicate> = by_content
        .into_iter()
        .filter(|(_, entries)| entries.len() > 1)
        .map(|(digest, entries)| {
            let mut ids: Vec<String> = entries.iter().map(|entry| entry.id.to_owned()).collect();
            ids.sort();
            let sides = entries.iter().map(|entry| entry.side).collect();
            let labels = entries.iter().map(|entry| entry.labels.to_vec()).collect();
            Duplicate { digest, ids, sides, labels }
        })
        .collect();
    found.sort_by(|a, b| a.ids.cmp(&b.ids));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_contents_are_found_with_their_sides_and_labels() {
        let entry = |id, content: &str, label: usize, side| Entry {
            id,
            digest: Digest::of(content.as_bytes()),
            labels: if label == 0 { &[0] } else { &[1] },
            side,
        };
        let found = duplicates([
            entry("z", "1", 0, Split::Train),
            entry("b", "2", 0, Split::Train),
            entry("y", "1", 0, Split::Validation),
            entry("a", "2", 1, Split::Train),
            entry("c", "3", 1, Split::Train),
            entry("d", "4", 1, Split::Train),
            entry("e", "4", 1, Split::Train),
        ]);
        let summary: Vec<_> =
            found.iter().map(|set| (set.ids.join(" "), set.crosses_sides(), set.labels_differ())).collect();
        let expected = [("a b", false, true), ("d e", false, false), ("y z", true, false)]
            .map(|(ids, a, b)| (ids.to_owned(), a, b));
        assert_eq!(summary, expected);
    }
}
