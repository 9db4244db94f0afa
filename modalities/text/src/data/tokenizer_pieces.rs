//! A `tokenizer.json` made of a SentencePiece model, as transformers makes it for XLM-RoBERTa, CamemBERT and DeBERTa (transformers,
//! `convert_slow_tokenizer.py` and `tokenization_xlm_roberta.py`).

use std::path::Path;

use serde_json::{Map, Value, json};
use tokenizers::normalizers::Precompiled;

use super::sentence_piece::{PieceKind, SentencePiece};
use super::special_tokens::{Special, Usual};
use super::tokenizer_error::TokenizerError;
use super::tokenizer_files::{BERT_MARKS, TokenizerFiles, read};

/// What stands for a space in pieces.
const SPACE: &str = "▁";

/// Which marks a model's pieces have beside them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    /// Marks in fairseq's order stand where SentencePiece has its own three; its numbers are one lower.
    XlmRoberta,
    /// Fairseq's marks stand before all pieces but the first.
    Camembert,
    /// Marks are pieces, but for that of masks.
    Deberta,
}

/// Marks of RoBERTa's family.
const MARKS: [Usual; 7] = [
    Usual::new("bos_token", "<s>"),
    Usual::new("eos_token", "</s>"),
    Usual::new("unk_token", "<unk>"),
    Usual::new("sep_token", "</s>"),
    Usual::new("pad_token", "<pad>"),
    Usual::new("cls_token", "<s>"),
    Usual::new("mask_token", "<mask>"),
];

/// Reads a SentencePiece model and makes the tokenizer of it.
pub(super) fn tokenizer(files: &TokenizerFiles, path: &Path) -> Result<Value, TokenizerError> {
    let malformed = |reason: &str| TokenizerError::Malformed {
        path: path.to_owned(),
        expected: "SentencePiece model",
        reason: reason.to_owned(),
    };
    let model = SentencePiece::read(&read(path)?).map_err(malformed)?;
    if !model.is_unigram {
        return Err(malformed("it is not of the kind Unigram, which published encoders have"));
    }
    let family = if files.is_of("camembert") {
        Family::Camembert
    } else if model.find("[CLS]").is_some() && model.find("[SEP]").is_some() {
        Family::Deberta
    } else if model.pieces.iter().take(3).map(|piece| piece.text.as_str()).eq(["<unk>", "<s>", "</s>"]) {
        Family::XlmRoberta
    } else {
        return Err(malformed("its marks are not those of XLM-RoBERTa, CamemBERT or DeBERTa"));
    };
    let precompiled = match model.characters.is_empty() {
        true => None,
        false => {
            let map = Precompiled::from(&model.characters).map_err(|error| malformed(&error.to_string()))?;
            Some(serde_json::to_value(map).map_err(|error| malformed(&error.to_string()))?)
        }
    };
    family.tokenizer(files, &model, precompiled)
}

impl Family {
    /// The `tokenizer.json`.
    fn tokenizer(
        self,
        files: &TokenizerFiles,
        model: &SentencePiece,
        precompiled: Option<Value>,
    ) -> Result<Value, TokenizerError> {
        let pieces = self.pieces(files, model);
        let mut numbers: Map<String, Value> = Map::new();
        for (number, (text, _)) in pieces.iter().enumerate() {
            numbers.entry(text.clone()).or_insert(json!(number));
        }
        if self == Self::Deberta {
            let mask = files.special("mask_token").unwrap_or("[MASK]");
            numbers.entry(mask).or_insert(json!(pieces.len()));
        }
        let special = Special { files, vocabulary: &numbers };
        let marks: &[Usual] = match self {
            Self::XlmRoberta => &MARKS,
            Self::Camembert => {
                &MARKS.map(|mark| if mark.key == "mask_token" { mark.takes_space_before() } else { mark })
            }
            Self::Deberta => &BERT_MARKS,
        };
        let mut added = special.added(marks);
        add_own(&mut added, model, &numbers);
        let prefix = match files.flag("add_prefix_space") {
            Some(false) => "never",
            _ => "always",
        };
        let spaces =
            json!({ "type": "Metaspace", "replacement": SPACE, "prepend_scheme": prefix, "split": true });
        let before = match self {
            Self::Deberta if files.flag("split_by_punct") == Some(true) => {
                json!({ "type": "Punctuation", "behavior": "Isolated" })
            }
            Self::Deberta => Value::Null,
            _ => json!({ "type": "WhitespaceSplit" }),
        };
        let steps: Vec<&Value> = [&before, &spaces].into_iter().filter(|step| !step.is_null()).collect();
        let unknown = special.find(&Usual::new("unk_token", self.unknown())).1;
        Ok(json!({
            "version": "1.0",
            "added_tokens": added,
            "normalizer": self.normalizer(files, precompiled),
            "pre_tokenizer": { "type": "Sequence", "pretokenizers": steps },
            "post_processor": self.template(&special)?,
            "decoder": spaces,
            "model": { "type": "Unigram", "unk_id": unknown, "vocab": pieces, "byte_fallback": false },
        }))
    }

