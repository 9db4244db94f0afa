//! Which weights ran: digests that show whether any of them changed.

use std::collections::BTreeMap;

use blake3::Hash;

/// Digests of a plan's or a tape's parameters, and of each form that they were packed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    pub(super) values: Hash,
    /// By weight and form. Which forms there are depends on the inputs that ran.
    pub(super) packed: BTreeMap<String, Hash>,
}

impl Fingerprint {
    /// One digest of everything. Hexadecimal BLAKE3.
    pub fn digest(&self) -> String {
        self.digest_since(self)
    }

    /// One digest of the values and of those packed forms that another fingerprint has: equal to the other's while nothing changed,
    /// whatever was packed since.
    pub fn digest_since(&self, before: &Self) -> String {
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.values.as_bytes());
        for (form, digest) in self.packed.iter().filter(|(form, _)| before.packed.contains_key(*form)) {
            hasher.update(form.as_bytes());
            hasher.update(digest.as_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_forms_are_allowed_and_changes_are_not() {
        let digest = |text: &str| blake3::hash(text.as_bytes());
        let print = |values: &str, forms: &[(&str, &str)]| Fingerprint {
            values: digest(values),
            packed: forms.iter().map(|(form, text)| ((*form).to_owned(), digest(text))).collect(),
        };
        let before = print("v", &[("plain", "p")]);
        for (after, same) in [
            (print("v", &[("plain", "p")]), true),
            (print("v", &[("plain", "p"), ("points", "w")]), true),
            (print("v", &[("plain", "other"), ("points", "w")]), false),
            (print("other", &[("plain", "p")]), false),
            (print("v", &[("points", "w")]), false),
        ] {
            assert_eq!(after.digest_since(&before) == before.digest(), same, "{after:?}");
        }
    }
}
