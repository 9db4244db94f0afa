//! The first command that a newcomer runs, and what it leaves.

use serde_json::Value;

use crate::support::{Place, json};

#[test]
fn tk_alone_prints_five_lines_to_paste() {
    let place = Place::new();
    let ended = place.ok(&[]);
    assert_eq!(ended.out.lines().count(), 5);
    assert!(ended.out.lines().all(|line| line.starts_with("tk ")), "{}", ended.out);
}

#[test]
fn the_demo_leaves_a_whole_run_that_predicts() {
    let place = Place::new();
    let ended = place.ok(&["image-classify", "--demo", "--size", "64", "--out", "R"]);
    assert_eq!(ended.out.lines().last(), Some("R"));
    assert!(ended.out.contains("accuracy") && ended.out.contains("audit ok"), "{}", ended.out);
    for line in ["data ", "model ", "plan ", "next "] {
        assert!(ended.err.lines().any(|found| found.starts_with(line)), "{line}: {}", ended.err);
    }
    let run = place.path("R");
    for file in [
        "model.safetensors",
        "config.json",
        "preprocessor_config.json",
        "README.md",
        "transfer.json",
        "run.toml",
        "summary.json",
        "metrics.jsonl",
        "freeze.json",
        "report.html",
    ] {
        assert!(run.join(file).is_file(), "{file}");
    }
    assert!(!run.join("state.safetensors").exists());
    let page = std::fs::read_to_string(run.join("report.html")).unwrap();
    assert!(page.contains("class=\"chosen\""), "the strengths that were tried, and which was chosen");
    let summary = json(&run.join("summary.json"));
    assert_eq!(summary["samples"]["train"], 200);
    assert_eq!(summary["scored_on"], "5 folds of 200 photographs");
    assert!(summary["metrics"]["accuracy"].as_f64().unwrap() > 0.2, "five classes");
    let numbers = &summary["parameters"];
    let number = |name: &str| numbers[name].as_u64().unwrap();
    assert_eq!(number("total"), number("trained") + number("frozen"));
    let audit = json(&run.join("freeze.json"));
    assert!(!audit[0]["frozen"].as_object().unwrap().is_empty());

    let ended = place.ok(&["predict", "R", "R/demo/stars"]);
    let lines: Vec<Value> = ended.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 40);
    for line in &lines {
        let shares = line["probabilities"].as_object().unwrap();
        let sum: f64 = shares.values().map(|share| share.as_f64().unwrap()).sum();
        assert!((sum - 1.0).abs() < 1e-4 && shares.len() == 5, "{line}");
        assert_eq!(shares[line["label"].as_str().unwrap()], line["score"]);
    }
    // It was fitted on these.
    assert!(lines.iter().filter(|line| line["label"] == "stars").count() > 20);
}

#[test]
fn a_second_head_reuses_the_cache() {
    let place = Place::new();
    place.draw("d");
    let probe = |head: &str, out: &str| {
        place.ok(&["image-classify", "d", "--size", "64", "--head", head, "--val", "20%", "--out", out]);
        json(&place.path(out).join("summary.json"))
    };
    let (first, second) = (probe("logreg", "A"), probe("mlp", "B"));
    assert_eq!((&first["cache"]["hits"], &first["cache"]["misses"]), (&0.into(), &200.into()));
    assert_eq!((&second["cache"]["hits"], &second["cache"]["misses"]), (&200.into(), &0.into()));
    let third = probe("svm", "C");
    assert_eq!((&third["head"], &third["cache"]["misses"]), (&"svm".into(), &0.into()));
    assert!(third["metrics"]["accuracy"].as_f64().unwrap() > 0.4, "five classes");
    let page = std::fs::read_to_string(place.path("C/report.html")).unwrap();
    assert!(page.contains("A linear support vector machine on the frozen features"));
    let scored = place.ok(&["evaluate", "C", "d", "--json"]);
    assert!(scored.out.contains("\"accuracy\""), "{}", scored.out);
    // The hidden layer is saved and predicts what was scored.
    assert_eq!(place.ok(&["predict", "B", "d/stars"]).out.lines().count(), 40);
    let listed = place.ok(&["cache", "list", "--json"]);
    assert_eq!(listed.out.lines().count(), 1);
    place.ok(&["cache", "clear"]);
    assert!(place.ok(&["cache", "list", "--json"]).out.is_empty());
}

#[test]
fn a_dry_run_says_what_it_would_do_and_writes_nothing() {
    let place = Place::new();
    let ended = place.ok(&["image-classify", "--demo", "--mode", "partial", "--dry-run", "--out", "R"]);
    assert!(ended.out.contains("head") && ended.out.contains("trains"), "{}", ended.out);
    assert_eq!(std::fs::read_dir(place.path("")).unwrap().count(), 0);
    let ended = place.ok(&["image-classify", "--demo", "--dry-run", "--json"]);
    let outlook: Value = serde_json::from_str(ended.out.trim()).unwrap();
    assert_eq!(outlook["samples"][0], 200);
}

#[test]
fn json_is_an_object_for_each_event_and_a_summary_last() {
    let place = Place::new();
    place.draw_few("d", 12);
    let ended = place.ok(&["image-classify", "d", "--size", "48", "--json", "--out", "R"]);
    let events: Vec<Value> = ended.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names: Vec<&str> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(names.last(), Some(&"summary"));
    for name in ["data", "model", "plan", "features", "probe"] {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
    assert_eq!(events.last().unwrap()["samples"]["train"], 24);
}

#[test]
fn run_toml_is_a_configuration_and_flags_win() {
    let place = Place::new();
    place.draw_few("d", 12);
    place.ok(&["image-classify", "d", "--size", "48", "--seed", "5", "--out", "A"]);
    place.ok(&["image-classify", "--config", "A/run.toml", "--out", "B"]);
    let weights = |run: &str| std::fs::read(place.path(run).join("model.safetensors")).unwrap();
    assert_eq!(weights("A"), weights("B"));
    let ended = place.ok(&[
        "image-classify",
        "--config",
        "A/run.toml",
        "--set",
        "seed=6",
        "--set",
        "size=64",
        "--size",
        "56",
        "--dry-run",
        "--json",
    ]);
    let settings: Value = serde_json::from_str::<Value>(ended.out.trim()).unwrap()["settings"].clone();
    assert_eq!((&settings["seed"], &settings["size"]), (&6.into(), &56.into()));
}
