//! What happens during a run, for those who watch.

use std::cell::Cell;

use serde::Serialize;
use tk_transfer::adapt::Progress;
use tk_transfer::fit::{self, Best, Record};

/// Something that happened. Read-only; as JSON each is an object with its name under `event`.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The data was looked at and divided.
    Data {
        /// One line about it.
        summary: String,
        /// Samples that train.
        train: usize,
        /// Samples that validate; 0 with folds.
        val: usize,
        /// Samples that test.
        test: usize,
    },
    /// The model was opened.
    Model {
        /// Its name.
        name: String,
        /// What was loaded of it, in one line.
        loaded: String,
        /// Its input in words, such as `160×160 pixels`.
        input: String,
    },
    /// What will be done.
    Plan {
        /// In one line.
        summary: String,
        /// The numbers in all parameters.
        parameters: usize,
        /// Those that train.
        trained: usize,
        /// How long it may take.
        seconds: f64,
    },
    /// It was found what a frozen prefix runs in, where something else than f32 was asked for.
    Precision {
        /// In one line.
        summary: String,
        /// The precision that was taken.
        taken: &'static str,
    },
    /// Features were extracted.
    Features {
        /// Samples so far.
        done: usize,
        /// Samples in all.
        total: usize,
    },
    /// A probe is being fitted.
    Probe {
        /// On so many samples.
        samples: usize,
    },
    /// A phase of training begins.
    Phase {
        /// Its number, from 0.
        number: usize,
        /// How many phases there are.
        phases: usize,
        /// The stages that train.
        stages: Vec<String>,
        /// Epochs.
        epochs: usize,
        /// Updates in each.
        steps: usize,
        /// Operations that run without a kernel, and are slow.
        fallbacks: usize,
    },
    /// An update was made.
    Step {
        /// The epoch, from 1.
        epoch: usize,
        /// The epoch with which the phase ends.
        epochs: usize,
        /// The update within the epoch, from 1.
        step: usize,
        /// Updates in each epoch.
        steps: usize,
        /// The loss of its samples.
        loss: f64,
        /// How many they were.
        samples: usize,
    },
    /// An epoch ended.
    Epoch(Record),
    /// A phase in which epochs were compared ended.
    Best {
        /// The best epoch so far.
        #[serde(flatten)]
        best: Best,
        /// How many epochs without a better one ended the phase early, if that did.
        patience: Option<usize>,
    },
    /// The run went on from where it had been stopped.
    Resumed {
        /// Updates that were already made.
        updates: u64,
    },
    /// Something is worth knowing of the inputs.
    Remark {
        /// What.
        text: String,
    },
    /// A sample was set aside.
    SetAside {
        /// The file, relative to the data, or `FILE:LINE`.
        file: String,
        /// Why.
        reason: String,
    },
}

/// Turns progress of the layer below into events; remembers what a phase is long.
#[derive(Default)]
pub(crate) struct Translator {
    steps: Cell<usize>,
    epochs: Cell<usize>,
}

impl Translator {
    pub fn event(&self, progress: &Progress<'_>) -> Option<Event> {
        Some(match progress {
            Progress::Precision(report) => {
                Event::Precision { summary: report.to_string(), taken: report.taken.name() }
            }
            Progress::Features { done, total } => Event::Features { done: *done, total: *total },
            Progress::Probe { samples } => Event::Probe { samples: *samples },
            // It comes as progress of its own.
            Progress::Fit(fit::Event::Precision(_)) => return None,
            Progress::Fit(fit::Event::Phase {
                number,
                phases,
                stages,
                steps,
                epochs,
                last_epoch,
                fallbacks,
                ..
            }) => {
                self.steps.set(*steps);
                self.epochs.set(*last_epoch);
                Event::Phase {
                    number: *number,
                    phases: *phases,
                    stages: stages.to_vec(),
                    epochs: *epochs,
                    steps: *steps,
                    fallbacks: *fallbacks,
                }
            }
            Progress::Fit(fit::Event::Step { epoch, step, loss, samples }) => Event::Step {
                epoch: *epoch,
                epochs: self.epochs.get(),
                step: *step,
                steps: self.steps.get(),
                loss: *loss,
                samples: *samples,
            },
            Progress::Fit(fit::Event::Epoch(records)) => Event::Epoch(records.last()?.clone()),
            Progress::Fit(fit::Event::Best { best, patience }) => {
                Event::Best { best: (*best).clone(), patience: *patience }
            }
            Progress::Fit(fit::Event::Resumed { updates }) => Event::Resumed { updates: *updates },
        })
    }
}
