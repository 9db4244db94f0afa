//! How far what was found is from what is there.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tk_image::annotations::Scenes;
use tk_image::data::thumbnail;
use tk_image::detection::{Corners, Detector};
use tk_image::draw::{Mark, with_boxes};
use tk_transfer::data::{Labelled, Quarantine};
use tk_transfer::metrics::{
    Bootstrap, DetectionScores, Found, Interval, Object, Picture, RECALLS, Size, bootstrap_score,
};

use super::{Error, Mistakes, mistakes};
use crate::dense::{Drawn, Shows};
use crate::report::{ClassScores, FoundPart, Shown};
use crate::structured;

/// Boxes that are surer than this are shown, and counted as mistakes where they are.
const SURE: f64 = 0.5;

/// Photographs that a report shows of each kind.
const SHOWN: usize = 12;

/// The longer side of a shown photograph in pixels.
const SIDE: u32 = 400;

/// So many times scores are computed of photographs drawn anew; a draw matches every box again.
const DRAWS: usize = 200;

/// What is in one photograph, and what was found.
#[derive(Clone, Debug)]
pub struct Compared {
    /// The photograph.
    pub file: String,
    /// Its position in the data.
    pub position: usize,
    /// Width and height in pixels.
    pub size: [u32; 2],
    /// Objects and boxes, in its own pixels.
    pub picture: Picture,
    /// What is wrong with the sure ones.
    pub mistakes: Mistakes,
}

/// Boxes beside the truth, and how good they are.
#[derive(Clone, Debug)]
pub struct Scored {
    /// Each photograph.
    pub compared: Vec<Compared>,
    classes: Vec<String>,
    scores: DetectionScores,
    metrics: BTreeMap<String, f64>,
    intervals: BTreeMap<String, Interval>,
}

impl Scored {
    /// Sums up what was found in photographs.
    pub fn new(compared: Vec<Compared>, classes: Vec<String>, seed: u64) -> Self {
        let of = |pictures: &[Picture]| DetectionScores::of(classes.len(), pictures);
        let pictures: Vec<Picture> = compared.iter().map(|one| one.picture.clone()).collect();
        let scores = of(&pictures);
        let ap50 = |scores: &DetectionScores| scores.average_precision(Some(0), Size::Any).unwrap_or(0.0);
        let metrics = [
            ("ap", scores.average_precision(None, Size::Any)),
            ("ap50", scores.average_precision(Some(0), Size::Any)),
            ("ap75", scores.average_precision(Some(5), Size::Any)),
            ("ap_small", scores.average_precision(None, Size::Small)),
            ("ap_medium", scores.average_precision(None, Size::Medium)),
            ("ap_large", scores.average_precision(None, Size::Large)),
            ("ar100", scores.average_recall(2, Size::Any)),
        ];
        // Sizes of which there are no objects have no score.
        let metrics: BTreeMap<String, f64> =
            metrics.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
        let bootstrap = Bootstrap { draws: DRAWS, seed, ..Bootstrap::default() };
        let interval = bootstrap_score(pictures.len(), bootstrap, |drawn| {
            ap50(&of(&drawn.iter().map(|&at| pictures[at].clone()).collect::<Vec<_>>()))
        });
        let intervals = BTreeMap::from([("ap50".to_owned(), interval)]);
        Self { compared, classes, scores, metrics, intervals }
    }

    /// The mistakes in all photographs.
    pub fn mistakes(&self) -> Mistakes {
        self.compared.iter().map(|one| one.mistakes).sum()
    }

    /// Photographs by their mistakes, most first; equals stay in order.
    fn by_mistakes(&self) -> Vec<&Compared> {
        let mut ordered: Vec<&Compared> = self.compared.iter().collect();
        ordered.sort_by_key(|one| std::cmp::Reverse(one.mistakes.total()));
        ordered
    }
}

impl structured::Scored for Scored {
    fn samples(&self) -> usize {
        self.compared.len()
    }

    fn headline(&self) -> &'static str {
        "ap50"
    }

    fn metrics(&self) -> &BTreeMap<String, f64> {
        &self.metrics
    }

    fn intervals(&self) -> &BTreeMap<String, Interval> {
        &self.intervals
    }

    /// One line, such as `AP50 0.812 (0.74–0.87)  AP 0.512  of 84 objects 70 found; surer than 0.5: 3 boxes where nothing is, …`.
    fn line(&self) -> String {
        let score = |name: &str| self.metrics.get(name).copied().unwrap_or(0.0);
        let range = self.intervals.get("ap50");
        let range = range.map_or_else(String::new, |range| format!(" ({:.2}–{:.2})", range.low, range.high));
        let all = self.mistakes();
        format!(
            "AP50 {:.3}{range}  AP {:.3}  of {} objects {} found by boxes surer than {SURE}, {} boxes wrong",
            score("ap50"),
            score("ap"),
            all.right + all.missed,
            all.right,
            all.total() - all.missed
        )
    }

    fn details(&self, classes: &[String]) -> Vec<String> {
        self.found(classes, &|_| None).lines()
    }

    fn lines(&self) -> Vec<Value> {
        let bounds = |bounds: [f64; 4]| bounds.map(|at| (at * 100.0).round() / 100.0);
        let name = |class: usize| self.classes.get(class).cloned().unwrap_or_default();
        let line = |one: &Compared| {
            let objects: Vec<Value> = one
                .picture
                .found
                .iter()
                .map(|found| json!({ "label": name(found.class), "score": (found.score * 1e4).round() / 1e4, "box": bounds(found.bounds) }))
                .collect();
            let truth: Vec<Value> = one
                .picture
                .objects
                .iter()
                .map(|object| json!({ "label": name(object.class), "box": bounds(object.bounds), "crowd": object.is_crowd }))
                .collect();
            json!({ "file": one.file, "width": one.size[0], "height": one.size[1], "objects": objects, "truth": truth })
        };
        self.compared.iter().map(line).collect()
    }
}

