//! Why samples cannot be listed, each with the way out.

use std::path::PathBuf;

use crate::data::table::TableError;

/// Why a table or a folder lists no samples with labels.
#[derive(Debug, thiserror::Error)]
pub enum ListingError {
    /// A file that is no table, or a table without what is asked of it.
    #[error(transparent)]
    Table(#[from] TableError),
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
    /// No column that could be the input.
    #[error(
        "no column of `{table}` looks like {inputs}; its columns are {columns}; name one with --input COLUMN"
    )]
    NoInput {
        /// The table.
        table: String,
        /// `texts` or `paths of files`.
        inputs: &'static str,
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
    /// Pairs of what does not come in pairs.
    #[error("`{column}`: files do not come in pairs; name one column with --input COLUMN")]
    PairOfFiles {
        /// The second column.
        column: String,
    },
    /// A column of a table was asked for, and there is no table.
    #[error("`{}` is a folder of files without columns, so `{selector}` selects nothing; expected `name:REGEX` or `dir`", path.display())]
    NoColumns {
        /// The folder.
        path: PathBuf,
        /// What was given.
        selector: String,
    },
    /// Several labels for what stands in one folder.
    #[error(
        "`{}` is a folder per class, where each sample has one label; expected a table whose cells hold several, or --label name:REGEX", path.display()
    )]
    SeveralOfFolder {
        /// The folder.
        path: PathBuf,
    },
    /// Nothing to tell.
    #[error("no sample of `{}` that is to be trained on has a label; name the label's column with --label", path.display())]
    NoClass {
        /// The data set.
        path: PathBuf,
    },
    /// Nothing to tell apart.
    #[error("all samples of `{}` have one class, `{class}`; add samples of another, or name another column with --label", path.display())]
    OneClass {
        /// The data set.
        path: PathBuf,
        /// The only class.
        class: String,
    },
    /// A class that cannot have been learnt.
    #[error(
        "`{sample}` has the class `{class}`, which no sample to train on has (those are {classes}); correct or remove it"
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

impl ListingError {
    /// Whether what was asked for is at fault, and not the data.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Table(table) => table.is_usage(),
            Self::PairOfFiles { .. } | Self::NoColumns { .. } | Self::SeveralOfFolder { .. } => true,
            _ => false,
        }
    }
}

/// Names in back quotes; of many, the first ten.
pub fn list_names<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const SHOWN: usize = 10;
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    let mut text = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        text.push_str(&format!(" and {} more", names.len() - SHOWN));
    }
    text
}
