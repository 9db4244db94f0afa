//! What the user says of a data set's columns; what stays unsaid is guessed.

use crate::data::LabelKind;
use crate::data::table::Selector;

use super::Separator;

/// Where inputs, labels, parts and groups are found. The default guesses.
#[derive(Clone, Debug, Default)]
pub struct Columns {
    pub(super) input: Option<String>,
    pub(super) second_input: Option<String>,
    pub(super) label: Option<Selector>,
    pub(super) marks: Vec<String>,
    pub(super) several: Option<Option<Separator>>,
    pub(super) split: Option<String>,
    pub(super) group: Option<Selector>,
}

impl Columns {
    /// The column of inputs (texts, or paths of files), by name or number.
    #[must_use]
    pub fn input(mut self, column: impl Into<String>) -> Self {
        self.input = Some(column.into());
        self
    }

    /// The column of the second input of each pair, by name or number.
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

    /// The columns of 0 and 1, one for each class, by name or number: samples have any number of labels.
    #[must_use]
    pub fn marks(mut self, columns: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.marks = columns.into_iter().map(Into::into).collect();
        self
    }

    /// Labels are several in one cell, or in what is selected of a file's name; without a separator it is guessed.
    #[must_use]
    pub fn several(mut self, separator: Option<Separator>) -> Self {
        self.several = Some(separator);
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

    /// A column that was named, if any was: then there has to be a table.
    pub fn column_name(&self) -> Option<&str> {
        let selected = [&self.label, &self.group].into_iter().flatten().find_map(Selector::column_name);
        let named = [&self.input, &self.second_input, &self.split].into_iter().flatten().chain(&self.marks);
        selected.or(named.map(String::as_str).next())
    }

    /// The columns of inputs, joined by a comma, if they were named and no name has one itself.
    pub fn inputs(&self) -> Option<String> {
        let named = [&self.input, &self.second_input].into_iter().flatten();
        let names: Vec<&str> = named.map(String::as_str).collect();
        let can_be_joined = !names.is_empty() && names.iter().all(|name| !name.contains(','));
        can_be_joined.then(|| names.join(","))
    }

    /// Where labels are found, if it was said: a selector, or the columns of marks joined by commas.
    pub fn labels(&self) -> Option<String> {
        match &self.label {
            Some(label) => Some(label.to_string()),
            None => Some(self.marks.join(",")).filter(|marks| !marks.is_empty()),
        }
    }

    /// Whether a sample may have several labels.
    pub fn kind(&self) -> LabelKind {
        if self.marks.is_empty() && self.several.is_none() { LabelKind::Single } else { LabelKind::Multi }
    }

    /// Whether cells hold several labels, and what stands between them, if it was said or guessed.
    pub fn separator(&self) -> Option<Option<&Separator>> {
        self.several.as_ref().map(Option::as_ref)
    }
}
