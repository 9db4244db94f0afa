//! Photographs: a folder of classes in, a classifier out.
//!
//! [`Classify`] says what is to be done, [`Run`] is what came of it, [`Classifier`] is what predicts. Boxes are [`crate::detect`]'s, pixels
//! [`crate::segment`]'s.

mod classifier;
mod error;
mod modality;
mod model_name;

pub use classifier::Classifier;
pub use modality::Photographs;
#[cfg(test)]
pub(crate) use modality::defaults;
pub(crate) use model_name::{pinned, repository, resolve};
pub use model_name::{repository as repository_of_model, resolve as resolve_model};

pub use crate::classify::{
    ClassLine, Error, Event, Guess, Head, HeadInit, Kind, Metric, Mode, ModeName, Outlook, PrecisionChoice,
    Provenance, Scored, Settings, Summary,
};
pub use tk_image::architectures::{Architecture, Family, architectures};
pub use tk_image::data::{Augment, Dataset, Level, Picture, Report, Split, draw_demo};
pub use tk_transfer::data::Labelled;
pub use tk_transfer::fit::Schedule;
pub use tk_transfer::freeze::BatchNorm;
pub use tk_transfer::prefix::PrefixStore;

/// A job on photographs.
pub type Classify<'a> = crate::classify::Job<'a, Photographs>;

/// A finished run on photographs.
pub type Run = crate::classify::Run<Photographs>;

/// Scores a classifier on photographs of a data set.
///
/// # Errors
/// As [`crate::classify::evaluate`].
pub fn evaluate(
    classifier: &Classifier,
    data: &Dataset,
    positions: &[usize],
    machine: &crate::Machine,
) -> Result<(Scored, tk_transfer::data::Quarantine), Error> {
    crate::classify::evaluate::<Photographs>(classifier, data, positions, &machine.pool)
}
