//! Recordings: every mode and head on sounds that are drawn, bad files, real ones where they are there.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tk_audio::architectures::speech::End;
use tk_audio::architectures::{Config, Start};
use tk_engine::Parameters;
use tk_engine::random::Stream;
use tk_transfer::checkpoint::{Precision, SaveTensor, save};

use crate::support::{Place, assert_one_error, json};

/// A small network with random weights, as transformers writes one.
fn write_network(folder: &Path) {
    let config = json!({
        "architectures": ["ASTForAudioClassification"], "model_type": "audio-spectrogram-transformer", "hidden_size": 32,
        "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64, "patch_size": 16, "max_length": 64,
        "num_mel_bins": 32, "frequency_stride": 10, "time_stride": 10, "id2label": {"0": "x", "1": "y"},
    });
    let front_end =
        json!({"feature_extractor_type": "ASTFeatureExtractor", "num_mel_bins": 32, "max_length": 64});
    write_any(folder, &config, &front_end);
}

/// A network of a configuration with random weights.
fn write_any(folder: &Path, config: &Value, front_end: &Value) {
    fs::create_dir_all(folder).unwrap();
    let (config, front_end) = (config.to_string(), front_end.to_string());
    let start = Start::read(&Config::from_json(&config).unwrap(), Some(&front_end)).unwrap();
    let graph = start.architecture.build(End::Published { classes: 2 }).unwrap();
    let parameters = Parameters::initial(&graph, 5);
    let named: Vec<_> =
        parameters.iter().map(|(name, tensor)| (start.architecture.published_name(name), tensor)).collect();
    let tensors: Vec<SaveTensor> = named
        .iter()
        .map(|(name, tensor)| SaveTensor { name, shape: tensor.shape(), values: tensor.as_f32().unwrap() })
        .collect();
    save(&folder.join("model.safetensors"), &tensors, Precision::F32, &Default::default()).unwrap();
    fs::write(folder.join("config.json"), config).unwrap();
    fs::write(folder.join("preprocessor_config.json"), front_end).unwrap();
}

/// Small networks of the other families: their names, configurations and front ends.
fn families() -> Vec<(&'static str, Value, Value)> {
    let speech = |model_type: &str, class: &str, norm: &str, is_stable: bool| {
        json!({
            "architectures": [class], "model_type": model_type, "hidden_size": 32, "num_hidden_layers": 2,
            "num_attention_heads": 2, "intermediate_size": 64, "conv_dim": [32, 32, 32], "conv_kernel": [10, 8, 4],
            "conv_stride": [5, 4, 4], "num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 4,
            "feat_extract_norm": norm, "do_stable_layer_norm": is_stable, "classifier_proj_size": 16,
            "initializer_range": 0.1, "id2label": {"0": "x", "1": "y"},
        })
    };
    let waves = |is_masked: bool| json!({"feature_extractor_type": "Wav2Vec2FeatureExtractor", "return_attention_mask": is_masked});
    let whisper = json!({
        "architectures": ["WhisperForAudioClassification"], "model_type": "whisper", "d_model": 32, "encoder_layers": 2,
        "encoder_attention_heads": 2, "encoder_ffn_dim": 64, "num_mel_bins": 32, "max_source_positions": 100,
        "classifier_proj_size": 16, "init_std": 0.1, "id2label": {"0": "x", "1": "y"},
    });
    let log_mel =
        json!({"feature_extractor_type": "WhisperFeatureExtractor", "feature_size": 32, "chunk_length": 2});
    vec![
        ("wav2vec2", speech("wav2vec2", "Wav2Vec2ForSequenceClassification", "group", false), waves(false)),
        ("hubert", speech("hubert", "HubertForSequenceClassification", "layer", true), waves(true)),
        ("whisper", whisper, log_mel),
    ]
}

