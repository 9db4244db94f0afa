//! Why there is no data or no tagger, each with the way out.

use std::path::PathBuf;

use tk_engine::EngineError;
use tk_transfer::atomic::WriteError;
use tk_transfer::bundle::BundleError as FileError;
use tk_transfer::data::Quarantine;

use crate::data::TokenizerError;
use crate::model::{BundleError, ModelError};

/// Why a path is no data set of tagged words.
#[derive(Debug, thiserror::Error)]
pub enum TaggedError {
    /// Nothing is there.
    #[error("no such file or folder: `{}`", path.display())]
    NotFound {
        /// The path that was asked for.
        path: PathBuf,
    },
    /// It cannot be read.
    #[error("`{}` cannot be read: {reason}", path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        reason: String,
    },
    /// A folder with nothing in it that is known.
    #[error(
        "`{}` holds no tagged words; expected files of a word and its tag on each line (.conll, .tsv, .txt, .bio, .iob) or of JSON on each line \
         (.jsonl), called train, dev and test where they are parts",
        path.display()
    )]
    NoFiles {
        /// The folder.
        path: PathBuf,
    },
    /// Every sentence was set aside.
    #[error("no usable sentence in `{}`{}", path.display(), first(quarantine))]
    NoSentences {
        /// The data set.
        path: PathBuf,
        /// What was set aside.
        quarantine: Quarantine,
    },
    /// There is nothing to tell apart.
    #[error("`{}`: every word has the tag `{tag}`; expected at least two tags in training sentences", path.display())]
    OneTag {
        /// The data set.
        path: PathBuf,
        /// The tag.
        tag: String,
    },
}

fn first(quarantine: &Quarantine) -> String {
    match quarantine.iter().next() {
        None => String::new(),
        Some((id, reason)) => format!(" ({} set aside, the first `{id}`: {reason})", quarantine.len()),
    }
}

/// A tagger that cannot be loaded, used or saved.
#[derive(Debug, thiserror::Error)]
pub enum TaggerError {
    /// The model cannot be had.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The tokenizer cannot be had, does not fit, or cannot encode a word.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The folder holds something else.
    #[error("{} holds no tagger; expected a run of text-tag, or transformers' …ForTokenClassification", path.display())]
    NoTagger {
        /// The folder.
        path: PathBuf,
    },
    /// The folder cannot be written.
    #[error(transparent)]
    Folder(#[from] BundleError),
    /// `transfer.json` cannot be followed or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}
