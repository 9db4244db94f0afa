//! Why a path is no set of annotated pictures, each with the way out.

use std::path::PathBuf;

use tk_transfer::data::listing::{ListingError, list_names};
use tk_transfer::data::{Quarantine, Split};

use crate::data::DataError;

/// Why a path is no set of annotated pictures.
#[derive(Debug, thiserror::Error)]
pub enum AnnotationError {
    /// Nothing is there, or the folder cannot be listed.
    #[error(transparent)]
    Folder(#[from] DataError),
    /// Groups cannot be told.
    #[error(transparent)]
    Listing(#[from] ListingError),
    /// Labels were asked for.
    #[error("--label {found}: the classes of boxes stand in the annotations; leave it away")]
    Label {
        /// What was given.
        found: String,
    },
    /// A file that holds no annotations of many pictures.
    #[error("`{}` is neither COCO's .json nor YOLO's .yaml; name the folder of pictures and annotations", path.display())]
    NotAnnotations {
        /// The path that was asked for.
        path: PathBuf,
    },
    /// No annotations.
    #[error(
        "no annotations in `{}`, which holds {pictures} pictures; looked for COCO (a .json with images, annotations and categories), Pascal VOC (.xml with <annotation>), YOLO (data.yaml, or labels/*.txt beside images/) and PASCAL 1.00 (.txt); add them, or name the .json or .yaml", path.display()
    )]
    NothingFound {
        /// The folder.
        path: PathBuf,
        /// How many files look like pictures.
        pictures: usize,
    },
    /// A file that cannot be read.
    #[error("`{}` cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file that is not what its name says.
    #[error("`{}` is no {format}: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What it was read as.
        format: &'static str,
        /// What is wrong, and where.
        reason: String,
    },
    /// One number for two things.
    #[error("`{}` has two different {what} with the id {id}; give each its own, or remove one", path.display())]
    SameId {
        /// The file.
        path: PathBuf,
        /// `images`, `annotations` or `categories`.
        what: &'static str,
        /// The number.
        id: i64,
    },
    /// Classes without names, or that contradict each other.
    #[error("`{}`: {reason}", path.display())]
    Classes {
        /// The file.
        path: PathBuf,
        /// What is wrong, and the way out.
        reason: String,
    },
    /// Several files, none of them called `train`.
    #[error("`{}` holds several annotation files ({}); name one of them, or call them train, val and test", path.display(), list_names(files.iter().map(String::as_str)))]
    WhichFile {
        /// The folder.
        path: PathBuf,
        /// The files.
        files: Vec<String>,
    },
    /// Two files for one part of the data.
    #[error("`{first}` and `{second}` both annotate {}; name one of them, or remove the other", part.name())]
    TwoForOnePart {
        /// The part.
        part: Split,
        /// One file.
        first: String,
        /// The other.
        second: String,
    },
    /// Parts of the data, but none to learn from.
    #[error("`{}` holds {found} but nothing called train; add it, or name one part", path.display())]
    NoTrain {
        /// The data set.
        path: PathBuf,
        /// What there is.
        found: String,
    },
    /// Pictures that a description promises.
    #[error("`{key}: {entry}` of `{}` is not there; looked at {looked}; correct `{key}` or `path`", path.display())]
    MissingPart {
        /// The description.
        path: PathBuf,
        /// `train`, `val` or `test`.
        key: &'static str,
        /// What it names.
        entry: String,
        /// Where it was looked for.
        looked: String,
    },
    /// Pictures without a single file of labels.
    #[error("none of the {pictures} pictures of `{}` has labels; for `{picture}` expected `{label}`", path.display())]
    NoLabels {
        /// The data set.
        path: PathBuf,
        /// How many pictures there are.
        pictures: usize,
        /// One of them.
        picture: String,
        /// Where its labels would be.
        label: String,
    },
    /// Nothing that can be used.
    #[error("no usable annotated pictures in `{}`{}", path.display(), set_aside(quarantine))]
    NoPictures {
        /// The data set.
        path: PathBuf,
        /// The pictures that were found and why each is of no use.
        quarantine: Quarantine,
    },
    /// Pictures, but no boxes.
    #[error("none of the {pictures} pictures of `{}` has an object that can be learnt; annotate some{}", path.display(), set_aside(quarantine))]
    NoObjects {
        /// The data set.
        path: PathBuf,
        /// How many pictures there are.
        pictures: usize,
        /// What was set aside.
        quarantine: Quarantine,
    },
}

/// How many pictures were of no use, and the first of them.
fn set_aside(quarantine: &Quarantine) -> String {
    match (quarantine.iter().next(), quarantine.len()) {
        (None, _) => String::new(),
        (Some((name, reason)), 1) => format!(" (set aside: `{name}`: {reason})"),
        (Some((name, reason)), count) => format!(" ({count} set aside, the first `{name}`: {reason})"),
    }
}
