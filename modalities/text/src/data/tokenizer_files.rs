//! The files of a published tokenizer: `tokenizer.json`, or the older vocabularies from which one is made.
//!
//! What is made of a vocabulary is what Hugging Face's `BertTokenizer` and `RobertaTokenizer` make of it (transformers,
//! `tokenization_bert.py` and `tokenization_roberta.py`), written as a `tokenizer.json`.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::data::tokenizer_error::TokenizerError;

/// What a folder says of its tokenizer.
pub(super) struct TokenizerFiles {
    folder: PathBuf,
    /// `tokenizer_config.json`.
    config: Value,
    /// `config.json`, the model's.
    model: Value,
}

/// Larger values of `model_max_length` mean that nobody knew it.
const MAX_LENGTH: u64 = 1 << 20;

impl TokenizerFiles {
    pub fn open(folder: &Path) -> Result<Self, TokenizerError> {
        let optional = |name: &str| match folder.join(name) {
            path if path.exists() => read_json(&path),
            _ => Ok(Value::Null),
        };
        let (config, model) = (optional("tokenizer_config.json")?, optional("config.json")?);
        Ok(Self { folder: folder.to_owned(), config, model })
    }

    /// The tokenizer in the form of `tokenizer.json`, and the file it comes from.
    pub fn tokenizer(&self) -> Result<(Vec<u8>, PathBuf), TokenizerError> {
        let [json, words, bytes, merges] =
            ["tokenizer.json", "vocab.txt", "vocab.json", "merges.txt"].map(|name| self.folder.join(name));
        if json.exists() {
            return Ok((read(&json)?, json));
        }
        let (made, path) = if words.exists() {
            (self.word_pieces(&words)?, words)
        } else if bytes.exists() && merges.exists() {
            (self.byte_pairs(&bytes, &merges)?, bytes)
        } else {
            return Err(TokenizerError::Missing { folder: self.folder.clone() });
        };
        Ok((made.to_string().into_bytes(), path))
    }

    /// The name of a special token such as `pad_token`, if the configuration gives one.
    pub fn special(&self, key: &str) -> Option<&str> {
        let token = self.config.get(key)?;
        token.as_str().or_else(|| token.get("content")?.as_str())
    }

    /// The most tokens that the tokenizer's and the model's configuration allow; `pad` is the padding's number.
    pub fn max_length(&self, pad: u32) -> Option<usize> {
        let stated = self
            .config
            .get("model_max_length")
            .and_then(Value::as_u64)
            .filter(|&length| length <= MAX_LENGTH);
        let positions = self.model.get("max_position_embeddings").and_then(Value::as_u64);
        // In RoBERTa's family the position of the first token is the one after the padding's number.
        let model_type = self.model.get("model_type").and_then(Value::as_str).unwrap_or_default();
        let taken = if ["roberta", "camembert", "xlm-roberta", "mpnet"].contains(&model_type) {
            u64::from(pad) + 1
        } else {
            0
        };
        let positions = positions.map(|positions| positions.saturating_sub(taken));
        let length = stated.into_iter().chain(positions).min()?;
        usize::try_from(length).ok()
    }

    /// Whether what is too long loses its beginning instead of its end.
    pub fn cuts_left(&self) -> bool {
        self.config.get("truncation_side").and_then(Value::as_str) == Some("left")
    }

    fn flag(&self, key: &str) -> Option<bool> {
        self.config.get(key).and_then(Value::as_bool)
    }

    /// BERT's WordPiece.
    fn word_pieces(&self, path: &Path) -> Result<Value, TokenizerError> {
        let text = read_text(path)?;
        let mut vocabulary = Map::new();
        for (index, line) in text.strip_suffix('\n').unwrap_or(&text).split('\n').enumerate() {
            vocabulary.insert(line.strip_suffix('\r').unwrap_or(line).to_owned(), json!(index));
        }
        let special = Special { files: self, vocabulary: &vocabulary };
        let unknown = special.required("unk_token", "[UNK]", "unknown words")?.0;
        let (class, class_id) = special.required("cls_token", "[CLS]", "the beginning of a text")?;
        let (end, end_id) = special.required("sep_token", "[SEP]", "the end of a text")?;
        let piece = |kind: &str, id: &str, side: u32| json!({ kind: { "id": id, "type_id": side } });
        let first =
            [piece("SpecialToken", &class, 0), piece("Sequence", "A", 0), piece("SpecialToken", &end, 0)];
        let second = [piece("Sequence", "B", 1), piece("SpecialToken", &end, 1)];
        let added =
            special.added(&["unk_token", "sep_token", "pad_token", "cls_token", "mask_token"], "[", "]");
        Ok(json!({
            "version": "1.0",
            "added_tokens": added,
            "normalizer": {
                "type": "BertNormalizer",
                "clean_text": true,
                "handle_chinese_chars": self.flag("tokenize_chinese_chars").unwrap_or(true),
                "strip_accents": self.flag("strip_accents"),
                "lowercase": self.flag("do_lower_case").unwrap_or(true),
            },
            "pre_tokenizer": { "type": "BertPreTokenizer" },
            "post_processor": {
                "type": "TemplateProcessing",
                "single": first,
                "pair": first.iter().chain(&second).collect::<Vec<_>>(),
                "special_tokens": {
                    &class: { "id": class, "ids": [class_id], "tokens": [class] },
                    &end: { "id": end, "ids": [end_id], "tokens": [end] },
                },
            },
            "decoder": { "type": "WordPiece", "prefix": "##", "cleanup": true },
            "model": {
                "type": "WordPiece",
                "unk_token": unknown,
                "continuing_subword_prefix": "##",
                "max_input_chars_per_word": 100,
                "vocab": vocabulary,
            },
        }))
    }

