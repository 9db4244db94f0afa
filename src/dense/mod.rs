//! Tasks whose heads stand on a backbone's maps: what detection and segmentation share.
//!
//! A task is a [`Dense`], and so a [`Structured`](crate::structured::Structured) one; the facades [`crate::detect`] and
//! [`crate::segment`] name them.

mod error;
mod task;

mod network;
mod open;

mod structured;

pub use network::GraftedNetwork;
pub use task::{Dense, Drawn, Shows};
