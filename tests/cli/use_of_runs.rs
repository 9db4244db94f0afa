//! What is done with a finished run: predict, evaluate, embed, show.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::Stdio;

use serde_json::Value;
use tk_image::catalog::imagenet_classes;
use tk_image::model::{Head, Model, Origin};
use tk_transfer::checkpoint::{Precision, SaveTensor, save};

use crate::support::{Place, ended, json};
use crate::texts::write_encoder;

fn place_with_run() -> Place {
    let place = Place::new();
    place.draw_few("d", 15);
    place.ok(&["image-classify", "d", "--size", "48", "--out", "R"]);
    place
}

#[test]
fn failures_are_lines_of_their_own_and_the_others_are_written() {
    let place = place_with_run();
    std::fs::write(place.path("bad.jpg"), "not a picture").unwrap();
    let run = place.tk(&["predict", "R", "d/stars/00.jpg", "bad.jpg", "d/rings/00.jpg", "none.jpg"]);
    assert_eq!(run.code, 3, "{}", run.err);
    let lines: Vec<Value> = run.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 4);
    assert!(lines[0]["label"].is_string() && lines[2]["label"].is_string());
    assert!(lines[1]["error"].is_string() && lines[3]["error"].is_string());
    assert_eq!(lines[1]["file"], "bad.jpg");
}

#[test]
fn predictions_go_to_files_and_come_from_lists() {
    let place = place_with_run();
    let ended_run = place.ok(&["predict", "R", "d", "--top", "1", "--min-score", "1.0"]);
    for line in ended_run.out.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["probabilities"].as_object().unwrap().len(), 1);
        assert!(line["label"] == "unknown" || line["score"] == 1.0, "{line}");
    }
    for line in place.ok(&["predict", "R", "d/stars/00.jpg", "--logits"]).out.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let number = |field: &str, class: &str| line[field][class].as_f64().unwrap();
        let odds = number("probabilities", "stars") / number("probabilities", "rings");
        let margin = number("logits", "stars") - number("logits", "rings");
        assert!((odds.ln() - margin).abs() < 1e-4, "{line}");
    }
    place.ok(&["predict", "R", "d", "-o", "p.csv"]);
    let csv = std::fs::read_to_string(place.path("p.csv")).unwrap();
    assert_eq!(csv.lines().next(), Some("file,label,score,rings,stars,error"));
    assert!(csv.lines().all(|line| line.split(',').count() == 6), "{csv}");
    assert_eq!(place.tk(&["predict", "R", "d", "-o", "p.xlsx"]).code, 2);
    let mut child = place
        .command(&["predict", "R", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"d/stars/00.jpg\nd/rings/00.jpg\n").unwrap();
    let listed = ended(&child.wait_with_output().unwrap());
    assert_eq!((listed.code, listed.out.lines().count()), (0, 2), "{}", listed.err);
}

#[test]
fn gates_decide_the_exit_code() {
    let place = place_with_run();
    for (gate, code) in [("accuracy>=0", 0), ("accuracy>=1.01", 4), ("accuracy>0.5", 2), ("acuracy>=0.5", 2)]
    {
        assert_eq!(place.tk(&["evaluate", "R", "d", "--gate", gate]).code, code, "{gate}");
    }
    let ended = place.ok(&["evaluate", "R", "d", "--json"]);
    let scores: Value = serde_json::from_str(ended.out.trim()).unwrap();
    assert_eq!((&scores["samples"], &scores["part"]), (&30.into(), &"all".into()));
    // A class that the run does not know.
    std::fs::rename(place.path("d/stars"), place.path("d/moons")).unwrap();
    assert_eq!(place.tk(&["evaluate", "R", "d"]).code, 3);
}

#[test]
fn features_are_written_in_three_formats() {
    let place = place_with_run();
    for name in ["f.safetensors", "f.npy", "f.csv"] {
        place.ok(&["embed", "R", "d", "-o", name]);
    }
    let npy = std::fs::read(place.path("f.npy")).unwrap();
    let header = String::from_utf8_lossy(&npy[10..128]).into_owned();
    let shape = header.split_once("'shape': (30, ").unwrap().1;
    let width: usize = shape.split_once(')').unwrap().0.parse().unwrap();
    assert_eq!(npy.len(), 128 + 30 * width * 4);
    let first = f32::from_le_bytes(npy[128..132].try_into().unwrap());
    let csv = std::fs::read_to_string(place.path("f.csv")).unwrap();
    let row: Vec<&str> = csv.lines().nth(1).unwrap().split(',').collect();
    assert_eq!((row.len(), row[1].parse::<f32>().unwrap()), (width + 1, first));
    let bytes = std::fs::read(place.path("f.safetensors")).unwrap();
    assert!(bytes.ends_with(&npy[npy.len() - 30 * width * 4..]));
}

