//! What plans and tapes are made of: one step for each operator, or for a few that run as one.
//!
//! A step reads and writes the workspace. Forward makes its output; backward takes its output's gradient and adds to those of its
//! inputs. A step that has no kernel runs the reference executor's form ([`fallback`]).

mod arithmetic;
mod attention;
mod convolution;
mod distances;
mod elementwise;
mod fallback;
mod grouped_convolution;
mod inverted_residual;
mod lookup;
mod matrix;
mod movement;
mod normalisation;
mod pooling;
mod quotient;
mod regularisation;
mod resizing;
mod row_normalisation;
mod sample_normalisation;

pub(crate) use arithmetic::{AddBroadcast, MultiplyBroadcast, ReduceAxes, ScaleAndShift};
pub(crate) use attention::Attend;
pub(crate) use convolution::{Convolve, Form};
pub(crate) use distances::{PickByDistance, Turn};
pub(crate) use elementwise::{Activate, AddValues, Concatenate, Factors, MultiplyValues};
pub(crate) use fallback::Fallback;
pub(crate) use grouped_convolution::ConvolveGroups;
pub(crate) use inverted_residual::InvertedResidual;
pub(crate) use lookup::LookUp;
pub(crate) use matrix::MultiplyMatrices;
pub(crate) use movement::{PermuteAxes, RenameAxes, RepeatAxis, SliceAxis};
pub(crate) use normalisation::{Normalise, Statistics};
pub(crate) use pooling::{Pool, PoolKind};
pub(crate) use quotient::{ApplyUnary, DivideBroadcast};
pub(crate) use regularisation::{Drop, Scope};
pub(crate) use resizing::Resize;
pub(crate) use row_normalisation::{NormaliseRows, ShareRows};
pub(crate) use sample_normalisation::NormaliseSamples;

use super::Workspace;
use crate::graph::Value;
use crate::{Precision, Result};

/// Whether a forward pass is followed by a backward pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Training behaviour as the specification asks for it; what backward needs is kept.
    Training,
    /// No training behaviour, nothing kept.
    Inference,
}

/// A unit of execution.
pub(crate) trait Step: Send {
    /// The value it makes.
    fn output(&self) -> Value;

    /// Makes the output from the inputs.
    fn forward(&mut self, workspace: &mut Workspace, mode: Mode) -> Result<()>;

    /// Takes the output's gradient, if there is one, and adds the inputs' shares to theirs. The last forward pass was in
    /// [`Mode::Training`], and the values it made are still there.
    fn backward(&mut self, workspace: &mut Workspace) -> Result<()>;

    /// In which precision it multiplies, if it is a product with weights; such steps hand values to each other in it.
    fn precision(&self) -> Option<Precision> {
        None
    }

    /// The name of the node, when the last pass ran its reference form for want of a kernel.
    fn fallback(&self) -> Option<&str> {
        None
    }
}
