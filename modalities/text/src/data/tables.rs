//! Texts in a table, or in tables called `train`, `val` and `test`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tk_transfer::data::table::{BoundSelector, Guess, Row, Selector, Table, guess_columns};
use tk_transfer::data::{Quarantine, Split};

use crate::data::columns::Columns;
use crate::data::error::{DataError, list};

/// Samples as they were found, their labels still words.
#[derive(Default)]
pub(super) struct Found {
    pub samples: Vec<FoundSample>,
    pub quarantine: Quarantine,
    pub ignored: Quarantine,
    /// What the columns are for, in one line.
    pub columns: Option<String>,
    /// What says which sample belongs to which side, if anything does.
    pub divided_by: Option<String>,
}

pub(super) struct FoundSample {
    pub name: String,
    pub text: String,
    pub second: Option<String>,
    pub label: String,
    pub side: Option<Split>,
    pub group: Option<String>,
}

/// The samples of one table.
pub(super) fn read_table(path: &Path, columns: &Columns) -> Result<Found, DataError> {
    let table = Table::open(path)?;
    let chosen = Chosen::resolve(&table, columns)?;
    let mut found = Found { columns: Some(chosen.describe(&table)), ..Found::default() };
    if let Some(split) = chosen.split {
        found.divided_by = Some(format!("column `{}`", column_name(&table, split)));
    }
    chosen.read(&table, None, &mut found);
    Ok(found)
}

