//! What a data set of texts was found to be when it was opened.

use serde::{Deserialize, Serialize};
use tk_transfer::data::{Duplicate, Entry, Quarantine, Split, duplicates};

use crate::data::dataset::Sample;

/// Counts and oddities of a data set. Plain data in a fixed order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
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

/// A class and its number of samples.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassCount {
    /// The class's name.
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

impl Report {
    pub(super) fn new(
        classes: &[String],
        samples: &[Sample],
        quarantine: Quarantine,
        ignored: Quarantine,
        columns: Option<String>,
        divided_by: Option<String>,
    ) -> Self {
        let entries = samples.iter().map(|sample| Entry {
            id: &sample.name,
            digest: sample.digest,
            label: sample.class,
            side: sample.side.unwrap_or(Split::Train),
        });
        Self {
            classes: count(classes, samples),
            columns,
            divided_by,
            has_pairs: samples.iter().any(|sample| sample.second.is_some()),
            duplicates: duplicates(entries),
            quarantine,
            ignored,
        }
    }

    /// How many samples there are.
    pub fn samples(&self) -> usize {
        self.classes.iter().map(|class| class.samples).sum()
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
        const SHOWN: usize = 6;
        let mut text =
            format!("{} {}", self.samples(), if self.has_pairs { "pairs of texts" } else { "texts" });
        for class in self.classes.iter().take(SHOWN) {
            text.push_str(&format!(", {} {}", class.name, class.samples));
        }
        if self.classes.len() > SHOWN {
            text.push_str(&format!(" and {} more classes", self.classes.len() - SHOWN));
        }
        if let Some(divided_by) = &self.divided_by {
            let counts: Vec<String> = [Split::Train, Split::Validation, Split::Test]
                .into_iter()
                .map(|side| (side, self.classes.iter().map(|class| class.on_side(side)).sum::<usize>()))
                .filter(|&(_, count)| count > 0)
                .map(|(side, count)| format!("{} {count}", side.name()))
                .collect();
            text.push_str(&format!("; split by {divided_by}: {}", counts.join(", ")));
        }
        for (count, what) in [
            (self.texts_on_two_sides(), "with the same text on two sides"),
            (self.texts_with_two_classes(), "with the same text under two classes"),
            (self.quarantine.len(), "set aside"),
        ] {
            if count > 0 {
                text.push_str(&format!("; {count} {what}: listed"));
            }
        }
        text
    }
}

impl ClassCount {
    /// How many samples of the class stand on a side.
    pub fn on_side(&self, side: Split) -> usize {
        match side {
            Split::Train => self.train,
            Split::Validation => self.validation,
            Split::Test => self.test,
        }
    }
}

fn count(classes: &[String], samples: &[Sample]) -> Vec<ClassCount> {
    let empty =
        |name: &String| ClassCount { name: name.clone(), samples: 0, train: 0, validation: 0, test: 0 };
    let mut counts: Vec<ClassCount> = classes.iter().map(empty).collect();
    for sample in samples {
        let Some(count) = counts.get_mut(sample.class) else { continue };
        count.samples += 1;
        match sample.side {
            Some(Split::Train) => count.train += 1,
            Some(Split::Validation) => count.validation += 1,
            Some(Split::Test) => count.test += 1,
            None => {}
        }
    }
    counts
}
