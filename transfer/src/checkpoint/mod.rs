//! Reading and writing published weights.
//!
//! [`Checkpoint`] opens safetensors (one file or shards) and PyTorch's files, tensors only and never code; [`load_into`]
//! matches it with the parameters of a model and says what was loaded, replaced and left over; [`save`] writes safetensors
//! that other tools open. Names and layouts of a model's parameters are its architecture's business.

mod error;

mod bytes;
mod dtype;
mod tensor;

mod pickle;
mod safetensors;
mod sharded;
mod state_dict;
mod torch_legacy;
mod torch_zip;

mod nearest;
mod open;

mod load;
mod load_error;
mod report;
mod rule;

mod save;

pub(crate) use nearest::nearest;

pub use dtype::Dtype;
pub use error::{CheckpointError, CheckpointProblem};
pub use load::{Loaded, Need, ParameterRequest, Target, load_into, tensor_of};
pub use load_error::LoadError;
pub use open::{Checkpoint, Format};
pub use report::{Initialised, LoadReport, Reason, Replaced};
pub use rule::Rule;
pub use save::{Precision, SaveError, SaveTensor, save};
pub use tensor::TensorInfo;

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod open_tests;
