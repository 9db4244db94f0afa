//! From tables and folders to token numbers in batches.
//!
//! A [`Dataset`] reads and checks the texts, a [`Tokenizer`] makes numbers of them as the published encoder expects, and
//! [`Sentences`] are some of the samples as a source of batches.

mod error;

mod folder;

mod dataset;
mod report;

mod sentence_piece;
mod special_tokens;
mod tokenizer;
mod tokenizer_error;
mod tokenizer_files;
mod tokenizer_pieces;
mod tokens;

mod sentences;

pub use dataset::{Dataset, Sample};
pub use error::DataError;
pub use report::Report;
pub use sentences::{Layout, Sentences};
pub use tk_transfer::data::listing::{ClassCount, Columns};
pub use tokenizer::Tokenizer;
pub(crate) use tokenizer::prefix_spaces;
pub use tokenizer_error::TokenizerError;
pub use tokens::{Statistics, Tokens};
