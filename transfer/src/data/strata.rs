//! What dividing samples looks at: labels, groups and names.

use tk_engine::random::{fnv1a, mix};

use super::DataError;

/// The labels of samples, and what else a division respects. Lists have one entry per sample.
#[derive(Clone, Copy, Debug)]
pub struct Strata<'a> {
    /// The classes' names; labels are positions in it.
    pub classes: &'a [String],
    /// Each sample's class.
    pub labels: &'a [usize],
    /// Each sample's group, when groups must stay whole.
    pub groups: Option<&'a [String]>,
    /// Each sample's name. With names, a division does not depend on the order of the samples; without, positions serve.
    pub ids: Option<&'a [String]>,
}

impl Strata<'_> {
    /// Checks lengths and labels, and that every class that occurs is in at least two groups.
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
        if let Some((sample, &label)) = self.labels.iter().enumerate().find(|&(_, &label)| label >= classes) {
            return Err(DataError::Label { sample, label, classes });
        }
        for (label, class) in self.classes.iter().enumerate() {
            let (samples, groups) = self.extent(label);
            if samples > 0 && groups < 2 {
                return Err(DataError::TooFew { class: class.clone(), samples, groups, purpose });
            }
        }
        Ok(())
    }

    /// How many samples a class has, and in how many groups.
    pub(super) fn extent(&self, label: usize) -> (usize, usize) {
        let members: Vec<usize> =
            (0..self.labels.len()).filter(|&sample| self.labels[sample] == label).collect();
        let groups = match self.groups {
            None => members.len(),
            Some(groups) => {
                members.iter().map(|&sample| &groups[sample]).collect::<std::collections::BTreeSet<_>>().len()
            }
        };
        (members.len(), groups)
    }

    /// How many samples each class has.
    pub(super) fn counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.classes.len()];
        self.labels.iter().for_each(|&label| counts[label] += 1);
        counts
    }

    /// A class's samples in an order that depends on seed and names alone.
    pub(super) fn shuffled(&self, label: usize, seed: u64) -> Vec<usize> {
        let mut members: Vec<usize> =
            (0..self.labels.len()).filter(|&sample| self.labels[sample] == label).collect();
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
