//! What a fit does, as data.

use serde::{Deserialize, Serialize};
use tk_engine::Optimizer;

use super::{Monitor, Schedule};
use crate::freeze::{BatchNorm, Freeze};

/// A fit: its phases, and what they share.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// In order.
    pub phases: Vec<Phase>,
    /// Samples in a batch.
    pub batch: usize,
    /// Batches whose gradients are added up before an update.
    pub accumulate: usize,
    /// The optimizer.
    pub optimizer: OptimizerChoice,
    /// The weight decay of matrices and kernels; biases and norms have none.
    pub weight_decay: f64,
    /// The factor of the learning rate from a stage to the one before it (1: the same everywhere).
    pub layer_decay: f64,
    /// Gradients are scaled down to this norm.
    pub clip: Option<f64>,
    /// The decay of an exponential moving average of the weights, which then is the result.
    pub moving_average: Option<f64>,
    /// How the best epoch is found, whose weights then are the result; `None`: the last epoch's are.
    pub monitor: Option<Monitor>,
    /// Samples are blended with others of their batch, behind the frozen prefix; their shares follow Beta of this (arXiv 1710.09412).
    pub mixup: Option<f64>,
    /// How many different augmented views of a sample there are; `None`: a new one each epoch.
    pub views: Option<u64>,
    /// The seed of every random choice.
    pub seed: u64,
}

/// A stretch of training with one freeze plan.
#[derive(Clone, Debug)]
pub struct Phase {
    /// What is frozen.
    pub freeze: Freeze,
    /// What batch-norm does in live stages.
    pub batch_norm: BatchNorm,
    /// Passes over the data.
    pub epochs: usize,
    /// The peak learning rate, that of the head.
    pub learning_rate: f64,
    /// How it changes.
    pub schedule: Schedule,
    /// The share of the steps over which it rises.
    pub warmup: f64,
}

/// The optimizers that a recipe names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerChoice {
    /// Adam with decoupled weight decay.
    AdamW,
    /// Stochastic gradient descent with momentum 0.9.
    Sgd,
}

impl OptimizerChoice {
    /// With its usual settings.
    pub fn optimizer(self) -> Optimizer {
        match self {
            Self::AdamW => Optimizer::ADAMW,
            Self::Sgd => Optimizer::Sgd { momentum: 0.9, nesterov: false },
        }
    }
}
