//! What crosses the crate's modules: metrics beside their references, training, prefixes, probes.
#![expect(clippy::unwrap_used, reason = "tests")]

mod average_precision;
mod edit_distance;
mod entities;
mod fit;
mod prefix;
mod probes;