    /// Texts and scores in the order of the encoder's numbers.
    fn pieces(self, files: &TokenizerFiles, model: &SentencePiece) -> Vec<(String, f64)> {
        let name = |key: &str, usual: &str| (files.special(key).unwrap_or(usual).to_owned(), 0.0);
        let from = |first: usize| {
            model.pieces.iter().skip(first).map(|piece| (piece.text.clone(), f64::from(piece.score)))
        };
        let (marks, first) = match self {
            Self::Deberta => return from(0).collect(),
            Self::XlmRoberta => (
                vec![
                    name("bos_token", "<s>"),
                    name("pad_token", "<pad>"),
                    name("eos_token", "</s>"),
                    name("unk_token", "<unk>"),
                ],
                3,
            ),
            Self::Camembert => (
                vec![
                    ("<s>NOTUSED".to_owned(), 0.0),
                    name("pad_token", "<pad>"),
                    ("</s>NOTUSED".to_owned(), 0.0),
                    name("unk_token", "<unk>"),
                    ("<unk>NOTUSED".to_owned(), -100.0),
                ],
                1,
            ),
        };
        marks.into_iter().chain(from(first)).chain([name("mask_token", "<mask>")]).collect()
    }

    fn unknown(self) -> &'static str {
        if self == Self::Deberta { "[UNK]" } else { "<unk>" }
    }

    fn normalizer(self, files: &TokenizerFiles, precompiled: Option<Value>) -> Value {
        if self != Self::Deberta {
            return precompiled.unwrap_or(Value::Null);
        }
        let lower = (files.flag("do_lower_case") == Some(true)).then(|| json!({ "type": "Lowercase" }));
        let strip = json!({ "type": "Strip", "strip_left": true, "strip_right": true });
        let spaces = json!({ "type": "Replace", "pattern": { "Regex": " {2,}" }, "content": " " });
        let steps: Vec<Value> = lower.into_iter().chain([strip]).chain(precompiled).chain([spaces]).collect();
        json!({ "type": "Sequence", "normalizers": steps })
    }

    /// What marks beginning and end of a text and of a pair.
    fn template(self, special: &Special<'_>) -> Result<Value, TokenizerError> {
        let (begin, end) = match self {
            Self::Deberta => (Usual::new("cls_token", "[CLS]"), Usual::new("sep_token", "[SEP]")),
            _ => (Usual::new("bos_token", "<s>"), Usual::new("eos_token", "</s>")),
        };
        let (begin, begin_id) = special.required(&begin, "the beginning of a text")?;
        let (end, end_id) = special.required(&end, "the end of a text")?;
        let mark = |token: &str, side: u32| json!({ "SpecialToken": { "id": token, "type_id": side } });
        let text = |name: &str, side: u32| json!({ "Sequence": { "id": name, "type_id": side } });
        let single = vec![mark(&begin, 0), text("A", 0), mark(&end, 0)];
        let second = match self {
            Self::Deberta => vec![text("B", 1), mark(&end, 1)],
            _ => vec![mark(&end, 0), text("B", 0), mark(&end, 0)],
        };
        Ok(json!({
            "type": "TemplateProcessing",
            "pair": single.iter().chain(&second).collect::<Vec<_>>(),
            "single": single,
            "special_tokens": {
                &begin: { "id": begin, "ids": [begin_id], "tokens": [begin] },
                &end: { "id": end, "ids": [end_id], "tokens": [end] },
            },
        }))
    }
}

/// Adds the model's own marks, and the texts that it never divides.
fn add_own(added: &mut Vec<Value>, model: &SentencePiece, numbers: &Map<String, Value>) {
    for piece in model.pieces.iter().filter(|piece| piece.kind != PieceKind::Plain) {
        let Some(number) = numbers.get(&piece.text) else { continue };
        if added.iter().all(|token| token["id"] != *number) {
            added.push(json!({
                "id": number, "content": piece.text, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": piece.kind == PieceKind::Control,
            }));
        }
    }
    added.sort_by_key(|token| token["id"].as_u64());
}
