//! Words with tags: data, an encoder with a layer over every token, entities.
//!
//! [`Tagged`] reads sentences and their tags, [`Windows`] cuts them to what an encoder takes, [`TaggingTask`] is what is learned, [`Tagger`]
//! is what tells tags. How entities are counted is `tk_transfer::metrics`.

mod error;
mod sentence;

mod conll;
mod jsonl;
mod words;

mod dataset;

mod source;
mod windows;

mod tagger;
mod task;

pub use dataset::{OUTSIDE, Tagged};
pub use error::{TaggedError, TaggerError};
pub use sentence::Sentence;
pub use source::TaggedWindows;
pub use tagger::{TaggedWord, Tagger};
pub use task::TaggingTask;
pub use windows::{Window, Windows};
pub use words::{Word, split_words};
