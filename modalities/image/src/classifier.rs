//! A trained classifier: what a run leaves in its folder, and what predicts.
//!
//! The folder holds `model.safetensors` with timm's names, timm's `config.json` with the classes, `preprocessor_config.json`, and
//! `transfer.json` for what only this toolkit knows. With a linear head, timm opens it. After lora mode PEFT opens `adapter/` over timm's
//! model.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use serde_json::{Map, Value, json};
use tk_engine::cpu::{Machine, Plan};
use tk_engine::{EngineError, Inference, Tensor};
use tk_transfer::atomic::{WriteError, write_bytes_atomic};
use tk_transfer::bundle::{Bundle, BundleError};
use tk_transfer::checkpoint::{Checkpoint, CheckpointError, Precision, SaveError, SaveTensor, save};
use tk_transfer::classification::{HeadForm, Prediction};
use tk_transfer::earlier_head::EarlierHead;
use tk_transfer::low_rank::{Adapted, AdapterError};

use crate::architectures::{Config, ConfigError};
use crate::data::{Picture, Preprocess};
use crate::model::{Model, ModelError};

/// The folder of the low-rank pairs that were merged into the weights.
const ADAPTER_FOLDER: &str = "adapter";

/// Pictures that are run at once.
const BATCH: usize = 16;

/// A classifier with its weights. `Send + Sync`; predicts through `&self`.
pub struct Classifier {
    model: Model,
    classes: Vec<String>,
    head: HeadForm,
    machine: Machine,
    precision: tk_engine::Precision,
    plan: Mutex<Plan>,
    features: Mutex<Option<Plan>>,
}

/// A classifier that cannot be loaded or saved.
#[derive(Debug, thiserror::Error)]
pub enum ClassifierError {
    /// The model cannot be had.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The configuration cannot be written or followed.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The weights cannot be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The weights cannot be written.
    #[error(transparent)]
    Save(#[from] SaveError),
    /// A file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The adapter cannot be written.
    #[error(transparent)]
    Adapter(#[from] AdapterError),
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The weights came without a head.
    #[error(
        "{model} has features but no classifier, for its weights were published without one; train one first"
    )]
    NoHead {
        /// The model.
        model: String,
    },
    /// The folder is not a run's, or cannot become one.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// A file of the folder cannot be followed.
    #[error("{path} is not a run's folder: {reason}")]
    NotARun {
        /// The folder.
        path: String,
        /// What is wrong.
        reason: String,
    },
}