#[test]
fn models_are_listed_and_shown() {
    let place = Place::new();
    let listed = place.ok(&["models", "list"]).out;
    assert!(listed.contains("small") && listed.contains("resnet50") && listed.contains("mobilenetv2_100"));
    let shown = place.ok(&["models", "show", "resnet50", "--json"]).out;
    let shown: Value = serde_json::from_str(shown.trim()).unwrap();
    let names: Vec<&str> =
        shown["stages"].as_array().unwrap().iter().map(|stage| stage["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["stem", "layer1", "layer2", "layer3", "layer4", "pool", "head"]);
    assert_eq!(shown["published"]["licence"], "Apache-2.0");
    assert_eq!(place.tk(&["models", "show", "resnet51"]).code, 2);
    let shown = place.ok(&["models", "show", "vit_small_patch14_dinov2"]).out;
    for part in
        ["384 features, 0 classes", "timm/vit_small_patch14_dinov2.lvd142m", "518, bicubic", "  blocks.11 "]
    {
        assert!(shown.contains(part), "{part}: {shown}");
    }
}

#[test]
fn speed_is_measured_and_no_operation_lacks_a_kernel() {
    let place = Place::new();
    let measured = place.ok(&["bench", "small", "--batch", "2", "--size", "32", "--json"]).out;
    let measured: Value = serde_json::from_str(measured.trim()).unwrap();
    assert!(measured["inference_per_second"].as_f64().unwrap() > 0.0);
    assert!(measured["training_per_second"].as_f64().unwrap() > 0.0);
    assert_eq!(measured["fallbacks"], Value::Array(Vec::new()));

    write_encoder(&place.path("m"));
    let arguments = ["bench", "m", "--batch", "2", "--tokens", "8", "--only", "training", "--json"];
    let measured: Value = serde_json::from_str(place.ok(&arguments).out.trim()).unwrap();
    assert!(measured["training_per_second"].as_f64().unwrap() > 0.0);
    assert_eq!((&measured["size"], &measured["inference_per_second"]), (&"8 tokens".into(), &Value::Null));
    assert_eq!(measured["fallbacks"], Value::Array(Vec::new()));
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let place = Place::new();
    let mut child =
        place.command(&["models", "list"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let run = ended(&child.wait_with_output().unwrap());
    assert!(!run.err.contains("panicked") && !run.err.contains("error"), "{}", run.err);
}

#[test]
fn a_test_part_is_scored_once_at_the_end() {
    let place = Place::new();
    place.draw_few("d", 20);
    place.ok(&["image-classify", "d", "--size", "48", "--test", "25%", "--out", "R"]);
    let summary = json(&place.path("R/summary.json"));
    assert_eq!((&summary["samples"]["train"], &summary["samples"]["test"]), (&30.into(), &10.into()));
    assert!(summary["test"]["accuracy"].is_number());
}

#[test]
fn shells_are_told_the_commands() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = place.ok(&["completions", shell]).out;
        assert!(script.contains("image-classify") && script.contains("unfreeze"), "{shell}");
    }
    assert_eq!(place.tk(&["completions", "cmd"]).code, 2);
}

/// A checkpoint of a published network's names and shapes, its values random.
fn write_weights(place: &Place, architecture: &str, head: Head) -> String {
    let model = Model::open(&Origin::Random(architecture.to_owned()), head).unwrap();
    let tensors: Vec<SaveTensor<'_>> = model
        .graph
        .parameters()
        .iter()
        .filter(|spec| head == Head::Published || !spec.name.starts_with("head."))
        .map(|spec| {
            let values = model.parameters.get(&spec.name).unwrap().as_f32().unwrap();
            SaveTensor { name: &spec.name, shape: &spec.shape, values }
        })
        .collect();
    let path = place.path("weights.safetensors");
    save(&path, &tensors, Precision::F32, &BTreeMap::new()).unwrap();
    path.display().to_string()
}

#[test]
fn published_classifiers_answer_with_their_own_labels() {
    let place = Place::new();
    place.draw_few("d", 1);
    let weights = write_weights(&place, "mobilenetv2_050", Head::Published);
    let by_name = ["predict", "mobilenetv2_050", "d/stars/00.jpg", "--weights", &weights];
    let said = place.ok(&by_name).out;
    let line: Value = serde_json::from_str(said.trim()).unwrap();
    let shares = line["probabilities"].as_object().unwrap();
    assert_eq!((shares.len(), shares.keys().next()), (5, line["label"].as_str().map(str::to_owned).as_ref()));
    assert!(imagenet_classes().any(|name| line["label"] == name), "{line}");
    let falling: Vec<f64> = shares.values().map(|share| share.as_f64().unwrap()).collect();
    assert!(falling.is_sorted_by(|a, b| a >= b), "{line}");

    assert_eq!(place.ok(&["predict", &format!("mobilenetv2_050={weights}"), "d/stars/00.jpg"]).out, said);
    let all = place.ok(&[&by_name[..], &["--top", "1000"]].concat()).out;
    let all: Value = serde_json::from_str(all.trim()).unwrap();
    assert_eq!(all["probabilities"].as_object().unwrap().len(), 1000);
    assert_eq!(place.tk(&["predict", "nonesuch", "d/stars/00.jpg", "--weights", &weights]).code, 2);
}

#[test]
fn weights_without_a_classifier_have_features_and_no_answers() {
    let place = Place::new();
    place.draw_few("d", 6);
    let weights = write_weights(&place, "deit_tiny_patch16_224", Head::New { classes: 2, seed: 3 });
    let model = format!("deit_tiny_patch16_224={weights}");
    let refused = place.tk(&["predict", &model, "d/stars/00.jpg"]);
    assert!(refused.code == 1 && refused.err.contains("has features but no classifier"), "{}", refused.err);
    place.ok(&["embed", &model, "d/stars/00.jpg", "-o", "f.npy"]);
    // At another size than the embeddings of places were trained for.
    place.ok(&["image-classify", "d", "-m", &model, "--size", "32", "--out", "R"]);
    let config: Value =
        serde_json::from_str(&std::fs::read_to_string(place.path("R/config.json")).unwrap()).unwrap();
    assert_eq!((&config["model_args"]["img_size"], &config["global_pool"]), (&32.into(), &"token".into()));
    assert_eq!(place.ok(&["predict", "R", "d"]).out.lines().count(), 12);
    let refused = place.tk(&["image-classify", "d", "-m", &model, "--size", "40", "--out", "S"]);
    assert!(refused.code == 2 && refused.err.contains("multiples of 16 pixels"), "{}", refused.err);
}
