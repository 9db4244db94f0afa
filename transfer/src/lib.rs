//! What is done: checkpoints, freezing, the prefix cache, probes, fitting, the audit, bundles.
//!
//! This crate knows a sample's identity, never its content; modalities bring that.

pub mod adapt;
pub mod atomic;
pub mod audit;
pub mod bundle;
pub mod checkpoint;
pub mod classification;
pub mod data;
pub mod earlier_head;
pub mod fit;
pub mod freeze;
pub mod hub;
pub mod low_rank;
pub mod metrics;
pub mod multi_label;
pub mod prefix;
pub mod probe;
pub mod task;
