//! From texts to the numbers that a published encoder was trained on.

use std::path::Path;

use tk_engine::cpu::Pool;
use tokenizers::{Encoding, PostProcessor, TruncationDirection, TruncationParams, truncate_encodings};

use crate::data::tokenizer_error::TokenizerError;
use crate::data::tokenizer_files::TokenizerFiles;
use crate::data::tokens::Tokens;

/// A published tokenizer with the length that its model takes. Encodings are those of Hugging Face's `tokenizers`, not padded.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    /// What the model takes.
    limit: usize,
    truncation: TruncationParams,
    pad: u32,
    unknown: Option<u32>,
    /// What marks the beginning and the end of one text.
    ends: [Vec<u32>; 2],
    /// The highest number and its token.
    highest: (u32, String),
}

/// What is assumed where neither the tokenizer nor the model says it.
const USUAL_LENGTH: usize = 512;

impl Tokenizer {
    /// The tokenizer in a model's folder: `tokenizer.json`, else `vocab.txt` as WordPiece, else `vocab.json` with `merges.txt` as
    /// byte-level BPE, else a SentencePiece model. Truncation and padding that a file prescribes are passed over: lengths follow from the model.
    ///
    /// # Errors
    /// The folder holds no tokenizer, a file is malformed, or a token that is needed is not in the vocabulary.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, TokenizerError> {
        let folder = folder.as_ref();
        let files = TokenizerFiles::open(folder)?;
        let (json, path) = files.tokenizer()?;
        let malformed = |error: tokenizers::Error| TokenizerError::Malformed {
            path: path.clone(),
            expected: "tokenizer",
            reason: error.to_string(),
        };
        let mut inner = tokenizers::Tokenizer::from_bytes(&json).map_err(malformed)?;
        inner.with_padding(None);
        inner.with_truncation(None).map_err(malformed)?;