/// The samples of the tables that stand for the sides of a data set. What is for what is decided by the first, the one to train on;
/// the others have to have the same columns.
pub(super) fn read_tables(files: &BTreeMap<Split, PathBuf>, columns: &Columns) -> Result<Found, DataError> {
    let mut found = Found { divided_by: Some("file".to_owned()), ..Found::default() };
    let mut files = files.iter();
    let Some((&side, path)) = files.next() else { return Ok(found) };
    let table = Table::open(path)?;
    let chosen = Chosen::resolve(&table, columns)?;
    found.columns = Some(chosen.describe(&table));
    let fixed = chosen.fix(&table, columns);
    chosen.read(&table, Some(side), &mut found);
    for (&side, path) in files {
        let table = Table::open(path)?;
        match Chosen::resolve(&table, &fixed) {
            Ok(chosen) => chosen.read(&table, Some(side), &mut found),
            Err(error) if side == Split::Test && lacks_labels(&table, &fixed) => {
                let reason = format!("without labels there is nothing to score against: {error}");
                found.ignored.add(table.name(), reason);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// Whether a table lacks the label's column and that alone is wrong with it.
fn lacks_labels(table: &Table, columns: &Columns) -> bool {
    let has = |name: &Option<String>| name.as_ref().is_none_or(|name| table.column(name).is_ok());
    let label = columns.label.as_ref().and_then(Selector::column_name);
    has(&columns.input) && has(&columns.second_input) && label.is_some_and(|name| table.column(name).is_err())
}

/// The columns of a table that are read.
struct Chosen<'a> {
    input: usize,
    second: Option<usize>,
    label: Label<'a>,
    split: Option<usize>,
    group: Option<BoundSelector<'a>>,
    guess: Guess,
}

enum Label<'a> {
    Column(usize),
    Selected(BoundSelector<'a>),
}

impl<'a> Chosen<'a> {
    fn resolve(table: &Table, columns: &'a Columns) -> Result<Self, DataError> {
        let guess = guess_columns(table);
        let named = |name: &Option<String>| name.as_ref().map(|name| table.column(name)).transpose();
        let name = || table.name().to_owned();
        let all = || list(table.columns().iter().map(String::as_str));

        let input = named(&columns.input)?;
        // Whoever names the input has named all of it.
        let second = match input {
            Some(_) => named(&columns.second_input)?,
            None => named(&columns.second_input)?.or(guess.second_input),
        };
        let label = columns.label.as_ref().map(|label| label.bind(table, guess.path)).transpose()?;
        let label_column = label.map(|label| label.column()).or(guess.label);
        let input = match input.or(guess.input.filter(|&at| Some(at) != label_column)) {
            Some(input) => input,
            // The guess took the label that was asked for as input: the longest texts beside it are meant.
            None => (0..table.columns().len())
                .filter(|&at| Some(at) != label_column)
                .max_by_key(|&at| table.rows().iter().map(|row| row.cell(at).len()).sum::<usize>())
                .ok_or_else(|| DataError::NoInput { table: name(), columns: all() })?,
        };
        let label = match (label, guess.label) {
            (Some(label), _) => Label::Selected(label),
            (None, Some(column)) => Label::Column(column),
            (None, None) => return Err(DataError::NoLabel { table: name(), columns: all() }),
        };
        let split = named(&columns.split)?.or(guess.split);
        let group = columns.group.as_ref().map(|group| group.bind(table, guess.path)).transpose()?;
        let chosen = Self { input, second, label, split, group, guess };
        chosen.check(table)?;
        Ok(chosen)
    }

    /// No column is both a text and a label, or both texts.
    fn check(&self, table: &Table) -> Result<(), DataError> {
        let label = self.label.column();
        for (first, second, is_same) in [
            ("input", "label", self.input == label),
            ("input", "label", self.second == Some(label)),
            ("input", "input", self.second == Some(self.input)),
        ] {
            if is_same {
                let column = if second == "label" { label } else { self.input };
                let column = column_name(table, column).to_owned();
                return Err(DataError::SameColumn { table: table.name().to_owned(), column, first, second });
            }
        }
        Ok(())
    }

    /// The choice by name, for the tables beside this one.
    fn fix(&self, table: &Table, asked: &Columns) -> Columns {
        let name = |at: usize| column_name(table, at).to_owned();
        Columns {
            input: Some(name(self.input)),
            second_input: self.second.map(name),
            label: Some(asked.label.clone().unwrap_or_else(|| Selector::column(name(self.label.column())))),
            split: None,
            group: asked.group.clone(),
        }
    }

    fn describe(&self, table: &Table) -> String {
        let second = self.second.map(|at| format!(" with `{}`", column_name(table, at))).unwrap_or_default();
        let split = self.split.map(|at| format!(", split `{}`", column_name(table, at))).unwrap_or_default();
        let (input, label) = (column_name(table, self.input), column_name(table, self.label.column()));
        let description = format!("input `{input}`{second}, label `{label}`{split}");
        let is_guessed =
            self.guess.input == Some(self.input) && self.guess.label == Some(self.label.column());
        let is_guessed =
            is_guessed && self.guess.second_input == self.second && self.guess.split == self.split;
        if is_guessed { self.guess.why.clone() } else { description }
    }

    /// Adds the table's samples; a `side` goes before what a column says.
    fn read(&self, table: &Table, side: Option<Split>, found: &mut Found) {
        found.quarantine.merge(table.quarantine().clone());
        for row in table.rows() {
            match self.sample(table, row, side) {
                Ok(sample) => found.samples.push(sample),
                Err(reason) => found.quarantine.add(table.row_name(row), reason),
            }
        }
    }

    fn sample(&self, table: &Table, row: &Row, side: Option<Split>) -> Result<FoundSample, String> {
        let text = |at: usize| match row.cell(at) {
            cell if cell.trim().is_empty() => {
                Err(format!("the text (`{}`) is empty", column_name(table, at)))
            }
            cell => Ok(cell.to_owned()),
        };
        let label = match self.label {
            Label::Column(at) => row.cell(at).trim(),
            Label::Selected(label) => label.of_row(row).map_err(|reason| format!("no label: {reason}"))?,
        };
        if label.is_empty() {
            return Err("no label: the cell is empty".to_owned());
        }
        let side = match (side, self.split) {
            (Some(side), _) => Some(side),
            (None, None) => None,
            (None, Some(at)) => {
                let cell = row.cell(at);
                let unknown = || format!("`{cell}` is no part of the data; expected train, val or test");
                Some(Split::from_name(cell).ok_or_else(unknown)?)
            }
        };
        let group = self.group.map(|group| group.of_row(row).map(str::to_owned)).transpose();
        Ok(FoundSample {
            name: table.row_name(row),
            text: text(self.input)?,
            second: self.second.map(text).transpose()?,
            label: label.to_owned(),
            side,
            group: group.map_err(|reason| format!("no group: {reason}"))?,
        })
    }
}

impl Label<'_> {
    fn column(&self) -> usize {
        match self {
            Self::Column(at) => *at,
            Self::Selected(selector) => selector.column(),
        }
    }
}

fn column_name(table: &Table, at: usize) -> &str {
    table.columns().get(at).map_or("", String::as_str)
}
