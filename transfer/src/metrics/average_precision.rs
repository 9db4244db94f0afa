//! How good detections are: average precision and recall as COCO defines them (pycocotools' `COCOeval` on boxes; Lin et al. 2014,
//! arXiv 1405.0312).
//!
//! Within a picture and a class, detections are matched in the order of their scores, each with the free object that it overlaps most.
//! Crowds and objects of another size than is asked for may be found and need not be.

/// An object that is in a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// Its class.
    pub class: usize,
    /// Left, top, width, height, in pixels.
    pub bounds: [f64; 4],
    /// Its area in pixels, which says whether it is small; that of its mask where there is one.
    pub area: f64,
    /// Whether it stands for many that were not told apart.
    pub is_crowd: bool,
}

/// What a detector found in a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The class.
    pub class: usize,
    /// Left, top, width, height, in pixels.
    pub bounds: [f64; 4],
    /// How sure it is.
    pub score: f64,
}

/// What is in a picture and what was found there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Picture {
    /// What is there.
    pub objects: Vec<Object>,
    /// What was found, in any order.
    pub found: Vec<Found>,
}

/// Objects of some sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// All of them.
    Any,
    /// Up to 32 × 32 pixels.
    Small,
    /// From there up to 96 × 96 pixels.
    Medium,
    /// From there on.
    Large,
}

impl Size {
    /// All there are, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Any, Self::Small, Self::Medium, Self::Large];

    fn contains(self, area: f64) -> bool {
        let [least, most] = match self {
            Self::Any => [0.0, 1e10],
            Self::Small => [0.0, 32.0 * 32.0],
            Self::Medium => [32.0 * 32.0, 96.0 * 96.0],
            Self::Large => [96.0 * 96.0, 1e10],
        };
        least <= area && area <= most
    }
}

/// Overlaps from which on a detection counts, 0.50 to 0.95.
pub const OVERLAPS: usize = 10;

/// Recalls at which precision is read, 0 to 1.
pub const RECALLS: usize = 101;

/// So many detections of a picture and class are looked at, the surest ones.
pub const LIMITS: [usize; 3] = [1, 10, 100];

/// Precision and recall of a detector.
#[derive(Clone, Debug)]
pub struct DetectionScores {
    /// For each class and size that there are objects of.
    curves: Vec<[Option<Curves>; 4]>,
}

/// Of one class and size.
#[derive(Clone, Debug)]
struct Curves {
    /// By overlap: the best precision at each recall or beyond.
    precision: [[f64; RECALLS]; OVERLAPS],
    /// By limit and overlap.
    recall: [[f64; OVERLAPS]; 3],
}

/// The least overlap of a number.
pub fn least_overlap(number: usize) -> f64 {
    match number {
        9 => 0.95,
        _ => number as f64 * ((0.95 - 0.5) / 9.0) + 0.5,
    }
}

impl DetectionScores {
    /// Scores pictures; classes are numbers below `classes`.
    ///
    /// # Panics
    /// When a class is not below `classes`, or a score is no number.
    pub fn of(classes: usize, pictures: &[Picture]) -> Self {
        let mut of_class: Vec<Vec<ClassInPicture<'_>>> = vec![Vec::new(); classes];
        for picture in pictures {
            let mut own: Vec<ClassInPicture<'_>> = vec![ClassInPicture::default(); classes];
            picture.objects.iter().for_each(|object| own[object.class].objects.push(object));
            picture.found.iter().for_each(|found| own[found.class].found.push(found));
            for (all, own) in of_class.iter_mut().zip(own) {
                all.push(own.surest_first());
            }
        }
        let curves = of_class.iter().map(|pictures| Size::ALL.map(|size| curves(pictures, size))).collect();
        Self { curves }
    }

    /// Average precision: the mean over classes, recalls and overlaps, or one overlap, by number. `None` where there is no object of that size.
    pub fn average_precision(&self, overlap: Option<usize>, size: Size) -> Option<f64> {
        mean((0..self.curves.len()).filter_map(|class| self.class_average_precision(class, overlap, size)))
    }

    /// Average precision of a class. `None` where it has no object of that size.
    pub fn class_average_precision(&self, class: usize, overlap: Option<usize>, size: Size) -> Option<f64> {
        let curves = self.curves[class][size as usize].as_ref()?;
        let precision = match overlap {
            Some(overlap) => &curves.precision[overlap..=overlap],
            None => &curves.precision[..],
        };
        mean(precision.iter().flatten().copied())
    }

    /// Average recall among so many detections (a position in [`LIMITS`]): the mean over classes and overlaps.
    pub fn average_recall(&self, limit: usize, size: Size) -> Option<f64> {
        let there = self.curves.iter().filter_map(|curves| curves[size as usize].as_ref());
        mean(there.flat_map(|curves| curves.recall[limit]))
    }

    /// Precision of a class at recalls from 0 to 1, from an overlap on, by number.
    pub fn precision_curve(&self, class: usize, overlap: usize) -> Option<&[f64; RECALLS]> {
        self.curves[class][Size::Any as usize].as_ref().map(|curves| &curves.precision[overlap])
    }
}

/// What is and was found of one class in a picture.
#[derive(Clone, Default)]
struct ClassInPicture<'a> {
    objects: Vec<&'a Object>,
    found: Vec<&'a Found>,
}