        let vocabulary = inner.get_vocab(true);
        let highest = vocabulary
            .into_iter()
            .map(|(token, id)| (id, token))
            .max()
            .ok_or_else(|| malformed("its vocabulary is empty".into()))?;
        let find = |key: &str, usual: &[&str]| {
            files
                .special(key)
                .into_iter()
                .chain(usual.iter().copied())
                .find_map(|token| inner.token_to_id(token))
        };
        let pad = find("pad_token", &["[PAD]", "<pad>"]).unwrap_or(0);
        let unknown = find("unk_token", &["[UNK]", "<unk>"]);
        let limit = files.max_length(pad).unwrap_or(USUAL_LENGTH);
        let direction =
            if files.cuts_left() { TruncationDirection::Left } else { TruncationDirection::Right };
        let truncation = TruncationParams { max_length: limit, direction, ..TruncationParams::default() };
        let ends = ends(&inner).map_err(malformed)?;
        let mut tokenizer = Self { inner, limit, truncation, pad, unknown, ends, highest };
        tokenizer.set_max_length(limit)?;
        Ok(tokenizer)
    }

    /// The most tokens that a text (or pair) may have, those that mark beginning and end among them.
    pub fn max_length(&self) -> usize {
        self.truncation.max_length
    }

    /// Lowers the most tokens that a text may have.
    ///
    /// # Errors
    /// It is more than the model takes, or leaves no room for texts.
    pub fn set_max_length(&mut self, length: usize) -> Result<(), TokenizerError> {
        let special = self.special(true);
        let least = special + 2;
        if !(least..=self.limit).contains(&length) {
            return Err(TokenizerError::Length { found: length, least, most: self.limit, special });
        }
        self.truncation.max_length = length;
        Ok(())
    }

    /// The number that fills up shorter texts.
    pub fn pad_id(&self) -> u32 {
        self.pad
    }

    /// How many tokens there are, gaps in their numbers included.
    pub fn vocabulary_size(&self) -> usize {
        self.highest.0 as usize + 1
    }

    /// Compares with the number of rows of a model's embedding table.
    ///
    /// # Errors
    /// The table has no row for some token.
    pub fn check(&self, rows: usize) -> Result<(), TokenizerError> {
        let (highest, token) = &self.highest;
        if self.vocabulary_size() <= rows {
            return Ok(());
        }
        Err(TokenizerError::Mismatch { highest: *highest, token: token.clone(), rows })
    }

    /// The tokenizer as `tokenizer.json`, for a bundle.
    ///
    /// # Errors
    /// It cannot be written as JSON.
    pub fn to_json(&self) -> Result<String, TokenizerError> {
        let reason =
            |error: tokenizers::Error| TokenizerError::Encode { index: 0, reason: error.to_string() };
        self.inner.to_string(false).map_err(reason)
    }

    /// Encodes one text, or one pair. What is too long is cut, the longer text of a pair first.
    ///
    /// # Errors
    /// The tokenizer's model cannot encode it, as one without an unknown token.
    pub fn encode(&self, text: &str, second: Option<&str>) -> Result<Tokens, TokenizerError> {
        self.encode_raw(text, second)
            .map_err(|reason| TokenizerError::Encode { index: 0, reason: reason.to_string() })
    }

    /// Encodes texts, or pairs, on the pool's threads. The result does not depend on their number.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`], for the first text that cannot be encoded.
    pub fn encode_all(
        &self,
        texts: &[(&str, Option<&str>)],
        pool: &Pool,
    ) -> Result<Vec<Tokens>, TokenizerError> {
        const CHUNK: usize = 64;
        let mut encoded: Vec<Result<Tokens, String>> = vec![Ok(Tokens::default()); texts.len()];
        pool.for_each_chunk(&mut encoded, CHUNK, |chunk, encoded| {
            for (slot, (text, second)) in encoded.iter_mut().zip(texts.iter().skip(chunk * CHUNK)) {
                *slot = self.encode_raw(text, *second).map_err(|error| error.to_string());
            }
        });
        let name = |(index, encoded): (usize, Result<Tokens, String>)| {
            encoded.map_err(|reason| TokenizerError::Encode { index, reason })
        };
        encoded.into_iter().enumerate().map(name).collect()
    }

    /// The same tokenizer for texts that are split into words: where tokens tell whether a space is before them, as byte-level BPE's do, one is
    /// before every word, as transformers has it with `add_prefix_space`.
    ///
    /// # Errors
    /// It cannot be written as JSON and read again.
    pub fn for_words(mut self) -> Result<Self, TokenizerError> {
        let fail = |reason: String| TokenizerError::Encode { index: 0, reason };
        let mut json: serde_json::Value =
            serde_json::from_str(&self.to_json()?).map_err(|error| fail(error.to_string()))?;
        if !prefix_spaces(&mut json["pre_tokenizer"]) {
            return Ok(self);
        }
        self.inner =
            tokenizers::Tokenizer::from_bytes(json.to_string()).map_err(|error| fail(error.to_string()))?;
        Ok(self)
    }

    /// The tokens of each word of a text that is split into words; what marks beginning and end is not among them.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn encode_words(&self, words: &[&str]) -> Result<Vec<Vec<u32>>, TokenizerError> {
        let encoding = self
            .inner
            // The fast way forgets which word a token is of.
            .encode(words, false)
            .map_err(|reason| TokenizerError::Encode { index: 0, reason: reason.to_string() })?;
        let mut tokens = vec![Vec::new(); words.len()];
        for (&id, word) in encoding.get_ids().iter().zip(encoding.get_word_ids()) {
            if let Some(tokens) = word.and_then(|word| tokens.get_mut(word as usize)) {
                tokens.push(id);
            }
        }
        Ok(tokens)
    }

    /// What marks the beginning and the end of one text.
    pub fn ends(&self) -> [&[u32]; 2] {
        [&self.ends[0], &self.ends[1]]
    }

    fn encode_raw(&self, text: &str, second: Option<&str>) -> tokenizers::Result<Tokens> {
        // Truncation is done here and not by the library, which keeps what it cuts off: for a pair of long texts, every piece of one
        // with every piece of the other.
        let mut first = self.inner.encode_fast(text, false)?;
        let mut second = second.map(|text| self.inner.encode_fast(text, false)).transpose()?;
        if let Some(second) = &mut second {
            second.set_type_ids(vec![1; second.len()]);
        }
        let special = self.special(second.is_some());
        let length = |first: &Encoding, second: &Option<Encoding>| {
            first.len() + second.as_ref().map_or(0, Encoding::len)
        };
        let before = length(&first, &second);
        let max_length = self.truncation.max_length - special;
        let truncation = TruncationParams { max_length, ..self.truncation };
        (first, second) = truncate_encodings(first, second, &truncation)?;
        first.take_overflowing();
        second.as_mut().map(Encoding::take_overflowing);
        let cut = before - length(&first, &second);
        let encoding = self.inner.post_process(first, second, true)?;
        let ids = encoding.get_ids().to_vec();
        let unknown = ids.iter().filter(|&&id| Some(id) == self.unknown).count();
        Ok(Tokens { ids, types: encoding.get_type_ids().to_vec(), special, unknown, cut })
    }

    /// How many tokens are added to a text or a pair.
    fn special(&self, is_pair: bool) -> usize {
        self.inner.get_post_processor().map_or(0, |processor| processor.added_tokens(is_pair))
    }
}

/// What marks the beginning and the end of one text.
fn ends(inner: &tokenizers::Tokenizer) -> tokenizers::Result<[Vec<u32>; 2]> {
    let (bare, whole) = (inner.encode_fast("a", false)?, inner.encode_fast("a", true)?);
    let (bare, whole) = (bare.get_ids(), whole.get_ids());
    let start = (0..=whole.len() - bare.len()).find(|&start| whole[start..].starts_with(bare)).unwrap_or(0);
    Ok([whole[..start].to_vec(), whole[start + bare.len()..].to_vec()])
}

/// Asks every byte-level part for a space before a text; whether there is one that had none.
pub(crate) fn prefix_spaces(part: &mut serde_json::Value) -> bool {
    use serde_json::Value;
    match part {
        Value::Object(fields) => {
            let is_bytes = fields.get("type").and_then(Value::as_str) == Some("ByteLevel");
            if is_bytes && fields.get("add_prefix_space") != Some(&Value::Bool(true)) {
                fields.insert("add_prefix_space".into(), Value::Bool(true));
                return true;
            }
            fields.values_mut().fold(false, |changed, part| prefix_spaces(part) | changed)
        }
        Value::Array(parts) => parts.iter_mut().fold(false, |changed, part| prefix_spaces(part) | changed),
        _ => false,
    }
}
