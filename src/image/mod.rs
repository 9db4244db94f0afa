//! Photographs: a folder of classes in, a classifier out.
//!
//! [`Classify`] says what is to be done, [`Run`] is what came of it, [`Classifier`] is what predicts. [`Settings`] is the same as data:
//! what `run.toml` holds. Detection and segmentation are not here.

mod error;
mod event;
mod mode;
mod settings;

mod model_name;
mod parts;
mod preset;
mod sources;

mod card;
mod classify;
mod fit;
mod outlook;
mod page;
mod record;
mod run;

mod classifier;
mod evaluate;

pub use classifier::{Classifier, Guess};
pub use classify::{Classify, Outlook};
pub use error::{Error, Kind};
pub use evaluate::{ClassLine, Scored, evaluate};
pub use event::Event;
pub use mode::{Head, HeadInit, Mode, ModeName};
pub use model_name::resolve as resolve_model;
pub use run::{Run, Summary};
pub use settings::{Provenance, Settings};

pub use tk_image::architectures::{ARCHITECTURES, Architecture};
pub use tk_image::data::{Augment, Dataset, Level, Picture, Report, Split, draw_demo};
pub use tk_transfer::fit::Schedule;
pub use tk_transfer::freeze::BatchNorm;
pub use tk_transfer::prefix::PrefixStore;
