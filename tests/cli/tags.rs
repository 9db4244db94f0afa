//! `tk text-tag` and what is done with its runs, on a small encoder with random weights.

use std::fs;

use serde_json::{Value, json};

use crate::stopping::{begun, kill_and_resume};
use crate::support::{Place, json as read_json};
use crate::texts::write_encoder;

/// Sentences in which `good` and `great` are a quality, and `the film` is a thing.
fn sentences(count: usize) -> String {
    (0..count)
        .map(|number| {
            let quality = ["good", "great"][number % 2];
            let more = "and\tO\nlong\tO\n".repeat(number % 3);
            format!("the\tB-thing\nfilm\tI-thing\nis\tO\n{quality}\tB-quality\n{more}\n")
        })
        .collect()
}

fn place() -> Place {
    let place = Place::new();
    write_encoder(&place.path("m"));
    fs::create_dir_all(place.path("d")).unwrap();
    fs::write(place.path("d/train.conll"), sentences(60)).unwrap();
    let odd = "film\tI-thing\n\nawful\tB-fault\n\nbroken\n";
    fs::write(place.path("d/dev.conll"), sentences(12) + odd).unwrap();
    place
}

#[test]
fn every_mode_trains_tags_and_is_audited() {
    let place = place();
    for (mode, more) in [
        ("full", &["--epochs", "30", "--lr", "3e-3", "--batch", "8"][..]),
        ("features", &["--epochs", "2"]),
        ("partial", &["--unfreeze", "last:1", "--epochs", "2"]),
        ("gradual", &["--epochs", "4"]),
        ("lora", &["--epochs", "2"]),
    ] {
        let ended = place.ok(&[&["text-tag", "d", "-m", "m", "--mode", mode, "--out", mode], more].concat());
        assert!(ended.out.contains("audit ok"), "{mode}: {}", ended.out);
        assert!(ended.err.contains("1 entities begin with I-"), "{}", ended.err);
        let summary = read_json(&place.path(mode).join("summary.json"));
        assert_eq!((&summary["task"], &summary["quarantined"]), (&json!("text-tag"), &json!(2)), "{summary}");
        let expected = ["O", "B-quality", "I-quality", "B-thing", "I-thing"];
        assert_eq!(summary["classes"], json!(expected));
        // What a folder tells is what the run that wrote it measured.
        let scored = place.ok(&["evaluate", mode, "d", "--json"]);
        let scored: Value = serde_json::from_str(scored.out.lines().last().unwrap()).unwrap();
        assert_eq!(scored["metrics"], summary["metrics"], "{mode}");
        let config = read_json(&place.path(mode).join("config.json"));
        assert_eq!(config["architectures"], json!(["BertForTokenClassification"]));
    }
    let aside = read_json(&place.path("full/quarantine.json")).to_string();
    for reason in
        ["B-fault` of `awful` is in no training sentence", "expected a word and its tag, found `broken`"]
    {
        assert!(aside.contains(reason), "{aside}");
    }
    assert!(place.path("lora/adapter/adapter_model.safetensors").is_file());
    let learned = read_json(&place.path("full/summary.json"));
    assert!(learned["metrics"]["f1"].as_f64().unwrap() > 0.9, "{learned}");
    let report = fs::read_to_string(place.path("full/report.html")).unwrap();
    assert!(report.contains("quality (12 there)") && report.contains("entities quality, thing"), "report");

    let ended = place.ok(&["predict", "full", "--text", "the film is great and long"]);
    let line: Value = serde_json::from_str(ended.out.trim()).unwrap();
    let found: Vec<String> = line["entities"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entity| format!("{} {} {}–{}", entity["label"], entity["text"], entity["start"], entity["end"]))
        .collect();
    assert!(found.contains(&"\"thing\" \"the film\" 0–8".to_owned()), "{line}");
    assert!(found.contains(&"\"quality\" \"great\" 12–17".to_owned()), "{line}");
    // A run is gone on from, with its tags.
    let ended = place.ok(&["text-tag", "d", "-m", "full", "--epochs", "1", "--lr", "1e-6", "--out", "on"]);
    assert!(ended.err.contains("kept"), "{}", ended.err);
    let on = read_json(&place.path("on/summary.json"));
    assert!(on["metrics"]["f1"].as_f64().unwrap() > 0.9, "{on}");
    let shown = place.ok(&["models", "show", "full"]).out;
    assert!(shown.contains("bert, 24 tokens") && shown.contains("5 classes"), "{shown}");
}

#[test]
fn long_sentences_are_seen_in_windows_and_a_killed_run_goes_on_to_the_same_bytes() {
    let place = place();
    // The encoder takes 24 tokens; these sentences have hundreds.
    let long = sentences(60).replace("\n\n", "\n") + "\n";
    fs::write(place.path("d/test.conll"), &long).unwrap();
    fs::write(place.path("d/train.conll"), sentences(60) + &long).unwrap();
    let arguments =
        ["text-tag", "d", "-m", "m", "--epochs", "20", "--lr", "3e-3", "--batch", "8", "--seed", "5"];
    place.ok(&[&arguments[..], &["--out", "whole"]].concat());
    let summary = read_json(&place.path("whole/summary.json"));
    assert_eq!(summary["samples"]["test"], 1);
    assert!(summary["test"]["f1"].as_f64().unwrap() > 0.9, "{summary}");
    let more = ["--checkpoint-every", "0", "--out", "killed"];
    let child = begun(&place, "killed", &[&arguments[..], &more].concat());
    kill_and_resume(&place, child, "killed", "whole");
    let bytes = |run: &str, file: &str| fs::read(place.path(run).join(file)).unwrap();
    for file in ["model.safetensors", "tagged.jsonl"] {
        assert!(bytes("whole", file) == bytes("killed", file), "{file}");
    }
}

#[test]
fn what_cannot_be_is_one_clear_line() {
    let place = place();
    fs::write(place.path("spans.jsonl"), r#"{"text": "a film", "entities": [[0, 3, "x"], [2, 6, "y"]]}"#)
        .unwrap();
    fs::create_dir_all(place.path("empty")).unwrap();
    for (data, more, code, expected) in [
        ("nowhere", &[][..], 2, "no such file or folder: `nowhere`"),
        ("empty", &[], 3, "holds no tagged words"),
        ("spans.jsonl", &[], 3, "entities overlap: 0–3 `x` and 2–6 `y`"),
        ("d", &["--head", "svm"], 2, "`head` is no setting of text-tag"),
        ("d", &["--max-tokens", "3"], 2, "tokens"),
    ] {
        let ended = place.tk(&[&["text-tag", data, "-m", "m", "--out", "r"], more].concat());
        assert!(
            ended.code == code && ended.err.contains(expected),
            "{data} {more:?}: {} {}",
            ended.code,
            ended.err
        );
    }
}

#[test]
fn without_a_model_the_embedded_encoder_is_taken() {
    let place = place();
    place.ok(&["text-tag", "d", "--mode", "features", "--epochs", "1", "--out", "r"]);
    assert_eq!(read_json(&place.path("r/config.json"))["hidden_size"], 160);
    place.ok(&["predict", "r", "--text", "an awful film"]);
}
