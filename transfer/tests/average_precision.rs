//! Average precision and recall of recorded detections against pycocotools'; average_precision.py made the numbers.

use serde::Deserialize;
use tk_transfer::metrics::{DetectionScores, Found, Object, Picture, Size};

#[derive(Deserialize)]
struct Reference {
    classes: usize,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    pictures: Vec<Recorded>,
    /// The twelve numbers in pycocotools' order; −1 where there is nothing to score.
    summary: [f64; 12],
    classes: Vec<f64>,
    /// Class 0 from an overlap of a half on.
    curve: Vec<f64>,
}

#[derive(Deserialize)]
struct Recorded {
    objects: Vec<RecordedObject>,
    found: Vec<RecordedFound>,
}

#[derive(Deserialize)]
struct RecordedObject {
    class: usize,
    bounds: [f64; 4],
    area: f64,
    is_crowd: bool,
}

#[derive(Deserialize)]
struct RecordedFound {
    class: usize,
    bounds: [f64; 4],
    score: f64,
}

fn pictures(case: &Case) -> Vec<Picture> {
    let object = |&RecordedObject { class, bounds, area, is_crowd }: &RecordedObject| Object {
        class,
        bounds,
        area,
        is_crowd,
    };
    let found = |&RecordedFound { class, bounds, score }: &RecordedFound| Found { class, bounds, score };
    let of = |picture: &Recorded| Picture {
        objects: picture.objects.iter().map(object).collect(),
        found: picture.found.iter().map(found).collect(),
    };
    case.pictures.iter().map(of).collect()
}

fn same(found: Option<f64>, expected: f64, what: &str) {
    let found = found.unwrap_or(-1.0);
    assert!((found - expected).abs() < 1e-9, "{what}: {found}, pycocotools says {expected}");
}

#[test]
fn scores_are_pycocotools() {
    let reference: Reference = serde_json::from_str(include_str!("average_precision.json")).unwrap();
    assert!(reference.cases.len() > 2);
    for case in &reference.cases {
        let scores = DetectionScores::of(reference.classes, &pictures(case));
        let [any, small, medium, large] = Size::ALL;
        let precision =
            [(None, any), (Some(0), any), (Some(5), any), (None, small), (None, medium), (None, large)];
        for ((overlap, size), expected) in precision.into_iter().zip(case.summary) {
            same(
                scores.average_precision(overlap, size),
                expected,
                &format!("precision {overlap:?} {size:?}"),
            );
        }
        let recall = [(0, any), (1, any), (2, any), (2, small), (2, medium), (2, large)];
        for ((limit, size), expected) in recall.into_iter().zip(&case.summary[6..]) {
            same(scores.average_recall(limit, size), *expected, &format!("recall {limit} {size:?}"));
        }
        for (class, expected) in case.classes.iter().enumerate() {
            same(scores.class_average_precision(class, None, any), *expected, &format!("class {class}"));
        }
        for (found, expected) in scores.precision_curve(0, 0).unwrap().iter().zip(&case.curve) {
            same(Some(*found), *expected, "curve");
        }
    }
}

#[test]
fn nothing_there_is_nothing_to_score() {
    let found = Found { class: 1, bounds: [0.0, 0.0, 10.0, 10.0], score: 0.5 };
    let empty = Picture { objects: Vec::new(), found: vec![found] };
    let scores = DetectionScores::of(2, &[empty, Picture::default()]);
    assert_eq!(scores.average_precision(None, Size::Any), None);
    assert_eq!(scores.average_recall(2, Size::Any), None);
    assert_eq!(scores.precision_curve(1, 0), None);
}
