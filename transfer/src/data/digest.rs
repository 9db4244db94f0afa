//! Digests of contents and of whole data sets (BLAKE3).
//!
//! A run writes its data's digest down, and a resumed run compares: changed data is an error there, not a surprise later.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{DataError, Sample};

/// A 256-bit digest; written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// The raw 32 bytes.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<blake3::Hash> for Digest {
    fn from(hash: blake3::Hash) -> Self {
        Self(*hash.as_bytes())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// A text that is not 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a digest; expected 64 hexadecimal digits")]
pub struct NotADigest(String);

impl FromStr for Digest {
    type Err = NotADigest;

    fn from_str(text: &str) -> Result<Self, NotADigest> {
        blake3::Hash::from_hex(text).map(Self::from).map_err(|_| NotADigest(text.to_owned()))
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The digest of a data set: of the classes in their order, and of every sample's name, content, label and group, sorted by
/// name. It does not depend on the order in which samples were found.
///
/// # Errors
/// When two samples have one name, or a label is not one of the classes.
pub fn data_digest(classes: &[String], samples: &[Sample]) -> Result<Digest, DataError> {
    let mut sorted: Vec<(usize, &Sample)> = samples.iter().enumerate().collect();
    sorted.sort_by(|(_, a), (_, b)| a.id.cmp(&b.id));
    if let Some(((_, first), _)) =
        sorted.iter().zip(sorted.iter().skip(1)).find(|((_, a), (_, b))| a.id == b.id)
    {
        return Err(DataError::SameId { id: first.id.clone() });
    }
    let mut hasher = blake3::Hasher::new_derive_key("transferkit data set 1");
    count(&mut hasher, classes.len());
    for class in classes {
        text(&mut hasher, class);
    }
    count(&mut hasher, samples.len());
    for (position, sample) in sorted {
        if sample.label >= classes.len() {
            let (label, classes) = (sample.label, classes.len());
            return Err(DataError::Label { sample: position, label, classes });
        }
        text(&mut hasher, &sample.id);
        hasher.update(sample.digest.bytes());
        count(&mut hasher, sample.label);
        count(&mut hasher, usize::from(sample.group.is_some()));
        text(&mut hasher, sample.group.as_deref().unwrap_or_default());
    }
    Ok(hasher.finalize().into())
}

fn count(hasher: &mut blake3::Hasher, number: usize) {
    hasher.update(&(number as u64).to_le_bytes());
}

/// Length first, so that no two lists of texts are the same bytes.
fn text(hasher: &mut blake3::Hasher, text: &str) {
    count(hasher, text.len());
    hasher.update(text.as_bytes());
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn sample(id: &str, content: &str, label: usize, group: Option<&str>) -> Sample {
        let (id, group) = (id.to_owned(), group.map(str::to_owned));
        Sample { id, digest: Digest::of(content.as_bytes()), label, group }
    }

    #[test]
    fn a_data_set_is_the_same_in_any_order_and_another_with_any_change() {
        let classes = ["ants".to_owned(), "bees".to_owned()];
        let samples = [sample("a", "1", 0, None), sample("b", "2", 1, None), sample("c", "2", 1, Some("x"))];
        let digest = data_digest(&classes, &samples).unwrap();
        let [a, b, c] = samples.clone();
        assert_eq!(digest, data_digest(&classes, &[c, a, b]).unwrap());
        let changed = [
            sample("a2", "1", 0, None),
            sample("a", "3", 0, None),
            sample("a", "1", 1, None),
            sample("a", "1", 0, Some("")),
        ];
        for change in changed {
            let [_, b, c] = samples.clone();
            assert_ne!(digest, data_digest(&classes, &[change.clone(), b, c]).unwrap(), "{change:?}");
        }
        let renamed = ["ants".to_owned(), "wasps".to_owned()];
        assert_ne!(digest, data_digest(&renamed, &samples).unwrap());
    }

    #[test]
    fn one_name_for_two_samples_and_unknown_labels_are_errors() {
        let classes = ["ants".to_owned()];
        let twice = [sample("a", "1", 0, None), sample("a", "2", 0, None)];
        assert_eq!(data_digest(&classes, &twice), Err(DataError::SameId { id: "a".into() }));
        let label = data_digest(&classes, &[sample("a", "1", 1, None)]);
        assert_eq!(label, Err(DataError::Label { sample: 0, label: 1, classes: 1 }));
    }

    #[test]
    fn text_form_goes_both_ways() {
        let digest = Digest::of(b"bee");
        assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
        let json = serde_json::to_string(&digest).unwrap();
        assert_eq!(serde_json::from_str::<Digest>(&json).unwrap(), digest);
        assert!("12".parse::<Digest>().unwrap_err().to_string().contains("64 hexadecimal"));
    }
}