impl Shows for Scored {
    fn found(&self, classes: &[String], drawn: &dyn Fn(usize) -> Option<Drawn>) -> FoundPart {
        let scores = &self.scores;
        let row = |(class, name): (usize, &String)| {
            let score = |overlap| scores.class_average_precision(class, overlap, Size::Any);
            ClassScores { name: name.clone(), values: vec![score(Some(0)), score(None)] }
        };
        let curve = |(class, name): (usize, &String)| {
            let points = scores.precision_curve(class, 0)?;
            let recall = |at: usize| at as f64 / (RECALLS - 1) as f64;
            Some((
                name.clone(),
                points.iter().enumerate().map(|(at, &precision)| (recall(at), precision)).collect(),
            ))
        };
        let shown = |one: &Compared| {
            let jpeg = drawn(one.position).and_then(|Drawn { picture, .. }| {
                thumbnail(&with_boxes(&picture, &one.marks(classes)), SIDE).ok()
            });
            let Mistakes { right, missed, .. } = one.mistakes;
            let wrong = one.mistakes.total() - missed;
            Shown {
                file: one.file.clone(),
                jpeg,
                caption: format!("{right} found, {missed} missed, {wrong} boxes wrong"),
            }
        };
        let ordered = self.by_mistakes();
        let worst: Vec<&&Compared> =
            ordered.iter().filter(|one| one.mistakes.total() > 0).take(SHOWN).collect();
        let best = ordered.iter().rev().filter(|one| one.mistakes.right > 0 && one.mistakes.total() == 0);
        FoundPart {
            scores: vec!["AP50".into(), "AP".into()],
            classes: classes.iter().enumerate().map(row).collect(),
            curves: classes.iter().enumerate().filter_map(curve).collect(),
            mistakes: self.mistakes().kinds(),
            worst: worst.into_iter().map(|one| shown(one)).collect(),
            best: best.take(SHOWN / 2).map(|one| shown(one)).collect(),
        }
    }
}

impl Compared {
    /// What is there, in broken lines, and the sure boxes with their class.
    fn marks(&self, classes: &[String]) -> Vec<Mark> {
        let truth = self.picture.objects.iter().map(|object| Mark {
            corners: Corners::from_bounds(object.bounds),
            class: object.class,
            text: String::new(),
            is_dashed: true,
        });
        let sure = self.picture.found.iter().filter(|found| found.score >= SURE);
        let found = sure.map(|found| Mark {
            corners: Corners::from_bounds(found.bounds),
            class: found.class,
            text: format!("{} {:.2}", classes.get(found.class).map_or("", String::as_str), found.score),
            is_dashed: false,
        });
        truth.chain(found).collect()
    }
}

/// Looks at some photographs of a data set; those that cannot be decoded are listed with the reason.
///
/// # Errors
/// When the engine fails.
pub fn evaluate(
    detector: &Detector,
    data: &Scenes,
    positions: &[usize],
    seed: u64,
) -> Result<(Scored, Quarantine), Error> {
    let (mut compared, mut aside) = (Vec::with_capacity(positions.len()), Quarantine::default());
    for &position in positions {
        let file = data.name(position);
        let picture = match data.load(position) {
            Ok(picture) => picture,
            Err(error) => {
                aside.add(file, error);
                continue;
            }
        };
        let found = detector.detect(&picture)?.into_iter().map(|candidate| Found {
            class: candidate.class,
            bounds: candidate.corners.bounds(),
            score: f64::from(candidate.score),
        });
        let objects = data.samples()[position].objects.iter().map(|object| Object {
            class: object.class,
            bounds: object.bounds,
            area: object.area,
            is_crowd: object.is_crowd,
        });
        let size = [picture.width(), picture.height()];
        let picture = Picture { objects: objects.collect(), found: found.collect() };
        let mistakes = mistakes(&picture.objects, &picture.found, SURE);
        compared.push(Compared { file, position, size, picture, mistakes });
    }
    Ok((Scored::new(compared, data.classes().to_vec(), seed), aside))
}
