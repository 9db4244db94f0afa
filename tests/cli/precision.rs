//! `--precision`: every mode trains in each, says what it took, and never mixes results.

use std::fs;

use serde_json::{Value, json as value};
use transferkit::{Machine, Precision};

use crate::support::{Place, SMALL_TRAINING, assert_one_error, json};
use crate::texts::{reviews, write_encoder};

fn place() -> Place {
    let place = Place::new();
    write_encoder(&place.path("m"));
    fs::write(place.path("r.csv"), reviews(80)).unwrap();
    place
}

fn texts<'a>(place: &Place, out: &'a str, more: &[&'a str]) -> (Value, String) {
    let arguments = [&["text-classify", "r.csv", "-m", "m", "--out", out], more].concat();
    let ended = place.ok(&arguments);
    (json(&place.path(out).join("summary.json")), ended.err)
}

/// The lines that say what was taken.
fn lines(err: &str) -> Vec<&str> {
    err.lines().filter_map(|line| line.strip_prefix("precision ")).collect()
}

#[test]
fn every_mode_trains_in_every_precision_to_the_same_bytes() {
    let place = place();
    let weights = |run: &str, file: &str| fs::read(place.path(run).join(file)).unwrap();
    for (mode, file) in [
        ("features", "2_Dense/model.safetensors"),
        ("partial", "model.safetensors"),
        ("full", "model.safetensors"),
        ("lora", "adapter/adapter_model.safetensors"),
    ] {
        let mut arguments = vec!["--mode", mode];
        if mode != "features" {
            arguments.extend(["--epochs", "25", "--batch", "8", "--lr", "3e-3"]);
        }
        if mode == "partial" {
            arguments.extend(["--unfreeze", "last:2"]);
        }
        let (exact, err) = texts(&place, &format!("{mode}-f32"), &arguments);
        assert!(lines(&err).is_empty() && exact["precision"] == value!([]), "{mode}: {err}");
        for precision in ["bf16", "int8"] {
            let run = |out: &str, threads| {
                texts(
                    &place,
                    out,
                    &[&arguments[..], &["--precision", precision, "--threads", threads]].concat(),
                )
            };
            let name = format!("{mode}-{precision}");
            let (summary, err) = run(&name, "1");
            run("again", "2");
            assert!(weights(&name, file) == weights("again", file), "{name}");
            fs::remove_dir_all(place.path("again")).unwrap();
            assert!(summary["metrics"]["accuracy"].as_f64().unwrap() > 0.9, "{name}: {summary}");
            // Bytes are for what is frozen alone.
            let is_lowered = precision == "bf16" || ["features", "partial"].contains(&mode);
            assert_eq!(weights(&name, file) != weights(&format!("{mode}-f32"), file), is_lowered, "{name}");
            // In lora mode only embeddings lie before the first pair, and in full mode nothing does.
            let expected = match (mode, precision) {
                ("features", _) => format!("{precision} up to pool"),
                ("partial", _) => format!("{precision} up to layer0"),
                ("lora", _) => format!("f32 up to embeddings: {precision} suits no layer"),
                (_, "int8") => "f32: nothing is frozen, and int8 is for what is".into(),
                _ => String::new(),
            };
            let line = lines(&err).first().copied().unwrap_or_default();
            assert!(line.starts_with(&expected) && line.is_empty() == expected.is_empty(), "{name}: {err}");
            if mode == "features" || mode == "partial" {
                assert!(
                    line.contains(": features differ from f32 by ") && line.contains(" samples"),
                    "{line}"
                );
            }
        }
    }
}

