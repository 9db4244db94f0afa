//! Speech: a language of tones is learned in every mode, bad data are set aside, transcripts have times.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;
use tk_audio::features::Waveform;
use tk_audio::recognition::{Recognizer, SpeechModel, Vocabulary};
use tk_engine::cpu::Machine;
use tk_engine::random::Stream;
use tk_transfer::checkpoint::Precision;

use crate::recordings::wav;
use crate::stopping::{begun, kill_and_resume};
use crate::support::{Place, assert_one_error, json};

/// A small network with random weights that spells these letters, as transformers writes one; `layer` norms frames, else channels over time.
pub fn write_network(folder: &Path, letters: &str, norm: &str) {
    fs::create_dir_all(folder).unwrap();
    let config = serde_json::json!({
        "architectures": ["Wav2Vec2ForCTC"], "model_type": "wav2vec2", "hidden_size": 32, "num_hidden_layers": 2,
        "num_attention_heads": 2, "intermediate_size": 64, "conv_dim": [16, 24, 32], "conv_kernel": [20, 8, 8],
        "conv_stride": [10, 8, 4], "num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 4,
        "feat_extract_norm": norm, "do_stable_layer_norm": norm == "layer", "hidden_dropout": 0.0,
        "attention_dropout": 0.0, "activation_dropout": 0.0, "feat_proj_dropout": 0.0, "final_dropout": 0.0,
    });
    let front_end = Waveform::default();
    let vocabulary = Vocabulary::of_texts([letters]);
    let model = SpeechModel::random(&config.to_string(), front_end, vocabulary, 3).unwrap();
    let recognizer = Recognizer::new(model, &Machine::new(1)).unwrap();
    recognizer.save(folder, Precision::F32, Default::default(), "").unwrap();
    fs::remove_file(folder.join("transfer.json")).unwrap();
}

/// A text as sound: each letter a tone of a tenth of a second, a space a pause of a tenth to nine tenths.
fn spoken(text: &str, number: usize) -> Vec<f64> {
    let mut stream = Stream::new(4, &["spoken".into(), number.into()]);
    let mut sound = Vec::new();
    for letter in text.chars() {
        let (loudness, length) =
            if letter == ' ' { (0.0, 1600 + 6400 * (number / 6 % 3)) } else { (0.4, 1600) };
        let step =
            std::f64::consts::TAU * f64::from(400 + 500 * (letter as u32).saturating_sub(97)) / 16_000.0;
        sound.extend((0..length).map(|at| loudness * (step * at as f64).sin() + 0.01 * stream.normal()));
    }
    sound
}

const TEXTS: [&str; 6] = ["ab", "ba", "ca", "cab", "bc ab", "ac b"];

/// Networks `m` and `g`, and a table of recordings by two speakers.
pub fn place() -> Place {
    let place = Place::new();
    write_network(&place.path("m"), "abc", "layer");
    write_network(&place.path("g"), "abc", "group");
    fs::create_dir_all(place.path("d")).unwrap();
    let mut table = String::from("path,text,speaker,split\n");
    for number in 0..72 {
        let text = TEXTS[number % TEXTS.len()];
        fs::write(place.path(&format!("d/{number:02}.wav")), wav(&spoken(text, number), 16_000)).unwrap();
        let split = if number < 60 { "train" } else { "val" };
        table.push_str(&format!("{number:02}.wav,{text},s{},{split}\n", number % 2));
    }
    fs::write(place.path("d/all.csv"), table).unwrap();
    place
}

/// `summary.json`: how it went.
fn summary(place: &Place, run: &str) -> Value {
    json(&place.path(&format!("{run}/summary.json")))
}

/// What is learned well in seconds.
const LEARN: [&str; 8] = ["speech-finetune", "d/all.csv", "--epochs", "30", "--lr", "0.01", "--batch", "12"];

fn learn<'a>(model: &'a str, out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&LEARN[..], &["-m", model, "--out", out, "--augment", "none"], more].concat()
}

