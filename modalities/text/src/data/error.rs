//! Why a path is no data set of texts, each with the way out.

use std::path::PathBuf;

use tk_transfer::data::Quarantine;
use tk_transfer::data::table::TableError;

/// Why a path is no data set of texts.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// Nothing is there.
    #[error("no such file or folder: `{}`", path.display())]
    NotFound {
        /// The path that was asked for.
        path: PathBuf,
    },
    /// It cannot be listed.
    #[error("`{}` cannot be read: {reason}", path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        reason: String,
    },
    /// A file that is no table, or a table without what is asked of it.
    #[error(transparent)]
    Table(#[from] TableError),
    /// A folder with nothing in it that is known.
    #[error(
        "`{}` holds no texts; expected a table (.csv, .tsv, .jsonl), tables called train, val and test, or a folder of .txt files for each class",
        path.display()
    )]
    NoTexts {
        /// The folder.
        path: PathBuf,
    },
    /// Several tables, none of them called `train`.
    #[error("`{}` holds several tables ({tables}); name one of them, or call them train, val and test", path.display())]
    WhichTable {
        /// The folder.
        path: PathBuf,
        /// The tables.
        tables: String,
    },
    /// Parts of the data, but none to learn from.
    #[error("`{}` holds `{found}` but nothing called train; add it, or name one file", path.display())]
    NoTrain {
        /// The folder.
        path: PathBuf,
        /// What there is.
        found: String,
    },
    /// Two files or folders for one part of the data.
    #[error("`{first}` and `{second}` both name the same part of the data; keep one of them")]
    TwoForOneSplit {
        /// One of them.
        first: String,
        /// The other.
        second: String,
    },
    /// Nothing that could be read as text.
    #[error(
        "no column of `{table}` looks like texts; its columns are {columns}; name one with --input COLUMN"
    )]
    NoInput {
        /// The table.
        table: String,
        /// The names of its columns.
        columns: String,
    },
    /// Nothing to learn.
    #[error(
        "no column of `{table}` looks like labels (a few values again and again); its columns are {columns}; name one with --label COLUMN"
    )]
    NoLabel {
        /// The table.
        table: String,
        /// The names of its columns.
        columns: String,
    },
    /// One column for two purposes.
    #[error(
        "column `{column}` of `{table}` cannot be both {first} and {second}; name another with --{second} COLUMN"
    )]
    SameColumn {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// What it is for.
        first: &'static str,
        /// What else it was to be for.
        second: &'static str,
    },
    /// A column of a table was asked for, and there is no table.
    #[error("`{}` is a folder of files without columns, so `{selector}` selects nothing; expected `name:REGEX` or `dir`", path.display())]
    NoColumns {
        /// The folder.
        path: PathBuf,
        /// What was given.
        selector: String,
    },
    /// Nothing to tell apart.
    #[error("all texts of `{}` have one class, `{class}`; add texts of another, or name another column with --label", path.display())]
    OneClass {
        /// The data set.
        path: PathBuf,
        /// The only class.
        class: String,
    },
    /// Every sample was set aside.
    #[error("no usable text in `{}`{}", path.display(), set_aside(quarantine))]
    NoSamples {
        /// The data set.
        path: PathBuf,
        /// What was set aside.
        quarantine: Quarantine,
    },
    /// A class that cannot have been learnt.
    #[error(
        "`{sample}` has the class `{class}`, which no text to train on has (those are {classes}); correct or remove it"
    )]
    UnknownClass {
        /// The first sample of that class.
        sample: String,
        /// The class.
        class: String,
        /// The classes of the training data.
        classes: String,
    },
}

/// Names in back quotes; of many, the first ten.
pub(super) fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const SHOWN: usize = 10;
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    let mut text = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        text.push_str(&format!(" and {} more", names.len() - SHOWN));
    }
    text
}

fn set_aside(quarantine: &Quarantine) -> String {
    match quarantine.iter().next() {
        None => String::new(),
        Some((id, reason)) => format!(" ({} set aside, the first `{id}`: {reason})", quarantine.len()),
    }
}
