//! Folders that cannot be written, and those that hold something already.

use crate::support::{Place, assert_one_error};

#[test]
fn what_is_there_already_is_replaced_only_if_it_is_a_run() {
    let place = Place::new();
    place.draw_few("d", 12);
    let run =
        |more: &[&str]| place.tk(&[&["image-classify", "d", "--size", "48", "--out", "R"], more].concat());
    assert_eq!(run(&[]).code, 0);
    let again = run(&[]);
    assert_eq!(again.code, 2);
    assert!(again.err.contains("--resume") && again.err.contains("--force"), "{}", again.err);
    // What would fail anyway does not cost the old run.
    assert_eq!(run(&["--force", "-m", "resnet51"]).code, 2);
    assert!(place.path("R/summary.json").is_file());
    assert_eq!(run(&["--force"]).code, 0);
    assert_eq!(run(&["--resume"]).code, 0);
    std::fs::remove_file(place.path("R/run.toml")).unwrap();
    assert_eq!(run(&["--force"]).code, 2);
    assert!(place.path("R/model.safetensors").is_file());
}

#[test]
fn runs_are_numbered_when_no_name_is_given() {
    let place = Place::new();
    place.draw_few("d", 12);
    for expected in ["runs/d-image-classify-small-features", "runs/d-image-classify-small-features-2"] {
        let ended = place.ok(&["image-classify", "d", "--size", "48"]);
        assert_eq!(ended.out.lines().last(), Some(expected));
    }
}

#[cfg(unix)]
#[test]
fn places_that_cannot_be_written_are_named() {
    let place = Place::new();
    place.draw_few("d", 12);
    std::fs::write(place.path("file"), "x").unwrap();
    // A folder under a file can be made by nobody, not even by root; /proc is read-only for everybody.
    for out in ["file/R", "/proc/R"] {
        let ended = place.tk(&["image-classify", "d", "--size", "48", "--out", out]);
        assert_eq!(ended.code, 1, "{out}: {}", ended.err);
        assert!(ended.err.contains(out), "{out}: {}", ended.err);
        assert_one_error(&ended, out);
    }
}

/// A disk that is full looks like a file that may not grow: writing fails in the middle.
#[cfg(unix)]
#[test]
fn a_full_disk_is_told_and_leaves_no_half_file() {
    let place = Place::new();
    place.draw_few("d", 12);
    let command = place.command(&["image-classify", "d", "--size", "48", "--out", "R", "--cache", "c"]);
    // Blocks of 512 bytes: enough for settings, too little for weights.
    let script = "ulimit -f 200; exec \"$0\" \"$@\"";
    let output = std::process::Command::new("sh")
        .args(["-c", script])
        .arg(command.get_program())
        .args(command.get_args())
        .current_dir(place.path(""))
        .output()
        .unwrap();
    let ended = crate::support::ended(&output);
    assert_eq!(ended.code, 1, "{}", ended.err);
    assert!(ended.err.contains("cannot write") && ended.err.contains("model.safetensors"), "{}", ended.err);
    assert_one_error(&ended, "full disk");
    assert!(place.path("R/run.toml").is_file() && !place.path("R/model.safetensors").exists());
    let left = std::fs::read_dir(place.path("R"))
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().ends_with(".partial"));
    assert_eq!(left.count(), 0);
}