#[test]
fn a_language_of_tones_is_learned_and_transcribed_with_times() {
    let place = place();
    for network in ["m", "g"] {
        let run = format!("R-{network}");
        let ended = place.ok(&learn(network, &run, &["--mode", "full"]));
        assert!(ended.out.starts_with("WER ") && ended.out.contains("audit ok"), "{}", ended.out);
        let summary = summary(&place, &run);
        assert!(summary["metrics"]["wer"].as_f64().unwrap() <= 0.1, "{network}: {summary}");
        place.ok(&["evaluate", &run, "d/all.csv", "--gate", "wer<=0.1"]);
        assert_eq!(place.tk(&["evaluate", &run, "d/all.csv", "--gate", "wer>=0.9"]).code, 4);
    }
    // Pauses of nine tenths of a second part passages.
    fs::write(place.path("two.wav"), wav(&spoken("bc ab", 13), 16_000)).unwrap();
    let ended = place.ok(&["predict", "R-m", "two.wav"]);
    let heard: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(heard["text"], "bc ab", "{heard}");
    assert_eq!(heard["passages"].as_array().unwrap().len(), 2, "{heard}");
    let second = &heard["passages"][1];
    assert!((second["start"].as_f64().unwrap() - 1.1).abs() < 0.1, "{second}");
    assert_eq!(second["words"][0]["word"], "ab");
    place.ok(&["predict", "R-m", "two.wav", "-o", "two.srt"]);
    let srt = fs::read_to_string(place.path("two.srt")).unwrap();
    assert!(srt.contains("-->") && srt.contains("\nbc\n") && srt.contains("\nab\n"), "{srt}");
    place.ok(&["predict", "R-m", "two.wav", "-o", "two.TextGrid"]);
    assert!(fs::read_to_string(place.path("two.TextGrid")).unwrap().contains("text = \"bc\""));
    let beam: Value =
        serde_json::from_str(&place.ok(&["predict", "R-m", "two.wav", "--beam", "8"]).out).unwrap();
    assert_eq!(beam["text"], heard["text"]);
    let frames: Value =
        serde_json::from_str(&place.ok(&["predict", "R-m", "two.wav", "--logits"]).out).unwrap();
    assert_eq!(frames["logits"][0].as_array().unwrap().len(), frames["symbols"].as_array().unwrap().len());

    // A long recording is heard in windows, about as well, though the network knew none of its length.
    let sentences = ["bc ab", "ac b"];
    let said: Vec<&str> = (0..90).map(|number| sentences[number * 7 % 3 % 2]).collect();
    let pause = vec![0.0; 1600];
    let sound =
        said.iter().enumerate().flat_map(|(at, sentence)| [spoken(sentence, at), pause.clone()].concat());
    let sound: Vec<f64> = sound.collect();
    assert!(sound.len() > 70 * 16_000);
    fs::write(place.path("long.wav"), wav(&sound, 16_000)).unwrap();
    let heard: Value = serde_json::from_str(&place.ok(&["predict", "R-m", "long.wav"]).out).unwrap();
    let letters = |text: &str| text.replace(' ', "");
    let (heard, said) = (letters(heard["text"].as_str().unwrap()), letters(&said.concat()));
    let wrong = tk_transfer::metrics::character_edits(&said, &heard).distance();
    assert!(wrong * 8 < said.len(), "{wrong} of {} letters", said.len());
}

#[test]
fn every_mode_trains_what_it_says_and_nothing_else() {
    let place = place();
    for (run, arguments) in [
        ("features", vec!["--mode", "features", "--epochs", "2"]),
        ("partial", vec!["--epochs", "2"]),
        ("last", vec!["--unfreeze", "last:1", "--epochs", "2"]),
        ("gradual", vec!["--mode", "gradual", "--unfreeze", "last:2", "--epochs", "3"]),
        ("lora", vec!["--mode", "lora", "--epochs", "2"]),
        ("patient", vec!["--patience", "1", "--epochs", "3", "--augment", "standard"]),
        ("scratch", vec!["--from-scratch", "--mode", "full", "--epochs", "2"]),
    ] {
        let common = ["speech-finetune", "d/all.csv", "-m", "m", "--batch", "16", "--out", run];
        let ended = place.ok(&[&common[..], &arguments].concat());
        assert!(ended.out.contains("audit ok"), "{run}: {}", ended.out);
        let summary = summary(&place, run);
        let trained = summary["parameters"]["trained"].as_u64().unwrap();
        let total = summary["parameters"]["total"].as_u64().unwrap();
        assert_eq!(trained == total, run == "scratch", "{run}: {trained} of {total}");
        assert_eq!(ended.err.contains("random weights"), run == "scratch", "{}", ended.err);
        place.ok(&["predict", run, "d/00.wav"]);
        for file in ["config.json", "vocab.json", "preprocessor_config.json", "report.html", "heard.jsonl"] {
            assert!(place.path(&format!("{run}/{file}")).is_file(), "{run}/{file}");
        }
    }
    assert!(place.path("lora/adapter/adapter_model.safetensors").is_file());
    // A run is gone on from, with its symbols.
    let ended =
        place.ok(&["speech-finetune", "d/all.csv", "-m", "partial", "--epochs", "1", "--out", "again"]);
    assert!(ended.err.contains("8 symbols"), "{}", ended.err);
    let report = fs::read_to_string(place.path("again/report.html")).unwrap();
    assert!(report.contains("Word error rate") && report.contains("What was not heard right"));
    for (arguments, expected) in [
        (vec!["--head", "mlp"], "`head` is no setting"),
        (vec!["--val", "5fold"], "fold"),
        (vec!["--monitor", "accuracy"], "is no score of these data; expected wer, cer or loss"),
        (vec!["--vocabulary", "nowhere.txt"], "nowhere.txt"),
        (vec!["--max-seconds", "0"], "--max-seconds"),
    ] {
        let common = ["speech-finetune", "d/all.csv", "-m", "m", "--out", "never"];
        assert_one_error(&place.tk(&[&common[..], &arguments].concat()), expected);
    }
}