impl ClassInPicture<'_> {
    /// The surest detections first, and no more than count; equal ones in the order in which they were given.
    fn surest_first(mut self) -> Self {
        self.found.sort_by(|a, b| b.score.total_cmp(&a.score));
        self.found.truncate(LIMITS[2]);
        self
    }

    /// For each overlap and detection what became of it.
    fn matched(&self, size: Size) -> [Vec<Outcome>; OVERLAPS] {
        let is_optional = |object: &Object| object.is_crowd || !size.contains(object.area);
        let mut objects = self.objects.clone();
        objects.sort_by_key(|object| is_optional(object));
        let overlaps: Vec<Vec<f64>> = (self.found.iter())
            .map(|found| objects.iter().map(|object| overlap(&found.bounds, object)).collect())
            .collect();
        std::array::from_fn(|number| {
            let mut taken = vec![false; objects.len()];
            let outcome = |(found, overlaps): (&&Found, &Vec<f64>)| {
                let mut best: Option<usize> = None;
                let mut least = least_overlap(number).min(1.0 - 1e-10);
                for (index, object) in objects.iter().enumerate() {
                    if taken[index] && !object.is_crowd {
                        continue;
                    }
                    // What has to be found comes first; what need not be is for detections that match nothing else.
                    if best.is_some_and(|best| !is_optional(objects[best])) && is_optional(object) {
                        break;
                    }
                    if overlaps[index] >= least {
                        (best, least) = (Some(index), overlaps[index]);
                    }
                }
                let [_, _, width, height] = found.bounds;
                match best {
                    Some(best) => {
                        taken[best] = true;
                        if is_optional(objects[best]) { Outcome::Ignored } else { Outcome::Right }
                    }
                    None if !size.contains(width * height) => Outcome::Ignored,
                    None => Outcome::Wrong,
                }
            };
            self.found.iter().zip(&overlaps).map(outcome).collect()
        })
    }

    /// The objects that have to be found.
    fn wanted(&self, size: Size) -> usize {
        self.objects.iter().filter(|object| !object.is_crowd && size.contains(object.area)).count()
    }
}

/// What becomes of a detection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Right,
    Wrong,
    /// Neither: it found what need not be found.
    Ignored,
}

/// The share of a detection's and an object's common area; of a crowd, which may cover many detections, the share of the detection.
fn overlap(found: &[f64; 4], object: &Object) -> f64 {
    let there = &object.bounds;
    let along = |axis: usize| {
        (found[axis] + found[axis + 2]).min(there[axis] + there[axis + 2]) - found[axis].max(there[axis])
    };
    let (width, height) = (along(0), along(1));
    if width <= 0.0 || height <= 0.0 {
        return 0.0;
    }
    let common = width * height;
    let area = found[2] * found[3];
    let whole = if object.is_crowd { area } else { area + there[2] * there[3] - common };
    common / whole
}

/// Precision and recall of one class and size over all pictures.
fn curves(pictures: &[ClassInPicture<'_>], size: Size) -> Option<Curves> {
    let wanted: usize = pictures.iter().map(|picture| picture.wanted(size)).sum();
    if wanted == 0 {
        return None;
    }
    let outcomes: Vec<[Vec<Outcome>; OVERLAPS]> =
        pictures.iter().map(|picture| picture.matched(size)).collect();
    let mut curves = Curves { precision: [[0.0; RECALLS]; OVERLAPS], recall: [[0.0; OVERLAPS]; 3] };
    for (number, limit) in LIMITS.into_iter().enumerate() {
        // Pictures after another, so that equally sure detections stay in their order.
        let mut order: Vec<(f64, usize, usize)> = Vec::new();
        for (picture, own) in pictures.iter().enumerate() {
            let own = own.found.iter().take(limit).enumerate();
            order.extend(own.map(|(index, found)| (found.score, picture, index)));
        }
        order.sort_by(|a, b| b.0.total_cmp(&a.0));
        for (overlap, recall) in curves.recall[number].iter_mut().enumerate() {
            let in_order = order.iter().map(|&(_, picture, index)| outcomes[picture][overlap][index]);
            let walk = Walk::over(in_order, wanted);
            *recall = walk.recall.last().copied().unwrap_or(0.0);
            if limit == LIMITS[2] {
                curves.precision[overlap] = walk.precision_at_recalls();
            }
        }
    }
    Some(curves)
}

/// Recall and precision after each detection, from the surest on.
struct Walk {
    recall: Vec<f64>,
    precision: Vec<f64>,
}

impl Walk {
    fn over(outcomes: impl Iterator<Item = Outcome>, wanted: usize) -> Self {
        let (mut right, mut wrong) = (0.0, 0.0);
        let mut walk = Self { recall: Vec::new(), precision: Vec::new() };
        for outcome in outcomes {
            match outcome {
                Outcome::Right => right += 1.0,
                Outcome::Wrong => wrong += 1.0,
                Outcome::Ignored => {}
            }
            walk.recall.push(right / wanted as f64);
            walk.precision.push(right / (right + wrong + f64::EPSILON));
        }
        walk
    }

    /// The best precision that is had with at least each recall; 0 beyond what is reached.
    fn precision_at_recalls(mut self) -> [f64; RECALLS] {
        for index in (1..self.precision.len()).rev() {
            self.precision[index - 1] = self.precision[index - 1].max(self.precision[index]);
        }
        std::array::from_fn(|number| {
            let wanted = if number == RECALLS - 1 { 1.0 } else { number as f64 * 0.01 };
            let first = self.recall.partition_point(|&recall| recall < wanted);
            self.precision.get(first).copied().unwrap_or(0.0)
        })
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (count, sum) = values.fold((0usize, 0.0), |(count, sum), value| (count + 1, sum + value));
    (count > 0).then(|| sum / count as f64)
}
