//! What a data set of texts was found to be when it was opened.

use serde::{Deserialize, Serialize};
use tk_transfer::data::listing::{ClassCount, Listing};
use tk_transfer::data::{Duplicate, Entry, Quarantine, Split, duplicates};

use crate::data::dataset::Sample;

/// Counts and oddities of a data set. Plain data in a fixed order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// How many samples there are.
    pub total: ClassCount,
    /// How many samples each class has, in class order.
    pub classes: Vec<ClassCount>,
    /// What the columns are for, where there are columns.
    pub columns: Option<String>,
    /// What says which sample belongs to which side (`file`, `folder`, a column), if anything does.
    pub divided_by: Option<String>,
    /// Whether samples are pairs of texts.
    pub has_pairs: bool,
    /// Texts that more than one sample has. Those on two sides make scores too good.
    pub duplicates: Vec<Duplicate>,
    /// Rows and files that are no samples because they cannot be used.
    pub quarantine: Quarantine,
    /// Files that were left out because of where they stand.
    pub ignored: Quarantine,
}

impl Report {
    pub(super) fn new(classes: &[String], samples: &[Sample], listing: Listing) -> Self {
        let entries = samples.iter().map(|sample| Entry {
            id: &sample.name,
            digest: sample.digest,
            labels: &sample.classes,
            side: sample.split.unwrap_or(Split::Train),
        });
        let has_pairs = samples.iter().any(|sample| sample.second.is_some());
        let texts = if has_pairs { "pairs of texts" } else { "texts" };
        let labels = |sample: &Sample| {
            let split = sample.split;
            sample.classes.clone().into_iter().map(move |class| (class, split))
        };
        Self {
            total: ClassCount::total(texts, samples.iter().map(|sample| sample.split)),
            classes: ClassCount::of(classes, samples.iter().flat_map(labels)),
            columns: listing.columns,
            divided_by: listing.divided_by,
            has_pairs,
            duplicates: duplicates(entries),
            quarantine: listing.quarantine,
            ignored: listing.ignored,
        }
    }

    /// How many samples there are.
    pub fn samples(&self) -> usize {
        self.total.samples
    }

    /// How many samples of a side have a text that another side has as well.
    pub fn texts_on_two_sides(&self) -> usize {
        self.duplicates.iter().filter(|set| set.crosses_sides()).map(|set| set.ids.len()).sum()
    }

    /// How many samples have a text that has another class elsewhere.
    pub fn texts_with_two_classes(&self) -> usize {
        self.duplicates.iter().filter(|set| set.labels_differ()).map(|set| set.ids.len()).sum()
    }

    /// One line, such as `9613 texts, 0 4649, 1 4964; split by file: train 6920, validation 872, test 1821`.
    pub fn summary(&self) -> String {
        let mut text = ClassCount::summary(&self.total, &self.classes, self.divided_by.as_deref());
        for (count, what) in [
            (self.texts_on_two_sides(), "with the same text on two sides"),
            (self.texts_with_two_classes(), "with the same text under two labels"),
            (self.quarantine.len(), "set aside"),
        ] {
            if count > 0 {
                text.push_str(&format!("; {count} {what}: listed"));
            }
        }
        text
    }
}
