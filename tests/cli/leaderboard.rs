//! Several models on the same data.

use super::support::{Place, json};

#[test]
fn several_models_are_compared_and_the_best_is_first() {
    let place = Place::new();
    let data = place.draw_few("data", 24).display().to_string();
    place.ok(&["image-classify", &data, "--out", "A", "--size", "32"]);
    let both = ["image-classify", &data, "-m", "small,./A", "--out", "board"];
    let ended = place.ok(&both);
    let board = json(&place.path("board/leaderboard.json"));
    let runs = board.as_array().unwrap();
    let score = |at: usize| runs[at]["metrics"]["accuracy"].as_f64().unwrap();
    assert_eq!(runs.len(), 2);
    assert!(score(0) >= score(1));
    let lines: Vec<&str> = ended.out.lines().collect();
    assert_eq!((lines.len(), *lines.last().unwrap()), (4, runs[0]["run"].as_str().unwrap()), "{}", ended.out);
    for run in ["small", "A"] {
        assert!(place.path("board").join(run).join("summary.json").is_file(), "{run}");
    }
    // A complete board is read, not computed.
    let written = std::fs::metadata(place.path("board/A/summary.json")).unwrap().modified().unwrap();
    assert_eq!(place.ok(&[&both[..], &["--resume"]].concat()).out, ended.out);
    assert_eq!(std::fs::metadata(place.path("board/A/summary.json")).unwrap().modified().unwrap(), written);
    // What stands there is not replaced unasked.
    assert_eq!(place.tk(&both).code, 2);
}

#[test]
fn what_cannot_be_compared_is_refused_before_anything_runs() {
    let place = Place::new();
    let data = place.draw_few("data", 6).display().to_string();
    for (arguments, expected) in [
        (vec!["-m", "small,small"], "two models would be called `small`"),
        (vec!["-m", "small,"], "an empty name"),
        (vec!["-m", "small,nothing"], "unknown architecture `nothing`"),
        (vec!["-m", "small,./A", "--mode", "full"], "features mode only"),
    ] {
        let ended = place.tk(&[&["image-classify", &data, "--out", "board"], &arguments[..]].concat());
        assert_eq!(ended.code, 2, "{}", ended.err);
        assert!(ended.err.contains(expected), "{}", ended.err);
        assert!(!place.path("board").exists(), "{expected}");
    }
}
