//! A sentence, word by word.

use tk_transfer::data::Split;

/// Words with their tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sentence {
    /// `FILE:LINE` of its first line.
    pub name: String,
    /// Its words.
    pub words: Vec<String>,
    /// The tag of each word, as a position among the data's tags.
    pub tags: Vec<usize>,
    /// The part of the data that its file names.
    pub split: Option<Split>,
    /// Each of its tags once, ascending.
    pub(super) kinds: Vec<usize>,
    /// The digest of words and tags.
    pub(super) digest: [u8; 32],
}

/// A sentence as it stands in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Raw {
    /// The line it begins in, from 1.
    pub line: usize,
    /// Words and tags.
    pub words: Vec<(String, String)>,
    /// Why it cannot be used.
    pub problem: Option<String>,
}
