//! What dividing samples looks at: labels, groups and names.

use tk_engine::random::{fnv1a, mix};

use super::{DataError, LabelKind, LabelView};

/// The labels of samples, and what else a division respects. Lists have one entry per sample.
#[derive(Clone, Copy, Debug)]
pub struct Strata<'a> {
    /// The classes' names; labels are positions in it.
    pub classes: &'a [String],
    /// Each sample's classes.
    pub labels: LabelView<'a>,
    /// Each sample's group, when groups must stay whole.
    pub groups: Option<&'a [String]>,
    /// Each sample's name. With names, a division does not depend on the order of the samples; without, positions serve.
    pub ids: Option<&'a [String]>,
}

impl Strata<'_> {
    /// Checks lengths and labels, and, where samples have one class each, that every class that occurs is in at least two groups.
    pub(super) fn check(&self, purpose: &'static str) -> Result<(), DataError> {
        let expected = self.labels.len();
        if expected == 0 {
            return Err(DataError::Empty { purpose });
        }
        for (what, list) in [("groups", self.groups), ("names", self.ids)] {
            if let Some(found) = list.map(<[String]>::len).filter(|&found| found != expected) {
                return Err(DataError::Length { what, expected, found });
            }
        }
        let classes = self.classes.len();
        if let Some((sample, label)) = self.labels.stranger(classes) {
            return Err(DataError::Label { sample, label, classes });
        }
        for (label, class) in self.classes.iter().enumerate().filter(|_| self.needs_every_class()) {
            let (samples, groups) = self.extent(label);
            if samples > 0 && groups < 2 {
                return Err(DataError::TooFew { class: class.clone(), samples, groups, purpose });
            }
        }
        Ok(())
    }

    /// How many samples a class has, and in how many groups.
    pub(super) fn extent(&self, label: usize) -> (usize, usize) {
        let members = self.members(label);
        let groups = match self.groups {
            None => members.len(),
            Some(groups) => {
                members.iter().map(|&sample| &groups[sample]).collect::<std::collections::BTreeSet<_>>().len()
            }
        };
        (members.len(), groups)
    }

    /// Whether every class must stand on both sides. A sample of several classes cannot stand where each of them wants it, and a class
    /// that nothing is marked with can be learned: it is never there.
    pub(super) fn needs_every_class(&self) -> bool {
        self.labels.kind() == LabelKind::Single
    }

    /// Whether samples are placed as groups of them: by what several of them, or one of several classes, do to all classes at once.
    pub(super) fn stays_together(&self) -> bool {
        self.groups.is_some() || self.labels.kind() == LabelKind::Multi
    }

    fn members(&self, label: usize) -> Vec<usize> {
        (0..self.labels.len()).filter(|&sample| self.labels.of(sample).contains(&label)).collect()
    }

    /// How many samples each class has.
    pub(super) fn counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.classes.len()];
        self.labels.iter().flatten().for_each(|&label| counts[label] += 1);
        counts
    }

    /// A class's samples in an order that depends on seed and names alone.
    pub(super) fn shuffled(&self, label: usize, seed: u64) -> Vec<usize> {
        let mut members = self.members(label);
        match self.ids {
            Some(ids) => {
                members.sort_by_cached_key(|&sample| (order(seed, &ids[sample]), ids[sample].clone()))
            }
            None => members.sort_by_key(|&sample| mix(mix(seed) ^ sample as u64)),
        }
        members
    }
}

/// The place of a name in a seeded order.
pub(super) fn order(seed: u64, name: &str) -> u64 {
    mix(mix(seed) ^ fnv1a(name.as_bytes()))
}
