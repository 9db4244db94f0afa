//! Of which kind a detector's mistakes are, in the manner of TIDE (Bolya et al. 2020, arXiv 2008.08115).

use tk_transfer::metrics::{Found, Object};

/// A box counts as found where it overlaps an object by this share.
const FOUND: f64 = 0.5;

/// A box that overlaps an object by less than this share has nothing to do with it.
const NEAR: f64 = 0.1;

/// Counts of one photograph or of many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mistakes {
    /// Objects that were found.
    pub right: usize,
    /// Objects that nothing was found at.
    pub missed: usize,
    /// Boxes at an object of another class.
    pub wrong_class: usize,
    /// Boxes that overlap an object of their class too little.
    pub badly_placed: usize,
    /// Boxes at an object that a surer one has found.
    pub doubled: usize,
    /// Boxes where nothing is.
    pub background: usize,
}

impl Mistakes {
    /// All of them together.
    pub fn total(&self) -> usize {
        self.missed + self.wrong_class + self.badly_placed + self.doubled + self.background
    }

    /// Kinds and counts, for people.
    pub fn kinds(&self) -> Vec<(String, usize)> {
        [
            ("missed: an object without a box", self.missed),
            ("wrong class: a box at an object of another class", self.wrong_class),
            ("badly placed: a box that overlaps its object by less than half", self.badly_placed),
            ("doubled: a second box at an object", self.doubled),
            ("background: a box where nothing is", self.background),
        ]
        .map(|(kind, count)| (kind.to_owned(), count))
        .into()
    }
}

impl std::iter::Sum for Mistakes {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            right: sum.right + one.right,
            missed: sum.missed + one.missed,
            wrong_class: sum.wrong_class + one.wrong_class,
            badly_placed: sum.badly_placed + one.badly_placed,
            doubled: sum.doubled + one.doubled,
            background: sum.background + one.background,
        })
    }
}

/// The mistakes in a photograph: of its objects and of the boxes that are surer than `least_score`.
pub fn mistakes(objects: &[Object], found: &[Found], least_score: f64) -> Mistakes {
    let mut counts = Mistakes::default();
    let mut sure: Vec<&Found> = found.iter().filter(|found| found.score >= least_score).collect();
    sure.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut is_found = vec![false; objects.len()];
    for one in sure {
        let overlaps = objects.iter().enumerate().map(|(at, object)| (at, object, overlap(object, one)));
        let best = |of_class: bool, free: bool, is_found: &[bool]| {
            overlaps
                .clone()
                .filter(|(at, object, _)| (object.class == one.class) == of_class && !(free && is_found[*at]))
                .max_by(|a, b| a.2.total_cmp(&b.2))
        };
        if overlaps.clone().any(|(_, object, overlap)| object.is_crowd && overlap >= FOUND) {
            continue;
        }
        if let Some((at, _, overlap)) = best(true, true, &is_found)
            && overlap >= FOUND
        {
            is_found[at] = true;
            counts.right += 1;
        } else if best(true, false, &is_found).is_some_and(|(.., overlap)| overlap >= FOUND) {
            counts.doubled += 1;
        } else if best(false, false, &is_found).is_some_and(|(.., overlap)| overlap >= FOUND) {
            counts.wrong_class += 1;
        } else if best(true, false, &is_found).is_some_and(|(.., overlap)| overlap >= NEAR) {
            counts.badly_placed += 1;
        } else {
            counts.background += 1;
        }
    }
    counts.missed = objects.iter().zip(is_found).filter(|(object, found)| !object.is_crowd && !found).count();
    counts
}

/// The share of common area; with a crowd, of the box's own area.
fn overlap(object: &Object, found: &Found) -> f64 {
    let [a, b] = [object.bounds, found.bounds];
    let side = |axis: usize| (a[axis] + a[axis + 2]).min(b[axis] + b[axis + 2]) - a[axis].max(b[axis]);
    let common = side(0).max(0.0) * side(1).max(0.0);
    let [area, own] = [a, b].map(|bounds| bounds[2] * bounds[3]);
    let all = if object.is_crowd { own } else { area + own - common };
    if all > 0.0 { common / all } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_box_is_of_one_kind() {
        let object = |class, left: f64, is_crowd| Object {
            class,
            bounds: [left, 0.0, 10.0, 10.0],
            area: 100.0,
            is_crowd,
        };
        let found = |class, left: f64, score| Found { class, bounds: [left, 0.0, 10.0, 10.0], score };
        let objects =
            [object(0, 0.0, false), object(1, 50.0, false), object(0, 100.0, false), object(0, 200.0, true)];
        let boxes = [
            found(0, 1.0, 0.9),
            found(0, 2.0, 0.8),
            found(0, 50.0, 0.7),
            found(0, 106.0, 0.6),
            found(1, 300.0, 0.5),
            found(0, 200.0, 0.5),
            found(0, 100.0, 0.1),
        ];
        let expected =
            Mistakes { right: 1, missed: 2, wrong_class: 1, badly_placed: 1, doubled: 1, background: 1 };
        assert_eq!(mistakes(&objects, &boxes, 0.3), expected);
        assert_eq!(mistakes(&objects, &boxes, 0.05).right, 2);
        assert_eq!([expected, expected].into_iter().sum::<Mistakes>().total(), 2 * expected.total());
    }
}
