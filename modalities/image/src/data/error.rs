//! Why a path is no data set of photographs, each with the way out.

use std::path::PathBuf;

use tk_transfer::data::Quarantine;
use tk_transfer::data::listing::{ListingError, list_names};

/// Why a path is no data set of photographs.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// Samples or their labels are not where they were looked for.
    #[error(transparent)]
    Listing(#[from] ListingError),
    /// Nothing is there.
    #[error("no such file or folder: `{}`", path.display())]
    NotFound {
        /// The path that was asked for.
        path: PathBuf,
    },
    /// A file is there, likely a single photograph.
    #[error("`{0}` is a file, neither a folder of classes nor a table (.csv, .tsv, .jsonl); to classify it use `tk predict MODEL {0}`", path.display())]
    NotAFolder {
        /// The path that was asked for.
        path: PathBuf,
    },
    /// The folder cannot be listed.
    #[error("`{}` cannot be read: {source}", path.display())]
    Unreadable {
        /// The folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Files, but no folders.
    #[error("`{0}` holds {files} files but no class folders; put the photographs of each class in a folder named after it, name a table of paths and labels, or say --label name:REGEX (to classify them use `tk predict MODEL {0}`)", path.display())]
    NoClassFolders {
        /// The data set.
        path: PathBuf,
        /// How many files lie in it.
        files: usize,
    },
    /// Nothing that can be used.
    #[error("no usable photographs in `{}`{}; expected a folder per class with JPEG, PNG, GIF, BMP, WebP or TIFF files", path.display(), set_aside(quarantine))]
    NoImages {
        /// The data set.
        path: PathBuf,
        /// The files that were found and why each is of no use.
        quarantine: Quarantine,
    },
    /// Nothing to tell apart.
    #[error("`{}` has one class only, `{class}`; add a folder with photographs of something else beside it", path.display())]
    OneClass {
        /// The data set.
        path: PathBuf,
        /// The only class.
        class: String,
    },
    /// The data set lies one folder further down.
    #[error("`{}` holds one folder, which holds folders itself; did you mean `{}`?", path.display(), path.join(inner).display())]
    OneFolderDeeper {
        /// The path that was asked for.
        path: PathBuf,
        /// The folder in it.
        inner: String,
    },
    /// A class without photographs.
    #[error("{class} has no usable photograph{}; fill it or remove it", set_aside(quarantine))]
    EmptyClass {
        /// What is empty.
        class: String,
        /// The files in it and why each is of no use.
        quarantine: Quarantine,
    },
    /// A split folder without class folders.
    #[error("`{folder}` holds no class folders, though other splits do; expected {}", list_names(classes.iter().map(String::as_str)))]
    SplitWithoutClasses {
        /// The split folder.
        folder: String,
        /// The classes of the other splits.
        classes: Vec<String>,
    },
    /// A class that cannot have been learnt.
    #[error(
        "`{folder}` has no counterpart in `train`, whose classes are {}; rename or remove it",
        list_names(classes.iter().map(String::as_str))
    )]
    UnknownClass {
        /// The class folder, relative to the data set.
        folder: String,
        /// The classes of the training data.
        classes: Vec<String>,
    },
    /// Two folders for one split.
    #[error("`{first}` and `{second}` both name the same part of the data; keep one of them")]
    TwoFoldersForOneSplit {
        /// One folder.
        first: String,
        /// The other.
        second: String,
    },
    /// Classes beside splits.
    #[error(
        "`{folder}` with photographs stands beside `{split}`: folders are either all classes or all splits (train, val, test); move it"
    )]
    ClassBesideSplit {
        /// The folder that is no split.
        folder: String,
        /// A folder that is one.
        split: String,
    },
    /// A class name that is not text.
    #[error("the folder name `{}` is not UTF-8 and cannot be a class name; rename it", path.display())]
    NameNotText {
        /// The folder, relative to the data set.
        path: PathBuf,
    },
}

/// How many files were of no use, and the first of them.
fn set_aside(quarantine: &Quarantine) -> String {
    match quarantine.iter().next() {
        None => String::new(),
        Some((path, reason)) if quarantine.len() == 1 => format!(" (set aside: `{path}`: {reason})"),
        Some((path, reason)) => {
            format!(" ({} files set aside, the first `{path}`: {reason})", quarantine.len())
        }
    }
}
