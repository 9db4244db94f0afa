//! The classes of listed samples, and how many samples each has.

use std::collections::BTreeSet;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::data::{LabelKind, Split};

use super::error::{ListingError, list_names};
use super::{Listed, Listing};

impl Listing {
    /// The classes, all of which can be learnt: in byte order, or by value when all of them are numbers.
    ///
    /// Test samples whose labels are all one stranger were handed out unlabelled, with a placeholder, as competitions do; they are
    /// moved to what is ignored.
    ///
    /// Where samples have any number of labels, one class is enough, and columns that name classes give their order.
    ///
    /// # Errors
    /// There are too few classes, or a sample has a class that no sample to train on has.
    pub fn settle_classes(&mut self, root: &Path) -> Result<Vec<String>, ListingError> {
        if let Some(classes) = &self.classes {
            return Ok(classes.clone());
        }
        if self.kind == LabelKind::Single {
            self.ignore_unlabelled_test();
        }
        let is_split = self.samples.iter().any(|sample| sample.split.is_some());
        let trained: BTreeSet<&str> = self
            .samples
            .iter()
            .filter(|sample| !is_split || sample.split == Some(Split::Train))
            .flat_map(|sample| sample.labels.iter().map(String::as_str))
            .collect();
        let strange = |sample: &Listed| {
            let class = sample.labels.iter().find(|label| !trained.contains(label.as_str()))?;
            Some((sample.name.clone(), class.clone()))
        };
        if let Some((sample, class)) = self.samples.iter().find_map(strange) {
            return Err(ListingError::UnknownClass { sample, class, classes: list_names(trained) });
        }
        if trained.is_empty() {
            return Err(ListingError::NoClass { path: root.to_owned() });
        }
        if let (Some(class), 1, LabelKind::Single) = (trained.first(), trained.len(), self.kind) {
            return Err(ListingError::OneClass { path: root.to_owned(), class: (*class).to_owned() });
        }
        let mut classes: Vec<String> = trained.into_iter().map(str::to_owned).collect();
        let number = |class: &String| class.parse::<f64>().ok().filter(|number| number.is_finite());
        if classes.iter().all(|class| number(class).is_some()) {
            classes.sort_by(|a, b| number(a).unwrap_or(0.0).total_cmp(&number(b).unwrap_or(0.0)));
        }
        Ok(classes)
    }

    fn ignore_unlabelled_test(&mut self) {
        let labels = |is_test: bool| {
            let is_side = move |sample: &&Listed| (sample.split == Some(Split::Test)) == is_test;
            self.samples
                .iter()
                .filter(is_side)
                .flat_map(|sample| sample.labels.clone())
                .collect::<BTreeSet<_>>()
        };
        let (known, in_test) = (labels(false), labels(true));
        let (Some(placeholder), 1) = (in_test.first(), in_test.len()) else { return };
        if !known.is_empty() && !known.contains(placeholder) {
            let count = self.samples.len();
            self.samples.retain(|sample| sample.split != Some(Split::Test));
            let count = count - self.samples.len();
            let reason = format!(
                "{count} samples all labelled `{placeholder}`, which is no class: nothing to score against"
            );
            self.ignored.add("test", reason);
        }
    }
}

/// A class, or everything, and its number of samples.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassCount {
    /// The class's name, or what several samples are called.
    pub name: String,
    /// All its samples.
    pub samples: usize,
    /// Those to train on, where the data say it.
    pub train: usize,
    /// Those to validate on.
    pub validation: usize,
    /// Those to test on.
    pub test: usize,
}

impl ClassCount {
    /// How many of the samples, each given by its class and part, every class has.
    pub fn of(classes: &[String], samples: impl IntoIterator<Item = (usize, Option<Split>)>) -> Vec<Self> {
        let empty = |name: &String| Self { name: name.clone(), samples: 0, train: 0, validation: 0, test: 0 };
        let mut counts: Vec<Self> = classes.iter().map(empty).collect();
        for (class, split) in samples {
            if let Some(count) = counts.get_mut(class) {
                count.add(split);
            }
        }
        counts
    }

    /// How many samples there are in all, each given by its part, under what several are called.
    pub fn total(samples: &str, splits: impl IntoIterator<Item = Option<Split>>) -> Self {
        let mut total = Self { name: samples.to_owned(), samples: 0, train: 0, validation: 0, test: 0 };
        splits.into_iter().for_each(|split| total.add(split));
        total
    }

    fn add(&mut self, split: Option<Split>) {
        self.samples += 1;
        match split {
            Some(Split::Train) => self.train += 1,
            Some(Split::Validation) => self.validation += 1,
            Some(Split::Test) => self.test += 1,
            None => {}
        }
    }

    /// How many samples of the class a part has.
    pub fn in_split(&self, split: Split) -> usize {
        match split {
            Split::Train => self.train,
            Split::Validation => self.validation,
            Split::Test => self.test,
        }
    }

    /// All samples and their classes in one line, such as `398 photographs, ants 194, bees 204; split by folder: train 245, val 153`.
    pub fn summary(total: &Self, counts: &[Self], divided_by: Option<&str>) -> String {
        const SHOWN: usize = 6;
        let mut text = format!("{} {}", total.samples, total.name);
        for class in counts.iter().take(SHOWN) {
            text.push_str(&format!(", {} {}", class.name, class.samples));
        }
        if counts.len() > SHOWN {
            text.push_str(&format!(" and {} more classes", counts.len() - SHOWN));
        }
        if let Some(divided_by) = divided_by {
            let sizes: Vec<String> = [Split::Train, Split::Validation, Split::Test]
                .into_iter()
                .map(|split| (split, total.in_split(split)))
                .filter(|&(_, size)| size > 0)
                .map(|(split, size)| format!("{} {size}", split.name()))
                .collect();
            text.push_str(&format!("; split by {divided_by}: {}", sizes.join(", ")));
        }
        text
    }
}