/// A WAV file of 16 bits and one channel.
pub fn wav(samples: &[f64], rate: u32) -> Vec<u8> {
    let length = 2 * samples.len() as u32;
    let mut bytes = b"RIFF".to_vec();
    bytes.extend((36 + length).to_le_bytes());
    bytes.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    bytes.extend(rate.to_le_bytes());
    bytes.extend((2 * rate).to_le_bytes());
    bytes.extend(b"\x02\0\x10\0data");
    bytes.extend(length.to_le_bytes());
    samples.iter().for_each(|sample| bytes.extend(((sample * 32_767.0) as i16).to_le_bytes()));
    bytes
}

/// Half a second of a tone of about this frequency in noise.
fn tone(frequency: f64, number: usize) -> Vec<f64> {
    let mut stream = Stream::new(9, &["tone".into(), (frequency as usize).into(), number.into()]);
    let frequency = frequency * (1.0 + 0.05 * stream.normal());
    let step = std::f64::consts::TAU * frequency / 16_000.0;
    (0..8_000).map(|at| 0.4 * (step * f64::from(at)).sin() + 0.05 * stream.normal()).collect()
}

/// A network, and a folder of low and high tones.
fn place() -> Place {
    let place = Place::new();
    write_network(&place.path("m"));
    for (class, frequency) in [("low", 300.0), ("high", 2400.0)] {
        let folder = place.path(&format!("d/{class}"));
        fs::create_dir_all(&folder).unwrap();
        for number in 0..20 {
            fs::write(folder.join(format!("{number:02}.wav")), wav(&tone(frequency, number), 16_000))
                .unwrap();
        }
    }
    place
}

#[test]
fn every_mode_and_head_trains_predicts_and_is_audited() {
    let place = place();
    for (run, arguments) in [
        ("features", vec![]),
        ("svm", vec!["--head", "svm"]),
        ("mlp", vec!["--head", "mlp"]),
        ("linear", vec!["--head", "linear", "--epochs", "4", "--lr", "0.01"]),
        ("partial", vec!["--mode", "partial", "--epochs", "6"]),
        ("full", vec!["--mode", "full", "--epochs", "6", "--augment", "light"]),
        ("gradual", vec!["--mode", "gradual", "--unfreeze", "last:1", "--epochs", "2"]),
        ("lora", vec!["--mode", "lora", "--epochs", "2", "--mixup", "0.2"]),
    ] {
        place.ok(&[&["audio-classify", "d", "-m", "m", "--val", "25%", "--out", run][..], &arguments].concat());
        let summary = json(&place.path(run).join("summary.json"));
        assert!(summary["metrics"]["accuracy"].as_f64().unwrap() >= 0.9, "{run}: {summary}");
        assert_eq!(
            json(&place.path(run).join("config.json"))["id2label"],
            json!({"0": "high", "1": "low"}),
            "{run}"
        );
        let said = place.ok(&["predict", run, "d/low/00.wav", "d/high/00.wav"]);
        let labels: Vec<Value> = said
            .out
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["label"].clone())
            .collect();
        assert_eq!(labels, ["low", "high"], "{run}");
    }
    assert!(place.path("lora/adapter/adapter_model.safetensors").is_file());
    let scored = place.ok(&["evaluate", "full", "d", "--json", "--gate", "accuracy>=0.9"]);
    let scored: Value = serde_json::from_str(scored.out.lines().last().unwrap()).unwrap();
    assert_eq!(scored["samples"], 40);
    place.ok(&["embed", "features", "d", "-o", "e.npy"]);
    // A run is gone on from, and the same command gives the same bytes.
    let again =
        ["audio-classify", "d", "-m", "full", "--mode", "full", "--epochs", "1", "--val", "25%", "--out"];
    for run in ["a", "b"] {
        place.ok(&[&again[..], &[run]].concat());
    }
    let weights = |run: &str| fs::read(place.path(run).join("model.safetensors")).unwrap();
    assert_eq!(weights("a"), weights("b"));
}

