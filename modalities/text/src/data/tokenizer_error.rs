//! What can be wrong with a tokenizer, each with the way out.

use std::path::PathBuf;

/// An error about a tokenizer, its files or its fit to a model.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
    /// The folder holds none.
    #[error(
        "`{}` holds no tokenizer; expected tokenizer.json, vocab.txt (WordPiece), vocab.json with merges.txt (byte-level BPE), or one of sentencepiece.bpe.model, spm.model and spiece.model (SentencePiece) beside the weights",
        folder.display()
    )]
    Missing {
        /// The folder.
        folder: PathBuf,
    },
    /// A file cannot be read.
    #[error("`{}` cannot be read: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A file is not what its name says.
    #[error("`{}` is no {expected}: {reason}; fetch it again", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What it should be.
        expected: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A token that the model needs is not in the vocabulary.
    #[error("the vocabulary in `{}` has no token `{token}` ({purpose}); name the right one in tokenizer_config.json", folder.display())]
    NoToken {
        /// The folder.
        folder: PathBuf,
        /// The token.
        token: String,
        /// What it is for.
        purpose: &'static str,
    },
    /// The model has fewer embeddings than the tokenizer has tokens.
    #[error(
        "the tokenizer does not match the embedding table: its highest token is number {highest} (`{token}`), the table has {rows} rows (0 to {}); use the tokenizer that was published with the weights",
        rows.saturating_sub(1)
    )]
    Mismatch {
        /// The highest number.
        highest: u32,
        /// Its token.
        token: String,
        /// The rows of the table.
        rows: usize,
    },
    /// A length that leaves no room for a text.
    #[error(
        "sentences of at most {found} tokens: expected {least} to {most} (of which {special} mark the beginning and end)"
    )]
    Length {
        /// What was asked for.
        found: usize,
        /// The least that leaves room for a token of each text.
        least: usize,
        /// What the model takes.
        most: usize,
        /// The tokens that are added to each text.
        special: usize,
    },
    /// A text that cannot be encoded.
    #[error("text {index} cannot be encoded: {reason}")]
    Encode {
        /// Its position among those that were given.
        index: usize,
        /// Why.
        reason: String,
    },
}