#[test]
fn results_are_remembered_for_each_precision_and_what_is_saved_is_f32() {
    let place = place();
    let misses = |out: &str, precision| {
        texts(&place, out, &["--precision", precision]).0["cache"]["misses"].as_u64().unwrap()
    };
    for precision in ["f32", "bf16", "int8"] {
        assert_eq!(misses(&format!("{precision}-1"), precision), 80, "{precision}");
        assert_eq!(misses(&format!("{precision}-2"), precision), 0, "{precision}");
    }
    for run in ["bf16-1", "int8-1"] {
        let file =
            tk_transfer::checkpoint::Checkpoint::open(place.path(run).join("model.safetensors")).unwrap();
        let base = tk_transfer::checkpoint::Checkpoint::open(place.path("m/model.safetensors")).unwrap();
        for name in base.names() {
            assert_eq!(file.f32(name).unwrap(), base.f32(name).unwrap(), "{run}: {name}");
        }
    }
    let predict = |more: &[&str]| place.ok(&[&["predict", "bf16-1", "r.csv"], more].concat()).out;
    let (exact, lowered) = (predict(&[]), predict(&["--precision", "bf16"]));
    assert!(exact != lowered && exact == predict(&["--precision", "f32"]));
    let right = |text: &str| {
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.enumerate().filter(|(row, line)| line["label"] == ["1", "5"][row % 2]).count()
    };
    assert!(right(&exact).abs_diff(right(&lowered)) <= 4);
    let scored = place.ok(&["evaluate", "bf16-1", "r.csv", "--precision", "bf16", "--json"]);
    let scored: Value = serde_json::from_str(scored.out.trim()).unwrap();
    assert!((scored["metrics"]["accuracy"].as_f64().unwrap() - right(&lowered) as f64 / 80.0).abs() < 1e-9);
}

#[test]
fn auto_says_what_it_took_wherever_a_run_is_told() {
    let place = Place::new();
    place.draw_few("d", 12);
    let arguments = ["image-classify", "d", "--size", "48", "--precision", "auto", "--out", "R"];
    let ended = place.ok(&arguments);
    let line = lines(&ended.err)[0];
    let summary = json(&place.path("R/summary.json"));
    let found = &summary["precision"][0];
    assert_eq!((&found["line"], &found["asked"]), (&line.into(), &"auto".into()));
    assert!(line.starts_with(&format!("{} up to pool: ", found["taken"].as_str().unwrap())), "{line}");
    let machine = Machine::new(1);
    if machine.isa.has(Precision::Int8) && machine.isa.has(Precision::Bf16) {
        assert!(line.contains("on 24 samples"), "{line}");
    }
    let settings = fs::read_to_string(place.path("R/run.toml")).unwrap();
    assert!(
        settings.contains(&format!("# precision: {line}\n")) && settings.contains("precision = \"auto\"")
    );
    assert!(fs::read_to_string(place.path("R/report.html")).unwrap().contains(line));
    // It is a configuration still, and comes to the same.
    place.ok(&["image-classify", "--config", "R/run.toml", "--out", "S"]);
    let weights = |run: &str| fs::read(place.path(run).join("model.safetensors")).unwrap();
    assert!(weights("R") == weights("S"));

    let plain = ["image-classify", "d", "--size", "48", "--precision", "auto", "--out", "P"];
    let output = place.command(&plain).env("TRANSFERKIT_ISA", "portable").output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    let said = "f32 up to pool: this processor has no instructions for int8; this processor has no instructions for bf16";
    assert_eq!(lines(&err), [said]);
}

#[test]
fn photographs_train_in_fewer_bits() {
    let place = Place::new();
    place.draw_few("d", 16);
    for (out, more) in [
        ("partial", &["--mode", "partial", "--epochs", "2", "--size", "48", "--precision", "int8"][..]),
        ("full", &[&SMALL_TRAINING[..], &["--precision", "bf16"]].concat()),
    ] {
        let ended = place.ok(&[&["image-classify", "d", "--out", out], more].concat());
        assert!(ended.out.contains("audit ok"), "{}", ended.out);
        // The probe that the head starts from, and then the frozen stages.
        let expected: &[&str] =
            if out == "full" { &["bf16 up to pool"] } else { &["int8 up to pool", "int8 up to layer3"] };
        let found = lines(&ended.err);
        assert_eq!(found.len(), expected.len(), "{}", ended.err);
        assert!(found.iter().zip(expected).all(|(line, start)| line.starts_with(start)), "{found:?}");
    }
}

#[test]
fn other_values_are_one_line_with_the_choices() {
    let place = place();
    for (arguments, choices) in [
        (&["text-classify", "r.csv", "-m", "m", "--precision", "f16"][..], "f32, bf16, int8, auto"),
        (&["text-classify", "r.csv", "-m", "m", "--set", "precision=f16"], "`f32`, `bf16`, `int8`, `auto`"),
        (&["predict", "m", "--text", "a", "--precision", "int8"], "f32, bf16"),
        (&["evaluate", "m", "r.csv", "--precision", "auto"], "f32, bf16"),
    ] {
        let ended = place.tk(arguments);
        assert_eq!(ended.code, 2, "{}", ended.err);
        assert!(ended.err.contains(choices), "{}", ended.err);
        assert_one_error(&ended, arguments[0]);
    }
}
