//! Token numbers equal those of the published tokenizers in Python. `tokens.py` made what is expected.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;
use tk_engine::cpu::Pool;
use tk_text::data::{Statistics, Tokenizer, TokenizerError};

use crate::odd_texts::odd;

fn stored(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tokens").join(name)
}

/// A folder with some of the stored files and a configuration.
fn folder(files: &[&str], config: &Value) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in files {
        std::fs::copy(stored(name), folder.path().join(name)).unwrap();
    }
    std::fs::write(folder.path().join("tokenizer_config.json"), config.to_string()).unwrap();
    folder
}

fn numbers(list: &Value) -> Vec<u32> {
    list.as_array().unwrap().iter().map(|number| number.as_u64().unwrap() as u32).collect()
}

#[test]
fn tokenizers_made_of_vocabularies_are_those_of_transformers() {
    let expected: Value = serde_json::from_slice(&std::fs::read(stored("expected.json")).unwrap()).unwrap();
    let texts: Vec<(&str, Option<&str>)> = expected["texts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pair| (pair[0].as_str().unwrap(), pair[1].as_str()))
        .collect();
    assert_eq!(texts[texts.len() - 80].0, odd(0), "the generator of odd texts is that of tokens.py");
    assert_eq!(texts[texts.len() - 1].0, odd(79));
    for case in expected["cases"].as_array().unwrap() {
        let files: Vec<&str> =
            case["files"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        let folder = folder(&files, &case["config"]);
        let made = Tokenizer::open(folder.path()).unwrap();
        // Written as tokenizer.json and read again it is the same.
        std::fs::write(folder.path().join("tokenizer.json"), made.to_json().unwrap()).unwrap();
        for (tokenizer, threads) in [(&made, 1), (&made, 3), (&Tokenizer::open(folder.path()).unwrap(), 2)] {
            let encoded = tokenizer.encode_all(&texts, &Pool::new(threads)).unwrap();
            let wanted = case["encoded"].as_array().unwrap();
            assert_eq!(encoded.len(), wanted.len());
            for ((found, wanted), text) in encoded.iter().zip(wanted).zip(&texts) {
                assert_eq!(found.ids, numbers(&wanted[0]), "{}: {text:?}", case["name"]);
                assert_eq!(found.types, numbers(&wanted[1]), "{}: {text:?}", case["name"]);
            }
        }
    }
}

/// With TK_MINILM (the folder that `shared/minilm` prints) and TK_TOKENS (what `tokens.py big` wrote).
#[test]
fn ten_thousand_texts_are_encoded_as_in_python() {
    let (Ok(model), Ok(tokens)) = (std::env::var("TK_MINILM"), std::env::var("TK_TOKENS")) else {
        eprintln!("skipped: TK_MINILM and TK_TOKENS name no folder and file");
        return;
    };
    let tokenizer = Tokenizer::open(model).unwrap();
    let expected = std::fs::read_to_string(tokens).unwrap();
    let expected: Vec<Value> = expected.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let texts: Vec<(&str, Option<&str>)> =
        expected.iter().map(|line| (line["text"].as_str().unwrap(), line["second"].as_str())).collect();
    let encoded = tokenizer.encode_all(&texts, &Pool::new(2)).unwrap();
    for ((found, expected), text) in encoded.iter().zip(&expected).zip(&texts) {
        assert_eq!(
            (&found.ids, &found.types),
            (&numbers(&expected["ids"]), &numbers(&expected["types"])),
            "{text:?}"
        );
    }
    assert_eq!(encoded.len(), 10_000);
    tokenizer.check(30_522).unwrap();
    assert_eq!((tokenizer.max_length(), tokenizer.pad_id()), (512, 0));
}

#[test]
fn long_texts_are_cut_and_counted() {
    let folder = folder(&["vocab.txt"], &json!({ "model_max_length": 16 }));
    let mut tokenizer = Tokenizer::open(folder.path()).unwrap();
    // (words of the first text, of the second, tokens of each that stay)
    let cases: [(usize, Option<usize>, usize, usize); 7] = [
        (14, None, 14, 0),
        (15, None, 14, 0),
        (1000, None, 14, 0),
        (6, Some(7), 6, 7),
        (3, Some(20), 3, 10),
        (20, Some(3), 10, 3),
        (50, Some(50), 6, 7),
    ];
    for (first, second, first_kept, second_kept) in cases {
        let text = "a ".repeat(first);
        let other = second.map(|words| "a ".repeat(words));
        let tokens = tokenizer.encode(&text, other.as_deref()).unwrap();
        let special = if second.is_some() { 3 } else { 2 };
        assert_eq!(tokens.ids.len(), first_kept + second_kept + special, "{first} {second:?}");
        assert_eq!(tokens.types.iter().filter(|&&kind| kind == 1).count(), second_kept + special - 2);
        assert_eq!(tokens.cut, first + second.unwrap_or(0) - first_kept - second_kept);
        assert_eq!(tokens.special, special);
    }
    // Two texts of a megabyte: what is cut off is not kept.
    let long = "a ".repeat(1 << 19);
    assert_eq!(tokenizer.encode(&long, Some(&long)).unwrap().cut, (1 << 20) - 13);

    for length in [0, 4, 17] {
        let error = tokenizer.set_max_length(length).unwrap_err().to_string();
        let expected = format!("sentences of at most {length} tokens: expected 5 to 16 (of which 3 mark");
        assert!(error.starts_with(&expected), "{error}");
    }
    tokenizer.set_max_length(5).unwrap();
    let tokens = tokenizer.encode("a b \u{1f980}\u{1f980}", None).unwrap();
    let statistics = Statistics::of([&tokens, &tokenizer.encode("\u{1f980}", None).unwrap()]);
    assert_eq!((statistics.longest, statistics.unknown, statistics.truncated), (5, 2, 0));
    assert!(statistics.warnings()[0].starts_with("50 % of the tokens are unknown"), "{statistics:?}");
}

#[test]
fn lengths_follow_from_the_model() {
    // (tokenizer_config.json, config.json, length)
    let cases = [
        (json!({ "model_max_length": 128 }), json!({ "max_position_embeddings": 512 }), 128),
        (json!({ "model_max_length": 1e30 }), json!({ "max_position_embeddings": 512 }), 512),
        (json!({ "model_max_length": 1e30 }), json!({}), 512),
        (json!({}), json!({ "model_type": "roberta", "max_position_embeddings": 514 }), 512),
    ];
    for (config, model, length) in cases {
        let folder = folder(&["vocab.json", "merges.txt"], &config);
        std::fs::write(folder.path().join("config.json"), model.to_string()).unwrap();
        let tokenizer = Tokenizer::open(folder.path()).unwrap();
        assert_eq!((tokenizer.max_length(), tokenizer.pad_id()), (length, 1), "{config} {model}");
    }
}

#[test]
fn what_does_not_fit_is_an_error_with_the_way_out() {
    let tokenizer = Tokenizer::open(folder(&["vocab.txt"], &json!({})).path()).unwrap();
    let size = tokenizer.vocabulary_size();
    tokenizer.check(size).unwrap();
    let error = tokenizer.check(size - 1).unwrap_err();
    assert!(matches!(error, TokenizerError::Mismatch { rows, .. } if rows == size - 1));
    let expected = format!("does not match the embedding table: its highest token is number {}", size - 1);
    assert!(error.to_string().contains(&expected), "{error}");
    assert!(error.to_string().contains(&format!("the table has {} rows", size - 1)), "{error}");

    let error = |folder: &Path| Tokenizer::open(folder).unwrap_err().to_string();
    let place = folder(&[], &json!({}));
    assert!(error(place.path()).contains("holds no tokenizer; expected tokenizer.json, vocab.txt"));
    std::fs::write(place.path().join("vocab.txt"), "a\nb\n").unwrap();
    assert!(error(place.path()).contains("has no token `[UNK]` (unknown words)"));
    std::fs::write(place.path().join("tokenizer.json"), "{\"model\": 1}").unwrap();
    assert!(error(place.path()).contains("is no tokenizer"), "{}", error(place.path()));
    std::fs::write(place.path().join("tokenizer_config.json"), "{").unwrap();
    assert!(error(place.path()).contains("tokenizer_config.json` is no JSON file"));
    let place = folder(&["vocab.json"], &json!({}));
    std::fs::write(place.path().join("merges.txt"), "#version: 0.2\nab\n").unwrap();
    assert!(error(place.path()).contains("is no list of merges: line 2 has no two parts"));
}
