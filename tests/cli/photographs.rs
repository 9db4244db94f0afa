//! Photographs in folders and tables; real ones, where they are there: ants and bees.

use std::path::Path;

use serde_json::Value;

use crate::support::{Place, json};

#[test]
fn tables_and_names_are_data_as_folders_are() {
    let place = Place::new();
    let data = place.draw_few("d", 20);
    let mut table = String::from("path,what,roll\n");
    std::fs::create_dir(place.path("flat")).unwrap();
    for class in ["rings", "stars"] {
        for number in 0..20 {
            let file = format!("{number:02}.{}", if number % 4 == 3 { "png" } else { "jpg" });
            table.push_str(&format!("d/{class}/{file},{class},{}\n", number / 5));
            std::fs::copy(data.join(class).join(&file), place.path(&format!("flat/{class}_{file}"))).unwrap();
        }
    }
    std::fs::write(place.path("t.csv"), table).unwrap();
    place.ok(&["image-classify", "d", "--size", "48", "--out", "A"]);
    let ended = place.ok(&["image-classify", "t.csv", "--size", "48", "--out", "B"]);
    assert!(ended.err.contains("input `path`, label `what` (2 values)"), "{}", ended.err);
    let by_name = ["image-classify", "flat", "--label", "name:^([a-z]+)_", "--size", "48", "--out", "C"];
    place.ok(&by_name);
    let head = |run: &str| json(&place.path(run).join("summary.json"))["classes"].clone();
    assert_eq!((head("A"), head("A")), (head("B"), head("C")));
    // Rolls are whole: four of them, one held out.
    place.ok(&["image-classify", "t.csv", "--group", "roll", "--val", "25%", "--size", "48", "--out", "G"]);
    assert_eq!(json(&place.path("G/summary.json"))["samples"]["val"], 10);
    let scored = place.ok(&["evaluate", "B", "t.csv", "--json"]);
    let scored: Value = serde_json::from_str(scored.out.lines().last().unwrap()).unwrap();
    assert_eq!(scored["samples"], 40);
    // A table of its own can validate, and groups on both sides are told.
    std::fs::write(place.path("v.csv"), "path,what,roll\nd/rings/00.jpg,rings,9\nd/stars/00.jpg,stars,0\n")
        .unwrap();
    let ended = place.ok(&[
        "image-classify",
        "t.csv",
        "--group",
        "roll",
        "--val",
        "v.csv",
        "--size",
        "48",
        "--out",
        "V",
    ]);
    assert!(ended.err.contains("1 groups have training and held-out samples"), "{}", ended.err);
}

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
