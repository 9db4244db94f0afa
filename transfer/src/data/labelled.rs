//! Data sets whose samples have classes.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::listing::Columns;
use super::{LabelKind, Labels};

/// A part of a data set that the data themselves name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// `train` or `training`: learnt from.
    Train,
    /// `val`, `valid`, `validation` or `dev`: measured on while choosing.
    Validation,
    /// `test`: measured on once.
    Test,
}

impl Split {
    /// The split that a folder's, file's or cell's name stands for, whatever the case of its letters.
    pub fn from_name(name: &str) -> Option<Self> {
        match name.trim().to_ascii_lowercase().as_str() {
            "train" | "training" => Some(Self::Train),
            "val" | "valid" | "validation" | "dev" => Some(Self::Validation),
            "test" => Some(Self::Test),
            _ => None,
        }
    }

    /// The short name: `train`, `val` or `test`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "val",
            Self::Test => "test",
        }
    }
}

/// A data set as dividing, scoring and reporting see it: samples by position, whatever they hold.
pub trait Labelled {
    /// Where it was opened.
    fn root(&self) -> &Path;

    /// The classes' names; a class is a position in them.
    fn classes(&self) -> &[String];

    /// The number of usable samples.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether samples have one class each, or any number.
    fn kind(&self) -> LabelKind;

    /// The classes of a sample.
    fn labels_of(&self, sample: usize) -> &[usize];

    /// The classes of some samples.
    fn labels(&self, samples: &[usize]) -> Labels {
        let mut labels = Labels::none(self.kind());
        samples.iter().for_each(|&sample| labels.push(self.labels_of(sample)));
        labels
    }

    /// What a task takes as targets of some samples.
    ///
    /// # Errors
    /// When a label is no class.
    fn targets(&self, samples: &[usize]) -> tk_engine::Result<tk_engine::Tensor> {
        let all: Vec<usize> = (0..samples.len()).collect();
        self.labels(samples).view().targets(&all, self.classes().len())
    }

    /// What a sample is called, such as its path or `FILE:LINE`.
    fn name(&self, sample: usize) -> String;

    /// A digest of a sample's content.
    fn content(&self, sample: usize) -> [u8; 32];

    /// The part that a sample belongs to, where the data say so.
    fn split_of(&self, sample: usize) -> Option<Split>;

    /// The group of a sample, such as its speaker, where groups must stay whole.
    fn group(&self, _sample: usize) -> Option<&str> {
        None
    }

    /// The group of each sample, where the data have groups.
    fn groups(&self) -> Option<Vec<String>> {
        (0..self.len()).map(|sample| self.group(sample).map(str::to_owned)).collect()
    }

    /// The columns of the table that it came from, where it came from one whose columns have names.
    fn columns(&self) -> Option<&Columns> {
        None
    }

    /// A digest of everything: equal exactly when the data are.
    fn digest(&self) -> [u8; 32];

    /// The data in one line.
    fn summary(&self) -> String;

    /// What was set aside when it was opened, with the reason.
    fn set_aside(&self) -> Vec<(String, String)>;

    /// Whether the data say which sample belongs to which part.
    fn is_split(&self) -> bool {
        (0..self.len()).any(|sample| self.split_of(sample).is_some())
    }

    /// The samples of a part, ascending.
    fn split(&self, split: Split) -> Vec<usize> {
        (0..self.len()).filter(|&sample| self.split_of(sample) == Some(split)).collect()
    }
}
