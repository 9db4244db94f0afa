//! How well pixels are told apart: ratios of a confusion matrix of classes, as semantic segmentation is scored by.
//!
//! A class that neither occurs nor was said has no ratio. It is left out of the means, which are over the others.

use serde::{Deserialize, Serialize};

/// What stands in a map of classes where nothing is said: such pixels are not counted.
pub const IGNORED: u8 = 255;

/// What was said of pixels, counted. Batches add up, and so do the counts of several workers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PixelScores {
    classes: usize,
    counts: Vec<u64>,
}

/// The pixels of one class.
#[derive(Clone, Copy, Debug)]
struct Counts {
    /// Of the class, and found.
    right: u64,
    /// Of the class.
    occurring: u64,
    /// Said to be of the class.
    said: u64,
}

impl PixelScores {
    /// Nothing counted yet.
    ///
    /// # Panics
    /// With more than 255 classes, of which maps have no room.
    pub fn new(classes: usize) -> Self {
        assert!(classes <= usize::from(IGNORED), "{classes} classes; a map of bytes holds {IGNORED}");
        Self { classes, counts: vec![0; classes * classes] }
    }

    /// Counts pixels: the class of each, and what was found, both `[pixels]`, u8. Where the truth is [`IGNORED`] nothing is counted.
    ///
    /// # Panics
    /// When the lengths differ, or something is no class.
    pub fn add(&mut self, truth: &[u8], found: &[u8]) {
        assert_eq!(truth.len(), found.len(), "each pixel has one truth and one finding");
        let classes = self.classes;
        for (&truth, &found) in truth.iter().zip(found).filter(|(truth, _)| **truth != IGNORED) {
            let (row, column) = (usize::from(truth), usize::from(found));
            assert!(row < classes && column < classes, "({row}, {column}) with {classes} classes");
            self.counts[row * classes + column] += 1;
        }
    }

    /// Adds what another counted.
    ///
    /// # Panics
    /// When it is of another number of classes.
    pub fn merge(&mut self, other: &Self) {
        assert_eq!(self.classes, other.classes, "scores of the same classes");
        self.counts.iter_mut().zip(&other.counts).for_each(|(count, more)| *count += more);
    }

    /// The number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// How many pixels of each class (row) were taken for each class (column): `[classes, classes]`.
    pub fn confusion(&self) -> &[u64] {
        &self.counts
    }

