//! What the user says of a data set's columns; what stays unsaid is guessed.

use tk_transfer::data::table::Selector;

/// Where texts, labels, parts and groups are found. The default guesses.
#[derive(Clone, Debug, Default)]
pub struct Columns {
    pub(super) input: Option<String>,
    pub(super) second_input: Option<String>,
    pub(super) label: Option<Selector>,
    pub(super) split: Option<String>,
    pub(super) group: Option<Selector>,
}

impl Columns {
    /// The column of texts, by name or number.
    #[must_use]
    pub fn input(mut self, column: impl Into<String>) -> Self {
        self.input = Some(column.into());
        self
    }

    /// The column of the second text of each pair, by name or number.
    #[must_use]
    pub fn second_input(mut self, column: impl Into<String>) -> Self {
        self.second_input = Some(column.into());
        self
    }

    /// Where labels are found.
    #[must_use]
    pub fn label(mut self, label: Selector) -> Self {
        self.label = Some(label);
        self
    }

    /// The column that holds `train`, `val` or `test`, by name or number.
    #[must_use]
    pub fn split(mut self, column: impl Into<String>) -> Self {
        self.split = Some(column.into());
        self
    }

    /// Where groups are found: samples of one group stay on one side of every division.
    #[must_use]
    pub fn group(mut self, group: Selector) -> Self {
        self.group = Some(group);
        self
    }
}
