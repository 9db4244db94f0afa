//! Tagging: sentences with tagged words and a pretrained encoder in, a tagger out.
//!
//! [`Finetune`] says what is to be done, [`Run`] is what came of it, [`Tagger`] is what tells the tag of every word.

mod error;
mod score;
mod structured;

use crate::classify::Outlook;
use crate::structured::Structured;

pub use score::{Compared, Scored};

pub use crate::classify::{Error, Event, Metric, Mode, ModeName, PrecisionChoice, Settings, Summary};
pub use tk_text::tagging::{OUTSIDE, Tagged, TaggedWord, Tagger, TaggerError, Word, split_words};
pub use tk_transfer::metrics::{Entity, entities};

/// What is learned: the tag of every word.
pub enum Tags {}

/// A job on sentences with tagged words.
pub type Finetune<'a> = crate::classify::Job<'a, Tags>;

/// A finished run.
pub type Run = crate::structured::Run<Tags>;

impl Tags {
    /// The name of the task on the command line and in `run.toml`.
    pub const TASK: &'static str = <Self as Structured>::TASK;
}

impl Finetune<'_> {
    /// Opens the data that the settings name.
    ///
    /// # Errors
    /// When there are none, or they cannot be used.
    pub fn open_data(&self) -> Result<Tagged, Error> {
        crate::structured::open_data(self)
    }

    /// What would be done, and how long it may take. Writes nothing.
    ///
    /// # Errors
    /// As [`Finetune::fit`], as far as it can be told before.
    pub fn outlook(&self, data: &Tagged) -> Result<Outlook, Error> {
        crate::structured::outlook(self, data)
    }

    /// Does it.
    ///
    /// # Errors
    /// When settings do not fit together, the model or the data cannot be used, the audit finds a broken promise, or it is cancelled.
    pub fn fit(&self, data: &Tagged) -> Result<Run, Error> {
        crate::structured::fit(self, data)
    }
}
