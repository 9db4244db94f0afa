//! What a data set was found to be when it was opened.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use tk_transfer::data::listing::ClassCount;
use tk_transfer::data::{Quarantine, Split};

use crate::data::dataset::Sample;
use crate::data::decode::Format;
use crate::data::listed::Listing;

/// Counts and oddities of a data set. Plain data in a fixed order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// How many samples there are.
    pub total: ClassCount,
    /// How many samples each class has, in class order.
    pub classes: Vec<ClassCount>,
    /// What the columns are for, where there are columns.
    pub columns: Option<String>,
    /// What says which sample belongs to which split (`folder`, `file`, a column), if anything does.
    pub divided_by: Option<String>,
    /// The splits that the data name, in the order train, validation, test. Empty when they name none.
    pub splits: Vec<Split>,
    /// Container formats with their number of samples, most frequent first.
    pub formats: Vec<FormatCount>,
    /// Samples whose format is rare here (under 5 % of the samples) and not the commonest: path and format, by path.
    pub unlike: Vec<(String, Format)>,
    /// Byte-identical samples in more than one split: scores on them are too good.
    pub duplicates_across_splits: Vec<DuplicateGroup>,
    /// Byte-identical samples within one split, or anywhere when there are no splits.
    pub duplicates_within_split: Vec<DuplicateGroup>,
    /// Byte-identical samples under different classes: at least one label is wrong.
    pub duplicates_across_classes: Vec<DuplicateGroup>,
    /// Classes that a split has no samples of, though another has: class name and split.
    pub absent: Vec<(String, Split)>,
    /// Files that are no samples because they cannot be used.
    pub quarantine: Quarantine,
    /// Files and folders that were left out because of where they stand.
    pub ignored: Quarantine,
}

/// A container format and its number of samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormatCount {
    /// The format.
    pub format: Format,
    /// How many samples have it.
    pub samples: usize,
}

/// Paths of samples with the same bytes, at least two, ordered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DuplicateGroup {
    /// The paths, relative to the data set.
    pub paths: Vec<String>,
}

/// A format with less than this share of the samples is worth a word.
const RARE_SHARE: f64 = 0.05;

impl Report {
    pub(crate) fn new(samples: &[Sample], quarantine: Quarantine, listing: Listing) -> Self {
        let labels = |sample: &Sample| {
            let split = sample.split;
            sample.classes.clone().into_iter().map(move |class| (class, split))
        };
        let total = ClassCount::total("photographs", samples.iter().map(|sample| sample.split));
        let classes = ClassCount::of(&listing.classes, samples.iter().flat_map(labels));
        let splits: Vec<Split> =
            samples.iter().filter_map(|sample| sample.split).collect::<BTreeSet<_>>().into_iter().collect();
        let absent = splits
            .iter()
            .flat_map(|&split| classes.iter().map(move |class| (class, split)))
            .filter(|(class, split)| class.in_split(*split) == 0)
            .map(|(class, split)| (class.name.clone(), split))
            .collect();
        let (formats, unlike) = formats(samples);
        let mut report = Self {
            total,
            classes,
            columns: listing.columns,
            divided_by: listing.divided_by,
            splits,
            formats,
            unlike,
            duplicates_across_splits: Vec::new(),
            duplicates_within_split: Vec::new(),
            duplicates_across_classes: Vec::new(),
            absent,
            quarantine,
            ignored: listing.ignored,
        };
        report.find_duplicates(samples);
        report
    }

    /// How many samples there are.
    pub fn samples(&self) -> usize {
        self.total.samples
    }

    /// One line, such as `398 photographs, ants 194, bees 204; split by folder: train 245, val 153; 1 unlike the rest (GIF): listed`.
    pub fn summary(&self) -> String {
        let mut text = ClassCount::summary(&self.total, &self.classes, self.divided_by.as_deref());
        if !self.unlike.is_empty() {
            let names: BTreeSet<&str> = self.unlike.iter().map(|(_, format)| format.name()).collect();
            let names = names.into_iter().collect::<Vec<_>>().join(", ");
            text.push_str(&format!("; {} unlike the rest ({names}): listed", self.unlike.len()));
        }
        for (groups, what) in [
            (&self.duplicates_across_splits, "in more than one split"),
            (&self.duplicates_across_classes, "under different classes"),
        ] {
            let files: usize = groups.iter().map(|group| group.paths.len()).sum();
            if files > 0 {
                text.push_str(&format!("; {files} identical files {what}: listed"));
            }
        }
        if !self.quarantine.is_empty() {
            text.push_str(&format!("; {} set aside: listed", self.quarantine.len()));
        }
        if let Some(columns) = &self.columns {
            text.push_str(&format!("; {columns}"));
        }
        text
    }

    fn find_duplicates(&mut self, samples: &[Sample]) {
        let mut by_digest: BTreeMap<[u8; 32], Vec<&Sample>> = BTreeMap::new();
        for sample in samples {
            by_digest.entry(sample.digest).or_default().push(sample);
        }
        let mut groups: Vec<Vec<&Sample>> = by_digest.into_values().filter(|group| group.len() > 1).collect();
        groups.sort_by(|a, b| a.iter().map(|sample| &sample.path).cmp(b.iter().map(|sample| &sample.path)));
        for group in groups {
            let paths = DuplicateGroup { paths: group.iter().map(|sample| sample.name()).collect() };
            let splits: BTreeSet<Option<Split>> = group.iter().map(|sample| sample.split).collect();
            let classes: BTreeSet<&[usize]> = group.iter().map(|sample| sample.classes.as_slice()).collect();
            if splits.len() > 1 {
                self.duplicates_across_splits.push(paths.clone());
            }
            if splits.len() < group.len() {
                self.duplicates_within_split.push(paths.clone());
            }
            if classes.len() > 1 {
                self.duplicates_across_classes.push(paths);
            }
        }
    }
}

/// Formats by frequency, and the samples in rare ones.
fn formats(samples: &[Sample]) -> (Vec<FormatCount>, Vec<(String, Format)>) {
    let mut counts: BTreeMap<Format, usize> = BTreeMap::new();
    for sample in samples {
        *counts.entry(sample.format).or_default() += 1;
    }
    let mut counts: Vec<FormatCount> =
        counts.into_iter().map(|(format, samples)| FormatCount { format, samples }).collect();
    counts.sort_by_key(|count| (std::cmp::Reverse(count.samples), count.format));
    let rare = RARE_SHARE * samples.len() as f64;
    let rare: Vec<Format> = counts
        .iter()
        .skip(1)
        .filter(|count| (count.samples as f64) < rare)
        .map(|count| count.format)
        .collect();
    let unlike = samples.iter().filter(|sample| rare.contains(&sample.format));
    (counts, unlike.map(|sample| (sample.name(), sample.format)).collect())
}
