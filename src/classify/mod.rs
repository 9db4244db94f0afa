//! Classification, whatever the samples are: labelled samples and a pretrained model in, a classifier out.
//!
//! [`Job`] says what is to be done, [`Run`] is what came of it. [`Settings`] is the same as data: what `run.toml` holds. A kind of
//! sample is a [`Modality`]; the facades `image` and `text` name them.

mod error;
pub(crate) mod event;
mod modality;
mod mode;
mod settings;

pub(crate) mod division;
mod gradual;
pub(crate) mod preset;
mod shelf;

mod card;
pub(crate) mod fit;
mod job;
pub(crate) mod outlook;
pub(crate) mod page;
pub(crate) mod record;
mod run;
pub(crate) mod telling;
pub(crate) mod trail;

mod evaluate;
mod guess;

pub use division::Part;
pub use error::{Error, Kind};
pub use evaluate::{Baseline, ClassLine, Scored, evaluate};
pub use event::Event;
pub use guess::{Found, Guess};
pub use job::{Job, Outlook};
pub use modality::{Defaults, Loading, Look, Modality, Network};
pub use mode::{Aim, Head, HeadInit, Metric, Mode, ModeName};
pub use run::{Run, Summary};
pub use settings::{Provenance, Settings};
pub use tk_transfer::data::LabelKind;
pub use tk_transfer::fit::Balance;
pub use tk_transfer::prefix::PrecisionChoice;
pub use trail::PrecisionLine;
