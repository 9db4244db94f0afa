//! The files of a published tokenizer: `tokenizer.json`, or the older vocabularies from which one is made.
//!
//! What is made of a vocabulary is what Hugging Face's `BertTokenizer`, `MPNetTokenizer` and `RobertaTokenizer` make of it (transformers,
//! `tokenization_bert.py` and so on), written as a `tokenizer.json`. SentencePiece's models are another module's.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::data::special_tokens::{Special, Usual};
use crate::data::tokenizer_error::TokenizerError;
use crate::data::tokenizer_pieces;
use crate::files;

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

/// Classes of tokenizers that are of no family, in lower case.
const GENERAL: [&str; 2] = ["pretrainedtokenizer", "tokenizersbackend"];

/// SentencePiece's models, as XLM-RoBERTa, DeBERTa and others call them.
const PIECES: [&str; 3] = ["sentencepiece.bpe.model", "spm.model", "spiece.model"];

/// BERT's marks, which ELECTRA, DistilBERT and DeBERTa have too.
pub(super) const BERT_MARKS: [Usual; 5] = [
    Usual::new("unk_token", "[UNK]"),
    Usual::new("sep_token", "[SEP]"),
    Usual::new("pad_token", "[PAD]"),
    Usual::new("cls_token", "[CLS]"),
    Usual::new("mask_token", "[MASK]"),
];

/// MPNet's marks.
const MPNET_MARKS: [Usual; 7] = [
    Usual::new("bos_token", "<s>"),
    Usual::new("eos_token", "</s>"),
    Usual::new("unk_token", "[UNK]"),
    Usual::new("sep_token", "</s>"),
    Usual::new("pad_token", "<pad>"),
    Usual::new("cls_token", "<s>"),
    Usual::new("mask_token", "<mask>").takes_space_before(),
];

/// RoBERTa's marks.
const ROBERTA_MARKS: [Usual; 7] = [
    Usual::new("bos_token", "<s>"),
    Usual::new("eos_token", "</s>"),
    Usual::new("unk_token", "<unk>"),
    Usual::new("sep_token", "</s>"),
    Usual::new("pad_token", "<pad>"),
    Usual::new("cls_token", "<s>"),
    Usual::new("mask_token", "<mask>"),
];

impl TokenizerFiles {
    pub fn open(folder: &Path) -> Result<Self, TokenizerError> {
        let optional = |name: &str| match folder.join(name) {
            path if files::is_file(&path) => read_json(&path),
            _ => Ok(Value::Null),
        };
        let (config, model) = (optional("tokenizer_config.json")?, optional("config.json")?);
        Ok(Self { folder: folder.to_owned(), config, model })
    }

