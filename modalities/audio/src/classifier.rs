//! A trained classifier: what a run leaves in its folder, and what predicts.
//!
//! The folder is what transformers' classifier of the network and its feature extractor open, with `transfer.json` for what only this
//! toolkit knows. A head with a hidden layer is ours alone.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use serde_json::{Map, Value};
use tk_engine::cpu::{Machine, Plan};
use tk_engine::{EngineError, Inference, Parameters, Tensor};
use tk_transfer::atomic::{WriteError, write_bytes_atomic};
use tk_transfer::bundle::{Bundle, BundleError};
use tk_transfer::checkpoint::{Checkpoint, CheckpointError};
use tk_transfer::classification::{HeadForm, Prediction};
use tk_transfer::earlier_head::EarlierHead;
use tk_transfer::low_rank::{Adapted, AdapterError};

use crate::architectures::ConfigError;
use crate::architectures::speech::End;
use crate::data::{Clip, DecodeError};
use crate::features::SoundExtractor;
use crate::model::{Head, Model, ModelError};

/// Where PEFT's adapter lies in a run's folder.
const ADAPTER_FOLDER: &str = "adapter";

/// Sounds that run at once.
const BATCH: usize = 8;

/// A classifier. Predicts through `&self`.
pub struct Classifier {
    model: Model,
    classes: Vec<String>,
    head: HeadForm,
    machine: Machine,
    precision: tk_engine::Precision,
    extractor: SoundExtractor,
    plan: Mutex<Plan>,
    features: Mutex<Option<Plan>>,
}

