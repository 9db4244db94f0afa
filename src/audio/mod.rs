//! Recordings: a folder of classes in, a classifier out.
//!
//! [`Classify`] says what is to be done, [`Run`] is what came of it, [`Classifier`] is what predicts. Speech recognition is not here.

mod classifier;
mod error;
mod modality;
mod model;
pub(crate) mod oddities;
pub(crate) mod portrait;

pub use classifier::Classifier;
pub use modality::Recordings;
pub use model::SoundNetwork;

pub use crate::classify::{
    Error, Event, Guess, Head, HeadInit, Metric, Mode, ModeName, PrecisionChoice, Scored, Settings, Summary,
};
pub use tk_audio::data::{Clip, Dataset, Remark, SoundStream};
pub use tk_audio::events::{SoundEvent, Windows};
pub use tk_transfer::data::Labelled;
pub use tk_transfer::data::listing::Columns;

/// A job on recordings.
pub type Classify<'a> = crate::classify::Job<'a, Recordings>;

/// A finished run on recordings.
pub type Run = crate::classify::Run<Recordings>;