#[test]
fn long_recordings_become_lists_of_events() {
    let place = place();
    place.ok(&["audio-classify", "d", "-m", "m", "--val", "25%", "--out", "run"]);
    let heard = [(300.0, 4), (2400.0, 4), (300.0, 2)];
    let sound: Vec<f64> = heard
        .iter()
        .flat_map(|&(frequency, pieces)| (30..30 + pieces).flat_map(move |number| tone(frequency, number)))
        .collect();
    fs::write(place.path("long.wav"), wav(&sound, 16_000)).unwrap();
    fs::write(place.path("short.wav"), wav(&tone(2400.0, 50)[..5_000], 16_000)).unwrap();
    fs::write(place.path("bad.wav"), "no sound").unwrap();
    let windows = ["--window", "0.5", "--hop", "0.25"];
    let ended = place.tk(&[&["predict", "run", "long.wav", "short.wav", "bad.wav"][..], &windows].concat());
    assert_eq!(ended.code, 3, "{}", ended.err);
    let said: Vec<Value> = ended.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let events = said[0]["events"].as_array().unwrap();
    let expected = [("low", 0.0, 2.0), ("high", 2.0, 4.0), ("low", 4.0, 5.0)];
    assert_eq!(events.len(), expected.len(), "{events:?}");
    for (event, (label, start, end)) in events.iter().zip(expected) {
        assert_eq!(event["label"], label);
        let off = |name: &str, at: f64| (event[name].as_f64().unwrap() - at).abs();
        assert!(off("start", start) < 0.2 && off("end", end) < 0.2, "{event}");
        assert!(event["score"].as_f64().unwrap() > 0.6, "{event}");
    }
    assert_eq!((&events[0]["start"], &events[2]["end"]), (&json!(0.0), &json!(5.0)));
    assert_eq!(
        said[1]["events"],
        json!([{"start": 0.0, "end": 0.3125, "label": "high", "score": said[1]["events"][0]["score"]}])
    );
    assert!(said[2]["error"].is_string());
    // Tables have a line for each event; what is improbable is no event.
    place.ok(&[&["predict", "run", "long.wav", "-o", "e.csv"][..], &windows].concat());
    let table = fs::read_to_string(place.path("e.csv")).unwrap();
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!((lines.len(), lines[0]), (4, "file,start,end,label,score,error"));
    assert!(lines[2].starts_with("long.wav,") && lines[2].contains(",high,"), "{table}");
    let ended = place.ok(&[&["predict", "run", "long.wav", "--min-score", "1"][..], &windows].concat());
    assert_eq!(ended.out.trim(), r#"{"file":"long.wav","events":[]}"#);
    for (arguments, what) in [
        (["run", "long.wav", "--window", "9"], "the network looks at"),
        (["run", "long.wav", "--hop", "9"], "no gap between them"),
        (["small", "long.wav", "--hop", "1"], "does not classify recordings"),
    ] {
        let ended = place.tk(&[&["predict"][..], &arguments].concat());
        assert_one_error(&ended, what);
        assert!(ended.code == 2 && ended.err.contains(what), "{}", ended.err);
    }
}

#[test]
fn every_family_is_probed_and_trained() {
    let place = place();
    // Lengths differ.
    for (class, frequency) in [("low", 300.0), ("high", 2400.0)] {
        for number in 0..10 {
            let file = place.path(&format!("d/{class}/{number:02}.wav"));
            fs::write(file, wav(&tone(frequency, number)[..5000 + 250 * (number % 5)], 16_000)).unwrap();
        }
    }
    for (family, config, front_end) in families() {
        write_any(&place.path(family), &config, &front_end);
        for (mode, arguments) in [
            ("features", vec![]),
            ("mlp", vec!["--head", "mlp"]),
            ("full", vec!["--mode", "full", "--epochs", "4", "--lr", "0.01", "--batch", "8"]),
            ("lora", vec!["--mode", "lora", "--epochs", "2", "--lr", "0.02", "--batch", "8"]),
        ] {
            let run = format!("{family}-{mode}");
            let train =
                ["audio-classify", "d", "-m", family, "--val", "25%", "--max-seconds", "1", "--out", &run];
            place.ok(&[&train[..], &arguments].concat());
            let summary = json(&place.path(&run).join("summary.json"));
            let accuracy = summary["metrics"]["accuracy"].as_f64().unwrap();
            // Two epochs of small pairs beside random weights need not learn.
            assert!(accuracy >= 0.8 || mode == "lora", "{run}: {summary}");
            let said = place.ok(&["predict", &run, "d", "--top", "1"]);
            assert_eq!(said.out.lines().count(), 40, "{run}");
            place.ok(&["embed", &run, "d/low/00.wav", "-o", "e.npy"]);
        }
    }
}

#[test]
fn tables_names_and_several_labels_are_data_as_folders_are() {
    let place = place();
    let mut table = "path,sound,who\n".to_owned();
    fs::create_dir(place.path("flat")).unwrap();
    for class in ["low", "high"] {
        for number in 0..20 {
            let file = format!("d/{class}/{number:02}.wav");
            let tags = if number % 2 == 0 { class.to_owned() } else { format!("{class}|odd") };
            table.push_str(&format!("{file},{tags},w{}\n", number / 5));
            fs::copy(place.path(&file), place.path(&format!("flat/{class}_{number:02}.wav"))).unwrap();
        }
    }
    fs::write(place.path("t.csv"), table).unwrap();
    let several =
        ["audio-classify", "t.csv", "-m", "m", "--label", "sound", "--multi", "--group", "who", "--out", "T"];
    place.ok(&[&several[..], &["--val", "25%"]].concat());
    let summary = json(&place.path("T/summary.json"));
    assert_eq!(
        (&summary["classes"], &summary["samples"]["val"]),
        (&json!(["high", "low", "odd"]), &10.into())
    );
    assert!(summary["metrics"]["map"].as_f64().unwrap() > 0.6, "{summary}");
    let by_name = ["audio-classify", "flat", "-m", "m", "--label", "name:^([a-z]+)_", "--out", "N"];
    // Less of each recording is fewer places, which are kept in the run.
    place.ok(&[&by_name[..], &["--max-seconds", "0.4"]].concat());
    assert_eq!(json(&place.path("N/config.json"))["max_length"], 40);
    assert_eq!(json(&place.path("N/preprocessor_config.json"))["max_length"], 40);
    place.ok(&["predict", "N", "flat/low_03.wav"]);
}

#[test]
fn bad_recordings_are_set_aside_and_said() {
    let place = place();
    let whole = wav(&tone(300.0, 3), 16_000);
    let mut no_rate = whole.clone();
    no_rate[24..28].fill(0);
    let mut unknown_length = whole.clone();
    unknown_length[40..44].fill(0xff);
    let silent = wav(&[0.0; 8000], 16_000);
    for (name, bytes) in [
        ("empty.wav", &b""[..]),
        ("text.wav", b"this is not sound"),
        ("no_rate.wav", &no_rate),
        ("one_sample.wav", &wav(&[0.5], 16_000)),
        ("no_sound.wav", &whole[..40]),
        ("unknown_length.wav", &unknown_length),
        ("cut.wav", &whole[..9_000]),
        ("silent.wav", &silent),
    ] {
        fs::write(place.path(&format!("d/low/{name}")), bytes).unwrap();
    }
    let before: Vec<u8> = fs::read(place.path("d/low/cut.wav")).unwrap();
    let ended =
        place.ok(&["audio-classify", "d", "-m", "m", "--max-bad", "30%", "--val", "25%", "--out", "R"]);
    for expected in [
        "low/empty.wav: cannot be read: the file is empty",
        "low/text.wav: no recording: expected WAV",
        "low/no_rate.wav: the header gives a rate of 0 Hz",
        "low/no_sound.wav: damaged",
    ] {
        assert!(ended.err.contains(expected), "{expected}: {}", ended.err);
    }
    // One sample decodes, and is found to be too short where features are made.
    let summary = json(&place.path("R/summary.json"));
    assert_eq!(summary["quarantined"], 5, "{}", ended.err);
    let aside = fs::read_to_string(place.path("R/quarantine.json")).unwrap();
    assert!(aside.contains("too short: 1 samples at 16000 Hz; expected at least 400"), "{aside}");
    assert_eq!(before, fs::read(place.path("d/low/cut.wav")).unwrap());
    let said = place.tk(&["predict", "R", "d/low/text.wav", "d/low/unknown_length.wav"]);
    assert_eq!(said.code, 3);
    let lines: Vec<Value> = said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines[0]["error"].is_string() && lines[1]["label"] == "low", "{lines:?}");
    let silent = place.ok(&["predict", "R", "d/low/silent.wav"]);
    assert!(silent.err.contains("d/low/silent.wav: silent throughout"), "{}", silent.err);

    for (arguments, expected) in [
        (&["audio-classify", "d/low/00.wav", "-m", "m"][..], "tk predict MODEL"),
        (&["audio-classify", "nowhere", "-m", "m"], "no such file or folder"),
        (&["audio-classify", "d", "-m", "m", "--max-seconds", "5"], "expected at most 0.64 seconds"),
        (&["audio-classify", "d", "-m", "nowhere"], "no such folder"),
        (&["audio-classify", "d", "-m", "m", "--set", "size=4"], "size"),
        (&["predict", "R", "--text", "hello"], "takes recordings"),
    ] {
        let ended = place.tk(arguments);
        assert_eq!(ended.code, 2, "{arguments:?}: {}", ended.err);
        assert_one_error(&ended, expected);
        assert!(ended.err.contains(expected), "{arguments:?}: {}", ended.err);
    }
}

