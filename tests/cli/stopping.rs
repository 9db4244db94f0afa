//! Runs that are stopped go on to the same bytes, and equal runs are equal.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Place, SMALL_TRAINING, json, metrics};
use crate::texts::{reviews, write_encoder};

fn weights(run: &Path) -> Vec<u8> {
    std::fs::read(run.join("model.safetensors")).unwrap()
}

fn training<'a>(out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["image-classify", "d"], &SMALL_TRAINING[..], &["--out", out], more].concat()
}

/// Starts a training run and waits until a state is on disk.
fn started(place: &Place, out: &str) -> Child {
    begun(place, out, &training(out, &["--checkpoint-every", "0"]))
}

/// Starts a run and waits until a state is on disk.
pub fn begun(place: &Place, out: &str, arguments: &[&str]) -> Child {
    let mut child = place.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let began = Instant::now();
    while !place.path(out).join("state.safetensors").exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended before a state was written");
        assert!(began.elapsed() < Duration::from_secs(300), "no state was written");
        std::thread::sleep(Duration::from_millis(2));
    }
    child
}

/// Kills a run, goes on with it, and compares it with one that was never stopped.
pub fn kill_and_resume(place: &Place, mut child: Child, run: &str, whole: &str) {
    child.kill().unwrap();
    child.wait().unwrap();
    let (run, whole) = (place.path(run), place.path(whole));
    assert!(!run.join("summary.json").exists(), "it was killed too late for the test to show anything");
    let ended = place.ok(&["resume", run.to_str().unwrap()]);
    assert!(ended.err.contains("resumed"), "{}", ended.err);
    assert_eq!(weights(&whole), weights(&run));
    assert_eq!(metrics(&whole), metrics(&run));
}

#[test]
fn equal_runs_are_equal_and_a_killed_one_goes_on_to_the_same_bytes() {
    let place = Place::new();
    place.draw_few("d", 25);
    place.ok(&training("A", &["--threads", "1"]));
    place.ok(&training("B", &[]));
    assert_eq!(weights(&place.path("A")), weights(&place.path("B")), "threads do not matter");
    assert_eq!(metrics(&place.path("A")), metrics(&place.path("B")));
    assert_eq!(metrics(&place.path("A")).len(), 2);

    let child = started(&place, "C");
    kill_and_resume(&place, child, "C", "A");
    assert!(!place.path("C/state.safetensors").exists());
    // Once complete, there is nothing to go on with.
    assert_eq!(place.ok(&["resume", "C"]).out, "C\n");
}

#[test]
fn a_killed_run_on_texts_goes_on_to_the_same_bytes_and_its_settings_can_be_used_again() {
    let place = Place::new();
    write_encoder(&place.path("m"));
    std::fs::write(place.path("r.csv"), reviews(200)).unwrap();
    let training = |out| {
        [
            "text-classify",
            "r.csv",
            "-m",
            "m",
            "--mode",
            "lora",
            "--epochs",
            "40",
            "--batch",
            "8",
            "--out",
            out,
        ]
    };
    place.ok(&training("A"));
    let child = begun(&place, "B", &[&training("B")[..], &["--checkpoint-every", "0"]].concat());
    kill_and_resume(&place, child, "B", "A");

    place.ok(&["text-classify", "r.csv", "--config", "A/run.toml", "--out", "C"]);
    assert_eq!(weights(&place.path("A")), weights(&place.path("C")));
    let refused = place.tk(&["image-classify", "r.csv", "--config", "A/run.toml", "--out", "D"]);
    assert_eq!(refused.code, 2, "{}", refused.err);
    assert!(refused.err.contains("the settings are of task `text-classify`"), "{}", refused.err);
}

#[test]
fn a_gradual_run_that_is_killed_in_any_phase_goes_on_to_the_same_bytes() {
    let place = Place::new();
    write_encoder(&place.path("m"));
    std::fs::write(place.path("r.csv"), reviews(200)).unwrap();
    let training = |out| {
        let arguments = ["text-classify", "r.csv", "-m", "m", "--mode", "gradual", "--unfreeze", "last:2"];
        [&arguments[..], &["--epochs", "30", "--patience", "8", "--batch", "8", "--out", out]].concat()
    };
    place.ok(&training("A"));
    let phase_of = |run: &str| {
        let metrics = std::fs::read_to_string(place.path(run).join("metrics.jsonl")).unwrap_or_default();
        metrics.matches("\"phase\":1").count().min(1) + metrics.matches("\"phase\":2").count().min(1)
    };
    for (wanted, run) in ["B", "C", "D"].into_iter().enumerate() {
        let child = begun(&place, run, &[&training(run)[..], &["--checkpoint-every", "0"]].concat());
        while phase_of(run) < wanted {
            std::thread::sleep(Duration::from_millis(2));
        }
        kill_and_resume(&place, child, run, "A");
    }
}

#[test]
fn a_killed_run_in_bytes_is_calibrated_alike_and_goes_on_to_the_same_bytes() {
    let place = Place::new();
    write_encoder(&place.path("m"));
    std::fs::write(place.path("r.csv"), reviews(200)).unwrap();
    let training = |out| {
        let arguments = ["text-classify", "r.csv", "-m", "m", "--mode", "partial", "--precision", "int8"];
        [&arguments[..], &["--epochs", "60", "--batch", "8", "--out", out]].concat()
    };
    place.ok(&training("A"));
    let child = begun(&place, "B", &[&training("B")[..], &["--checkpoint-every", "0"]].concat());
    kill_and_resume(&place, child, "B", "A");
    let precision = |run: &str| json(&place.path(run).join("summary.json"))["precision"].clone();
    assert_eq!(precision("A"), precision("B"));
}

#[cfg(unix)]
#[test]
fn a_signal_stops_at_the_next_update_and_can_be_resumed() {
    let place = Place::new();
    place.draw_few("d", 25);
    let mut child = started(&place, "R");
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(75));
    place.ok(&training("R", &["--resume"]));
    assert_eq!(metrics(&place.path("R")).len(), 2);
}

#[test]
fn changed_data_and_other_settings_are_not_gone_on_with() {
    let place = Place::new();
    place.draw_few("d", 25);
    let mut child = started(&place, "R");
    child.kill().unwrap();
    child.wait().unwrap();
    let other = [&training("R", &["--resume"])[..], &["--seed", "9"]].concat();
    let refused = place.tk(&other);
    assert_eq!(refused.code, 2, "{}", refused.err);
    assert!(refused.err.contains("other settings: `seed` was 0, now it is 9"), "{}", refused.err);
    std::fs::remove_file(place.path("d/stars/00.jpg")).unwrap();
    let refused = place.tk(&["resume", "R"]);
    assert_eq!(refused.code, 1, "{}", refused.err);
    assert!(refused.err.contains("the data changed"), "{}", refused.err);
}
