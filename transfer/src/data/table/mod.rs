//! Tables of samples: `.csv`, `.tsv` and JSON lines as named columns of text, whatever delimiter, encoding or quoting they came with.
//!
//! A [`Table`] is read whole and knows the line of each row, so that a bad row is `FILE:LINE` in the quarantine and costs no
//! other. What the columns are for is guessed by [`guess_columns`] or said with a [`Selector`]. Nothing here knows whether a
//! column holds sentences or paths of photographs.

mod encoding;
mod error;

mod records;

mod dialect;

mod header;

mod delimited;
mod json_lines;

mod reader;

mod guess;
mod names;
mod selector;

pub use encoding::decode;
pub use error::TableError;
pub use guess::{Guess, Inputs, guess_columns};
pub use reader::{MAX_FILE_BYTES, Row, TABLE_ENDINGS, Table, is_table};
pub use records::MAX_ROW_BYTES;
pub use selector::{BoundSelector, Selector};
