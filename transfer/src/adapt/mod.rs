//! Adapting a model to a classification task: the one pipeline that every modality runs.
//!
//! `features` runs the frozen backbone once and fits a probe on what it leaves. `finetune` starts the head from that probe and trains.
//! `contrastive` trains the backbone on pairs of samples before the probe.
//! A modality brings a graph, its values, and sources of samples; nothing here knows what a sample is.

mod contrastive;
mod features;
mod finetune;
mod outcome;

pub use contrastive::adapt_by_contrast;
pub use features::{FeatureSet, adapt_by_probe, extract};
pub use finetune::{HeadInit, Steering, finetune};
pub use outcome::{AdaptError, Evaluation, Intervals, Judged, Outcome, Progress, Scores, Scoring};

use tk_engine::cpu::Machine;
use tk_engine::{Graph, Parameters};

use crate::data::LabelView;
use crate::fit::{Balance, Source};
use crate::prefix::{PrecisionChoice, PrefixStore};

/// What is adapted to what.
pub struct Job<'a> {
    /// Where it runs.
    pub machine: &'a Machine,
    /// Backbone and a linear head named `head` for the classes.
    pub graph: &'a Graph,
    /// Every parameter's value.
    pub parameters: &'a Parameters,
    /// The prefix of the head's parameters, such as `fc`.
    pub head: &'a str,
    /// The model's name, for messages.
    pub model: &'a str,
    /// The classes' names.
    pub classes: &'a [String],
    /// Training samples.
    pub training: Samples<'a>,
    /// How the result is scored while it is made.
    pub validation: Validation<'a>,
    /// Where frozen prefixes are remembered.
    pub store: &'a PrefixStore,
    /// In how many bits convolutions and linear layers multiply.
    pub precision: PrecisionChoice,
    /// What is done about classes of different sizes. A probe, which sees all samples at once, takes weights for either; where samples
    /// have several classes it takes none.
    pub balance: Balance,
    /// The seed of every random choice.
    pub seed: u64,
}

/// Samples with their classes.
#[derive(Clone, Copy)]
pub struct Samples<'a> {
    /// Where their inputs come from.
    pub source: &'a dyn Source,
    /// The classes of each; one in all, or any number in all.
    pub labels: LabelView<'a>,
    /// The group of each, where groups must stay whole.
    pub groups: Option<&'a [String]>,
}

/// How the result is scored while it is made.
#[derive(Clone, Copy)]
pub enum Validation<'a> {
    /// On samples of their own.
    Held(Samples<'a>),
    /// By folds of the training samples; the head is then fitted on all of them.
    Folds(usize),
    /// Not at all.
    None,
}