impl Classifier {
    /// A classifier from a model whose head is of the given form and has one output for each class.
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
        Ok(Self { model, classes, head, machine, precision, plan, features: Mutex::default() })
    }

    /// In another precision from now on: bf16, or f32, as it begins. What is saved stays f32.
    ///
    /// # Errors
    /// When it is int8, which would need samples to calibrate with.
    pub fn in_precision(mut self, precision: tk_engine::Precision) -> Result<Self, ClassifierError> {
        self.plan.get_mut().unwrap_or_else(PoisonError::into_inner).set_precision(precision)?;
        self.features = Mutex::default();
        self.precision = precision;
        Ok(self)
    }

    /// Loads what [`Classifier::save`] wrote. A folder that timm wrote loads too.
    ///
    /// # Errors
    /// When files are missing, damaged, or of another version.
    pub fn load(folder: &Path, machine: &Machine) -> Result<Self, ClassifierError> {
        let (model, head) = Self::stored(folder)?;
        let classes = match &model.labels {
            Some(labels) => labels.clone(),
            None => (0..model.settings.classes).map(|class| class.to_string()).collect(),
        };
        Self::new(model, classes, head, machine)
    }

    /// The head of a run's folder, for a run that goes on from it; `None` where the folder is no run's.
    ///
    /// # Errors
    /// As [`Classifier::load`].
    pub fn earlier_head(folder: &Path) -> Result<Option<EarlierHead>, ClassifierError> {
        if Bundle::read(folder)?.is_none() {
            return Ok(None);
        }
        let (model, form) = Self::stored(folder)?;
        let prefix = format!("{}.", model.architecture.head);
        let of =
            |classes| EarlierHead::of(form, classes, &model.parameters, |name| name.starts_with(&prefix));
        Ok(model.labels.clone().map(of))
    }

    /// The model of a folder with its own head, and the head's form.
    fn stored(folder: &Path) -> Result<(Model, HeadForm), ClassifierError> {
        let fail = |reason: String| ClassifierError::NotARun { path: folder.display().to_string(), reason };
        let head = Bundle::read(folder)?.map_or(HeadForm::Linear, |bundle| bundle.head);
        let origin = crate::model::Origin::Folder(folder.to_owned());
        let model = match head {
            HeadForm::Linear => Model::open(&origin, crate::model::Head::Published)?,
            HeadForm::Mlp { hidden } => {
                // The head's layers are read by hand: no published network has them.
                let text = std::fs::read_to_string(folder.join("config.json"))
                    .map_err(|error| fail(format!("config.json: {error}")))?;
                let classes = Config::from_json(&text)?.num_classes;
                let mut model = Model::open(&origin, crate::model::Head::New { classes, seed: 0 })?
                    .with_hidden_layer(hidden)?;
                let checkpoint = Checkpoint::open(folder.join("model.safetensors"))?;
                for spec in model.graph.parameters().to_vec() {
                    model.parameters.set(&spec.name, Tensor::new(&spec.shape, checkpoint.f32(&spec.name)?)?);
                }
                let config = Config::from_json(&text)?;
                (model.labels, model.kind) = (config.labels()?, config.kind()?);
                model
            }
        };
        Ok((model, head))
    }

    /// Writes the folder's files, each aside and then renamed. `card` is the text of its `README.md`.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn save(&self, folder: &Path, fields: Map<String, Value>, card: &str) -> Result<(), ClassifierError> {
        let fail = |error: serde_json::Error| ClassifierError::NotARun {
            path: folder.display().to_string(),
            reason: error.to_string(),
        };
        let model = &self.model;
        let mut tensors = Vec::new();
        for spec in model.graph.parameters() {
            let values = model.parameters.get(&spec.name)?.as_f32()?;
            tensors.push(SaveTensor { name: &spec.name, shape: &spec.shape, values });
        }
        save(&folder.join("model.safetensors"), &tensors, Precision::F32, &BTreeMap::new())?;
        let mut config =
            Config::new(model.architecture, &model.settings, &model.preprocess, self.classes.clone())?
                .with_kind(model.kind);
        let id2label: Map<String, Value> =
            self.classes.iter().enumerate().map(|(class, name)| (class.to_string(), json!(name))).collect();
        config.other.insert("id2label".into(), Value::Object(id2label));
        write_bytes_atomic(&folder.join("config.json"), config.to_json()?.as_bytes())?;
        let preprocess = serde_json::to_string_pretty(&model.preprocess).map_err(fail)? + "\n";
        write_bytes_atomic(&folder.join("preprocessor_config.json"), preprocess.as_bytes())?;
        if let Some(adapter) = &model.adapter {
            let folder = folder.join(ADAPTER_FOLDER);
            std::fs::create_dir_all(&folder).map_err(|source| WriteError { path: folder.clone(), source })?;
            let head = format!("{}.", model.architecture.head);
            let names = model.graph.parameters().iter().map(|spec| spec.name.as_str());
            let adapted = Adapted {
                graph: &model.graph,
                parameters: &model.parameters,
                whole: names.filter(|name| name.starts_with(&head)).collect(),
                modules: vec![model.architecture.head],
                task: None,
                published: &str::to_owned,
            };
            adapter.save(&folder, &adapted)?;
        }
        Bundle::new(self.head, fields).write(folder)?;
        write_bytes_atomic(&folder.join("README.md"), card.as_bytes())?;
        Ok(())
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The classes' names, in the order of probabilities.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// How pictures become input.
    pub fn preprocess(&self) -> &Preprocess {
        &self.model.preprocess
    }

    /// What it says of a picture.
    ///
    /// # Errors
    /// When the engine fails.
    pub fn predict(&self, picture: &Picture) -> Result<Prediction, ClassifierError> {
        let mut predictions = self.predict_all(std::slice::from_ref(picture))?;
        predictions.pop().ok_or_else(|| EngineError::Order("a picture was not predicted").into())
    }

    /// What it says of pictures, in their order. Each answer is the same whatever the others are.
    ///
    /// # Errors
    /// When the engine fails.
    pub fn predict_all(&self, pictures: &[Picture]) -> Result<Vec<Prediction>, ClassifierError> {
        if !self.model.has_head {
            return Err(ClassifierError::NoHead { model: self.model.name.clone() });
        }
        let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        let rows = self.run(&mut plan, pictures)?;
        Ok(rows.into_iter().map(|logits| Prediction::of(logits, self.model.kind)).collect())
    }

    /// The features of pictures: what the backbone leaves before the head.
    ///
    /// # Errors
    /// When the engine fails.
    pub fn embed(&self, pictures: &[Picture]) -> Result<Vec<Vec<f32>>, ClassifierError> {
        let mut plan = self.features.lock().unwrap_or_else(PoisonError::into_inner);
        let plan = match &mut *plan {
            Some(plan) => plan,
            empty => empty.insert(self.features_plan()?),
        };
        self.run(plan, pictures)
    }

    fn run(&self, plan: &mut Plan, pictures: &[Picture]) -> Result<Vec<Vec<f32>>, ClassifierError> {
        let [height, width] = self.model.preprocess.input_size.map(|side| side as usize);
        let length = height * width * 3;
        let mut rows = Vec::with_capacity(pictures.len());
        for pictures in pictures.chunks(BATCH) {
            let mut pixels = vec![0.0; pictures.len() * length];
            self.machine.pool.for_each_chunk(&mut pixels, length, |index, into| {
                into.copy_from_slice(&self.model.preprocess.apply(&pictures[index]));
            });
            let outputs = plan.run(&[Tensor::new(&[pictures.len(), height, width, 3], pixels)?])?;
            for output in outputs {
                let size = output.len() / pictures.len();
                rows.extend(output.as_f32()?.chunks(size).map(<[f32]>::to_vec));
            }
        }
        Ok(rows)
    }

    /// The plan of the backbone.
    fn features_plan(&self) -> Result<Plan, EngineError> {
        let cut = self.model.graph.cut(self.model.features_stage())?;
        let mut plan = Plan::new(&self.machine, &cut.prefix, &self.model.parameters)?;
        plan.set_precision(self.precision)?;
        Ok(plan)
    }
}
