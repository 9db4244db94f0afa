//! Detection and segmentation: drawn objects are found in every mode, masks and boxes come out, bad data are set aside.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tk_engine::random::Stream;
use tk_image::data::{Picture, thumbnail};

use crate::stopping::{begun, kill_and_resume};
use crate::support::{Place, assert_one_error, json};

/// Sides of the drawn photographs.
const SIDES: [u32; 2] = [112, 96];

/// Photographs that are drawn; every sixth shows nothing.
const PHOTOGRAPHS: usize = 36;

/// An object: class 0 is a red square, 1 a green bar. Left, top, width, height.
type Object = (usize, [u32; 4]);

/// What is in a photograph.
fn objects(number: usize) -> Vec<Object> {
    let mut stream = Stream::new(5, &["drawn".into(), number.into()]);
    let count = if number % 6 == 5 { 0 } else { 1 + number % 2 };
    (0..count)
        .map(|at| {
            let class = (number + at) % 2;
            let [width, height] = if class == 0 { [30, 30] } else { [16, 44] };
            // Each in its own half, so that none hides another.
            let left = 56 * at as u32 + stream.below((56 - width) as usize) as u32;
            let top = stream.below((SIDES[1] - height) as usize) as u32;
            (class, [left, top, width, height])
        })
        .collect()
}

/// A photograph of noise with its objects, as a JPEG.
fn photograph(number: usize) -> Vec<u8> {
    let mut stream = Stream::new(6, &["noise".into(), number.into()]);
    let mut pixels: Vec<u8> = (0..3 * SIDES[0] * SIDES[1]).map(|_| 90 + stream.below(60) as u8).collect();
    for (class, [left, top, width, height]) in objects(number) {
        for y in top..top + height {
            for x in left..left + width {
                let at = 3 * (y * SIDES[0] + x) as usize;
                pixels[at..at + 3].copy_from_slice(&[[220, 40, 40], [40, 200, 60]][class]);
            }
        }
    }
    thumbnail(&Picture::rgb8(SIDES[0], SIDES[1], &pixels).unwrap(), u32::MAX).unwrap()
}

/// YOLO's folders: `images/`, `labels/`, `classes.txt`.
fn draw_boxes(folder: &Path) {
    for name in ["images", "labels"] {
        fs::create_dir_all(folder.join(name)).unwrap();
    }
    fs::write(folder.join("classes.txt"), "square\nbar\n").unwrap();
    for number in 0..PHOTOGRAPHS {
        fs::write(folder.join(format!("images/{number:02}.jpg")), photograph(number)).unwrap();
        let line = |(class, [left, top, width, height]): Object| {
            let [w, h] = SIDES.map(f64::from);
            let centre = [f64::from(left) + f64::from(width) / 2.0, f64::from(top) + f64::from(height) / 2.0];
            format!(
                "{class} {} {} {} {}\n",
                centre[0] / w,
                centre[1] / h,
                f64::from(width) / w,
                f64::from(height) / h
            )
        };
        let lines: String = objects(number).into_iter().map(line).collect();
        fs::write(folder.join(format!("labels/{number:02}.txt")), lines).unwrap();
    }
}

/// Folders `images/` and `masks/`, whose values are classes, and their names.
fn draw_masks(folder: &Path) {
    for name in ["images", "masks"] {
        fs::create_dir_all(folder.join(name)).unwrap();
    }
    fs::write(folder.join("classes.txt"), "background\nsquare\nbar\n").unwrap();
    for number in 0..PHOTOGRAPHS {
        fs::write(folder.join(format!("images/{number:02}.jpg")), photograph(number)).unwrap();
        let mut mask = image::GrayImage::new(SIDES[0], SIDES[1]);
        for (class, [left, top, width, height]) in objects(number) {
            for (x, y) in (left..left + width).flat_map(|x| (top..top + height).map(move |y| (x, y))) {
                mask.put_pixel(x, y, image::Luma([class as u8 + 1]));
            }
        }
        mask.save(folder.join(format!("masks/{number:02}.png"))).unwrap();
    }
}

fn place() -> Place {
    let place = Place::new();
    draw_boxes(&place.path("boxes"));
    draw_masks(&place.path("masks"));
    place
}

/// What is learned in seconds.
fn learn<'a>(task: &'a str, mode: &'a str, out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let data = if task == "image-detect" { "boxes" } else { "masks" };
    let usual =
        [task, data, "--mode", mode, "--out", out, "--size", "96", "--batch", "6", "--augment", "none"];
    [&usual[..], more].concat()
}

fn score(place: &Place, run: &str, metric: &str) -> f64 {
    json(&place.path(&format!("{run}/summary.json")))["metrics"][metric].as_f64().unwrap()
}

/// The audit's report of the last phase.
fn audit(place: &Place, run: &str) -> Value {
    json(&place.path(&format!("{run}/freeze.json"))).as_array().unwrap().last().unwrap().clone()
}

