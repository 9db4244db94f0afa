//! Models, heads, stages and settings that do not exist or do not fit.

use crate::support::{Place, assert_one_error};

#[test]
fn what_is_unknown_is_a_usage_error_that_says_what_is_known() {
    let place = Place::new();
    place.draw_few("d", 12);
    std::fs::write(place.path("odd.toml"), "epoch = 3\n").unwrap();
    let cases: [(&[&str], &str); 13] = [
        (&["-m", "resnet51"], "unknown architecture `resnet51`; the nearest names are resnet50"),
        (&["-m", "resnet50"], "-m resnet50=FILE.safetensors"),
        (&["-m", "./nowhere"], "no such folder"),
        (&["--head", "forest"], "`logreg`, `svm`, `mlp`, `linear`"),
        (&["--mode", "ful"], "features, partial, full"),
        (&["--unfreeze", "layer5"], "unknown stage `layer5` in small; stages are stem, layer1"),
        (&["--unfreeze", "last:9"], "last:9 asks for more than"),
        (&["--unfreeze", "re:nothing$"], "matches no parameter"),
        (&["--mode", "full", "--freeze", "head,100%"], "nothing is left to train"),
        (&["--epochs", "3"], "`epochs` has no effect in features mode"),
        (&["--config", "odd.toml"], "odd.toml: unknown field `epoch`"),
        (&["--set", "epoch=3"], "unknown field `epoch`"),
        (&["--val", "sometimes"], "--val sometimes: expected"),
    ];
    for (arguments, expected) in cases {
        let ended = place.tk(&[&["image-classify", "d", "--out", "R"], arguments].concat());
        assert_eq!(ended.code, 2, "{arguments:?}: {}", ended.err);
        assert!(ended.err.contains(expected), "{arguments:?}: {}", ended.err);
        assert_one_error(&ended, expected);
        assert!(!place.path("R").exists(), "{arguments:?}");
    }
}

#[test]
fn checkpoints_that_do_not_serve() {
    let place = Place::new();
    place.draw_few("d", 12);
    place.ok(&["image-classify", "d", "--size", "48", "--out", "A"]);
    let weights = std::fs::read(place.path("A/model.safetensors")).unwrap();
    std::fs::write(place.path("cut.safetensors"), &weights[..weights.len() / 2]).unwrap();
    std::fs::write(place.path("whole.safetensors"), &weights).unwrap();
    // GLOBAL os.system, a string, a tuple of one, REDUCE, STOP.
    std::fs::write(place.path("code.pth"), b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00ls\x85R.").unwrap();
    for (model, expected) in [
        ("resnet50=whole.safetensors", "does not fit resnet50"),
        ("resnet50=cut.safetensors", "truncated"),
        ("resnet50=code.pth", "carries code: it would call `os.system`"),
        ("resnet50=none.pth", "no such file"),
    ] {
        let ended = place.tk(&["image-classify", "d", "-m", model, "--out", "R"]);
        assert_eq!(ended.code, 1, "{model}: {}", ended.err);
        assert!(ended.err.contains(expected), "{model}: {}", ended.err);
        assert_one_error(&ended, model);
    }
}

#[test]
fn a_run_s_folder_is_a_model_whose_head_is_replaced() {
    let place = Place::new();
    place.draw_few("d", 12);
    place.ok(&["image-classify", "d", "--size", "48", "--out", "A"]);
    place.draw("five");
    let ended = place.ok(&["image-classify", "five", "-m", "A", "--out", "B"]);
    assert!(ended.err.contains("head replaced (2 → 5 classes)"), "{}", ended.err);
}