    /// The tokenizer in the form of `tokenizer.json`, and the file it comes from.
    pub fn tokenizer(&self) -> Result<(Vec<u8>, PathBuf), TokenizerError> {
        let [json, words, bytes, merges] =
            ["tokenizer.json", "vocab.txt", "vocab.json", "merges.txt"].map(|name| self.folder.join(name));
        if files::is_file(&json) {
            return Ok((read(&json)?.into_owned(), json));
        }
        let (made, path) = if files::is_file(&words) {
            (self.word_pieces(&words)?, words)
        } else if files::is_file(&bytes) && files::is_file(&merges) {
            (self.byte_pairs(&bytes, &merges)?, bytes)
        } else if let Some(pieces) =
            PIECES.map(|name| self.folder.join(name)).into_iter().find(|path| files::is_file(path))
        {
            (tokenizer_pieces::tokenizer(self, &pieces)?, pieces)
        } else {
            return Err(TokenizerError::Missing { folder: self.folder.clone() });
        };
        Ok((made.to_string().into_bytes(), path))
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What the configuration says of a special token such as `pad_token`: its name, or an object that describes it.
    pub fn described(&self, key: &str) -> Option<&Value> {
        self.config.get(key)
    }

    /// The name of a special token, if the configuration gives one.
    pub fn special(&self, key: &str) -> Option<&str> {
        let token = self.described(key)?;
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

    /// Whether the model, or else the tokenizer's class, is of a family, by the beginning of its name in lower case.
    pub fn is_of(&self, family: &str) -> bool {
        let named = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_lowercase);
        let class = named(self.config.get("tokenizer_class"))
            .filter(|class| !GENERAL.iter().any(|general| class.starts_with(general)));
        class.or(named(self.model.get("model_type"))).is_some_and(|name| name.starts_with(family))
    }

    pub fn flag(&self, key: &str) -> Option<bool> {
        self.config.get(key).and_then(Value::as_bool)
    }

    /// BERT's WordPiece, or MPNet's.
    fn word_pieces(&self, path: &Path) -> Result<Value, TokenizerError> {
        let text = read_text(path)?;
        let mut vocabulary = Map::new();
        for (index, line) in text.strip_suffix('\n').unwrap_or(&text).split('\n').enumerate() {
            vocabulary.insert(line.strip_suffix('\r').unwrap_or(line).to_owned(), json!(index));
        }
        let is_mpnet = self.is_of("mpnet");
        let [class, end] = if is_mpnet { ["<s>", "</s>"] } else { ["[CLS]", "[SEP]"] };
        let special = Special { files: self, vocabulary: &vocabulary };
        let unknown = special.required(&Usual::new("unk_token", "[UNK]"), "unknown words")?.0;
        let (class, class_id) =
            special.required(&Usual::new("cls_token", class), "the beginning of a text")?;
        let (end, end_id) = special.required(&Usual::new("sep_token", end), "the end of a text")?;
        let piece = |kind: &str, id: &str, side: u32| json!({ kind: { "id": id, "type_id": side } });
        let first =
            [piece("SpecialToken", &class, 0), piece("Sequence", "A", 0), piece("SpecialToken", &end, 0)];
        let second = [piece("Sequence", "B", 1), piece("SpecialToken", &end, 1)];
        let added = special.added(if is_mpnet { &MPNET_MARKS } else { &BERT_MARKS });
        let marked = match is_mpnet {
            true => roberta_processing((&class, class_id), (&end, end_id), [true, false]),
            false => json!({
                "type": "TemplateProcessing",
                "single": first,
                "pair": first.iter().chain(&second).collect::<Vec<_>>(),
                "special_tokens": {
                    &class: { "id": class, "ids": [class_id], "tokens": [class] },
                    &end: { "id": end, "ids": [end_id], "tokens": [end] },
                },
            }),
        };
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
            "post_processor": marked,
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
        let (class, class_id) =
            special.required(&Usual::new("cls_token", "<s>"), "the beginning of a text")?;
        let (end, end_id) = special.required(&Usual::new("sep_token", "</s>"), "the end of a text")?;
        let prefix = self.flag("add_prefix_space").unwrap_or(false);
        let trim = self.flag("trim_offsets").unwrap_or(true);
        let byte_level = json!({ "type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": true, "use_regex": true });
        Ok(json!({
            "version": "1.0",
            "added_tokens": special.added(&ROBERTA_MARKS),
            "pre_tokenizer": byte_level,
            "post_processor": roberta_processing((&class, class_id), (&end, end_id), [trim, prefix]),
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

/// RoBERTa's marks of beginning and end; whether offsets are trimmed, and a space is put before a text.
fn roberta_processing(class: (&str, u64), end: (&str, u64), [trim, prefix]: [bool; 2]) -> Value {
    json!({
        "type": "RobertaProcessing",
        "sep": [end.0, end.1],
        "cls": [class.0, class.1],
        "trim_offsets": trim,
        "add_prefix_space": prefix,
    })
}

pub(super) fn read(path: &Path) -> Result<Cow<'static, [u8]>, TokenizerError> {
    let unreadable = |error: std::io::Error| TokenizerError::Unreadable {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    files::read(path).map_err(unreadable)
}

fn read_text(path: &Path) -> Result<String, TokenizerError> {
    String::from_utf8(read(path)?.into_owned()).map_err(|error| TokenizerError::Unreadable {
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