#[test]
fn drawn_objects_are_found_and_shown() {
    let place = place();
    let ended = place.ok(&learn("image-detect", "full", "d", &["--epochs", "25", "--lr", "2e-3"]));
    assert!(ended.err.contains("YOLO"), "{}", ended.err);
    let ap50 = score(&place, "d", "ap50");
    assert!(ap50 > 0.8, "{ap50}: {}", ended.out);
    let report = fs::read_to_string(place.path("d/report.html")).unwrap();
    for expected in ["Class by class", "Precision by recall", "Kinds of mistakes", "background: a box"] {
        assert!(report.contains(expected), "{expected}");
    }

    // The objects of the first photograph, by class and place.
    let ended = place.ok(&["predict", "d", "boxes/images/00.jpg", "boxes/images/01.jpg", "--draw", "drawn"]);
    let lines: Vec<Value> = ended.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines.len(), &lines[0]["width"], &lines[0]["height"]), (2, &112.into(), &96.into()));
    for (number, line) in lines.iter().enumerate() {
        for (class, [left, top, width, height]) in objects(number) {
            let label = ["square", "bar"][class];
            let is_there = line["objects"].as_array().unwrap().iter().any(|object| {
                let found: Vec<f64> =
                    object["box"].as_array().unwrap().iter().map(|at| at.as_f64().unwrap()).collect();
                let near = [left, top, width, height]
                    .iter()
                    .zip(&found)
                    .all(|(&at, found)| (f64::from(at) - found).abs() < 10.0);
                object["label"] == label && near
            });
            assert!(is_there, "{number}: {label} at {left}, {top}: {line}");
        }
        let drawn = Picture::open(place.path(&format!("drawn/0{number}.jpg"))).unwrap();
        assert_eq!([drawn.width(), drawn.height()], SIDES);
    }
    place.ok(&["predict", "d", "boxes/images", "-o", "all.csv"]);
    assert!(
        fs::read_to_string(place.path("all.csv"))
            .unwrap()
            .starts_with("file,label,score,left,top,width,height\n")
    );
    let ended = place.ok(&["evaluate", "d", "boxes", "--gate", "ap50>=0.5"]);
    assert!(ended.out.contains("square  AP50") && ended.out.contains("objects"), "{}", ended.out);
    assert_eq!(place.tk(&["evaluate", "d", "boxes", "--gate", "ap50>=1.1"]).code, 4);
    assert!(place.ok(&["models", "show", "d"]).out.contains("fcos on resnet18"));

    // It goes on from the run: the head is kept.
    let ended =
        place.ok(&learn("image-detect", "features", "again", &["-m", "d", "--epochs", "1", "--lr", "1e-5"]));
    assert!((score(&place, "again", "ap50") - ap50).abs() < 0.15, "{}", ended.out);
}

#[test]
fn pixels_are_told_and_shown() {
    let place = place();
    for (head, epochs, least) in [("unet", "12", 0.8), ("lraspp", "12", 0.5)] {
        let more = ["--head", head, "--epochs", epochs, "--lr", "2e-3"];
        let ended = place.ok(&learn("image-segment", "full", head, &more));
        let miou = score(&place, head, "miou");
        assert!(miou > least, "{head} {miou}: {}", ended.out);
    }
    let ended = place.ok(&["predict", "unet", "masks/images/00.jpg", "--draw", "drawn"]);
    let line: Value = serde_json::from_str(ended.out.lines().next().unwrap()).unwrap();
    let share: f64 = objects(0).iter().map(|(_, [.., width, height])| f64::from(width * height)).sum::<f64>()
        / f64::from(SIDES[0] * SIDES[1]);
    let background = line["fractions"]["background"].as_f64().unwrap();
    assert!((1.0 - background - share).abs() < 0.05, "{line}");
    assert!(line["mask"]["background"]["counts"].is_string());
    assert!(place.path("drawn/00.jpg").exists());
    let ended = place.ok(&["evaluate", "unet", "masks", "--json", "--gate", "miou>=0.7"]);
    let told: Value = serde_json::from_str(&ended.out).unwrap();
    assert!(told["metrics"]["dice"].as_f64().unwrap() > 0.8);
    let report = fs::read_to_string(place.path("unet/report.html")).unwrap();
    assert!(report.contains("Where it fails most") && report.contains("Class by class"));
}

