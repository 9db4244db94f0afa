//! Why a file is no table, or a table has no such column, each with the way out.

use std::path::PathBuf;

/// Why a file cannot be read as a table, or does not hold what is asked of it.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The file cannot be read.
    #[error("`{}` cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// No table by its name.
    #[error("`{}` is no table; expected a file that ends in .csv, .tsv, .jsonl or .json", path.display())]
    UnknownEnding {
        /// The file.
        path: PathBuf,
    },
    /// More than is read at once.
    #[error("`{}` has {found} bytes; tables of up to {limit} bytes are read, so divide it", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        found: u64,
        /// The largest size that is read.
        limit: u64,
    },
    /// Nothing is in it.
    #[error("`{table}` is empty; expected a row for each sample")]
    Empty {
        /// The file's name.
        table: String,
    },
    /// A header, or only bad rows.
    #[error("`{table}` has no usable row: {found}")]
    NoUsableRow {
        /// The file's name.
        table: String,
        /// What it holds instead.
        found: String,
    },
    /// The header names more or fewer columns than rows have.
    #[error(
        "the header of `{table}` has {found} cells, most rows have {expected}; give each column a name, or mend the delimiters"
    )]
    HeaderWidth {
        /// The file's name.
        table: String,
        /// The usual number of cells.
        expected: usize,
        /// The header's.
        found: usize,
    },
    /// A JSON document instead of JSON lines.
    #[error(
        "`{table}` is one JSON array; expected one object on each line (`jq -c '.[]' FILE > FILE.jsonl` makes it so)"
    )]
    JsonArray {
        /// The file's name.
        table: String,
    },
    /// A column that does not exist.
    #[error("`{table}` has no column `{wanted}`; its columns are {columns}{}", suggestion(nearest))]
    NoColumn {
        /// The file's name.
        table: String,
        /// What was asked for.
        wanted: String,
        /// The names there are.
        columns: String,
        /// The most similar one.
        nearest: Option<String>,
    },
    /// A selector that cannot be understood.
    #[error("`{selector}`: {reason}; expected a column, `name:REGEX` with a group, or `dir`")]
    Selector {
        /// What was given.
        selector: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A selector that looks at file names, for rows that name no files.
    #[error(
        "`{selector}` looks at each row's file, but `{table}` has no column of paths (path, file, image, filename); give a column instead"
    )]
    NoPaths {
        /// What was given.
        selector: String,
        /// The file's name.
        table: String,
    },
}

impl TableError {
    /// Whether what was asked for is at fault, and not the file.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::NoColumn { .. } | Self::Selector { .. } | Self::NoPaths { .. } | Self::UnknownEnding { .. }
        )
    }
}

fn suggestion(nearest: &Option<String>) -> String {
    nearest.as_ref().map_or_else(String::new, |nearest| format!("; did you mean `{nearest}`?"))
}
