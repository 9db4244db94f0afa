//! Running a prefix, and remembering what it leaves.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};

use tk_engine::cpu::{Fingerprint, Isa, Machine, Plan, Ranges};
use tk_engine::{EngineError, Graph, Inference, Parameters, Precision, Tensor};

use super::{PrefixError, PrefixStore};
use crate::audit::{Violation, check_prefix};
use crate::checkpoint::{self, Checkpoint, SaveTensor, save};
use crate::fit::{Source, View};

/// The version of what kernels compute and how shards are laid out. Counts up when either changes.
const VERSION: u32 = 2;

/// Results are written once they come to this many bytes.
const SHARD_BYTES: usize = 32 << 20;

/// A compiled prefix with its cache.
pub struct Prefix {
    isa: Isa,
    plan: Mutex<Plan>,
    outputs: usize,
    key: String,
    store: PrefixStore,
    memory: Mutex<Memory>,
    hits: AtomicU64,
    misses: AtomicU64,
    /// The packed weights after the first run.
    ran: OnceLock<Fingerprint>,
}

/// How samples run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Only those of which nothing is known.
    Run,
    /// All of them, in f32, observed.
    Calibrate,
}

/// Results at hand.
#[derive(Default)]
struct Memory {
    shards: Vec<Checkpoint>,
    /// The shard of each sample's results.
    index: BTreeMap<String, usize>,
    /// Results that are not on disk (yet).
    fresh: BTreeMap<String, Vec<Tensor>>,
    fresh_bytes: usize,
    /// Whether the cache is full, so that nothing more is written.
    full: bool,
}

impl Prefix {
    /// Compiles a prefix in f32 and opens what is known of it.
    ///
    /// # Errors
    /// When a parameter has no value, or the cache's folder cannot be read.
    pub fn new(
        machine: &Machine,
        graph: &Graph,
        parameters: &Parameters,
        store: &PrefixStore,
    ) -> Result<Self, PrefixError> {
        let mut hasher = blake3::Hasher::new();
        hasher.update(format!("{VERSION} {} f32 {}", machine.isa.name(), graph.digest()).as_bytes());
        for spec in graph.parameters() {
            hasher.update(parameters.digest(&spec.name)?.as_bytes());
        }
        let key = hasher.finalize().to_hex()[..32].to_owned();
        let memory = Memory::open(store.folder(&key));
        Ok(Self {
            isa: machine.isa,
            plan: Mutex::new(Plan::new(machine, graph, parameters)?),
            outputs: graph.outputs().len(),
            key,
            store: store.clone(),
            memory: Mutex::new(memory),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            ran: OnceLock::new(),
        })
    }

    /// The same prefix in fewer bits, of which other results are known. Bytes need what calibration saw.
    ///
    /// # Errors
    /// When it is int8 and nothing was calibrated.
    pub(super) fn in_precision(
        mut self,
        precision: Precision,
        ranges: Option<&Ranges>,
    ) -> Result<Self, PrefixError> {
        let plan = unlocked(&mut self.plan);
        let mut key = format!("{} {precision}", self.key);
        if !self.isa.has(precision) {
            // Where instructions are lacking, others add in another order.
            key.push_str(" emulated");
        }
        if let (Precision::Int8, Some(ranges)) = (precision, ranges) {
            key.push_str(&format!(" {}", ranges.digest()));
            plan.set_ranges(ranges.clone());
        }
        plan.set_precision(precision)?;
        self.key = blake3::hash(key.as_bytes()).to_hex()[..32].to_owned();
        *unlocked(&mut self.memory) = Memory::open(self.store.folder(&self.key));
        Ok(self)
    }

    /// Whether any convolution or linear layer multiplies in fewer bits than f32, for inputs of these shapes.
    ///
    /// # Errors
    /// When the inputs do not fit the graph.
    pub(super) fn lowers_any(&self, inputs: &[Tensor]) -> Result<bool, PrefixError> {
        let mut plan = lock(&self.plan);
        plan.prepare(inputs)?;
        Ok(plan.lowered()[0] > 0)
    }

    /// Runs samples, as they are, to see between which bounds values lie, whether their results are known or not.
    ///
    /// # Errors
    /// As [`Prefix::outputs`].
    pub(super) fn calibrate(&self, source: &dyn Source, samples: &[usize]) -> Result<(), PrefixError> {
        self.gather(source, samples, View::Plain, Way::Calibrate).map(drop)
    }

