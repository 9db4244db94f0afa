//! Ways of training: low-rank pairs, gradual unfreezing, the best of several epochs, going on from a run.

use std::path::Path;

use tk_transfer::checkpoint::Checkpoint;

use crate::support::{Place, json, metrics};
use crate::texts::{reviews, write_encoder};

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

#[test]
fn gradual_unfreezing_tells_and_proves_its_phases() {
    let place = Place::new();
    place.draw_few("d", 20);
    let said = train(&place, "R", &["--mode", "gradual", "--unfreeze", "last:2", "--epochs", "4"]);
    assert!(said.contains("trains head, pool, layer4, layer3; 4 epochs in 3 phases"), "{said}");
    assert!(said.contains("phase    2/3 trains layer4, head"), "{said}");
    let phases: Vec<u64> =
        metrics(&place.path("R")).iter().map(|record| record["phase"].as_u64().unwrap()).collect();
    assert_eq!(phases, [0, 1, 2, 2]);
    let audit = json(&place.path("R/freeze.json"));
    let stages: Vec<String> = (0..3).map(|phase| audit[phase]["stages"].to_string()).collect();
    assert_eq!(stages, [r#"["head"]"#, r#"["layer4","head"]"#, r#"["layer3","layer4","head"]"#]);
    let is_frozen = |phase: usize, name: &str| audit[phase]["frozen"].get(name).is_some();
    for (name, phases) in
        [("layer4.0.conv1.weight", [true, false, false]), ("layer3.0.conv1.weight", [true, true, false])]
    {
        assert_eq!([0, 1, 2].map(|phase| is_frozen(phase, name)), phases, "{name}");
    }
    let page = std::fs::read_to_string(place.path("R/report.html")).unwrap();
    assert!(page.contains("Phase 3: layer3, layer4, head"));

    for (more, expected) in
        [(&["--epochs", "2"][..], "there are 3 phases"), (&["--unfreeze", "head"], "nothing to unfreeze")]
    {
        let all = [&["image-classify", "d", "--mode", "gradual", "--out", "Q", "--unfreeze", "last:2"], more]
            .concat();
        let arguments: Vec<&str> = if more[0] == "--unfreeze" { [&all[..6], more].concat() } else { all };
        let refused = place.tk(&arguments);
        assert_eq!(refused.code, 2, "{}", refused.err);
        assert!(refused.err.contains(expected), "{}", refused.err);
    }
}

#[test]
fn texts_are_unfrozen_stage_by_stage_too() {
    let place = Place::new();
    write_encoder(&place.path("m"));
    std::fs::write(place.path("r.csv"), reviews(80)).unwrap();
    let said = place.ok(&["text-classify", "r.csv", "-m", "m", "--mode", "gradual", "--out", "R"]).err;
    let audit = json(&place.path("R/freeze.json"));
    let phases = audit.as_array().unwrap();
    assert_eq!(phases[0]["stages"], serde_json::json!(["classifier"]));
    assert_eq!(phases.last().unwrap()["stages"][0], "embeddings");
    assert_eq!(metrics(&place.path("R")).len(), phases.len(), "an epoch for each phase: {said}");
}

#[test]
fn patience_keeps_the_best_epoch_and_an_average_can_be_the_result() {
    let place = Place::new();
    place.draw_few("d", 20);
    let many = ["--mode", "partial", "--epochs", "30", "--patience", "2"];
    let said = train(&place, "R", &many);
    let records = metrics(&place.path("R"));
    let best = json(&place.path("R/summary.json"))["best"].clone();
    let accuracy = |record: &serde_json::Value| record["validation"]["accuracy"].as_f64().unwrap();
    let most = records.iter().map(accuracy).fold(0.0, f64::max);
    let first = records.iter().position(|record| accuracy(record) == most).unwrap() as u64 + 1;
    assert_eq!((best["metric"].as_str(), best["epoch"].as_u64()), (Some("accuracy"), Some(first)));
    assert_eq!(records.len() as u64, first + 2, "{said}");
    assert!(said.contains("none of 2 more was better"), "{said}");
    assert_eq!(json(&place.path("R/summary.json"))["metrics"]["accuracy"], best["value"]);

    train(&place, "A", &["--mode", "partial", "--epochs", "2", "--ema", "--monitor", "loss"]);
    let settings = std::fs::read_to_string(place.path("A/run.toml")).unwrap();
    assert!(
        settings.contains("moving-average = 0.99") && settings.contains("monitor = \"loss\""),
        "{settings}"
    );
    let arguments =
        ["image-classify", "d", "--mode", "partial", "--patience", "2", "--val", "none", "--out", "Q"];
    let refused = place.tk(&arguments);
    assert_eq!(refused.code, 2, "{}", refused.err);
    assert!(refused.err.contains("compare epochs on validation samples"), "{}", refused.err);
}

#[test]
fn trivial_augment_and_mixup_train_and_equal_runs_are_equal() {
    let place = Place::new();
    place.draw_few("d", 20);
    let arguments = ["--mode", "partial", "--epochs", "2", "--augment", "trivial", "--mixup", "0.4"];
    train(&place, "A", &arguments);
    train(&place, "B", &[&arguments[..], &["--threads", "1"]].concat());
    let weights = |run: &str| std::fs::read(place.path(run).join("model.safetensors")).unwrap();
    assert_eq!(weights("A"), weights("B"));
    for (out, without) in
        [("C", ["--augment", "light", "--mixup", "0.4"]), ("D", ["--augment", "trivial", "--mixup", "4"])]
    {
        train(&place, out, &[&arguments[..4], &without].concat());
        assert_ne!(weights("A"), weights(out), "{without:?}");
    }
}

/// A row of a tensor of a run.
fn row(weights: &Path, name: &str, row: usize) -> Vec<f32> {
    let weights = Checkpoint::open(weights).unwrap();
    let rows = weights.info(name).unwrap().shape[0];
    let values = weights.f32(name).unwrap();
    values[row * values.len() / rows..(row + 1) * values.len() / rows].to_vec()
}

#[test]
fn going_on_from_a_run_keeps_the_rows_of_shared_classes() {
    let place = Place::new();
    place.draw_few("few", 20);
    place.draw("d");
    std::fs::remove_dir_all(place.path("d/stars")).unwrap();
    let classes = ["checks", "leaves", "rings", "stripes"];
    // A rate at which nothing moves by a visible amount.
    let still = ["--mode", "partial", "--epochs", "1", "--lr", "1e-12"];
    for (head, layer) in [("linear", "fc"), ("mlp", "fc.2")] {
        let run = format!("R-{head}");
        let arguments = ["image-classify", "few", "--out", &run, "--head", head];
        place.ok(&[
            &arguments[..],
            &QUICK,
            &still[..4],
            &["--set", "hidden=24"][..if head == "mlp" { 2 } else { 0 }],
        ]
        .concat());
        let from = format!("./{run}");
        let on = |out: &str, more: &[&str]| {
            train(&place, out, &[&still[..], &["--head", head, "-m", &from], more].concat())
        };
        let said = on(&format!("S-{head}"), &[]);
        assert!(said.contains("rows of 1 classes kept (rings)"), "{said}");
        let [before, after] = ["R", "S"].map(|run| place.path(&format!("{run}-{head}/model.safetensors")));
        let at = classes.iter().position(|class| *class == "rings").unwrap();
        for name in ["weight", "bias"].map(|name| format!("{layer}.{name}")) {
            let (kept, found) = (row(&before, &name, 0), row(&after, &name, at));
            assert!(kept.iter().zip(&found).all(|(a, b)| (a - b).abs() < 1e-6), "{name}: {kept:?} {found:?}");
        }
        let said = on(&format!("T-{head}"), &["--head-init", "random"]);
        assert!(!said.contains("kept"), "{said}");
        let name = format!("{layer}.weight");
        assert_ne!(
            row(&before, &name, 0),
            row(&place.path(&format!("T-{head}/model.safetensors")), &name, at)
        );
    }
    // The report of loading is on the page too.
    let page = std::fs::read_to_string(place.path("S-linear/report.html")).unwrap();
    assert!(page.contains("rows of 1 classes kept (rings)"));
}

#[test]
fn a_run_on_texts_is_gone_on_from_too() {
    let place = Place::new();
    write_encoder(&place.path("m"));
    std::fs::write(place.path("r.csv"), reviews(80)).unwrap();
    let first = ["text-classify", "r.csv", "-m", "m", "--mode", "full", "--epochs", "2", "--out", "R"];
    place.ok(&first);
    let on = [
        "text-classify",
        "r.csv",
        "-m",
        "./R",
        "--mode",
        "full",
        "--epochs",
        "1",
        "--lr",
        "1e-12",
        "--out",
        "S",
    ];
    let said = place.ok(&on).err;
    assert!(said.contains("rows of 2 classes kept"), "{said}");
    let logits = |run: &str| place.ok(&["predict", run, "--text", "a gorgeous film", "--logits"]).out;
    let numbers = |run: &str| -> Vec<f64> {
        let line: serde_json::Value = serde_json::from_str(&logits(run)).unwrap();
        line["logits"].as_object().unwrap().values().map(|logit| logit.as_f64().unwrap()).collect()
    };
    assert!(
        numbers("R").iter().zip(numbers("S")).all(|(a, b)| (a - b).abs() < 1e-4),
        "{}{}",
        logits("R"),
        logits("S")
    );
}
