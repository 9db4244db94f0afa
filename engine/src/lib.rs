//! How it runs: graphs of named stages, a reference executor on candle, and a CPU executor with kernels of its own.
//!
//! The engine knows tensors and parameters; it knows no data sets, no files and no command line.

pub mod cpu;
pub mod random;
