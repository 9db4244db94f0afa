//! Which samples a data set has, and how each is labelled: from tables, or from the paths of files.
//!
//! A table's row names its input, which is a text or a file; of a file on its own, the folder or a [`Selector`] tells the label.
//! Nothing here opens a sample: that is for the modality, which knows what an input is.
//!
//! [`Selector`]: super::table::Selector

mod error;

mod columns;

mod tables;

mod files;

mod classes;

mod several;

mod paths;

pub use classes::ClassCount;
pub use columns::Columns;
pub use error::{ListingError, list_names};
pub use files::list_files;
pub use tables::{has_tables, list_folder_of_tables, list_table};

pub use several::Separator;

use super::{LabelKind, Quarantine, Split};

/// Samples as they were found, their labels still words.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// The samples: of tables in the order train, validation, test and then of lines, of files by path.
    pub samples: Vec<Listed>,
    /// Rows and files that cannot be used.
    pub quarantine: Quarantine,
    /// Files that were left out because of where they stand.
    pub ignored: Quarantine,
    /// Whether samples have one label each, or any number.
    pub kind: LabelKind,
    /// The classes in their order, where columns name them; else the labels do.
    pub classes: Option<Vec<String>>,
    /// What the columns are for, in one line, where there are columns.
    pub columns: Option<String>,
    /// The same by name, for other tables of the kind; `None` where columns have no names.
    pub chosen: Option<Columns>,
    /// What says which sample belongs to which part of the data (`file`, `folder`, a column), if anything does.
    pub divided_by: Option<String>,
}

/// One sample that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// `FILE:LINE` of a table's row, or the path of a file in the data set, with `/` between parts.
    pub name: String,
    /// What the row's input column holds: a text, or a path; of a file on its own its path.
    pub input: String,
    /// The second input of a pair.
    pub second: Option<String>,
    /// The labels: one, or any number where the listing says so; each once, in the order in which they were written.
    pub labels: Vec<String>,
    /// The part of the data that a column, the file or its folder names.
    pub split: Option<Split>,
    /// What must not be divided.
    pub group: Option<String>,
}
