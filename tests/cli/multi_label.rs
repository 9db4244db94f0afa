//! Any number of labels for each sample: photographs and texts, every head and mode, tables of both forms.

use std::fmt::Write as _;
use std::fs;

use serde_json::{Value, json};

use crate::support::{Place, assert_one_error, json};
use crate::texts::write_encoder;

/// The drawn pictures' classes as labels that some have in common; rings have none.
const LABELS: [(&str, &str); 5] = [
    ("checks", "lines | grid"),
    ("leaves", "scattered"),
    ("rings", ""),
    ("stars", "pointed|scattered"),
    ("stripes", "lines"),
];

/// Drawn pictures with a table whose cells hold several labels, and one with a column of 0 and 1 for each.
fn place() -> Place {
    let place = Place::new();
    place.draw("d");
    let names = ["grid", "lines", "pointed", "scattered"];
    let (mut cells, mut marks) = ("file,tags\n".to_owned(), format!("file,{}\n", names.join(",")));
    for (class, labels) in LABELS {
        for number in 0..40 {
            let file = format!("d/{class}/{number:02}.{}", if number % 4 == 3 { "png" } else { "jpg" });
            writeln!(cells, "{file},{labels}").unwrap();
            let bits = names.map(|name| u8::from(labels.contains(name)).to_string());
            writeln!(marks, "{file},{}", bits.join(",")).unwrap();
        }
    }
    fs::write(place.path("cells.csv"), cells).unwrap();
    fs::write(place.path("marks.csv"), marks).unwrap();
    place
}