#[test]
fn what_cannot_be_aligned_is_set_aside_before_training() {
    let place = place();
    let mut table = fs::read_to_string(place.path("d/all.csv")).unwrap();
    let bytes = fs::read(place.path("d/00.wav")).unwrap();
    for (name, bytes) in [
        ("empty", bytes.clone()),
        ("script", bytes.clone()),
        ("short", wav(&spoken("a", 1)[..900], 16_000)),
        ("one", wav(&[0.1], 16_000)),
        ("renamed", b"no sound at all".to_vec()),
        ("cut", bytes[..bytes.len() / 2].to_vec()),
        ("rate", [&bytes[..24], &[0; 4], &bytes[28..]].concat()),
    ] {
        fs::write(place.path(&format!("d/{name}.wav")), bytes).unwrap();
        let text = match name {
            "empty" => "",
            "script" => "ვა",
            "short" => "abcabcabc",
            _ => "ab",
        };
        table.push_str(&format!("{name}.wav,{text},s0,train\n"));
    }
    table.push_str("absent.wav,ab,s0,train\n");
    fs::write(place.path("d/bad.csv"), table).unwrap();
    let common = ["speech-finetune", "d/bad.csv", "-m", "m", "--epochs", "1", "--vocabulary", "model"];
    let few = place.tk(&[&common[..], &["--out", "few"]].concat());
    assert_one_error(&few, "of 80 samples cannot be used");
    let ended = place.ok(&[&common[..], &["--out", "R", "--max-bad", "20%"]].concat());
    let quarantine: Vec<Value> = serde_json::from_value(json(&place.path("R/quarantine.json"))).unwrap();
    let reason = |name: &str| {
        let found = quarantine.iter().find(|entry| entry["id"].as_str().unwrap().contains(name));
        found.map(|entry| entry["reason"].as_str().unwrap().to_owned())
    };
    for (name, expected) in [
        ("script", "which the vocabulary does not spell"),
        ("short", "too much text for so short a recording"),
        ("one", "frames and it has 0"),
        ("renamed", "no recording"),
        ("rate", "rate of 0 Hz"),
    ] {
        assert!(reason(name).is_some_and(|reason| reason.contains(expected)), "{name}: {quarantine:?}");
    }
    // The row without a text and the one without a file are known by their lines.
    assert_eq!(quarantine.len(), 7, "{quarantine:?}");
    assert_eq!(summary(&place, "R")["quarantined"], 7);
    assert!(ended.err.contains("aside"), "{}", ended.err);
}

