//! Texts with classes, from tables or folders.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use tk_transfer::data::{Digest, Labelled, Split};

use crate::data::columns::Columns;
use crate::data::error::{DataError, list};
use crate::data::folder::read_folder;
use crate::data::report::Report;
use crate::data::tables::{Found, FoundSample, read_table};

/// Texts, or pairs of texts, with classes.
///
/// Opening reads everything. What cannot be used is set aside and listed in the report, and is no sample.
#[derive(Clone, Debug)]
pub struct Dataset {
    root: PathBuf,
    classes: Vec<String>,
    samples: Vec<Sample>,
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
    /// The index of its class in [`Dataset::classes`].
    pub class: usize,
    /// The part of the data that a column, its file or its folder names.
    pub side: Option<Split>,
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
        let mut found =
            if metadata.is_dir() { read_folder(&root, columns)? } else { read_table(&root, columns)? };
        set_unlabelled_test_aside(&mut found);
        let Found { samples, quarantine, ignored, columns, divided_by } = found;
        if samples.is_empty() {
            return Err(DataError::NoSamples { path: root, quarantine });
        }
        let classes = classes(&root, &samples)?;
        let places: BTreeMap<&str, usize> =
            classes.iter().enumerate().map(|(place, class)| (class.as_str(), place)).collect();
        let samples: Vec<Sample> = samples.into_iter().map(|found| sample(found, &places)).collect();
        let report = Report::new(&classes, &samples, quarantine, ignored, columns, divided_by);
        Ok(Self { root, classes, samples, report })
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

    fn class(&self, sample: usize) -> usize {
        self.samples[sample].class
    }

    fn name(&self, sample: usize) -> String {
        self.samples[sample].name.clone()
    }

    fn content(&self, sample: usize) -> [u8; 32] {
        *self.samples[sample].digest.bytes()
    }

    fn split_of(&self, sample: usize) -> Option<Split> {
        self.samples[sample].side
    }

    fn group(&self, sample: usize) -> Option<&str> {
        self.samples[sample].group.as_deref()
    }

    /// A digest of all classes and of every sample's name, texts, class, group and split.
    fn digest(&self) -> [u8; 32] {
        let mut text = format!("{:?}\n", self.classes);
        for Sample { name, class, side, group, digest, .. } in &self.samples {
            text.push_str(&format!("{name:?} {class} {side:?} {group:?} {digest}\n"));
        }
        *Digest::of(text.as_bytes()).bytes()
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

fn sample(found: FoundSample, classes: &BTreeMap<&str, usize>) -> Sample {
    let FoundSample { name, text, second, label, side, group } = found;
    let digest = content_digest(&text, second.as_deref());
    // Every label is one of the classes, which were made of them.
    let class = classes.get(label.as_str()).copied().unwrap_or_default();
    Sample { name, text, second, class, side, group, digest }
}

/// Test texts whose labels are all strangers were handed out unlabelled, with a placeholder, as competitions do.
fn set_unlabelled_test_aside(found: &mut Found) {
    let labels = |is_test: bool| {
        let samples =
            found.samples.iter().filter(move |sample| (sample.side == Some(Split::Test)) == is_test);
        samples.map(|sample| sample.label.clone()).collect::<BTreeSet<_>>()
    };
    let (known, in_test) = (labels(false), labels(true));
    let (Some(placeholder), 1) = (in_test.first(), in_test.len()) else { return };
    if !known.is_empty() && !known.contains(placeholder) {
        let count = found.samples.len();
        found.samples.retain(|sample| sample.side != Some(Split::Test));
        let count = count - found.samples.len();
        let reason = format!(
            "{count} texts all labelled `{placeholder}`, which is no class: nothing to score against"
        );
        found.ignored.add("test", reason);
    }
}

/// The classes, all of which can be learnt.
fn classes(root: &Path, samples: &[FoundSample]) -> Result<Vec<String>, DataError> {
    let is_split = samples.iter().any(|sample| sample.side.is_some());
    let trained: BTreeSet<&str> = samples
        .iter()
        .filter(|sample| !is_split || sample.side == Some(Split::Train))
        .map(|sample| sample.label.as_str())
        .collect();
    if let Some(stranger) = samples.iter().find(|sample| !trained.contains(sample.label.as_str())) {
        return Err(DataError::UnknownClass {
            sample: stranger.name.clone(),
            class: stranger.label.clone(),
            classes: list(trained),
        });
    }
    if let (Some(class), 1) = (trained.first(), trained.len()) {
        return Err(DataError::OneClass { path: root.to_owned(), class: (*class).to_owned() });
    }
    let mut classes: Vec<String> = trained.into_iter().map(str::to_owned).collect();
    let number = |class: &String| class.parse::<f64>().ok().filter(|number| number.is_finite());
    if classes.iter().all(|class| number(class).is_some()) {
        classes.sort_by(|a, b| number(a).unwrap_or(0.0).total_cmp(&number(b).unwrap_or(0.0)));
    }
    Ok(classes)
}
