//! Texts: a table or a folder of labelled texts in, a classifier out.
//!
//! [`Classify`] says what is to be done, [`Run`] is what came of it, [`Classifier`] is what predicts, [`Embedder`] gives sentence
//! embeddings. Tagging is [`crate::tag`].

mod classifier;
mod error;
mod modality;
mod model;
mod model_name;

pub use classifier::{Classifier, Embedder};
pub use modality::Texts;
pub use model::Encoder;
#[cfg(test)]
pub(crate) use model::defaults;
pub use model_name::resolve as resolve_model;

pub use crate::classify::{
    Error, Event, Guess, Head, HeadInit, Metric, Mode, ModeName, PrecisionChoice, Scored, Settings, Summary,
};
pub use tk_text::classifier::Text;
pub use tk_text::data::{Columns, Dataset};
pub use tk_transfer::data::Labelled;

/// A job on texts.
pub type Classify<'a> = crate::classify::Job<'a, Texts>;

/// A finished run on texts.
pub type Run = crate::classify::Run<Texts>;
