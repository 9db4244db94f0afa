//! A sample's identity.

use serde::{Deserialize, Serialize};

use super::Digest;

/// Who a sample is: a name, the digest of its content, a class and perhaps a group. Never its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// A name that is unique in the data set and the same on every machine: a path relative to the data set, with `/`.
    pub id: String,
    /// The digest of the content's bytes.
    pub digest: Digest,
    /// The index of its class.
    pub label: usize,
    /// What must not be divided by a split: a speaker, a site, a burst.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}
