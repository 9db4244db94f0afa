//! Where a fit stands, written to disk so that a killed run goes on to the same bytes.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use tk_engine::{Snapshot, Tensor};

use super::{Best, FitError};
use crate::audit::{Audit, AuditReport};
use crate::checkpoint::{Checkpoint, Precision, SaveTensor, save};
use crate::prefix::PrecisionReport;

/// The version of the file; others are refused.
const FORMAT: u32 = 1;

/// The key of the position in the file's metadata.
const POSITION: &str = "transferkit.position";

/// One line of `metrics.jsonl`: an epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The phase, from 0.
    pub phase: usize,
    /// The epoch, counted through all phases from 1.
    pub epoch: usize,
    /// The updates so far.
    pub step: u64,
    /// The mean training loss of the epoch.
    pub loss: f64,
    /// The learning rate of the head at the epoch's end.
    pub learning_rate: f64,
    /// The scores on validation samples, where there are any.
    pub validation: BTreeMap<String, f64>,
    /// How long the epoch took. The only field that differs between equal runs.
    pub seconds: f64,
}

/// A fit between two updates.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Where it stands.
    pub position: Position,
    /// What the executor of the phase needs.
    pub snapshot: Snapshot,
    /// Values that earlier phases changed.
    pub settled: BTreeMap<String, Tensor>,
    /// The moving average of the weights.
    pub average: BTreeMap<String, Tensor>,
    /// What the best epoch of the phase left, where epochs are compared.
    pub best: BTreeMap<String, Tensor>,
}

/// The part of a state that is not tensors.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Position {
    /// What the run is of: a resumed run must be of the same.
    pub identity: String,
    /// The phase, from 0.
    pub phase: usize,
    /// The epoch within the phase, from 0.
    pub epoch: usize,
    /// Updates done in the epoch.
    pub step: usize,
    /// Updates done in all.
    pub updates: u64,
    /// The sum of losses, each weighted by its samples, in the epoch so far.
    pub loss_sum: f64,
    /// The samples seen in the epoch so far.
    pub loss_count: usize,
    /// Seconds spent in the epoch so far.
    pub seconds: f64,
    /// The best epoch so far, of all phases.
    #[serde(default)]
    pub best: Option<Best>,
    /// Epochs of the phase since there was a better one.
    #[serde(default)]
    pub stale: usize,
    /// Finished epochs.
    pub records: Vec<Record>,
    /// The audit of the phase.
    pub audit: Option<Audit>,
    /// The audits of finished phases.
    pub reports: Vec<AuditReport>,
    /// What the prefixes of finished phases ran in.
    #[serde(default)]
    pub precisions: Vec<PrecisionReport>,
}

impl State {
    /// Writes the state, aside and then renamed.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), FitError> {
        let groups = [
            ("parameter", &self.snapshot.parameters),
            ("moment", &self.snapshot.moments),
            ("settled", &self.settled),
            ("average", &self.average),
            ("best", &self.best),
        ];
        let mut named = Vec::new();
        for (group, tensors) in groups {
            for (name, tensor) in tensors {
                named.push((format!("{group}/{name}"), tensor));
            }
        }
        let mut tensors = Vec::with_capacity(named.len());
        for (name, tensor) in &named {
            tensors.push(SaveTensor { name, shape: tensor.shape(), values: tensor.as_f32()? });
        }
        let stored = Stored {
            format: FORMAT,
            snapshot_updates: self.snapshot.updates,
            position: self.position.clone(),
        };
        let position = serde_json::to_string(&stored)
            .map_err(|error| FitError::State { path: path.to_owned(), reason: error.to_string() })?;
        let metadata = BTreeMap::from([(POSITION.to_owned(), position)]);
        Ok(save(path, &tensors, Precision::F32, &metadata)?)
    }

    /// Reads a state.
    ///
    /// # Errors
    /// When the file is damaged or of another version.
    pub fn read(path: &Path) -> Result<Self, FitError> {
        let fail = |reason: String| FitError::State { path: path.to_owned(), reason };
        let file = Checkpoint::open(path)?;
        let text = file.metadata().get(POSITION).ok_or_else(|| fail("it holds no position".into()))?;
        let stored: Stored = serde_json::from_str(text).map_err(|error| fail(error.to_string()))?;
        if stored.format != FORMAT {
            return Err(fail(format!("its format is {}, this version reads {FORMAT}", stored.format)));
        }
        let mut state = Self { position: stored.position, ..Self::default() };
        state.snapshot.updates = stored.snapshot_updates;
        let names: Vec<String> = file.names().map(str::to_owned).collect();
        for full in names {
            let shape = file
                .info(&full)
                .map(|info| info.shape.clone())
                .ok_or_else(|| fail(format!("`{full}` is missing")))?;
            let tensor = Tensor::new(&shape, file.f32(&full)?)?;
            let Some((group, name)) = full.split_once('/') else {
                return Err(fail(format!("`{full}` is unknown")));
            };
            let into = match group {
                "parameter" => &mut state.snapshot.parameters,
                "moment" => &mut state.snapshot.moments,
                "settled" => &mut state.settled,
                "average" => &mut state.average,
                "best" => &mut state.best,
                _ => return Err(fail(format!("`{full}` is unknown"))),
            };
            into.insert(name.to_owned(), tensor);
        }
        Ok(state)
    }
}

#[derive(Serialize, Deserialize)]
struct Stored {
    format: u32,
    snapshot_updates: u64,
    position: Position,
}
