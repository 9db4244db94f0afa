//! A trained classifier: what a run leaves in its folder, and what predicts.
//!
//! The folder is what transformers' `ASTForAudioClassification` and `ASTFeatureExtractor` open, with `transfer.json` for what only this
//! toolkit knows. A head with a hidden layer is ours alone.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use serde_json::{Map, Value};
use tk_engine::cpu::{Machine, Plan};
use tk_engine::{EngineError, Inference, Tensor};
use tk_transfer::atomic::{WriteError, write_bytes_atomic};
use tk_transfer::bundle::{Bundle, BundleError};
use tk_transfer::checkpoint::{Checkpoint, CheckpointError, Precision, SaveError, SaveTensor, save};
use tk_transfer::classification::{HeadForm, Prediction};
use tk_transfer::earlier_head::EarlierHead;
use tk_transfer::low_rank::{Adapted, AdapterError};

use crate::architectures::{ConfigError, HEAD};
use crate::data::{Clip, DecodeError};
use crate::features::Extractor;
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
    extractor: Extractor,
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
    /// Weights cannot be written.
    #[error(transparent)]
    Save(#[from] SaveError),
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
    /// A settings file cannot be written.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
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
        let numbers = || (0..model.settings.classes).map(|class| class.to_string()).collect();
        let classes = model.labels.clone().unwrap_or_else(numbers);
        Self::new(model, classes, head, machine)
    }

    /// The head of a run's folder; `None` where the folder is no run's.
    ///
    /// # Errors
    /// When the folder is damaged.
    pub fn earlier_head(folder: &Path) -> Result<Option<EarlierHead>, ClassifierError> {
        if Bundle::read(folder)?.is_none() {
            return Ok(None);
        }
        let (model, form) = Self::stored(folder)?;
        let prefix = format!("{HEAD}.");
        let of =
            |classes| EarlierHead::of(form, classes, &model.parameters, |name| name.starts_with(&prefix));
        Ok(model.labels.clone().map(of))
    }

    fn stored(folder: &Path) -> Result<(Model, HeadForm), ClassifierError> {
        let head = Bundle::read(folder)?.map_or(HeadForm::Linear, |bundle| bundle.head);
        let HeadForm::Mlp { hidden } = head else {
            return Ok((Model::open(folder, Head::Published)?, head));
        };
        // The head's layers are read by hand: no published network has them.
        let fail = |problem| ModelError::Config { path: folder.to_owned(), problem };
        let opened = Model::open(folder, Head::New { classes: 1, seed: 0 })?;
        let (labels, kind) = (opened.config.labels().map_err(fail)?, opened.config.kind().map_err(fail)?);
        let classes = labels.as_ref().map_or(1, Vec::len);
        let mut model = Model::open(folder, Head::New { classes, seed: 0 })?.with_hidden_layer(hidden)?;
        let checkpoint = Checkpoint::open(folder.join("model.safetensors"))?;
        for spec in model.graph.parameters().to_vec() {
            model.parameters.set(&spec.name, Tensor::new(&spec.shape, checkpoint.f32(&spec.name)?)?);
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
        let mut tensors = Vec::new();
        for spec in model.graph.parameters() {
            let values = model.parameters.get(&spec.name)?.as_f32()?;
            tensors.push(SaveTensor { name: &spec.name, shape: &spec.shape, values });
        }
        save(&folder.join("model.safetensors"), &tensors, Precision::F32, &BTreeMap::new())?;
        let config = model.config.with_classes(model.settings.frames, &self.classes, model.kind);
        write_bytes_atomic(&folder.join("config.json"), config.to_json()?.as_bytes())?;
        let front_end = serde_json::to_string_pretty(&model.front_end)? + "\n";
        write_bytes_atomic(&folder.join("preprocessor_config.json"), front_end.as_bytes())?;
        if let Some(adapter) = &model.adapter {
            let folder = folder.join(ADAPTER_FOLDER);
            std::fs::create_dir_all(&folder).map_err(|source| WriteError { path: folder.clone(), source })?;
            let head = format!("{HEAD}.");
            let names = model.graph.parameters().iter().map(|spec| spec.name.as_str());
            let adapted = Adapted {
                graph: &model.graph,
                parameters: &model.parameters,
                whole: names.filter(|name| name.starts_with(&head)).collect(),
                modules: vec![HEAD],
                task: None,
                published: &str::to_owned,
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
                let cut = self.model.graph.cut(self.model.features_stage()).map_err(EngineError::from)?;
                let mut plan = Plan::new(&self.machine, &cut.prefix, &self.model.parameters)?;
                plan.set_precision(self.precision)?;
                empty.insert(plan)
            }
        };
        self.run(plan, clips)
    }

    /// The outputs of a plan for each sound.
    fn run(
        &self,
        plan: &mut Plan,
        clips: &[Clip],
    ) -> Result<Vec<Result<Vec<f32>, DecodeError>>, ClassifierError> {
        let mut rows = Vec::with_capacity(clips.len());
        for clips in clips.chunks(BATCH) {
            let mut spectrograms: Vec<Result<Vec<f32>, DecodeError>> =
                clips.iter().map(|_| Ok(Vec::new())).collect();
            self.machine.pool.for_each_chunk(&mut spectrograms, 1, |index, into| {
                into[0] = self.extractor.spectrogram(&clips[index]);
            });
            let good: Vec<&Vec<f32>> = spectrograms.iter().flatten().collect();
            let mut outputs = Vec::new();
            if !good.is_empty() {
                let shape = self.model.input_shape(good.len());
                let values = good.iter().flat_map(|values| values.iter().copied()).collect();
                if let Some(output) = plan.run(&[Tensor::new(&shape, values)?])?.first() {
                    let size = output.len() / good.len();
                    outputs = output.as_f32()?.chunks(size).map(<[f32]>::to_vec).collect();
                }
            }
            let mut outputs = outputs.into_iter();
            for spectrogram in spectrograms {
                rows.push(match spectrogram {
                    Ok(_) => Ok(outputs.next().unwrap_or_default()),
                    Err(error) => Err(error),
                });
            }
        }
        Ok(rows)
    }
}
