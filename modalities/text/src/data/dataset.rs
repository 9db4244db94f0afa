//! Texts with classes, from tables or folders.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tk_transfer::data::listing::{Columns, Listed, list_table};
use tk_transfer::data::table::Inputs;
use tk_transfer::data::{Digest, LabelKind, Labelled, Split};

use crate::data::error::DataError;
use crate::data::folder::read_folder;
use crate::data::report::Report;

/// Texts, or pairs of texts, with classes.
///
/// Opening reads everything. What cannot be used is set aside and listed in the report, and is no sample.
#[derive(Clone, Debug)]
pub struct Dataset {
    root: PathBuf,
    classes: Vec<String>,
    kind: LabelKind,
    samples: Vec<Sample>,
    columns: Option<Columns>,
    report: Report,
}

/// One text of a data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// `FILE:LINE` of a table's row, or the path of a text file in the data set.
    pub name: String,
    /// The text.
    pub text: String,
    /// The second text of a pair.
    pub second: Option<String>,
    /// The indices of its classes in [`Dataset::classes`], ascending: one, or any number in multi-label data.
    pub classes: Vec<usize>,
    /// The part of the data that a column, its file or its folder names.
    pub split: Option<Split>,
    /// What must not be divided.
    pub group: Option<String>,
    /// The digest of the texts.
    pub digest: Digest,
}

impl Dataset {
    /// The data set at a path, its columns guessed: a table; a folder with tables called `train`, `val` (`valid`, `dev`) and `test`; or a
    /// folder of `.txt` files for each class, with or without `train/`, `val/` and `test/` around.
    ///
    /// # Errors
    /// As [`Dataset::open_with`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, DataError> {
        Self::open_with(path, &Columns::default())
    }

    /// As [`Dataset::open`], with what is known of the columns.
    ///
    /// # Errors
    /// There is no such path, it holds no texts, a column is missing, or there are fewer than two classes to train on.
    pub fn open_with(path: impl AsRef<Path>, columns: &Columns) -> Result<Self, DataError> {
        let root = path.as_ref().to_owned();
        let metadata = std::fs::metadata(&root).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => DataError::NotFound { path: root.clone() },
            _ => DataError::Unreadable { path: root.clone(), reason: error.to_string() },
        })?;
        let mut listing = match metadata.is_dir() {
            true => read_folder(&root, columns)?,
            false => list_table(&root, columns, Inputs::Texts)?,
        };
        if listing.samples.is_empty() {
            return Err(DataError::NoSamples { path: root, quarantine: listing.quarantine });
        }
        let classes = listing.settle_classes(&root)?;
        let places: BTreeMap<&str, usize> =
            classes.iter().enumerate().map(|(place, class)| (class.as_str(), place)).collect();
        let found = std::mem::take(&mut listing.samples);
        let samples: Vec<Sample> = found.into_iter().map(|found| sample(found, &places)).collect();
        let (columns, kind) = (listing.chosen.take(), listing.kind);
        let report = Report::new(&classes, &samples, listing);
        Ok(Self { root, classes, kind, samples, columns, report })
    }

    /// All usable samples: of tables in the order train, validation, test and then of lines, of files by path.
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// Whether samples are pairs of texts.
    pub fn has_pairs(&self) -> bool {
        self.samples.iter().any(|sample| sample.second.is_some())
    }

    /// What was found when the data set was opened.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// The texts of each sample, as [`Tokenizer::encode_all`](crate::data::Tokenizer::encode_all) takes them.
    pub fn texts(&self) -> Vec<(&str, Option<&str>)> {
        self.samples.iter().map(|sample| (sample.text.as_str(), sample.second.as_deref())).collect()
    }
}

impl Labelled for Dataset {
    fn root(&self) -> &Path {
        &self.root
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn len(&self) -> usize {
        self.samples.len()
    }

    fn kind(&self) -> LabelKind {
        self.kind
    }

    fn labels_of(&self, sample: usize) -> &[usize] {
        &self.samples[sample].classes
    }

    fn name(&self, sample: usize) -> String {
        self.samples[sample].name.clone()
    }

    fn content(&self, sample: usize) -> [u8; 32] {
        *self.samples[sample].digest.bytes()
    }

    fn split_of(&self, sample: usize) -> Option<Split> {
        self.samples[sample].split
    }

    fn group(&self, sample: usize) -> Option<&str> {
        self.samples[sample].group.as_deref()
    }

    /// A digest of all classes and of every sample's name, texts, classes, group and split.
    fn digest(&self) -> [u8; 32] {
        let mut text = format!("{:?}\n", self.classes);
        for Sample { name, classes, split, group, digest, .. } in &self.samples {
            text.push_str(&format!("{name:?} {classes:?} {split:?} {group:?} {digest}\n"));
        }
        *Digest::of(text.as_bytes()).bytes()
    }

    fn columns(&self) -> Option<&Columns> {
        self.columns.as_ref()
    }

    fn summary(&self) -> String {
        match &self.report.columns {
            Some(columns) => format!("{}; {columns}", self.report.summary()),
            None => self.report.summary(),
        }
    }

    fn set_aside(&self) -> Vec<(String, String)> {
        self.report.quarantine.iter().map(|(name, reason)| (name.to_owned(), reason.to_owned())).collect()
    }
}

/// The digest of one text or of two: the length of the first keeps pairs apart.
fn content_digest(text: &str, second: Option<&str>) -> Digest {
    match second {
        None => Digest::of(text.as_bytes()),
        Some(second) => {
            Digest::of(&[&(text.len() as u64).to_le_bytes(), text.as_bytes(), second.as_bytes()].concat())
        }
    }
}

fn sample(found: Listed, classes: &BTreeMap<&str, usize>) -> Sample {
    let Listed { name, input: text, second, labels, split, group } = found;
    let digest = content_digest(&text, second.as_deref());
    // Every label is one of the classes, which were made of them.
    let mut classes: Vec<usize> =
        labels.iter().filter_map(|label| classes.get(label.as_str()).copied()).collect();
    classes.sort_unstable();
    Sample { name, text, second, classes, split, group, digest }
}
