//! What a repository of published weights is called.

use std::fmt;
use std::str::FromStr;

use super::HubError;

/// What stands before a repository's name where it could be taken for something else.
pub const PREFIX: &str = "hf:";

/// The revision when nothing is said.
const MAIN: &str = "main";

/// A repository at a revision: `ORG/NAME[@REVISION]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Repository {
    id: String,
    revision: String,
}

impl Repository {
    /// The repository at the tip of its main branch.
    ///
    /// # Errors
    /// When no repository can be called so.
    pub fn new(id: &str) -> Result<Self, HubError> {
        let fail = |reason| Err(HubError::Name { name: id.to_owned(), reason });
        let parts: Vec<&str> = id.split('/').collect();
        if parts.len() > 2 {
            return fail("it has more than one `/`");
        }
        // What becomes a folder's name must not lead out of its folder.
        if parts.iter().any(|part| part.is_empty() || part.starts_with(['.', '-']) || part.contains("..")) {
            return fail("a part of it is empty or begins with a dot or dash");
        }
        if id.contains("--") || !parts.iter().all(|part| part.chars().all(is_plain)) {
            return fail("it has characters other than letters, digits and `-`, `_`, `.`");
        }
        Ok(Self { id: id.to_owned(), revision: MAIN.to_owned() })
    }

    /// The same repository at a branch, a tag or a commit.
    ///
    /// # Errors
    /// When no revision can be called so.
    pub fn at(self, revision: &str) -> Result<Self, HubError> {
        let parts = || revision.split('/');
        let is_usable = parts().all(|part| !part.is_empty() && part.chars().all(is_plain))
            && !parts().any(|part| part.starts_with('.') || part.contains(".."));
        match is_usable {
            true => Ok(Self { revision: revision.to_owned(), ..self }),
            false => Err(HubError::Name {
                name: format!("{}@{revision}", self.id),
                reason: "a revision is a branch, a tag or a commit",
            }),
        }
    }

    /// What a model's name such as `hf:ORG/NAME` means; `None` when it does not begin so.
    ///
    /// # Errors
    /// When no repository can be called so.
    pub fn of_model(name: &str) -> Option<Result<Self, HubError>> {
        name.strip_prefix(PREFIX).map(str::parse)
    }

    /// `ORG/NAME`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The branch, tag or commit.
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// Whether the revision is a commit, which never means anything else later.
    pub fn is_pinned(&self) -> bool {
        is_commit(&self.revision)
    }

    /// Its folder in the standard cache.
    pub(super) fn folder(&self) -> String {
        format!("models--{}", self.id.replace('/', "--"))
    }

    /// The name of a folder of the standard cache back to a repository.
    #[cfg(feature = "hub")]
    pub(super) fn of_folder(folder: &str) -> Option<Self> {
        Self::new(&folder.strip_prefix("models--")?.replacen("--", "/", 1)).ok()
    }

    /// The revision as a part of an address.
    #[cfg(feature = "hub")]
    pub(super) fn revision_in_address(&self) -> String {
        self.revision.replace('/', "%2F")
    }
}

/// Whether a text is a commit's digest.
pub(super) fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_plain(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "-_.".contains(letter)
}

impl FromStr for Repository {
    type Err = HubError;

    fn from_str(text: &str) -> Result<Self, HubError> {
        match text.split_once('@') {
            Some((id, revision)) => Self::new(id)?.at(revision),
            None => Self::new(text),
        }
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.revision == MAIN {
            true => formatter.write_str(&self.id),
            false => write!(formatter, "{}@{}", self.id, self.revision),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn names_are_read_and_shown() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        for (name, id, revision, folder) in [
            ("timm/resnet50.a1_in1k", "timm/resnet50.a1_in1k", "main", "models--timm--resnet50.a1_in1k"),
            ("a/b@refs/pr/1", "a/b", "refs/pr/1", "models--a--b"),
            ("bert-base-uncased", "bert-base-uncased", "main", "models--bert-base-uncased"),
            (&format!("a/b@{commit}"), "a/b", commit, "models--a--b"),
        ] {
            let repository: Repository = name.parse().unwrap();
            assert_eq!((repository.id(), repository.revision()), (id, revision));
            assert_eq!(repository.folder(), folder);
            assert_eq!(repository.to_string(), name);
            assert_eq!(repository.is_pinned(), revision == commit);
        }
        assert_eq!(Repository::of_model("hf:a/b").unwrap().unwrap().id(), "a/b");
        assert!(Repository::of_model("a/b").is_none());
    }

    #[test]
    fn what_would_lead_elsewhere_is_refused() {
        for name in
            ["", "a/", "/b", "a/b/c", "../b", "a/..", "a/b--c", "a b/c", "a/b@", "a/b@../x", "a/b@x//y"]
        {
            let error = name.parse::<Repository>().unwrap_err().to_string();
            assert!(error.contains("expected ORG/NAME"), "{name}: {error}");
        }
    }
}