#[test]
fn the_embedded_default_is_probed_trained_and_gone_on_from() {
    let place = place();
    for (run, arguments) in [("probe", vec![]), ("full", vec!["--mode", "full", "--epochs", "2"])] {
        let ended = place.ok(&[&["audio-classify", "d", "--out", run][..], &arguments].concat());
        assert!(ended.err.contains("sound (audio-spectrogram-transformer, 1.61 seconds)"), "{}", ended.err);
        let accuracy = json(&place.path(&format!("{run}/summary.json")))["metrics"]["accuracy"].as_f64();
        assert!(accuracy.unwrap() >= 0.9, "{run}: {accuracy:?}");
        place.ok(&["predict", run, "d/low/00.wav"]);
    }
    place.ok(&["audio-classify", "d", "-m", "full", "--out", "again"]);
}

#[test]
fn real_digits_are_read() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/fsdd/recordings");
    if !data.is_dir() {
        println!("skipped: {} is not there", data.display());
        return;
    }
    let place = Place::new();
    write_network(&place.path("m"));
    let data = data.to_str().unwrap();
    let speakers =
        ["audio-classify", data, "-m", "m", "--label", "name:_([a-z]+)_", "--limit", "300", "--val", "20%"];
    let ended = place.ok(&[&speakers[..], &["--out", "S"]].concat());
    assert!(ended.err.contains("8000 Hz have nothing above 4000 Hz"), "{}", ended.err);
    let accuracy = json(&place.path("S/summary.json"))["metrics"]["accuracy"].as_f64().unwrap();
    // A network of random weights tells six speakers better than by chance, 0.17.
    assert!(accuracy > 0.4, "{accuracy}");
    // What it mistook is seen and heard in the report.
    let report = fs::read_to_string(place.path("S/report.html")).unwrap();
    let [pictures, sounds] =
        ["data:image/jpeg;base64,", "data:audio/wav;base64,UklGR"].map(|kind| report.matches(kind).count());
    assert!(sounds > 0 && pictures == sounds, "{pictures} {sounds}");
}
