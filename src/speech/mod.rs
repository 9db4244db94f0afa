//! Speech: recordings with transcripts and a pretrained network in, a recogniser out.
//!
//! [`Finetune`] says what is to be done, [`Run`] is what came of it, [`Recognizer`] is what transcribes.

mod error;

mod network;

mod prepare;

mod fit;

mod page;
mod run;
mod score;

pub use run::{Run, Summary};
pub use score::{Compared, Scored, evaluate};

pub use crate::classify::{Error, Event, Metric, Mode, ModeName, PrecisionChoice, Settings};
pub use tk_audio::data::{Clip, Remark, Utterances};
pub use tk_audio::recognition::{
    Decoding, Passage, Recognizer, RecognizerError, Spelling, Transcript, Vocabulary, Word,
};

/// What is learned: to spell what is said.
pub enum Speech {}

/// A job on recordings with transcripts.
pub type Finetune<'a> = crate::classify::Job<'a, Speech>;
