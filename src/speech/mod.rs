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

use std::path::PathBuf;

pub use run::{Run, Summary};
pub use score::{Compared, Scored, evaluate};

pub use crate::classify::{Error, Event, Metric, Mode, ModeName, PrecisionChoice, Settings};
pub use tk_audio::data::{Clip, Remark, Utterances};
pub use tk_audio::recognition::{
    Decoding, Origin, Passage, Recognizer, RecognizerError, Spelling, Transcript, Vocabulary, Word,
};

/// What is learned: to spell what is said.
pub enum Speech {}

/// A job on recordings with transcripts.
pub type Finetune<'a> = crate::classify::Job<'a, Speech>;

/// The name under which the embedded default is asked for and shown.
pub const EMBEDDED: &str = tk_audio::recognition::embedded::NAME;

/// Where the model of a name is: the embedded default, or a folder.
pub fn origin(name: &str) -> Origin {
    if name == EMBEDDED { Origin::Embedded } else { Origin::Folder(PathBuf::from(name)) }
}