    /// The bounds that were seen.
    ///
    /// # Errors
    /// When nothing was calibrated.
    pub(super) fn ranges(&self) -> Result<Ranges, PrefixError> {
        let plan = lock(&self.plan);
        let seen = plan.ranges().cloned();
        seen.ok_or_else(|| EngineError::Order("int8 needs calibration before it").into())
    }

    /// How many results were remembered, and how many were computed.
    pub fn counts(&self) -> (u64, u64) {
        (self.hits.load(Ordering::Relaxed), self.misses.load(Ordering::Relaxed))
    }

    /// Whether results were dropped because the cache is full.
    pub fn is_full(&self) -> bool {
        lock(&self.memory).full
    }

    /// Proves that the packed weights are those of the first run; returns their digest, or `None` when everything was remembered
    /// and nothing ran.
    ///
    /// # Errors
    /// A [`Violation::PrefixChanged`].
    pub fn audit(&self) -> Result<Option<String>, Violation> {
        let Some(before) = self.ran.get() else { return Ok(None) };
        let digest = before.digest();
        // Inputs of other sizes may have been the first to need weights in another form.
        check_prefix(&digest, &lock(&self.plan).fingerprint().digest_since(before))?;
        Ok(Some(digest))
    }

    /// What the prefix leaves of some samples: the positions of those that could be read, and each output stacked over them, padded
    /// with zeros where samples are of several buckets.
    ///
    /// # Errors
    /// When samples cannot be loaded, do not fit the graph, or results cannot be written.
    pub fn outputs(
        &self,
        source: &dyn Source,
        samples: &[usize],
        view: View,
    ) -> Result<(Vec<usize>, Vec<Tensor>), PrefixError> {
        let (read, rows): (Vec<usize>, Vec<Vec<Tensor>>) =
            self.results(source, samples, view)?.into_iter().unzip();
        Ok((read, stacked(&rows, self.outputs)?))
    }

    /// The samples that could be read, and what the prefix leaves of each, unpadded.
    ///
    /// # Errors
    /// As [`Prefix::outputs`].
    pub(super) fn results(
        &self,
        source: &dyn Source,
        samples: &[usize],
        view: View,
    ) -> Result<Vec<(usize, Vec<Tensor>)>, PrefixError> {
        self.gather(source, samples, view, Way::Run)
    }

    fn gather(
        &self,
        source: &dyn Source,
        samples: &[usize],
        view: View,
        way: Way,
    ) -> Result<Vec<(usize, Vec<Tensor>)>, PrefixError> {
        let keys: Vec<Option<String>> =
            samples.iter().map(|&sample| source.cache_key(sample, view)).collect();
        let mut found: Vec<Option<Vec<Tensor>>> = match way {
            Way::Calibrate => vec![None; samples.len()],
            Way::Run => {
                let memory = lock(&self.memory);
                keys.iter().map(|key| key.as_ref().and_then(|key| memory.get(key, self.outputs))).collect()
            }
        };
        let missing: Vec<usize> = (0..samples.len()).filter(|&at| found[at].is_none()).collect();
        self.hits.fetch_add((samples.len() - missing.len()) as u64, Ordering::Relaxed);
        // Unpadded: what is remembered of a sample must not depend on its companions.
        let mut buckets: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for at in missing {
            buckets.entry(source.bucket(samples[at])).or_default().push(at);
        }
        for missing in buckets.into_values() {
            let wanted: Vec<usize> = missing.iter().map(|&at| samples[at]).collect();
            let batch = source.load(&wanted, view)?;
            self.misses.fetch_add(batch.samples.len() as u64, Ordering::Relaxed);
            if !batch.samples.is_empty() {
                let outputs = self.run(&batch.inputs, way)?;
                for (row, sample) in batch.samples.iter().enumerate() {
                    let results = outputs
                        .iter()
                        .map(|output| output.rows(row, row + 1))
                        .collect::<tk_engine::Result<Vec<_>>>()?;
                    let Some(&at) = missing.iter().find(|&&at| samples[at] == *sample && found[at].is_none())
                    else {
                        continue;
                    };
                    if let Some(key) = &keys[at] {
                        self.remember(key, &results, way)?;
                    }
                    found[at] = Some(results);
                }
            }
        }
        let rows = samples.iter().copied().zip(found);
        Ok(rows.filter_map(|(sample, results)| Some((sample, results?))).collect())
    }

    fn run(&self, inputs: &[Tensor], way: Way) -> tk_engine::Result<Vec<Tensor>> {
        let mut plan = lock(&self.plan);
        let outputs = match way {
            Way::Run => plan.run(inputs)?,
            Way::Calibrate => plan.calibrate(inputs)?,
        };
        // Weights are packed when they first run.
        self.ran.get_or_init(|| plan.fingerprint());
        Ok(outputs)
    }

