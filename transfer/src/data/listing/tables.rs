//! Samples in a table, or in tables called `train`, `val` and `test`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::data::table::{BoundSelector, Guess, Inputs, Row, Selector, Table, guess_columns, is_table};
use crate::data::{LabelKind, Split};

use super::columns::Columns;
use super::error::{ListingError, list_names};
use super::several::is_marked;
use super::{Listed, Listing, Separator};

/// The samples of one table.
///
/// # Errors
/// It cannot be read, or lacks a column that is needed.
pub fn list_table(path: &Path, columns: &Columns, inputs: Inputs) -> Result<Listing, ListingError> {
    let table = Table::open(path)?;
    let chosen = Chosen::resolve(&table, columns, inputs)?;
    let mut found = Listing { columns: Some(chosen.describe(&table)), ..chosen.listing(&table) };
    found.chosen = table.has_names().then(|| chosen.fix(&table, columns));
    if let Some(split) = chosen.split {
        found.divided_by = Some(format!("column `{}`", column_name(&table, split)));
    }
    chosen.read(&table, None, &mut found);
    Ok(found)
}

/// The samples of the tables directly in a folder: the only one, or those called `train`, `val` and `test`. `None` when there is no
/// table.
///
/// # Errors
/// As [`list_table`]; or it is not clear which table is meant.
pub fn list_folder_of_tables(
    folder: &Path,
    columns: &Columns,
    inputs: Inputs,
) -> Result<Option<Listing>, ListingError> {
    let tables = tables_in(folder);
    let mut splits: BTreeMap<Split, PathBuf> = BTreeMap::new();
    for name in &tables {
        let stem = Path::new(name).file_stem().and_then(|stem| stem.to_str());
        if let Some(split) = stem.and_then(Split::from_name)
            && let Some(other) = splits.insert(split, folder.join(name))
        {
            let first = other.file_name().map_or_else(String::new, |name| name.to_string_lossy().into());
            return Err(ListingError::TwoForOneSplit { first, second: name.clone() });
        }
    }
    match (splits.values().next(), tables.as_slice()) {
        (Some(_), _) if splits.contains_key(&Split::Train) => list_tables(&splits, columns, inputs).map(Some),
        (Some(other), _) => {
            let found = other.file_name().map_or_else(String::new, |name| name.to_string_lossy().into());
            Err(ListingError::NoTrain { path: folder.to_owned(), found })
        }
        (None, [only]) => list_table(&folder.join(only), columns, inputs).map(Some),
        (None, []) => Ok(None),
        (None, several) => {
            let tables = list_names(several.iter().map(String::as_str));
            Err(ListingError::WhichTable { path: folder.to_owned(), tables })
        }
    }
}

/// Whether a path is a table, or a folder with tables directly in it.
pub fn has_tables(path: &Path) -> bool {
    if path.is_dir() { !tables_in(path).is_empty() } else { is_table(path) }
}

/// The names of the tables directly in a folder, sorted. Hidden ones are passed over, as is a folder that cannot be listed.
fn tables_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter(|entry| entry.path().is_file() && is_table(&entry.path()))
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| !name.starts_with('.'))
        .collect();
    names.sort();
    names
}

