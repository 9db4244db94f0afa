//! What a task brings; everything else is the same for all of them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use tk_engine::cpu::Machine;
use tk_transfer::data::{Labelled, Quarantine};
use tk_transfer::fit::Record;
use tk_transfer::metrics::Interval;
use tk_transfer::task::Task;

use crate::classify::{Aim, Defaults, Error, Loading, Look, ModeName, Network, Part, Settings, Summary};
use crate::hub::{Hub, Repository};
use crate::report::{Note, ReportData};

/// A task whose answers are more than one class.
pub trait Structured: Sized + 'static {
    /// Its name on the command line and in `run.toml`.
    const TASK: &'static str;
    /// Keys of settings that it does not have.
    const FOREIGN: &'static [&'static str];
    /// The model that is taken where none is said.
    const DEFAULT: &'static str;
    /// How much is adapted when nothing is said.
    const MODE: ModeName;
    /// What several samples are called.
    const SAMPLES: &'static str;
    /// What `tk predict` takes after a run's folder, for messages.
    const EXAMPLE: &'static str;
    /// What files with its answers are called, such as `found` for `found.jsonl`.
    const ANSWERS: &'static str;

    /// A network with its weights.
    type Network: Network;
    /// Samples with what is to be answered.
    type Data: Labelled + Sync;
    /// What is kept at hand of loaded samples.
    type Store: Sync;
    /// What answers.
    type Model;
    /// How good it is.
    type Scored: Scored;

    /// What is learned.
    #[doc(hidden)]
    fn aim() -> Aim;

    /// Opens data as settings say.
    ///
    /// # Errors
    /// When they cannot be used.
    fn open_data(path: &Path, settings: &Settings) -> Result<Self::Data, Error>;

    /// What is odd about the data.
    fn notes(data: &Self::Data) -> Vec<Note>;

    /// Says what nobody said, before the model is opened.
    fn settle(settings: &mut Settings, mode: ModeName);

    /// Opens the model that settings name, with a head for the data, and completes the settings that are about it.
    ///
    /// # Errors
    /// When there is no such model, or settings do not fit it.
    fn open_model(
        settings: &mut Settings,
        hub: &Hub,
        data: &Self::Data,
        mode: ModeName,
    ) -> Result<Self::Network, Error>;

    /// The repository that a model's name means; `None` where it comes from elsewhere.
    fn repository(model: &str) -> Option<Repository> {
        Repository::of_model(model)?.ok()
    }

    /// How it is trained when nothing is said.
    fn defaults(network: &Self::Network, mode: ModeName, _: &Settings, _: &Self::Data) -> Defaults {
        network.defaults(mode)
    }

    /// The names of what the network tells: classes, tags or symbols.
    fn classes(network: &Self::Network) -> &[String];

    /// An empty store.
    fn store() -> Self::Store;

    /// The samples of a part that cannot be learned from, with the reason; the store may keep the others.
    ///
    /// # Errors
    /// When it is cancelled.
    fn unusable(
        part: &Part<'_, Self::Data>,
        store: &Self::Store,
        look: &Look<'_, Self::Network>,
        cancel: &AtomicBool,
    ) -> Result<Vec<(usize, String)>, Error>;

    /// The samples of a part as a source of batches.
    ///
    /// # Errors
    /// When they do not fit the model.
    fn source<'a>(
        part: &Part<'a, Self::Data>,
        store: &'a Self::Store,
        look: &Look<'a, Self::Network>,
    ) -> Result<Box<dyn Loading + 'a>, Error>;

    /// What is worth saying of training samples before they are learned from.
    fn remarks(data: &Part<'_, Self::Data>, _: &Self::Network) -> Vec<String> {
        Self::notes(data.dataset).into_iter().map(|note| note.title).collect()
    }

    /// What is worth saying of an epoch; it is said when it begins to hold.
    fn remark_of(_: &Record) -> Option<&'static str> {
        None
    }

    /// What is learned, as training sees it.
    fn task(network: &Self::Network, machine: &Machine) -> Box<dyn Task>;

    /// What answers, of a network with what was learned.
    ///
    /// # Errors
    /// When it cannot be compiled.
    fn model(network: Self::Network, machine: &Machine) -> Result<Self::Model, Error>;

    /// Scores it on samples; those that cannot be read are listed with the reason.
    ///
    /// # Errors
    /// When the engine fails.
    fn evaluate(
        model: &Self::Model,
        data: &Self::Data,
        positions: &[usize],
        settings: &Settings,
    ) -> Result<(Self::Scored, Quarantine), Error>;

    /// Checks that data ask for what it tells.
    ///
    /// # Errors
    /// When they do not.
    fn check(_: &Self::Model, _: &Self::Data) -> Result<(), Error> {
        Ok(())
    }

    /// The names of what it tells.
    fn told(model: &Self::Model) -> &[String];

    /// Writes its folder as other tools open it. `fields` is what only this toolkit knows, `card` the text of `README.md`.
    ///
    /// # Errors
    /// When a file cannot be written.
    fn save(
        model: &Self::Model,
        folder: &Path,
        fields: serde_json::Map<String, serde_json::Value>,
        card: &str,
    ) -> Result<(), Error>;

    /// Adds its answers to a report, with some samples of the part that was scored.
    fn show(scored: &Self::Scored, part: &Part<'_, Self::Data>, classes: &[String], report: &mut ReportData);

    /// What its model card says of every run.
    fn card(summary: &Summary) -> Card;
}

/// What model cards of a task have in common.
pub struct Card {
    /// The lines of the front matter, but the tags.
    pub front: String,
    /// The title.
    pub title: String,
    /// What it knows not.
    pub limits: &'static str,
    /// How the folder is used.
    pub usage: &'static str,
}

/// Scores on samples that did not train what is scored.
pub trait Scored {
    /// How many samples were scored.
    fn samples(&self) -> usize;

    /// The name of the score that matters.
    fn headline(&self) -> &'static str;

    /// Scores by their fixed names.
    fn metrics(&self) -> &BTreeMap<String, f64>;

    /// 95 % intervals of some of them, by bootstrap over samples.
    fn intervals(&self) -> &BTreeMap<String, Interval>;

    /// One line.
    fn line(&self) -> String;

    /// What a reader must know of it, if there is something.
    fn remark(&self) -> Option<&'static str> {
        None
    }

    /// Lines that say more than one does, of classes or of the worst samples.
    fn details(&self, _classes: &[String]) -> Vec<String> {
        Vec::new()
    }

    /// A line of each sample, as the file of answers keeps them.
    fn lines(&self) -> Vec<serde_json::Value>;
}