#[test]
fn file_names_say_texts_and_tables_of_words_write_them_out() {
    let place = place();
    fs::create_dir_all(place.path("n")).unwrap();
    for number in 0..24 {
        let (word, text) = [("1", "ab"), ("2", "ba"), ("3", "ca")][number % 3];
        let name = format!("n/{word}_s{}_{number}.wav", number % 2);
        fs::write(place.path(&name), wav(&spoken(text, number), 16_000)).unwrap();
    }
    fs::write(place.path("words.csv"), "1,ab\n2,ba\n3,ca\n").unwrap();
    let common = [
        "speech-finetune",
        "n",
        "-m",
        "m",
        "--epochs",
        "1",
        "--label",
        r"name:^(\d)_",
        "--group",
        r"name:_(s\d)_",
    ];
    let ended = place.ok(&[&common[..], &["--words", "words.csv", "--val", "50%", "--out", "R"]].concat());
    assert!(ended.err.contains("8 symbols"), "{}", ended.err);
    let heard = fs::read_to_string(place.path("R/heard.jsonl")).unwrap();
    let speakers: BTreeSet<&str> =
        ["_s0_", "_s1_"].into_iter().filter(|speaker| heard.contains(*speaker)).collect();
    assert_eq!((heard.lines().count(), speakers.len()), (12, 1), "a speaker is on one side: {heard}");
    assert!(heard.contains("\"said\":\"ab\""), "{heard}");
    // Without them the digits are symbols, and of the model's layer the rows of what both know are kept.
    let ended = place.ok(&[&common[..], &["--out", "D"]].concat());
    assert!(ended.err.contains("8 symbols"), "{}", ended.err);
    fs::write(place.path("words.csv"), "1 2 3\nx\n").unwrap();
    let wrong = place.tk(&[&common[..], &["--words", "words.csv", "--out", "never"]].concat());
    assert_one_error(&wrong, "words.csv, line 2");
}

#[test]
fn the_embedded_default_is_taken_shown_and_gone_on_from() {
    let place = place();
    assert!(place.ok(&["models", "list"]).out.contains("speech "));
    let shown = place.ok(&["models", "show", "speech"]).out;
    assert!(shown.contains("speech: wav2vec2, 16000 Hz, 32 symbols") && shown.contains("lm_head"), "{shown}");
    let heard = place.ok(&["predict", "speech", "d/00.wav"]).out;
    assert!(serde_json::from_str::<Value>(&heard).unwrap()["text"].is_string(), "{heard}");
    let learn = ["speech-finetune", "d/all.csv", "--epochs", "1", "--limit", "12", "--augment", "none"];
    let ended = place.ok(&[&learn[..], &["--out", "run"]].concat());
    assert!(ended.err.contains("speech (wav2vec2, 16000 Hz, 32 symbols)"), "{}", ended.err);
    place.ok(&[&learn[..], &["-m", "run", "--out", "again"]].concat());
    // A folder of the same name, of data or of a run, does not stand in its way.
    place.ok(&[&learn[..], &["--out", "speech"]].concat());
    place.ok(&[&learn[..], &["--out", "other"]].concat());
    assert!(fs::read_to_string(place.path("other/run.toml")).unwrap().contains("model = \"speech\""));
    let weights = |run: &str| fs::read(place.path(run).join("model.safetensors")).unwrap();
    assert_eq!(weights("speech"), weights("other"));
    let [ours, named] = ["./speech", "speech"].map(|run| place.ok(&["predict", run, "d/00.wav"]).out);
    assert_eq!(ours, named);
}

/// What pretraining is worth: with one recording of each digit by each of six people, the same passes from random values spell nothing.
#[test]
fn the_embedded_default_learns_real_digits_from_few() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/fsdd/recordings");
    if !data.is_dir() {
        println!("skipped: {} is not there", data.display());
        return;
    }
    let words = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
    let mut table = String::from("path,text,split\n");
    for (digit, word) in words.iter().enumerate() {
        for speaker in ["george", "jackson", "lucas", "nicolas", "theo", "yweweler"] {
            for (number, split) in [(5, "train"), (6, "val")] {
                let path = data.join(format!("{digit}_{speaker}_{number}.wav"));
                table.push_str(&format!("{},{word},{split}\n", path.display()));
            }
        }
    }
    let place = Place::new();
    fs::write(place.path("digits.csv"), table).unwrap();
    let learn = ["speech-finetune", "digits.csv", "--mode", "full", "--epochs", "30"];
    place.ok(&[&learn[..], &["--out", "R"]].concat());
    place.ok(&[&learn[..], &["--from-scratch", "--out", "S"]].concat());
    let wer = |run: &str| summary(&place, run)["metrics"]["wer"].as_f64().unwrap();
    assert!(wer("R") < 0.6 && wer("S") > wer("R") + 0.2, "{} {}", wer("R"), wer("S"));
}

#[test]
fn a_killed_run_goes_on_to_the_same_bytes() {
    let place = place();
    let training = |out: &'static str| {
        let data = ["speech-finetune", "d/all.csv", "-m", "m", "--epochs", "4", "--batch", "12"];
        [&data[..], &["--augment", "standard", "--out", out]].concat()
    };
    place.ok(&training("A"));
    let child = begun(&place, "B", &[&training("B")[..], &["--checkpoint-every", "0"]].concat());
    kill_and_resume(&place, child, "B", "A");
}