/// A classifier that cannot be loaded, saved or run.
#[derive(Debug, thiserror::Error)]
pub enum ClassifierError {
    /// The model cannot be had.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The configuration cannot be written.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Weights cannot be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// An adapter cannot be written.
    #[error(transparent)]
    Adapter(#[from] AdapterError),
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// `transfer.json` cannot be followed.
    #[error(transparent)]
    Bundle(#[from] BundleError),
}

impl Classifier {
    /// A classifier of a model whose graph ends in a head of this form.
    ///
    /// # Errors
    /// When the graph cannot be compiled.
    pub fn new(
        model: Model,
        classes: Vec<String>,
        head: HeadForm,
        machine: &Machine,
    ) -> Result<Self, ClassifierError> {
        let plan = Mutex::new(Plan::new(machine, &model.graph, &model.parameters)?);
        let (machine, precision) = (machine.clone(), tk_engine::Precision::F32);
        let extractor = model.front_end.extractor();
        Ok(Self { model, classes, head, machine, precision, extractor, plan, features: Mutex::default() })
    }

    /// In another precision from now on: bf16, or f32, as it begins.
    ///
    /// # Errors
    /// When it is int8, which would need samples to calibrate with.
    pub fn in_precision(mut self, precision: tk_engine::Precision) -> Result<Self, ClassifierError> {
        self.plan.get_mut().unwrap_or_else(PoisonError::into_inner).set_precision(precision)?;
        self.features = Mutex::default();
        self.precision = precision;
        Ok(self)
    }

    /// Loads a folder that a run, or transformers, wrote.
    ///
    /// # Errors
    /// When files are missing, damaged, or of another version.
    pub fn load(folder: &Path, machine: &Machine) -> Result<Self, ClassifierError> {
        let (model, head) = Self::stored(folder)?;
        let numbers = || (0..model.end.classes()).map(|class| class.to_string()).collect();
        let classes = model.labels.clone().unwrap_or_else(numbers);
        Self::new(model, classes, head, machine)
    }

    /// The head of a run's folder, for a run that goes on from it with `model`; `None` where the folder is no run's. Where `model` has a
    /// linear layer over the embedding, a projector and the layer behind it become one.
    ///
    /// # Errors
    /// When the folder is damaged.
    pub fn earlier_head(folder: &Path, model: &Model) -> Result<Option<EarlierHead>, ClassifierError> {
        if Bundle::read(folder)?.is_none() {
            return Ok(None);
        }
        let (earlier, form) = Self::stored(folder)?;
        let prefix = format!("{}.", earlier.head());
        let is_joined = form == HeadForm::Linear
            && earlier.architecture.has_projector()
            && matches!(model.end, End::Probe { .. });
        let parameters = if is_joined { joined(&earlier)? } else { earlier.parameters.clone() };
        let of = |classes| EarlierHead::of(form, classes, &parameters, |name| name.starts_with(&prefix));
        Ok(earlier.labels.clone().map(of))
    }

    fn stored(folder: &Path) -> Result<(Model, HeadForm), ClassifierError> {
        let head = Bundle::read(folder)?.map_or(HeadForm::Linear, |bundle| bundle.head);
        let HeadForm::Mlp { hidden } = head else {
            return Ok((Model::open(folder, Head::Published)?, head));
        };
        // The head's layers are read by hand: no published network has them.
        let fail = |problem| ModelError::Config { path: folder.to_owned(), problem };
        let opened = Model::open(folder, Head::Probe { classes: 1, seed: 0 })?;
        let (labels, kind) = (opened.config.labels().map_err(fail)?, opened.config.kind().map_err(fail)?);
        let classes = labels.as_ref().map_or(1, Vec::len);
        let mut model = Model::open(folder, Head::Probe { classes, seed: 0 })?.with_hidden_layer(hidden)?;
        let checkpoint = Checkpoint::open(folder.join("model.safetensors"))?;
        for spec in model.graph.parameters().to_vec() {
            let values = checkpoint.f32(&model.architecture.published_name(&spec.name))?;
            model.parameters.set(&spec.name, Tensor::new(&spec.shape, values)?);
        }
        (model.labels, model.kind) = (labels, kind);
        Ok((model, head))
    }

    /// Writes the folder; each file is written aside and renamed. `fields` is what only this toolkit knows, `card` the text of `README.md`.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn save(&self, folder: &Path, fields: Map<String, Value>, card: &str) -> Result<(), ClassifierError> {
        let model = &self.model;
        model.save(folder, &self.classes)?;
        if let Some(adapter) = &model.adapter {
            let folder = folder.join(ADAPTER_FOLDER);
            std::fs::create_dir_all(&folder).map_err(|source| WriteError { path: folder.clone(), source })?;
            let mut modules = vec![model.head()];
            if matches!(model.end, End::Published { .. }) && model.architecture.has_projector() {
                modules.push("projector");
            }
            let is_whole = |name: &&str| modules.iter().any(|module| name.starts_with(&format!("{module}.")));
            let names = model.graph.parameters().iter().map(|spec| spec.name.as_str());
            let adapted = Adapted {
                graph: &model.graph,
                parameters: &model.parameters,
                whole: names.filter(is_whole).collect(),
                modules: modules.clone(),
                task: None,
                published: &|name| model.architecture.published_name(name),
            };
            adapter.save(&folder, &adapted)?;
        }
        Bundle::new(self.head, fields).write(folder)?;
        Ok(write_bytes_atomic(&folder.join("README.md"), card.as_bytes())?)
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The classes' names.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// How much of a recording it looks at, in seconds.
    pub fn seconds(&self) -> f64 {
        self.model.front_end.seconds()
    }

    /// What it says of sounds, in their order; or why it cannot say anything, such as of one that is too short.
    ///
    /// # Errors
    /// When the engine fails.
    pub fn predict_all(
        &self,
        clips: &[Clip],
    ) -> Result<Vec<Result<Prediction, DecodeError>>, ClassifierError> {
        let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        let rows = self.run(&mut plan, clips)?;
        let said =
            |row: Result<Vec<f32>, DecodeError>| row.map(|logits| Prediction::of(logits, self.model.kind));
        Ok(rows.into_iter().map(said).collect())
    }

    /// The features of sounds, in their order: what the backbone leaves before the head.
    ///
    /// # Errors
    /// When the engine fails.
    pub fn embed(&self, clips: &[Clip]) -> Result<Vec<Result<Vec<f32>, DecodeError>>, ClassifierError> {
        let mut plan = self.features.lock().unwrap_or_else(PoisonError::into_inner);
        let plan = match &mut *plan {
            Some(plan) => plan,
            empty => {
                let graph = self.model.embedding_graph()?;
                let mut plan = Plan::new(&self.machine, &graph, &self.model.parameters)?;
                plan.set_precision(self.precision)?;
                empty.insert(plan)
            }
        };
        self.run(plan, clips)
    }

    /// The outputs of a plan for each sound. Only sounds of one length run at once, so that no answer depends on the others.
    fn run(
        &self,
        plan: &mut Plan,
        clips: &[Clip],
    ) -> Result<Vec<Result<Vec<f32>, DecodeError>>, ClassifierError> {
        let mut rows: Vec<Result<Vec<f32>, DecodeError>> = clips.iter().map(|_| Ok(Vec::new())).collect();
        self.machine.pool.for_each_chunk(&mut rows, 1, |index, into| {
            into[0] = self.extractor.features(&clips[index]);
        });
        let mut by_length: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (index, row) in rows.iter().enumerate() {
            if let Ok(features) = row {
                by_length.entry(features.len()).or_default().push(index);
            }
        }
        for indices in by_length.values().flat_map(|indices| indices.chunks(BATCH)) {
            let sounds: Vec<&[f32]> =
                indices.iter().filter_map(|&index| rows[index].as_deref().ok()).collect();
            let inputs = self.model.architecture.stack(&sounds)?;
            let outputs = plan.run(&inputs)?;
            let output = outputs.first().ok_or(EngineError::Order("a plan without outputs"))?;
            let size = output.len() / indices.len();
            for (&index, row) in indices.iter().zip(output.as_f32()?.chunks(size)) {
                rows[index] = Ok(row.to_vec());
            }
        }
        Ok(rows)
    }
}

/// A published classifier as one linear layer over the embedding: the mean of what the projector gives is what it gives of the mean.
fn joined(model: &Model) -> Result<Parameters, ClassifierError> {
    let get = |name: &str| model.parameters.get(name).map(Tensor::to_f64);
    let [projector, shift] = [get("projector.weight")?, get("projector.bias")?];
    let [weight, bias] = [get("classifier.weight")?, get("classifier.bias")?];
    let (classes, between) = (bias.len(), shift.len());
    let width = projector.len() / between.max(1);
    let mut joined = vec![0.0; classes * width];
    let mut shifted = bias;
    for (class, row) in weight.chunks_exact(between).enumerate() {
        let into = &mut joined[class * width..(class + 1) * width];
        for ((factor, column), shift) in row.iter().zip(projector.chunks_exact(width)).zip(&shift) {
            into.iter_mut().zip(column).for_each(|(sum, value)| *sum += factor * value);
            shifted[class] += factor * shift;
        }
    }
    let narrow = |values: Vec<f64>| values.into_iter().map(|value| value as f32).collect();
    let mut parameters = Parameters::default();
    parameters.set("classifier.weight", Tensor::new(&[classes, width], narrow(joined))?);
    parameters.set("classifier.bias", Tensor::new(&[classes], narrow(shifted))?);
    Ok(parameters)
}