/// The samples of the tables that stand for the parts of a data set. What is for what is decided by the first, the one to train on;
/// the others have to have the same columns.
fn list_tables(
    files: &BTreeMap<Split, PathBuf>,
    columns: &Columns,
    inputs: Inputs,
) -> Result<Listing, ListingError> {
    let mut files = files.iter();
    let Some((&split, path)) = files.next() else { return Ok(Listing::default()) };
    let table = Table::open(path)?;
    let chosen = Chosen::resolve(&table, columns, inputs)?;
    let mut found = Listing { divided_by: Some("file".to_owned()), ..chosen.listing(&table) };
    found.columns = Some(chosen.describe(&table));
    let fixed = chosen.fix(&table, columns);
    found.chosen = table.has_names().then(|| fixed.clone());
    chosen.read(&table, Some(split), &mut found);
    for (&split, path) in files {
        let table = Table::open(path)?;
        match Chosen::resolve(&table, &fixed, inputs) {
            Ok(chosen) => chosen.read(&table, Some(split), &mut found),
            Err(error) if split == Split::Test && lacks_labels(&table, &fixed) => {
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
    let mut labels = label.into_iter().chain(columns.marks.iter().map(String::as_str));
    has(&columns.input) && has(&columns.second_input) && labels.any(|name| table.column(name).is_err())
}

/// The columns of a table that are read.
struct Chosen<'a> {
    input: usize,
    second: Option<usize>,
    label: Label<'a>,
    /// What stands between the labels of a cell, where there are several.
    separator: Option<Separator>,
    split: Option<usize>,
    group: Option<BoundSelector<'a>>,
    guess: Guess,
    inputs: Inputs,
}

enum Label<'a> {
    Column(usize),
    Selected(BoundSelector<'a>),
    /// A column of 0 and 1 for each class.
    Marks(Vec<usize>),
}

impl<'a> Chosen<'a> {
    fn resolve(table: &Table, columns: &'a Columns, inputs: Inputs) -> Result<Self, ListingError> {
        let guess = guess_columns(table, inputs);
        let named = |name: &Option<String>| name.as_ref().map(|name| table.column(name)).transpose();
        let name = || table.name().to_owned();
        let all = || list_names(table.columns().iter().map(String::as_str));

        let input = named(&columns.input)?;
        // Whoever names the input has named all of it.
        let second = match input {
            _ if inputs == Inputs::Files => match &columns.second_input {
                Some(column) => return Err(ListingError::PairOfFiles { column: column.clone() }),
                None => None,
            },
            Some(_) => named(&columns.second_input)?,
            None => named(&columns.second_input)?.or(guess.second_input),
        };
        let paths = if inputs == Inputs::Files { input.or(guess.path) } else { guess.path };
        let label = columns.label.as_ref().map(|label| label.bind(table, paths)).transpose()?;
        let marks = columns.marks.iter().map(|name| table.column(name)).collect::<Result<Vec<_>, _>>()?;
        let label_columns = match label {
            Some(label) => vec![label.column()],
            None if marks.is_empty() => guess.label.into_iter().collect(),
            None => marks.clone(),
        };
        let input = match input.or(guess.input.filter(|at| !label_columns.contains(at))) {
            Some(input) => input,
            // A label that is looked for in the files' names.
            None if inputs == Inputs::Files && paths.is_some() => paths.unwrap_or_default(),
            None if inputs == Inputs::Files => {
                return Err(ListingError::NoInput { table: name(), inputs: inputs.name(), columns: all() });
            }
            // The guess took the label that was asked for as input: the longest texts beside it are meant.
            None => (0..table.columns().len())
                .filter(|at| !label_columns.contains(at))
                .max_by_key(|&at| table.rows().iter().map(|row| row.cell(at).len()).sum::<usize>())
                .ok_or_else(|| ListingError::NoInput {
                    table: name(),
                    inputs: inputs.name(),
                    columns: all(),
                })?,
        };
        let label = match (label, guess.label) {
            (Some(label), _) => Label::Selected(label),
            (None, _) if !marks.is_empty() => Label::Marks(marks),
            (None, Some(column)) => Label::Column(column),
            (None, None) => return Err(ListingError::NoLabel { table: name(), columns: all() }),
        };
        let split = named(&columns.split)?.or(guess.split);
        let group = columns.group.as_ref().map(|group| group.bind(table, paths)).transpose()?;
        let mut chosen = Self { input, second, label, separator: None, split, group, guess, inputs };
        chosen.check(table)?;
        let cells = table.rows().iter().map(|row| chosen.label.cell(row).unwrap_or_default());
        let guess = || Separator::guess(cells.clone());
        let separator = columns.several.as_ref().map(|said| said.clone().unwrap_or_else(guess));
        chosen.separator = separator;
        Ok(chosen)
    }

    /// No column is both an input and a label, or both inputs.
    fn check(&self, table: &Table) -> Result<(), ListingError> {
        let labels = self.label.columns();
        // A file's name may well tell its label.
        let is_whole_cell = self.inputs == Inputs::Texts || self.label.is_column();
        for (first, second, same) in [
            ("input", "label", Some(self.input).filter(|at| labels.contains(at) && is_whole_cell)),
            ("input", "label", self.second.filter(|at| labels.contains(at))),
            ("input", "input", self.second.filter(|&at| at == self.input)),
        ] {
            if let Some(column) = same {
                let column = column_name(table, column).to_owned();
                return Err(ListingError::SameColumn {
                    table: table.name().to_owned(),
                    column,
                    first,
                    second,
                });
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
            label: match &self.label {
                Label::Marks(_) => None,
                Label::Column(at) => Some(Selector::column(name(*at))),
                Label::Selected(_) => asked.label.clone(),
            },
            marks: match &self.label {
                Label::Marks(marks) => marks.iter().map(|&at| name(at)).collect(),
                _ => Vec::new(),
            },
            several: self.separator.clone().map(Some),
            split: None,
            group: asked.group.clone(),
        }
    }

    /// An empty listing of what is to be read.
    fn listing(&self, table: &Table) -> Listing {
        let (classes, kind) = match (&self.label, &self.separator) {
            (Label::Marks(columns), _) => {
                let names = columns.iter().map(|&at| column_name(table, at).to_owned());
                (Some(names.collect()), LabelKind::Multi)
            }
            (_, Some(_)) => (None, LabelKind::Multi),
            (_, None) => (None, LabelKind::Single),
        };
        Listing { classes, kind, ..Listing::default() }
    }

    fn describe(&self, table: &Table) -> String {
        let second = self.second.map(|at| format!(" with `{}`", column_name(table, at))).unwrap_or_default();
        let split = self.split.map(|at| format!(", split `{}`", column_name(table, at))).unwrap_or_default();
        let input = column_name(table, self.input);
        let labels = self.label.columns();
        let labels_named = list_names(labels.iter().map(|&at| column_name(table, at)));
        let several = match (&self.label, &self.separator) {
            (Label::Marks(_), _) => " of 0 and 1".to_owned(),
            (_, Some(separator)) => format!(" divided by `{separator}`"),
            (_, None) => String::new(),
        };
        let description = format!("input `{input}`{second}, label {labels_named}{several}{split}");
        let is_guessed = self.guess.input == Some(self.input)
            && self.guess.label.as_slice() == labels
            && several.is_empty();
        let is_guessed =
            is_guessed && self.guess.second_input == self.second && self.guess.split == self.split;
        if is_guessed { self.guess.why.clone() } else { description }
    }

    /// Adds the table's samples; a `split` goes before what a column says.
    fn read(&self, table: &Table, split: Option<Split>, found: &mut Listing) {
        found.quarantine.merge(table.quarantine().clone());
        for row in table.rows() {
            match self.sample(table, row, split) {
                Ok(sample) => found.samples.push(sample),
                Err(reason) => found.quarantine.add(table.row_name(row), reason),
            }
        }
    }

    fn sample(&self, table: &Table, row: &Row, split: Option<Split>) -> Result<Listed, String> {
        let text = |at: usize| match row.cell(at) {
            cell if cell.trim().is_empty() => {
                Err(format!("the {} (`{}`) is empty", self.inputs.one(), column_name(table, at)))
            }
            cell => Ok(cell.to_owned()),
        };
        let labels = match (&self.label, &self.separator) {
            (Label::Marks(columns), _) => marked(table, row, columns)?,
            (label, Some(separator)) => {
                separator.split(label.cell(row).map_err(|reason| format!("no label: {reason}"))?)
            }
            (label, None) => match label.cell(row).map_err(|reason| format!("no label: {reason}"))? {
                "" => return Err("no label: the cell is empty".to_owned()),
                label => vec![label.to_owned()],
            },
        };
        let split = match (split, self.split) {
            (Some(split), _) => Some(split),
            (None, None) => None,
            (None, Some(at)) => {
                let cell = row.cell(at);
                let unknown = || format!("`{cell}` is no part of the data; expected train, val or test");
                Some(Split::from_name(cell).ok_or_else(unknown)?)
            }
        };
        let group = self.group.map(|group| group.of_row(row).map(str::to_owned)).transpose();
        Ok(Listed {
            name: table.row_name(row),
            input: text(self.input)?,
            second: self.second.map(text).transpose()?,
            labels,
            split,
            group: group.map_err(|reason| format!("no group: {reason}"))?,
        })
    }
}

/// The names of those columns of 0 and 1 that hold 1 in a row.
fn marked(table: &Table, row: &Row, columns: &[usize]) -> Result<Vec<String>, String> {
    let mut labels = Vec::new();
    for &at in columns {
        let column = column_name(table, at);
        if is_marked(column, row.cell(at))? {
            labels.push(column.to_owned());
        }
    }
    Ok(labels)
}

impl Label<'_> {
    fn columns(&self) -> Vec<usize> {
        match self {
            Self::Column(at) => vec![*at],
            Self::Selected(selector) => vec![selector.column()],
            Self::Marks(columns) => columns.clone(),
        }
    }

    /// What a row says, where one cell says it; nothing of a column that may be empty.
    fn cell<'r>(&self, row: &'r Row) -> Result<&'r str, String> {
        match self {
            Self::Column(at) => Ok(row.cell(*at).trim()),
            Self::Selected(selector) if selector.takes_cell() => Ok(row.cell(selector.column()).trim()),
            Self::Selected(selector) => selector.of_row(row),
            Self::Marks(_) => Ok(""),
        }
    }

    /// Whether the label is what a cell holds, and not a part of it.
    fn is_column(&self) -> bool {
        match self {
            Self::Column(_) | Self::Marks(_) => true,
            Self::Selected(selector) => selector.takes_cell(),
        }
    }
}

fn column_name(table: &Table, at: usize) -> &str {
    table.columns().get(at).map_or("", String::as_str)
}
