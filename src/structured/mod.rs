//! Tasks whose answers are more than one class: transcripts, tags, boxes, masks. What they share, from settings to the run's folder.
//!
//! A task is a [`Structured`]; the facades [`crate::speech`], [`crate::tag`], [`crate::detect`] and [`crate::segment`] name them. They all
//! train by gradient descent; probes belong to [`crate::classify`].

mod task;

mod fit;
mod prepare;

mod page;
mod run;

pub use run::Run;
pub use task::{Card, Scored, Structured};

pub use fit::fit;
pub use prepare::{open_data, outlook};
