//! Samples that cannot be used: listed with a reason, counted, reported, and an error past a limit.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::DataError;

/// A sample that was left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {
    /// The sample's name, as in [`Sample::id`](super::Sample).
    pub id: String,
    /// Why it cannot be used, in one line.
    pub reason: String,
}

/// The samples that were left out, by name. A sample has the first reason that was given for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Quarantined>", into = "Vec<Quarantined>")]
pub struct Quarantine {
    reasons: BTreeMap<String, String>,
}

impl Quarantine {
    /// Leaves a sample out.
    pub fn add(&mut self, id: impl Into<String>, reason: impl fmt::Display) {
        self.reasons.entry(id.into()).or_insert_with(|| reason.to_string());
    }

    /// Whether a sample was left out.
    pub fn contains(&self, id: &str) -> bool {
        self.reasons.contains_key(id)
    }

    /// How many samples were left out.
    pub fn len(&self) -> usize {
        self.reasons.len()
    }

    /// Whether every sample could be used.
    pub fn is_empty(&self) -> bool {
        self.reasons.is_empty()
    }

    /// Names and reasons, sorted by name whatever the order in which threads found them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.reasons.iter().map(|(id, reason)| (id.as_str(), reason.as_str()))
    }

    /// Leaves out what another list leaves out.
    pub fn merge(&mut self, other: Self) {
        for (id, reason) in other.reasons {
            self.add(id, reason);
        }
    }

    /// Compares with a limit; `total` counts usable and unusable samples.
    ///
    /// # Errors
    /// When more samples were left out than the limit allows, or all of them.
    pub fn check(&self, limit: Limit, total: usize) -> Result<(), DataError> {
        let Some((first, reason)) = self.iter().next() else { return Ok(()) };
        let bad = self.len();
        if limit.allows(bad, total) && bad < total {
            return Ok(());
        }
        let (first, reason) = (first.to_owned(), reason.to_owned());
        Err(DataError::TooManyBad { bad, total, limit: limit.to_string(), first, reason })
    }
}

impl From<Vec<Quarantined>> for Quarantine {
    fn from(entries: Vec<Quarantined>) -> Self {
        let mut quarantine = Self::default();
        entries.into_iter().for_each(|entry| quarantine.add(entry.id, entry.reason));
        quarantine
    }
}

impl From<Quarantine> for Vec<Quarantined> {
    fn from(quarantine: Quarantine) -> Self {
        quarantine.reasons.into_iter().map(|(id, reason)| Quarantined { id, reason }).collect()
    }
}

/// How many samples may be unusable. Written `5%` or `12`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// A part of all samples, 0 to 100.
    Percent(f64),
    /// A number of samples.
    Count(usize),
}

impl Limit {
    fn allows(self, bad: usize, total: usize) -> bool {
        match self {
            Self::Percent(percent) => bad as f64 * 100.0 <= percent * total as f64,
            Self::Count(count) => bad <= count,
        }
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self::Percent(5.0)
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Percent(percent) => write!(formatter, "{percent}%"),
            Self::Count(count) => write!(formatter, "{count}"),
        }
    }
}

impl FromStr for Limit {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self, DataError> {
        let limit = match text.trim().strip_suffix('%') {
            Some(percent) => percent
                .trim_end()
                .parse()
                .ok()
                .filter(|percent| (0.0..=100.0).contains(percent))
                .map(Self::Percent),
            None => text.trim().parse().ok().map(Self::Count),
        };
        limit.ok_or_else(|| DataError::Option {
            what: "limit of unusable samples",
            expected: "a share such as 5% or a number such as 12",
            found: format!("`{text}`"),
        })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn limits_are_read_and_kept() {
        let cases = [
            ("5%", 100, 5, true),
            ("5%", 100, 6, false),
            ("5%", 19, 1, false),
            ("0%", 100, 0, true),
            ("0", 100, 1, false),
            ("3", 100, 3, true),
            ("3", 100, 4, false),
            ("100%", 7, 6, true),
            ("100%", 7, 7, false),
        ];
        for (limit, total, bad, is_allowed) in cases {
            let mut quarantine = Quarantine::default();
            (0..bad).for_each(|index| quarantine.add(format!("{index:03}.jpg"), "truncated"));
            let checked = quarantine.check(limit.parse().unwrap(), total);
            assert_eq!(checked.is_ok(), is_allowed, "{limit}, {bad} of {total}");
            if let Err(error) = checked {
                assert!(error.to_string().contains("`000.jpg`: truncated"), "{error}");
            }
        }
        for wrong in ["", "%", "-1", "101%", "five", "nan%"] {
            assert!(wrong.parse::<Limit>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_order_is_that_of_names_and_the_first_reason_stays() {
        let mut quarantine = Quarantine::default();
        quarantine.add("b", "empty");
        quarantine.add("a", "text");
        let mut other = Quarantine::default();
        other.add("b", "unreadable");
        other.add("c", "too large");
        quarantine.merge(other);
        let expected = [("a", "text"), ("b", "empty"), ("c", "too large")];
        assert_eq!(quarantine.iter().collect::<Vec<_>>(), expected);
        let json = serde_json::to_string(&quarantine).unwrap();
        assert!(json.starts_with(r#"[{"id":"a","reason":"text"}"#), "{json}");
        assert_eq!(serde_json::from_str::<Quarantine>(&json).unwrap(), quarantine);
    }
}
