//! How it runs: graphs of named stages, a reference executor on candle, and a CPU executor with kernels of its own.
//!
//! The engine knows tensors and parameters; it knows no data sets, no files and no command line.

pub mod blocks;
pub mod cpu;
pub mod error;
pub mod executor;
pub mod graph;
pub mod parameters;
pub mod precision;
pub mod random;
pub mod reference;
pub mod tensor;
pub mod testing;

pub use error::{EngineError, Result};
pub use executor::{GroupRate, Inference, Optimizer, Snapshot, StepKey, TrainSpec, Training};
pub use graph::{Graph, GraphBuilder, Value};
pub use parameters::Parameters;
pub use precision::Precision;
pub use tensor::Tensor;
