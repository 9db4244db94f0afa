//! Tasks whose heads stand on a backbone's maps: what detection and segmentation share, from settings to the run's folder.
//!
//! A task is a [`Dense`]; the facades [`crate::detect`] and [`crate::segment`] name them.

mod error;
mod task;

mod network;

mod fit;
mod prepare;

mod page;
mod run;

pub use run::Run;
pub use task::{Dense, Drawn, Scored};

pub use fit::fit;
pub(crate) use network::GraftedNetwork;
pub use prepare::{open_data, outlook};
