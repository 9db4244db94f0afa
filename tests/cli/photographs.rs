//! Real photographs, where they are there: ants and bees.

use std::path::Path;

use serde_json::Value;

use crate::support::{Place, json};

#[test]
fn ants_and_bees_are_told_apart() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/ants-bees");
    if !data.is_dir() {
        println!("skipped: {} is not there", data.display());
        return;
    }
    let data = data.to_str().unwrap();
    let place = Place::new();
    let ended = place.ok(&["image-classify", data, "--size", "96", "--out", "R"]);
    assert!(ended.err.contains("1 unlike the rest (GIF)"), "{}", ended.err);
    let summary = json(&place.path("R/summary.json"));
    // The placeholder decodes, so it is kept and counted.
    assert_eq!((&summary["samples"]["train"], &summary["samples"]["val"]), (&245.into(), &153.into()));
    assert_eq!(summary["quarantined"], 0);
    let accuracy = summary["metrics"]["accuracy"].as_f64().unwrap();
    assert!(accuracy > 0.55, "better than always saying the commoner class: {accuracy}");
    let page = std::fs::read_to_string(place.path("R/report.html")).unwrap();
    assert!(page.contains("imageNotFound.gif"));
    let ended = place.ok(&["predict", "R", &format!("{data}/val/bees")]);
    let labels: Vec<Value> = ended.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(labels.len(), 83);
    assert!(labels.iter().filter(|line| line["label"] == "bees").count() > 41);
}
