//! Why a path is no data set of texts, each with the way out.

use std::path::PathBuf;

use tk_transfer::data::Quarantine;
use tk_transfer::data::listing::ListingError;

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
    /// Samples or their labels are not where they were looked for.
    #[error(transparent)]
    Listing(#[from] ListingError),
    /// A folder with nothing in it that is known.
    #[error(
        "`{}` holds no texts; expected a table (.csv, .tsv, .jsonl), tables called train, val and test, or a folder of .txt files for each class",
        path.display()
    )]
    NoTexts {
        /// The folder.
        path: PathBuf,
    },
    /// Every sample was set aside.
    #[error("no usable text in `{}`{}", path.display(), set_aside(quarantine))]
    NoSamples {
        /// The data set.
        path: PathBuf,
        /// What was set aside.
        quarantine: Quarantine,
    },
}

fn set_aside(quarantine: &Quarantine) -> String {
    match quarantine.iter().next() {
        None => String::new(),
        Some((id, reason)) => format!(" ({} set aside, the first `{id}`: {reason})", quarantine.len()),
    }
}
