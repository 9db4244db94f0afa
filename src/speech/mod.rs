//! Speech: recordings with transcripts and a pretrained network in, a recogniser out.
//!
//! [`Finetune`] says what is to be done, [`Run`] is what came of it, [`Recognizer`] is what transcribes.

mod error;

mod network;
mod open;
mod words;

mod score;
mod show;

mod structured;

pub use network::SpeechNetwork;
pub use score::{Compared, Scored, evaluate};

use crate::classify::Outlook;
use crate::structured::Structured;

pub use crate::classify::{Error, Event, Metric, Mode, ModeName, PrecisionChoice, Settings, Summary};
pub use tk_audio::data::{Clip, Remark, Utterances};
pub use tk_audio::recognition::{
    Decoding, Passage, Recognizer, RecognizerError, Spelling, Transcript, Vocabulary, Word,
};

/// What is learned: to spell what is said.
pub enum Speech {}

/// A job on recordings with transcripts.
pub type Finetune<'a> = crate::classify::Job<'a, Speech>;

/// A finished run.
pub type Run = crate::structured::Run<Speech>;

impl Speech {
    /// The name of the task on the command line and in `run.toml`.
    pub const TASK: &'static str = <Self as Structured>::TASK;
}

impl Finetune<'_> {
    /// Opens the data that the settings name.
    ///
    /// # Errors
    /// When there are none, or they cannot be used.
    pub fn open_data(&self) -> Result<Utterances, Error> {
        crate::structured::open_data(self)
    }

    /// What would be done, and how long it may take. Writes nothing.
    ///
    /// # Errors
    /// As [`Finetune::fit`], as far as it can be told before.
    pub fn outlook(&self, data: &Utterances) -> Result<Outlook, Error> {
        crate::structured::outlook(self, data)
    }

    /// Does it.
    ///
    /// # Errors
    /// When settings do not fit together, the model or the data cannot be used, the audit finds a broken promise, or it is cancelled.
    pub fn fit(&self, data: &Utterances) -> Result<Run, Error> {
        crate::structured::fit(self, data)
    }
}