    /// RoBERTa's byte-level BPE.
    fn byte_pairs(&self, path: &Path, merges: &Path) -> Result<Value, TokenizerError> {
        let Value::Object(vocabulary) = read_json(path)? else {
            let reason = "it is no object".to_owned();
            return Err(TokenizerError::Malformed { path: path.to_owned(), expected: "vocabulary", reason });
        };
        let lines = read_text(merges)?;
        let mut pairs = Vec::new();
        for (index, line) in lines.lines().enumerate() {
            if line.is_empty() || line.starts_with("#version") {
                continue;
            }
            let Some((left, right)) = line.split_once(' ') else {
                let reason = format!("line {} has no two parts", index + 1);
                let path = merges.to_owned();
                return Err(TokenizerError::Malformed { path, expected: "list of merges", reason });
            };
            pairs.push([left, right]);
        }
        let special = Special { files: self, vocabulary: &vocabulary };
        let class = special.required("cls_token", "<s>", "the beginning of a text")?;
        let end = special.required("sep_token", "</s>", "the end of a text")?;
        let prefix = self.flag("add_prefix_space").unwrap_or(false);
        let trim = self.flag("trim_offsets").unwrap_or(true);
        let keys =
            ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];
        let byte_level = json!({ "type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": true, "use_regex": true });
        Ok(json!({
            "version": "1.0",
            "added_tokens": special.added(&keys, "<", ">"),
            "pre_tokenizer": byte_level,
            "post_processor": {
                "type": "RobertaProcessing",
                "sep": [end.0, end.1],
                "cls": [class.0, class.1],
                "trim_offsets": trim,
                "add_prefix_space": prefix,
            },
            "decoder": byte_level,
            "model": {
                "type": "BPE",
                "continuing_subword_prefix": "",
                "end_of_word_suffix": "",
                "fuse_unk": false,
                "vocab": vocabulary,
                "merges": pairs,
            },
        }))
    }
}

/// The special tokens of a vocabulary.
struct Special<'a> {
    files: &'a TokenizerFiles,
    vocabulary: &'a Map<String, Value>,
}

impl Special<'_> {
    fn find(&self, key: &str, usual: &str) -> (String, Option<u64>) {
        let token = self.files.special(key).unwrap_or(usual);
        (token.to_owned(), self.vocabulary.get(token).and_then(Value::as_u64))
    }

    fn required(
        &self,
        key: &str,
        usual: &str,
        purpose: &'static str,
    ) -> Result<(String, u64), TokenizerError> {
        match self.find(key, usual) {
            (token, Some(id)) => Ok((token, id)),
            (token, None) => {
                Err(TokenizerError::NoToken { folder: self.files.folder.clone(), token, purpose })
            }
        }
    }

    /// Those that are in the vocabulary, as `tokenizer.json` lists them. `open` and `close` are the brackets of the family's names.
    fn added(&self, keys: &[&str], open: &str, close: &str) -> Vec<Value> {
        let mut added: Vec<(u64, Value)> = Vec::new();
        for key in keys {
            let word = key.trim_end_matches("_token");
            let usual = match (open, word) {
                ("[", word) => format!("{open}{}{close}", word.to_uppercase()),
                (_, "bos" | "cls") => "<s>".to_owned(),
                (_, "eos" | "sep") => "</s>".to_owned(),
                (_, word) => format!("{open}{word}{close}"),
            };
            if let (token, Some(id)) = self.find(key, &usual)
                && added.iter().all(|(other, _)| *other != id)
            {
                // RoBERTa's mask takes the space before it, where its configuration says so.
                let described = self.files.config.get(key);
                let takes =
                    |side: &str| described.and_then(|token| token.get(side)?.as_bool()).unwrap_or(false);
                let value = json!({
                    "id": id, "content": token, "single_word": false, "lstrip": takes("lstrip"), "rstrip": takes("rstrip"),
                    "normalized": false, "special": true,
                });
                added.push((id, value));
            }
        }
        added.sort_by_key(|(id, _)| *id);
        added.into_iter().map(|(_, value)| value).collect()
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TokenizerError> {
    let unreadable = |error: std::io::Error| TokenizerError::Unreadable {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    std::fs::read(path).map_err(unreadable)
}

fn read_text(path: &Path) -> Result<String, TokenizerError> {
    String::from_utf8(read(path)?).map_err(|error| TokenizerError::Unreadable {
        path: path.to_owned(),
        reason: error.utf8_error().to_string(),
    })
}

fn read_json(path: &Path) -> Result<Value, TokenizerError> {
    serde_json::from_slice(&read(path)?).map_err(|error| TokenizerError::Malformed {
        path: path.to_owned(),
        expected: "JSON file",
        reason: error.to_string(),
    })
}
