//! The loop over phases, and how it is connected with the outside.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tk_engine::cpu::Machine;
use tk_engine::{Graph, Parameters};

use super::phase::PhaseRun;
use super::state::Position;
use super::{Best, FitError, Recipe, Record, Source, State};
use crate::audit::AuditReport;
use crate::freeze::FreezePlan;
use crate::prefix::{PrecisionChoice, PrecisionReport, PrefixStore};
use crate::task::Task;

/// What is fitted to what.
pub struct Run<'a> {
    /// Where it runs.
    pub machine: &'a Machine,
    /// Backbone and head.
    pub graph: &'a Graph,
    /// The model's name, for messages.
    pub model: &'a str,
    /// What is learned.
    pub task: &'a dyn Task,
    /// Training samples.
    pub training: &'a dyn Source,
    /// Samples that score each epoch.
    pub validation: Option<&'a dyn Source>,
    /// How.
    pub recipe: &'a Recipe,
    /// What tells this run from others: a digest of data, weights and settings.
    pub identity: String,
    /// Where frozen prefixes are remembered.
    pub store: &'a PrefixStore,
    /// In how many bits convolutions and linear layers multiply.
    pub precision: PrecisionChoice,
}

/// What connects a fit with the outside while it runs.
pub struct Signals<'a> {
    /// Where the state is kept; a state that is there already is resumed.
    pub state: Option<PathBuf>,
    /// The time between two written states.
    pub every: Duration,
    /// Set to stop at the next update, with the state written.
    pub cancel: &'a AtomicBool,
    /// Told what happens.
    pub observe: &'a dyn Fn(&Event<'_>),
}

/// What happens during a fit. Read-only.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// It was found what a frozen prefix runs in, where something else than f32 was asked for.
    Precision(&'a PrecisionReport),
    /// A phase begins.
    Phase {
        /// Its number, from 0.
        number: usize,
        /// How many phases there are.
        phases: usize,
        /// What is frozen in it.
        plan: &'a FreezePlan,
        /// The stages that train.
        stages: &'a [String],
        /// Updates in each epoch.
        steps: usize,
        /// Epochs.
        epochs: usize,
        /// Its last epoch, counted through all phases.
        last_epoch: usize,
        /// Nodes that run without a kernel.
        fallbacks: usize,
    },
    /// An update was made.
    Step {
        /// The epoch, counted through all phases from 1.
        epoch: usize,
        /// The update within the epoch, from 1.
        step: usize,
        /// The loss of its samples.
        loss: f64,
        /// How many they were.
        samples: usize,
    },
    /// A phase in which epochs were compared ended.
    Best {
        /// The best epoch so far.
        best: &'a Best,
        /// How many epochs without a better one ended the phase early, if that did.
        patience: Option<usize>,
    },
    /// An epoch ended. The records so far; the last is its own.
    Epoch(&'a [Record]),
    /// The fit went on from a written state.
    Resumed {
        /// The updates that were already made.
        updates: u64,
    },
}

/// What a fit leaves.
#[derive(Clone, Debug)]
pub struct Fitted {
    /// All values; those that no phase trained are what they were.
    pub parameters: Parameters,
    /// One record for each epoch.
    pub records: Vec<Record>,
    /// One report for each phase.
    pub audits: Vec<AuditReport>,
    /// Prefix results that were remembered, and those that were computed.
    pub cache: (u64, u64),
    /// What the frozen prefix of each phase ran in, where something else than f32 was asked for.
    pub precisions: Vec<PrecisionReport>,
    /// The epoch whose weights these are, where epochs were compared.
    pub best: Option<Best>,
}

/// Fits parameters. Goes on from the written state when there is one.
///
/// # Errors
/// See [`FitError`].
pub fn fit(run: &Run<'_>, parameters: Parameters, signals: &Signals<'_>) -> Result<Fitted, FitError> {
    if run.training.is_empty() {
        return Err(FitError::Empty);
    }
    let mut state = State {
        position: Position { identity: run.identity.clone(), ..Position::default() },
        ..State::default()
    };
    let mut resumed = false;
    if let Some(path) = signals.state.as_deref().filter(|path| path.exists()) {
        state = State::read(path)?;
        if state.position.identity != run.identity {
            let reason = "it belongs to other data, weights or settings; start anew with --force".into();
            return Err(FitError::State { path: path.to_owned(), reason });
        }
        resumed = true;
        (signals.observe)(&Event::Resumed { updates: state.position.updates });
    }
    let mut fitted = Fitted {
        parameters,
        records: Vec::new(),
        audits: Vec::new(),
        cache: (0, 0),
        precisions: Vec::new(),
        best: None,
    };
    for (name, tensor) in &state.settled {
        fitted.parameters.set(name, tensor.clone());
    }
    while state.position.phase < run.recipe.phases.len() {
        let mut trainer = PhaseRun::new(run, &fitted.parameters, state, resumed, signals)?;
        trainer.train(signals)?;
        resumed = false;
        state = trainer.finish(&mut fitted)?;
    }
    fitted.records = state.position.records;
    fitted.audits = state.position.reports;
    fitted.precisions = state.position.precisions;
    fitted.best = state.position.best;
    Ok(fitted)
}