    fn remember(&self, key: &str, results: &[Tensor], way: Way) -> Result<(), PrefixError> {
        let mut memory = lock(&self.memory);
        if memory.full || way == Way::Calibrate && memory.index.contains_key(key) {
            return Ok(());
        }
        memory.fresh_bytes += results.iter().map(|tensor| 4 * tensor.len()).sum::<usize>();
        memory.fresh.insert(key.to_owned(), results.to_vec());
        if memory.fresh_bytes >= SHARD_BYTES {
            self.write(&mut memory)?;
        }
        Ok(())
    }

    /// Writes what is not on disk yet.
    ///
    /// # Errors
    /// When the cache's folder cannot be written.
    pub fn flush(&self) -> Result<(), PrefixError> {
        self.write(&mut lock(&self.memory))
    }

    fn write(&self, memory: &mut Memory) -> Result<(), PrefixError> {
        let Some(folder) = self.store.folder(&self.key).filter(|_| !memory.fresh.is_empty()) else {
            return Ok(());
        };
        if !self.store.make_room(&self.key, memory.fresh_bytes as u64)? {
            memory.full = true;
            return Ok(());
        }
        fs::create_dir_all(&folder).map_err(|source| PrefixError::Folder { path: folder.clone(), source })?;
        let mut named = Vec::new();
        for (key, results) in &memory.fresh {
            for (output, tensor) in results.iter().enumerate() {
                named.push((format!("{key}/{output}"), tensor));
            }
        }
        let mut hasher = blake3::Hasher::new();
        let mut tensors = Vec::with_capacity(named.len());
        for (name, tensor) in &named {
            hasher.update(name.as_bytes());
            tensors.push(SaveTensor { name, shape: tensor.shape(), values: tensor.as_f32()? });
        }
        let path = folder.join(format!("{}.safetensors", &hasher.finalize().to_hex()[..32]));
        save(&path, &tensors, checkpoint::Precision::F32, &BTreeMap::new())?;
        memory.fresh_bytes = 0;
        let keys: Vec<String> = std::mem::take(&mut memory.fresh).into_keys().collect();
        if let Ok(shard) = Checkpoint::open(&path) {
            memory.shards.push(shard);
            let number = memory.shards.len() - 1;
            memory.index.extend(keys.into_iter().map(|key| (key, number)));
        }
        Ok(())
    }
}

impl Drop for Prefix {
    fn drop(&mut self) {
        // A cache that cannot be written loses nothing but time.
        let _ = self.flush();
    }
}

impl Memory {
    /// Opens the shards of a folder; damaged ones are left out.
    fn open(folder: Option<PathBuf>) -> Self {
        let mut memory = Self::default();
        let Some(entries) = folder.and_then(|folder| fs::read_dir(folder).ok()) else { return memory };
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        for path in
            paths.iter().filter(|path| path.extension().is_some_and(|extension| extension == "safetensors"))
        {
            let Ok(shard) = Checkpoint::open(path) else { continue };
            let number = memory.shards.len();
            for name in shard.names() {
                if let Some(key) = name.strip_suffix("/0") {
                    memory.index.insert(key.to_owned(), number);
                }
            }
            memory.shards.push(shard);
        }
        memory
    }

    fn get(&self, key: &str, outputs: usize) -> Option<Vec<Tensor>> {
        if let Some(results) = self.fresh.get(key) {
            return Some(results.clone());
        }
        let shard = &self.shards[*self.index.get(key)?];
        (0..outputs)
            .map(|output| {
                let name = format!("{key}/{output}");
                let info = shard.info(&name)?;
                Tensor::new(&info.shape, shard.f32(&name).ok()?).ok()
            })
            .collect()
    }
}

/// Stacks the results of samples, each `[1, …]`, for each output.
fn stacked(rows: &[Vec<Tensor>], outputs: usize) -> tk_engine::Result<Vec<Tensor>> {
    let of = |output: usize| Tensor::stacked(&rows.iter().map(|row| &row[output]).collect::<Vec<_>>());
    if rows.is_empty() { Ok(Vec::new()) } else { (0..outputs).map(of).collect() }
}

/// What is behind a lock that nobody else can hold.
fn unlocked<T>(mutex: &mut Mutex<T>) -> &mut T {
    mutex.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// A lock whose holder never leaves half-changed data behind, so that a panic elsewhere does not matter.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
