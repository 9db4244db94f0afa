//! How far the classes that were told of pixels are from what they are.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tk_image::data::{Picture, thumbnail};
use tk_image::draw::with_classes;
use tk_image::segmentation::Segmenter;
use tk_image::segments::Segments;
use tk_transfer::data::{Labelled, Quarantine};
use tk_transfer::metrics::{Bootstrap, Interval, PixelScores, bootstrap_score};

use super::Error;
use crate::dense::{Drawn, Shows};
use crate::report::{ClassScores, FoundPart, Shown};
use crate::structured;

/// Photographs that a report shows of each kind.
const SHOWN: usize = 8;

/// The longer side of a shown photograph in pixels.
const SIDE: u32 = 400;

/// One photograph: pixels by what they are and what was told.
#[derive(Clone, Debug)]
pub struct Compared {
    /// The photograph.
    pub file: String,
    /// Its position in the data.
    pub position: usize,
    /// Its pixels, counted.
    pub pixels: PixelScores,
    /// What was told of each pixel; kept of photographs that are shown.
    told: Vec<u8>,
}

/// Classes beside the truth, and how good they are.
#[derive(Clone, Debug)]
pub struct Scored {
    /// Each photograph.
    pub compared: Vec<Compared>,
    classes: Vec<String>,
    whole: PixelScores,
    metrics: BTreeMap<String, f64>,
    intervals: BTreeMap<String, Interval>,
}

impl Scored {
    /// Sums up what was told of photographs' pixels.
    pub fn new(mut compared: Vec<Compared>, classes: Vec<String>, seed: u64) -> Self {
        let sum = |all: &mut dyn Iterator<Item = &Compared>| {
            let mut whole = PixelScores::new(classes.len());
            all.for_each(|one| whole.merge(&one.pixels));
            whole
        };
        let whole = sum(&mut compared.iter());
        let metrics =
            [("miou", whole.miou()), ("pixel_accuracy", whole.pixel_accuracy()), ("dice", whole.dice())];
        let metrics = metrics.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let bootstrap = Bootstrap { seed, ..Bootstrap::default() };
        let miou = bootstrap_score(compared.len(), bootstrap, |drawn| {
            sum(&mut drawn.iter().map(|&at| &compared[at])).miou()
        });
        let intervals = BTreeMap::from([("miou".to_owned(), miou)]);
        // Told pixels are large: of those that nobody will see they go.
        let order = by_score(&compared);
        let middle = SHOWN..order.len().saturating_sub(SHOWN);
        for &at in order.get(middle).unwrap_or_default() {
            compared[at].told = Vec::new();
        }
        Self { compared, classes, whole, metrics, intervals }
    }
}

/// Positions of photographs by their mean intersection over union, lowest first; equals stay in order.
fn by_score(compared: &[Compared]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..compared.len()).collect();
    order.sort_by(|&a, &b| compared[a].pixels.miou().total_cmp(&compared[b].pixels.miou()));
    order
}

impl structured::Scored for Scored {
    fn samples(&self) -> usize {
        self.compared.len()
    }

    fn headline(&self) -> &'static str {
        "miou"
    }

    fn metrics(&self) -> &BTreeMap<String, f64> {
        &self.metrics
    }

    fn intervals(&self) -> &BTreeMap<String, Interval> {
        &self.intervals
    }

    /// One line, such as `mIoU 0.861 (0.84–0.88)  accuracy 0.951  Dice 0.92  weakest: person 0.78`.
    fn line(&self) -> String {
        let score = |name: &str| self.metrics.get(name).copied().unwrap_or(0.0);
        let range = self.intervals.get("miou");
        let range = range.map_or_else(String::new, |range| format!(" ({:.2}–{:.2})", range.low, range.high));
        let all = self.classes.iter().enumerate();
        let weakest = all
            .filter_map(|(class, name)| Some((name, self.whole.iou_of(class)?)))
            .min_by(|a, b| a.1.total_cmp(&b.1));
        let weakest = weakest.map_or_else(String::new, |(name, iou)| format!("  weakest: {name} {iou:.3}"));
        let [miou, accuracy, dice] = ["miou", "pixel_accuracy", "dice"].map(score);
        format!("mIoU {miou:.3}{range}  pixel accuracy {accuracy:.3}  Dice {dice:.3}{weakest}")
    }

    fn details(&self, classes: &[String]) -> Vec<String> {
        self.found(classes, &|_| None).lines()
    }

    fn lines(&self) -> Vec<Value> {
        let line = |one: &Compared| {
            let ious: serde_json::Map<String, Value> = self
                .classes
                .iter()
                .enumerate()
                .filter_map(|(class, name)| Some((name.clone(), json!(one.pixels.iou_of(class)?))))
                .collect();
            json!({ "file": one.file, "miou": one.pixels.miou(), "iou": ious })
        };
        self.compared.iter().map(line).collect()
    }
}

impl Shows for Scored {
    fn found(&self, classes: &[String], drawn: &dyn Fn(usize) -> Option<Drawn>) -> FoundPart {
        let row = |(class, name): (usize, &String)| ClassScores {
            name: name.clone(),
            values: vec![self.whole.iou_of(class), self.whole.dice_of(class)],
        };
        let shown = |&at: &usize| {
            let one = &self.compared[at];
            let jpeg = drawn(one.position).and_then(|Drawn { picture, .. }| {
                let fits = one.told.len() == (picture.width() * picture.height()) as usize;
                fits.then(|| thumbnail(&with_classes(&picture, &one.told), SIDE).ok()).flatten()
            });
            Shown { file: one.file.clone(), jpeg, caption: format!("mIoU {:.3}", one.pixels.miou()) }
        };
        let order = by_score(&self.compared);
        FoundPart {
            scores: vec!["IoU".into(), "Dice".into()],
            classes: classes.iter().enumerate().map(row).collect(),
            curves: Vec::new(),
            mistakes: Vec::new(),
            worst: order.iter().take(SHOWN).map(shown).collect(),
            best: order.iter().rev().take(SHOWN / 2).map(shown).collect(),
        }
    }
}

/// Looks at some photographs of a data set; those that cannot be read are listed with the reason.
///
/// # Errors
/// When the engine fails.
pub fn evaluate(
    segmenter: &Segmenter,
    data: &Segments,
    positions: &[usize],
    seed: u64,
) -> Result<(Scored, Quarantine), Error> {
    let (mut compared, mut aside) = (Vec::with_capacity(positions.len()), Quarantine::default());
    for &position in positions {
        let file = data.name(position);
        let read = |position| -> Result<(Picture, Vec<u8>), String> {
            let picture = data.load(position).map_err(|error| error.to_string())?;
            let mask = data.mask(position).map_err(|error| error.to_string())?;
            Ok((picture, mask.classes().to_vec()))
        };
        let (picture, truth) = match read(position) {
            Ok(read) => read,
            Err(error) => {
                aside.add(file, error);
                continue;
            }
        };
        let told = segmenter.segment(&picture)?;
        let mut pixels = PixelScores::new(data.classes().len());
        pixels.add(&truth, &told);
        compared.push(Compared { file, position, pixels, told });
    }
    Ok((Scored::new(compared, data.classes().to_vec(), seed), aside))
}
