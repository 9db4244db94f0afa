//! What a modality brings to classification; everything else is the same for all of them.

use std::path::Path;

use tk_engine::cpu::{Machine, Pool};
use tk_engine::{Graph, Parameters, Tensor};
use tk_image::data::Level;
use tk_transfer::checkpoint::LoadReport;
use tk_transfer::classification::HeadForm;
use tk_transfer::data::{LabelKind, Labelled};
use tk_transfer::earlier_head::EarlierHead;
use tk_transfer::fit::{Schedule, Source};
use tk_transfer::low_rank::LowRank;

use super::division::Part;
use super::{Error, Head, HeadInit, ModeName, Settings};
use crate::hub::{Hub, Repository};
use crate::report::{Note, Pictured};

/// Classification of one kind of sample. All of them are listed in [`crate`].
pub trait Modality: Sized {
    /// The model that is taken where none is said.
    const DEFAULT: &'static str;
    /// The name of the task on the command line and in `run.toml`.
    const TASK: &'static str;
    /// What several samples are called.
    const SAMPLES: &'static str;
    /// Keys of settings that this task does not have.
    const FOREIGN: &'static [&'static str];
    /// Files that `tk predict` takes, for messages.
    const EXAMPLE: &'static str;

    /// Samples with classes.
    type Dataset: Labelled + Sync;
    /// A network with its weights.
    type Model: Network;
    /// What is kept at hand of loaded samples.
    type Store: Sync;
    /// What predicts.
    type Classifier;

    /// Opens data as settings say.
    ///
    /// # Errors
    /// When they cannot be used.
    fn open_data(path: &Path, settings: &Settings) -> Result<Self::Dataset, Error>;

    /// Opens the model that settings name, with a new head, and completes the settings that are about it. Published weights are looked for
    /// in the hub's cache; the name is completed with the commit that they have there.
    ///
    /// # Errors
    /// When there is no such model, or settings do not fit it.
    fn open_model(
        settings: &mut Settings,
        hub: &Hub,
        mode: ModeName,
        head: Head,
        classes: usize,
    ) -> Result<Self::Model, Error>;

    /// The repository that a model's name means, with its revision; `None` where it comes from elsewhere.
    fn repository(model: &str) -> Option<Repository>;

    /// The head of the run that settings name as the model, if they name one whose head is of the model's kind.
    ///
    /// # Errors
    /// When the run's folder is damaged.
    fn earlier_head(settings: &Settings, model: &Self::Model) -> Result<Option<EarlierHead>, Error>;

    /// An empty store, for samples that are loaded again and again or once.
    fn store(again: bool) -> Self::Store;

    /// Whether a sample can be loaded, and why not.
    ///
    /// # Errors
    /// The reason.
    fn check(data: &Self::Dataset, sample: usize, store: &Self::Store) -> Result<(), String>;

    /// The samples of a part as a source of batches.
    ///
    /// # Errors
    /// When they do not fit the model.
    fn source<'a>(
        part: &Part<'a, Self::Dataset>,
        store: &'a Self::Store,
        look: &Look<'a, Self::Model>,
    ) -> Result<Box<dyn Loading + 'a>, Error>;

    /// A classifier of a model with what was learned.
    ///
    /// # Errors
    /// When the model cannot be compiled.
    fn classifier(
        model: Self::Model,
        classes: Vec<String>,
        head: HeadForm,
        machine: &Machine,
    ) -> Result<Self::Classifier, Error>;

    /// Writes a classifier's folder as other tools open it. `fields` is what only this toolkit knows, `card` the text of `README.md`.
    ///
    /// # Errors
    /// When a file cannot be written.
    fn save(
        classifier: &Self::Classifier,
        folder: &Path,
        fields: serde_json::Map<String, serde_json::Value>,
        card: &str,
    ) -> Result<(), Error>;

    /// The classes' names, in the order of probabilities.
    fn classes(classifier: &Self::Classifier) -> &[String];

    /// Whether classes exclude each other.
    fn kind(classifier: &Self::Classifier) -> LabelKind;

    /// Tells `each` the probabilities of each of some samples in their order, or why there are none.
    ///
    /// # Errors
    /// When the engine fails.
    fn probabilities(
        classifier: &Self::Classifier,
        data: &Self::Dataset,
        samples: &[usize],
        pool: &Pool,
        each: &mut dyn FnMut(usize, Result<Vec<f32>, String>),
    ) -> Result<(), Error>;

    /// A sample as a report shows it, without what was said of it.
    fn picture(data: &Self::Dataset, sample: usize) -> Pictured;

    /// What is odd about the data.
    fn notes(data: &Self::Dataset) -> Vec<Note>;

    /// The lines of the model card that differ: its front matter, and how the folder is used.
    fn card() -> [&'static str; 2];
}

