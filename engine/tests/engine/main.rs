//! The engine as a whole: every operator's gradient, agreement with PyTorch, and graphs of unusual shape on every executor.
#![expect(clippy::unwrap_used, reason = "tests")]

mod executors;

mod bert;
mod blocks;
mod conformance;
mod ctc;
mod ctc_expected;
mod operators;
mod operators_check;
mod precision;
mod promises;
mod pyramid;
mod torch;
mod torch_expected;
mod unet;
mod weight_norm;
