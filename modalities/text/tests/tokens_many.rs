//! Token numbers of 10,000 texts for every kind of tokenizer equal those of transformers. `tokens_many.py` made what is expected.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;
use tk_engine::cpu::Pool;
use tk_engine::random::mix;
use tk_text::data::{Tokenizer, Tokens};

use crate::odd_texts::odd;

/// Texts, and those of one digest, as in `tokens_many.py`.
const COUNT: usize = 10_000;
const BLOCK: usize = 100;

#[derive(Deserialize)]
struct Expected {
    words: Vec<String>,
    particular: Vec<String>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    /// Names in the folder, and those of the stored files.
    files: BTreeMap<String, String>,
    config: Value,
    model_type: String,
    /// Numbers and types of the first texts after the particular ones.
    shown: Vec<[Vec<u32>; 2]>,
    digests: Vec<String>,
}

impl Expected {
    fn read() -> Self {
        serde_json::from_slice(&std::fs::read(stored("many.json")).unwrap()).unwrap()
    }

    /// All texts, as in `tokens_many.py`.
    fn texts(&self) -> Vec<String> {
        let made = (0..(COUNT - self.particular.len()) as u64).map(|at| match at % 2 {
            1 => odd(at),
            _ => self.row(at),
        });
        self.particular.iter().cloned().chain(made).collect()
    }

    /// The row of words of a number.
    fn row(&self, index: u64) -> String {
        let mut counter = index * 1000 + 500;
        let mut below = |bound: u64| {
            counter += 1;
            mix(mix(counter) + 2) % bound
        };
        let count = 1 + below(16);
        let mut words = Vec::new();
        for _ in 0..count {
            let most = 1 + below(self.words.len() as u64);
            words.push(self.words[below(most) as usize].as_str());
        }
        words.join(" ")
    }
}

fn stored(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tokens").join(name)
}

/// A folder with a case's files.
fn folder(case: &Case) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, from) in &case.files {
        std::fs::copy(stored(from), folder.path().join(name)).unwrap();
    }
    let put =
        |name: &str, value: &Value| std::fs::write(folder.path().join(name), value.to_string()).unwrap();
    put("tokenizer_config.json", &case.config);
    put("config.json", &json!({ "model_type": case.model_type }));
    folder
}

fn digest(encoded: &[Tokens]) -> String {
    let mut bits = 0;
    for tokens in encoded {
        bits = mix(bits ^ tokens.ids.len() as u64);
        for (&id, &kind) in tokens.ids.iter().zip(&tokens.types) {
            bits = mix(bits ^ u64::from(2 * id + kind));
        }
    }
    format!("{bits:016x}")
}

#[test]
fn every_kind_of_tokenizer_is_that_of_transformers() {
    let expected = Expected::read();
    let texts = expected.texts();
    let second = |at: usize| at.is_multiple_of(7).then(|| texts[(at + 1) % COUNT].as_str());
    let pairs: Vec<(&str, Option<&str>)> =
        texts.iter().enumerate().map(|(at, text)| (text.as_str(), second(at))).collect();
    for case in &expected.cases {
        let folder = folder(case);
        let made = Tokenizer::open(folder.path()).unwrap();
        let encoded = made.encode_all(&pairs, &Pool::new(2)).unwrap();
        let first = expected.particular.len();
        for (at, [ids, types]) in (first..).zip(&case.shown) {
            assert_eq!(
                (&encoded[at].ids, &encoded[at].types),
                (ids, types),
                "{}: {:?}",
                case.name,
                pairs[at]
            );
        }
        assert_eq!((encoded.len(), case.digests.len()), (COUNT, COUNT / BLOCK));
        for (block, (found, expected)) in encoded.chunks(BLOCK).zip(&case.digests).enumerate() {
            assert_eq!(&digest(found), expected, "{}: texts from {} on", case.name, block * BLOCK);
        }
        // Written as tokenizer.json and read again it is the same.
        std::fs::write(folder.path().join("tokenizer.json"), made.to_json().unwrap()).unwrap();
        let again = Tokenizer::open(folder.path()).unwrap();
        assert_eq!(
            again.encode_all(&pairs[..BLOCK], &Pool::new(1)).unwrap(),
            encoded[..BLOCK],
            "{}",
            case.name
        );
        assert_eq!((again.pad_id(), again.vocabulary_size()), (made.pad_id(), made.vocabulary_size()));
    }
}

#[test]
fn models_that_are_not_known_are_refused() {
    let expected = Expected::read();
    let case = expected.cases.iter().find(|case| case.model_type == "xlm-roberta").unwrap();
    let folder = folder(case);
    let file = folder.path().join("sentencepiece.bpe.model");
    let bytes = std::fs::read(&file).unwrap();
    // The name of the first mark; and the file cut in the middle.
    let mut renamed = bytes.clone();
    let at = renamed.windows(5).position(|bytes| bytes == b"<unk>").unwrap();
    renamed[at + 1] = b'x';
    for (bytes, reason) in [
        (&renamed[..], "its marks are not those of XLM-RoBERTa, CamemBERT or DeBERTa"),
        (&bytes[..bytes.len() / 2], "it ends too early"),
    ] {
        std::fs::write(&file, bytes).unwrap();
        let error = Tokenizer::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains(&format!("is no SentencePiece model: {reason}; fetch it again")), "{error}");
    }
}