#[test]
fn every_mode_trains_what_it_says() {
    let place = place();
    for (task, metric, heads) in
        [("image-detect", "ap", &["fcos"][..]), ("image-segment", "miou", &["unet", "deeplabv3", "fcn"])]
    {
        for mode in ["features", "partial", "gradual", "lora"] {
            let run = format!("{task}-{mode}");
            let more = if mode == "gradual" { vec!["--unfreeze", "last:1"] } else { vec!["--epochs", "1"] };
            let more = [&more[..], &["--limit", "12", "--head", heads[0]]].concat();
            place.ok(&learn(task, mode, &run, &more));
            assert!(score(&place, &run, metric).is_finite());
            let audit = audit(&place, &run);
            let stages = audit["stages"].as_array().unwrap();
            match mode {
                "features" => assert_eq!(stages, &["head"], "{run}"),
                "lora" => {
                    assert!(stages.len() > 2 && place.path(&format!("{run}/adapter")).is_dir(), "{run}")
                }
                _ => assert!(
                    stages.contains(&"layer4".into()) && !stages.contains(&"stem".into()),
                    "{run}: {stages:?}"
                ),
            }
            let cached =
                json(&place.path(&format!("{run}/summary.json")))["cache"]["misses"].as_u64().unwrap();
            assert_eq!(cached > 0, mode != "lora", "{run}");
        }
        for head in &heads[1..] {
            place.ok(&learn(task, "features", head, &["--epochs", "1", "--limit", "8", "--head", head]));
        }
    }
}

#[test]
fn a_killed_run_goes_on_to_the_same_bytes() {
    let place = place();
    for (task, out) in [("image-detect", "d"), ("image-segment", "s")] {
        let whole = format!("{out}-whole");
        let more = ["--epochs", "2", "--limit", "18", "--checkpoint-every", "0"];
        let strong = |out: &str| -> Vec<String> {
            let mut words: Vec<String> =
                learn(task, "full", out, &more).into_iter().map(str::to_owned).collect();
            let level = words.iter().position(|word| word == "none").unwrap();
            words[level] = "strong".into();
            words
        };
        let words = strong(&whole);
        place.ok(&words.iter().map(String::as_str).collect::<Vec<_>>());
        let words = strong(out);
        let child = begun(&place, out, &words.iter().map(String::as_str).collect::<Vec<_>>());
        kill_and_resume(&place, child, out, &whole);
    }
}

#[test]
fn what_cannot_be_is_one_clear_line() {
    let place = place();
    place.draw_few("classes", 2);
    fs::create_dir_all(place.path("empty")).unwrap();
    for (arguments, code, expected) in [
        (&["image-detect", "nowhere"][..], 2, "nowhere"),
        (&["image-detect", "empty"], 3, "empty"),
        (&["image-detect", "classes"], 3, "no annotations"),
        (&["image-detect", "boxes", "--head", "yolo"], 2, "expected fcos"),
        (&["image-detect", "boxes", "-m", "deit_tiny_patch16_224"], 2, "deit_tiny_patch16_224"),
        (&["image-detect", "boxes", "-m", "fcos_resnet50_fpn"], 2, "fcos_resnet50_fpn=FILE.pth"),
        (&["image-detect", "boxes", "--size", "8"], 2, "a side of 8 pixels"),
        (&["image-detect", "boxes", "--monitor", "accuracy"], 2, "ap, ap50, ar100"),
        (&["image-detect", "boxes", "--set", "mixup=0.2"], 2, "`mixup` is no setting of image-detect"),
        (&["image-segment", "classes"], 3, "masks"),
        (&["image-segment", "masks", "--head", "fcos"], 2, "expected unet, deeplabv3, fcn, lraspp"),
        (&["predict", "small", "boxes/images/00.jpg", "--draw", "x"], 2, "--draw"),
    ] {
        let ended = place.tk(arguments);
        let what = arguments.join(" ");
        assert_eq!(ended.code, code, "{what}: {}", ended.err);
        assert_one_error(&ended, &what);
        assert!(ended.err.contains(expected), "{what}: {}", ended.err);
    }
    assert!(!place.path("runs").exists(), "nothing was begun");
}

#[test]
fn damaged_photographs_are_set_aside_and_counted() {
    let place = place();
    let damaged = place.path("boxes/images/07.jpg");
    let bytes = fs::read(&damaged).unwrap();
    fs::write(&damaged, &bytes[..bytes.len() / 2]).unwrap();
    fs::write(place.path("boxes/images/08.jpg"), "no picture").unwrap();
    let more = ["--epochs", "1", "--limit", "20", "--max-bad", "2"];
    place.ok(&learn("image-detect", "features", "d", &more));
    let aside = fs::read_to_string(place.path("d/quarantine.json")).unwrap();
    assert!(aside.contains("08.jpg") && aside.contains("07.jpg"), "{aside}");
    let ended = place.tk(&learn("image-detect", "features", "e", &["--max-bad", "0"]));
    assert_eq!(ended.code, 3, "{}", ended.err);
    let ended = place.tk(&["predict", "d", "boxes/images/00.jpg", "boxes/images/08.jpg"]);
    assert_eq!(ended.code, 3);
    assert!(ended.out.lines().count() == 2 && ended.out.contains("\"error\""), "{}", ended.out);
}