fn lines(out: &str) -> Vec<Value> {
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn cells_with_several_labels_and_columns_of_marks_give_the_same_classifier() {
    let place = place();
    let ended = place.ok(&[
        "image-classify",
        "cells.csv",
        "--label",
        "tags",
        "--multi",
        "--size",
        "64",
        "--test",
        "20%",
        "--out",
        "A",
    ]);
    assert!(ended.err.contains("label `tags` divided by `|`"), "{}", ended.err);
    assert!(ended.out.contains("map ") && ended.out.contains("micro-F1"), "{}", ended.out);
    let summary = json(&place.path("A/summary.json"));
    assert_eq!(summary["classes"], json!(["grid", "lines", "pointed", "scattered"]));
    assert_eq!((&summary["samples"]["train"], &summary["samples"]["test"]), (&160.into(), &40.into()));
    for part in ["metrics", "test"] {
        let map = summary[part]["map"].as_f64().unwrap();
        // A random order has the mean share of the classes, 0.3.
        assert!(map > 0.6 && map <= 1.0, "{part}: {map}");
        assert!(summary[part]["micro_f1"].as_f64().unwrap() > 0.5, "{part}");
    }
    let interval = &summary["intervals"]["map"];
    assert!(interval["low"].as_f64().unwrap() < summary["metrics"]["map"].as_f64().unwrap());
    assert_eq!(json(&place.path("A/config.json"))["problem_type"], "multi_label_classification");
    let page = fs::read_to_string(place.path("A/report.html")).unwrap();
    assert!(page.contains("Average precision") && page.contains("Mean average precision"));

    let said = "grid,lines,pointed,scattered";
    place.ok(&[
        "image-classify",
        "marks.csv",
        "--label",
        said,
        "--size",
        "64",
        "--test",
        "20%",
        "--out",
        "B",
    ]);
    assert_eq!(
        fs::read(place.path("A/model.safetensors")).unwrap(),
        fs::read(place.path("B/model.safetensors")).unwrap()
    );

    // Predictions name the classes that are probable enough, which may be none.
    let found = lines(&place.ok(&["predict", "A", "d/stars", "d/rings"]).out);
    assert_eq!(found.len(), 80);
    let count = |class: &str, label: &str| {
        let of = found.iter().filter(|line| line["file"].as_str().unwrap().contains(class));
        of.filter(|line| line["labels"].as_array().unwrap().iter().any(|one| one["label"] == label)).count()
    };
    assert!(count("stars", "scattered") > 25 && count("rings", "scattered") < 15, "{found:?}");
    assert!(found.iter().any(|line| line["labels"] == json!([])), "rings have none");
    for line in &found {
        let scores: Vec<f64> =
            line["labels"].as_array().unwrap().iter().map(|one| one["score"].as_f64().unwrap()).collect();
        assert!(scores.iter().all(|score| *score >= 0.5) && scores.is_sorted_by(|a, b| a >= b), "{line}");
    }
    let every = lines(&place.ok(&["predict", "A", "d/stars/00.jpg", "--min-score", "0"]).out);
    assert_eq!(every[0]["labels"].as_array().unwrap().len(), 4);
    place.ok(&["predict", "A", "d/stars", "-o", "p.csv"]);
    let table = fs::read_to_string(place.path("p.csv")).unwrap();
    assert!(table.starts_with("file,labels,grid,lines,pointed,scattered,error\n"), "{table}");

    // Evaluation reads the table as the run did, and a run of one kind does not judge data of the other.
    let scored = place.ok(&["evaluate", "A", "cells.csv", "--json", "--gate", "map>=0.6"]);
    let scored: Value = serde_json::from_str(scored.out.lines().last().unwrap()).unwrap();
    assert_eq!((&scored["baseline"]["metric"], &scored["confusion"]), (&json!("map"), &Value::Null));
    assert!(scored["classes"][0]["average_precision"].as_f64().unwrap() > 0.5, "{scored}");
    let other = place.tk(&["evaluate", "A", "d"]);
    assert!(other.code != 0 && other.err.contains("gives each sample one class"), "{}", other.err);
}

#[test]
fn every_head_and_mode_learns_several_labels() {
    let place = place();
    for (run, arguments) in [
        ("svm", vec!["--head", "svm"]),
        ("mlp", vec!["--head", "mlp"]),
        ("linear", vec!["--head", "linear", "--epochs", "8", "--lr", "0.01", "--balance", "weights"]),
        ("partial", vec!["--mode", "partial", "--epochs", "2", "--patience", "1", "--balance", "sampler"]),
        ("full", vec!["--mode", "full", "--epochs", "2", "--mixup", "0.2", "--ema"]),
        ("gradual", vec!["--mode", "gradual", "--unfreeze", "last:2", "--epochs", "3"]),
        ("lora", vec!["--mode", "lora", "--epochs", "2", "--monitor", "micro_f1"]),
    ] {
        let fixed =
            ["image-classify", "cells.csv", "--label", "tags", "--multi", "|", "--size", "48", "--out", run];
        place.ok(&[&fixed[..], &arguments].concat());
        let summary = json(&place.path(run).join("summary.json"));
        let map = summary["metrics"]["map"].as_f64().unwrap();
        assert!(map > 0.4, "{run}: {map}");
        let found = lines(&place.ok(&["predict", run, "d/stars/00.jpg", "--logits"]).out);
        assert!(found[0]["labels"].is_array() && found[0]["logits"].is_object(), "{run}: {found:?}");
    }
    // A run is gone on from with its rows.
    let again = ["image-classify", "cells.csv", "--label", "tags", "--multi", "|", "--size", "48"];
    let ended = place
        .ok(&[&again[..], &["-m", "full", "--mode", "full", "--epochs", "1", "--out", "again"]].concat());
    assert!(ended.err.contains("grid"), "{}", ended.err);
}

#[test]
fn texts_have_several_labels_too() {
    let place = Place::new();
    write_encoder(&place.path("m"));
    let mut table = String::new();
    for number in 0..80 {
        let (good, long) = (number % 2 == 0, number / 2 % 2 == 0);
        let text = format!(
            "the film is {}{}",
            if good { "great" } else { "awful" },
            if long { " and long" } else { "" }
        );
        let labels: Vec<&str> =
            [("good", good), ("long", long)].iter().filter(|(_, is)| *is).map(|(l, _)| *l).collect();
        writeln!(table, "{}", json!({ "text": text, "topics": labels })).unwrap();
    }
    fs::write(place.path("r.jsonl"), table).unwrap();
    for (run, arguments) in [
        ("features", vec![]),
        ("mlp", vec!["--head", "mlp"]),
        ("full", vec!["--mode", "full", "--epochs", "20", "--batch", "8", "--lr", "3e-3"]),
    ] {
        let fixed = ["text-classify", "r.jsonl", "-m", "m", "--label", "topics", "--multi", "--out", run];
        place.ok(&[&fixed[..], &arguments].concat());
        let summary = json(&place.path(run).join("summary.json"));
        assert!(summary["metrics"]["map"].as_f64().unwrap() > 0.7, "{run}: {summary}");
        assert_eq!(json(&place.path(run).join("config.json"))["problem_type"], "multi_label_classification");
        let found = lines(&place.ok(&["predict", run, "--text", "the film is great and long"]).out);
        assert!(found[0]["labels"].is_array(), "{run}: {found:?}");
        let scored = place.ok(&["evaluate", run, "r.jsonl", "--json"]);
        let scored: Value = serde_json::from_str(scored.out.lines().last().unwrap()).unwrap();
        assert!(scored["metrics"]["map"].as_f64().unwrap() > 0.7, "{run}: {scored}");
    }
}

#[test]
fn what_cannot_be_several_is_said() {
    let place = place();
    fs::write(
        place.path("bad.csv"),
        "file,a,b\nd/rings/00.jpg,1,2\nd/rings/01.jpg,1,0\nd/stars/00.jpg,0,1\nd/stars/01.jpg,,1\nd/stars/02.jpg,0,1\n\
         d/rings/02.jpg,1,0\nd/stars/04.jpg,0,1\nd/rings/04.jpg,1,0\nd/stars/05.jpg,1,1\nd/rings/05.jpg,0,0\n",
    )
    .unwrap();
    let ended = place.ok(&[
        "image-classify",
        "bad.csv",
        "--label",
        "a,b",
        "--size",
        "48",
        "--max-bad",
        "50%",
        "--out",
        "Q",
    ]);
    assert!(ended.err.contains("`b` is `2`; expected 0 or 1"), "{}", ended.err);
    assert_eq!(json(&place.path("Q/summary.json"))["quarantined"], 2);
    for (arguments, expected) in [
        (&["d", "--multi"][..], "is a folder per class"),
        (&["--multi", "cells.csv"], "say DATA before it"),
        (&["marks.csv", "--label", "grid,lines", "--multi"], "leave one of them out"),
        (&["marks.csv", "--label", "grid,line"], "did you mean `lines`"),
        (&["cells.csv", "--label", "tags", "--multi", "many words"], "--multi=SEPARATOR"),
        (&["cells.csv", "--label", "tags", "--multi", "--balance", "weights"], "takes no weights"),
        (
            &["cells.csv", "--label", "tags", "--multi", "--mode", "full", "--monitor", "accuracy"],
            "expected map, micro_f1",
        ),
    ] {
        let ended = place.tk(&[&["image-classify"][..], arguments].concat());
        assert_eq!(ended.code, 2, "{arguments:?}: {}", ended.err);
        assert_one_error(&ended, expected);
        assert!(ended.err.contains(expected), "{arguments:?}: {}", ended.err);
    }
}