    /// How many pixels were counted.
    pub fn pixels(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Intersection over union of a class: TP / (TP + FP + FN), 0 to 1. `None` when it neither occurs nor was said, or is no class.
    pub fn iou_of(&self, class: usize) -> Option<f64> {
        let Counts { right, occurring, said } = self.counts_of(class)?;
        ratio(right, occurring + said - right)
    }

    /// The mean of [`iou_of`](Self::iou_of) over the classes that have one; 0 when none has.
    pub fn miou(&self) -> f64 {
        mean((0..self.classes).map(|class| self.iou_of(class)))
    }

    /// Dice's coefficient of a class, which is its F1: 2·TP / (2·TP + FP + FN), 0 to 1. `None` when it neither occurs nor was said, or is
    /// no class.
    pub fn dice_of(&self, class: usize) -> Option<f64> {
        let Counts { right, occurring, said } = self.counts_of(class)?;
        ratio(2 * right, occurring + said)
    }

    /// The mean of [`dice_of`](Self::dice_of) over the classes that have one; 0 when none has.
    pub fn dice(&self) -> f64 {
        mean((0..self.classes).map(|class| self.dice_of(class)))
    }

    /// The part of a class's pixels that was found: TP / (TP + FN), 0 to 1. `None` when it does not occur, or is no class.
    pub fn accuracy_of(&self, class: usize) -> Option<f64> {
        let Counts { right, occurring, .. } = self.counts_of(class)?;
        ratio(right, occurring)
    }

    /// The mean of [`accuracy_of`](Self::accuracy_of) over the classes that occur; 0 when none does.
    pub fn mean_accuracy(&self) -> f64 {
        mean((0..self.classes).map(|class| self.accuracy_of(class)))
    }

    /// The part of all pixels that were said right, 0 to 1; 0 when none was counted.
    pub fn pixel_accuracy(&self) -> f64 {
        let right = (0..self.classes).filter_map(|class| self.counts_of(class)).map(|counts| counts.right);
        ratio(right.sum(), self.pixels()).unwrap_or(0.0)
    }

    fn counts_of(&self, class: usize) -> Option<Counts> {
        let classes = self.classes;
        (class < classes).then(|| Counts {
            right: self.counts[class * classes + class],
            occurring: self.counts[class * classes..][..classes].iter().sum(),
            said: self.counts[class..].iter().step_by(classes).sum(),
        })
    }
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn mean(ratios: impl Iterator<Item = Option<f64>>) -> f64 {
    let (sum, count) = ratios.flatten().fold((0.0, 0.0), |(sum, count), ratio| (sum + ratio, count + 1.0));
    if count > 0.0 { sum / count } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four classes of which one neither occurs nor is said, and one is said but does not occur.
    fn example() -> PixelScores {
        let mut scores = PixelScores::new(4);
        scores.add(&[0, 0, 0, 0, 0, 0, 1, 1, 255, 255], &[0, 0, 0, 0, 1, 3, 1, 0, 0, 2]);
        scores
    }

    #[test]
    fn ratios_are_those_of_their_definitions() {
        let scores = example();
        assert_eq!(scores.confusion(), [4, 1, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!((scores.classes(), scores.pixels()), (4, 8));
        // Worked out by hand: (TP, FP, FN) are (4, 1, 2), (1, 1, 1), nothing, (0, 1, 0).
        for (class, iou, dice, accuracy) in [
            (0, Some(4.0 / 7.0), Some(8.0 / 11.0), Some(4.0 / 6.0)),
            (1, Some(1.0 / 3.0), Some(2.0 / 4.0), Some(1.0 / 2.0)),
            (2, None, None, None),
            (3, Some(0.0), Some(0.0), None),
            (4, None, None, None),
        ] {
            let found = (scores.iou_of(class), scores.dice_of(class), scores.accuracy_of(class));
            assert_eq!(found, (iou, dice, accuracy), "class {class}");
        }
        for (name, found, expected) in [
            ("mIoU", scores.miou(), (4.0 / 7.0 + 1.0 / 3.0) / 3.0),
            ("Dice", scores.dice(), (8.0 / 11.0 + 0.5) / 3.0),
            ("mean accuracy", scores.mean_accuracy(), (4.0 / 6.0 + 0.5) / 2.0),
            ("pixel accuracy", scores.pixel_accuracy(), 5.0 / 8.0),
        ] {
            assert!((found - expected).abs() < 1e-12, "{name}: {found}, expected {expected}");
        }
    }

    #[test]
    fn batches_and_workers_add_up() {
        let (truth, found): (Vec<u8>, Vec<u8>) =
            (0..200u32).map(|pixel| ((pixel % 3) as u8, (pixel * 7 % 11 % 3) as u8)).unzip();
        let mut whole = PixelScores::new(3);
        whole.add(&truth, &found);
        let mut parts = [PixelScores::new(3), PixelScores::new(3)];
        for (at, (truth, found)) in truth.chunks(30).zip(found.chunks(30)).enumerate() {
            parts[at % 2].add(truth, found);
        }
        let [mut first, second] = parts;
        assert_ne!(first, whole);
        first.merge(&second);
        assert_eq!(first, whole);
    }

    #[test]
    fn nothing_counted_scores_zero() {
        let mut scores = PixelScores::new(2);
        scores.add(&[IGNORED; 3], &[0, 1, 1]);
        assert_eq!(scores, PixelScores::new(2));
        let means = [scores.miou(), scores.dice(), scores.mean_accuracy(), scores.pixel_accuracy()];
        assert_eq!((means, scores.iou_of(0)), ([0.0; 4], None));
        assert_eq!(PixelScores::new(0).miou(), 0.0);
    }

    #[test]
    fn what_is_no_class_is_refused() {
        for (truth, found) in [(2, 0), (0, 2), (0, IGNORED)] {
            let add = std::panic::catch_unwind(|| PixelScores::new(2).add(&[truth], &[found]));
            assert!(add.is_err(), "{truth} {found}");
        }
    }
}
