//! Ways of training: low-rank pairs.

use tk_transfer::checkpoint::Checkpoint;

use crate::support::{Place, json};

/// Training that is over in a moment.
const QUICK: [&str; 8] = ["--size", "32", "--limit", "32", "--batch", "8", "--val", "25%"];

/// Trains on `d`; returns what was said on the way.
fn train(place: &Place, out: &str, more: &[&str]) -> String {
    place.ok(&[&["image-classify", "d", "--out", out], &QUICK[..], more].concat()).err
}

#[test]
fn low_rank_pairs_on_photographs_leave_a_plain_model_and_an_adapter() {
    let place = Place::new();
    place.draw_few("d", 20);
    let said = train(&place, "R", &["--mode", "lora", "--lora-rank", "2", "--epochs", "2"]);
    assert!(said.contains("low-rank pairs of rank 2 beside 21 layers;"), "{said}");
    let weights = Checkpoint::open(place.path("R/model.safetensors")).unwrap();
    assert!(weights.names().all(|name| !name.contains("lora")));
    let adapter = Checkpoint::open(place.path("R/adapter/adapter_model.safetensors")).unwrap();
    let shape = |name: &str| adapter.info(&format!("base_model.model.{name}")).unwrap().shape.clone();
    let inner = weights.info("layer1.0.conv1.weight").unwrap().shape.clone();
    assert_eq!(shape("layer1.0.conv1.lora_A.weight"), [&[2], &inner[1..]].concat());
    assert_eq!(shape("layer1.0.conv1.lora_B.weight"), [inner[0], 2, 1, 1]);
    assert_eq!(shape("fc.weight")[0], 2);
    let config = json(&place.path("R/adapter/adapter_config.json"));
    assert_eq!((&config["base_model_name_or_path"], &config["r"]), (&"small".into(), &2.into()));
    assert_eq!(config["modules_to_save"], serde_json::json!(["fc"]));
    assert_eq!(config["target_modules"].as_array().unwrap().len(), 21);
    let numbers = &json(&place.path("R/summary.json"))["parameters"];
    assert!(10 * numbers["trained"].as_u64().unwrap() < numbers["total"].as_u64().unwrap(), "{numbers}");
    assert_eq!(place.ok(&["predict", "R", "d/stars"]).out.lines().count(), 20);

    let refused = place.tk(&["image-classify", "d", "--mode", "lora", "--lora-rank", "0", "--out", "Q"]);
    assert_eq!(refused.code, 2, "{}", refused.err);
}
