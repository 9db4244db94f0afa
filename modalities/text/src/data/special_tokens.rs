//! Special tokens: what they are called where a configuration does not say it, and how `tokenizer.json` lists them.

use serde_json::{Map, Value, json};

use crate::data::tokenizer_error::TokenizerError;
use crate::data::tokenizer_files::TokenizerFiles;

/// A special token where the configuration names no other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Usual {
    /// What the configuration calls it, such as `pad_token`.
    pub key: &'static str,
    token: &'static str,
    takes_space_before: bool,
}

impl Usual {
    pub const fn new(key: &'static str, token: &'static str) -> Self {
        Self { key, token, takes_space_before: false }
    }

    /// The same, with the space before it unless the configuration describes it.
    pub const fn takes_space_before(self) -> Self {
        Self { takes_space_before: true, ..self }
    }
}

/// The special tokens of a vocabulary.
pub(super) struct Special<'a> {
    pub files: &'a TokenizerFiles,
    pub vocabulary: &'a Map<String, Value>,
}

impl Special<'_> {
    pub fn find(&self, usual: &Usual) -> (String, Option<u64>) {
        let token = self.files.special(usual.key).unwrap_or(usual.token);
        (token.to_owned(), self.vocabulary.get(token).and_then(Value::as_u64))
    }

    pub fn required(&self, usual: &Usual, purpose: &'static str) -> Result<(String, u64), TokenizerError> {
        match self.find(usual) {
            (token, Some(id)) => Ok((token, id)),
            (token, None) => {
                Err(TokenizerError::NoToken { folder: self.files.folder().to_owned(), token, purpose })
            }
        }
    }

    /// Those that are in the vocabulary, as `tokenizer.json` lists them.
    pub fn added(&self, marks: &[Usual]) -> Vec<Value> {
        let mut added: Vec<(u64, Value)> = Vec::new();
        for usual in marks {
            if let (token, Some(id)) = self.find(usual)
                && added.iter().all(|(other, _)| *other != id)
            {
                // RoBERTa's mask takes the space before it, where its configuration says so.
                let described = self.files.described(usual.key);
                let takes = |side: &str| described.and_then(|token| token.get(side)?.as_bool());
                let before = takes("lstrip").unwrap_or(usual.takes_space_before);
                let behind = takes("rstrip").unwrap_or(false);
                let value = json!({
                    "id": id, "content": token, "single_word": false, "lstrip": before, "rstrip": behind,
                    "normalized": false, "special": true,
                });
                added.push((id, value));
            }
        }
        added.sort_by_key(|(id, _)| *id);
        added.into_iter().map(|(_, value)| value).collect()
    }
}