/// A network as adapting sees it. Its last stage is the head, of parameters that begin with [`Network::head`].
pub trait Network: Clone + Sync {
    /// What it is called in messages.
    fn name(&self) -> &str;

    /// The published architecture.
    fn architecture(&self) -> &str;

    /// Its input in words, such as `160×160 pixels`.
    fn input(&self) -> String;

    /// Backbone and head.
    fn graph(&self) -> &Graph;

    /// Every parameter's value.
    fn parameters(&self) -> &Parameters;

    /// The same network with another graph or other values.
    fn with(self, graph: Graph, parameters: Parameters) -> Self;

    /// The network as it is used and saved, after training.
    ///
    /// # Errors
    /// When values are missing.
    fn finished(self) -> Result<Self, Error> {
        Ok(self)
    }

    /// The low-rank pairs that it trains with, in lora mode.
    fn low_rank(&self) -> Option<&LowRank> {
        None
    }

    /// The prefix of the head's parameters, such as `fc`.
    fn head(&self) -> &str;

    /// What was loaded; `None` for random weights.
    fn report(&self) -> Option<&LoadReport>;

    /// The same network, whose report says of which classes an earlier run's rows were kept.
    fn with_kept(self, classes: Vec<String>) -> Self;

    /// The same network for labels of a kind, which say what its logits mean.
    fn with_kind(self, kind: LabelKind) -> Self;

    /// A digest of where the weights came from.
    fn digest(&self) -> &str;

    /// How its family is fine-tuned when nothing is said.
    fn defaults(&self, mode: ModeName) -> Defaults;

    /// A remark that a reader of the report should know, if there is one.
    fn remark(&self) -> Option<&'static str> {
        None
    }

    /// Blank inputs of usual size for so many samples, to see how fast the network is.
    fn blank(&self, samples: usize) -> Vec<Tensor>;
}

/// A source that remembers what it could not load.
pub trait Loading: Source {
    /// The samples that could not be loaded so far, by position in the data set, with the reason.
    fn failed(&self) -> Vec<(usize, String)> {
        Vec::new()
    }

    /// What is worth saying of its inputs.
    fn remarks(&self) -> Vec<String> {
        Vec::new()
    }
}

/// How samples become inputs.
pub struct Look<'a, N> {
    /// The model that they are made for.
    pub model: &'a N,
    /// How strongly training samples are varied.
    pub augment: Level,
    /// The seed of variation.
    pub seed: u64,
    /// The threads that load.
    pub pool: &'a Pool,
    /// The samples of a batch.
    pub batch: usize,
}

/// How a family is fine-tuned when nothing is said.
#[derive(Clone, Copy, Debug)]
pub struct Defaults {
    /// Passes over the data; in gradual mode those of each phase.
    pub epochs: usize,
    /// Samples in a batch.
    pub batch: usize,
    /// The peak learning rate for 32 samples, that of the head.
    pub learning_rate: f64,
    /// How it changes.
    pub schedule: Schedule,
    /// The share of the steps over which it rises.
    pub warmup: f64,
    /// The factor of the learning rate from a stage to the one before it; `None`: such that the first stage has a hundredth.
    pub layer_decay: Option<f64>,
    /// The decay of weights, as a share of the learning rate.
    pub weight_decay: f64,
    /// Gradients are scaled down to this norm.
    pub clip: Option<f64>,
    /// How a linear head starts.
    pub head_init: HeadInit,
    /// How strongly training samples are varied.
    pub augment: Level,
}
