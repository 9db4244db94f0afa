//! A trained classifier of texts: what a run leaves in its folder, and what predicts.
//!
//! The folder is what transformers (published heads) or sentence-transformers (pooled heads) opens, and `transfer.json` for what only
//! this toolkit knows. A head with a hidden layer lies in a file of its own beside an encoder that gives embeddings.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use serde_json::{Map, Value, json};
use tk_engine::cpu::{Machine, Plan};
use tk_engine::{EngineError, Inference, Tensor};
use tk_transfer::atomic::{WriteError, write_bytes_atomic};
use tk_transfer::bundle::{Bundle, BundleError as FileError};
use tk_transfer::checkpoint::{Checkpoint, CheckpointError, Precision, SaveError, SaveTensor, save};
use tk_transfer::classification::{HeadForm, Prediction, with_hidden_layer};
use tk_transfer::earlier_head::EarlierHead;
use tk_transfer::low_rank::Adapter;

use crate::architectures::{ArchitectureError, Head};
use crate::data::{Layout, Tokenizer, TokenizerError, Tokens};
use crate::model::{BundleError, Folder, Model, ModelError, Start, save_adapter, save_model};

/// A text, or a pair of texts.
pub type Text<'a> = (&'a str, Option<&'a str>);

/// The file of a head with a hidden layer.
const HEAD_FILE: &str = "head.safetensors";

/// The folder of the low-rank pairs that were merged into the weights.
const ADAPTER_FOLDER: &str = "adapter";

/// Texts of one length that run at once.
const BATCH: usize = 32;

/// A classifier with its weights. `Send + Sync`; predicts through `&self`.
pub struct Classifier {
    model: Model,
    tokenizer: Tokenizer,
    classes: Vec<String>,
    head: HeadForm,
    machine: Machine,
    precision: tk_engine::Precision,
    adapter: Option<Adapter>,
    plan: Mutex<Plan>,
    features: Mutex<Option<Plan>>,
}

/// A classifier that cannot be loaded or saved.
#[derive(Debug, thiserror::Error)]
pub enum ClassifierError {
    /// The model cannot be had.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The tokenizer cannot be had, or does not fit.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The graph cannot be built.
    #[error(transparent)]
    Architecture(#[from] ArchitectureError),
    /// The folder cannot be written.
    #[error(transparent)]
    Folder(#[from] BundleError),
    /// `transfer.json` cannot be followed or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The head's weights cannot be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The head's weights cannot be written.
    #[error(transparent)]
    Save(#[from] SaveError),
    /// A file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl Classifier {
    /// A classifier from a model whose head is of the given form and has one output for each class.
    ///
    /// # Errors
    /// When the graph cannot be compiled.
    pub fn new(
        model: Model,
        tokenizer: Tokenizer,
        classes: Vec<String>,
        head: HeadForm,
        machine: &Machine,
    ) -> Result<Self, ClassifierError> {
        let plan = Mutex::new(Plan::new(machine, &model.graph, &model.parameters)?);
        let machine = machine.clone();
        Ok(Self {
            model,
            tokenizer,
            classes,
            head,
            machine,
            precision: tk_engine::Precision::F32,
            adapter: None,
            plan,
            features: Mutex::default(),
        })
    }

    /// With the low-rank pairs that were merged into its weights, to be written as an adapter too.
    #[must_use]
    pub fn with_adapter(mut self, adapter: Option<Adapter>) -> Self {
        self.adapter = adapter;
        self
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

    /// Loads what [`Classifier::save`] wrote, or a classifier's folder of transformers, sentence-transformers or PEFT.
    ///
    /// # Errors
    /// When files are missing, damaged, or of another version, or the folder holds no classifier.
    pub fn load(folder: &Path, machine: &Machine) -> Result<Self, ClassifierError> {
        let bundle = Bundle::read(folder)?;
        let (model, head) = stored(folder, bundle.as_ref())?;
        let mut tokenizer = Tokenizer::open(&model.folder)?;
        let asked = bundle.as_ref().and_then(|bundle| bundle.fields.get("max_tokens")?.as_u64());
        let most = asked.and_then(|most| usize::try_from(most).ok()).unwrap_or(model.max_length);
        tokenizer.set_max_length(most.min(tokenizer.max_length()))?;
        tokenizer.check(model.settings.vocabulary)?;
        let count = model.head.classes().unwrap_or(0);
        let classes = model.labels.clone().unwrap_or_else(|| (0..count).map(|n| n.to_string()).collect());
        Self::new(model, tokenizer, classes, head, machine)
    }

    /// The head of a run's folder, for a run that goes on from it with `model`; `None` where the folder is no run's, or its head is
    /// another kind, such as one over sentence embeddings.
    ///
    /// # Errors
    /// As [`Classifier::load`].
    pub fn earlier_head(folder: &Path, model: &Model) -> Result<Option<EarlierHead>, ClassifierError> {
        let bundle = Bundle::read(folder)?;
        if bundle.is_none() {
            return Ok(None);
        }
        let (earlier, form) = stored(folder, bundle.as_ref())?;
        let is_same = match (earlier.head, model.head) {
            (Head::Published { .. }, Head::Published { .. }) => true,
            (Head::Pooled { pooling: a, .. }, Head::Pooled { pooling: b, .. }) => a == b,
            _ => false,
        };
        let is_of_head = |name: &str| earlier.architecture.is_of_head(name);
        let of = |classes| EarlierHead::of(form, classes, &earlier.parameters, is_of_head);
        Ok(earlier.labels.clone().filter(|_| is_same).map(of))
    }

    /// Writes the folder's files, each aside and then renamed. `card` is the text of its `README.md`.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn save(
        &self,
        folder: &Path,
        mut fields: Map<String, Value>,
        card: &str,
    ) -> Result<(), ClassifierError> {
        match self.head {
            HeadForm::Linear => save_model(folder, &self.model, &self.classes)?,
            HeadForm::Mlp { .. } => self.save_hidden_layer(folder)?,
        }
        if let Some(adapter) = &self.adapter {
            let folder = folder.join(ADAPTER_FOLDER);
            std::fs::create_dir_all(&folder)
                .map_err(|problem| BundleError::Copy { path: folder.clone(), problem })?;
            save_adapter(&folder, &self.model, adapter).map_err(BundleError::from)?;
        }
        fields.insert("classes".into(), json!(self.classes));
        fields.insert("max_tokens".into(), json!(self.tokenizer.max_length()));
        Bundle::new(self.head, fields).write(folder)?;
        Ok(write_bytes_atomic(&folder.join("README.md"), card.as_bytes())?)
    }

    /// The encoder as one that gives embeddings, and the head beside it.
    fn save_hidden_layer(&self, folder: &Path) -> Result<(), ClassifierError> {
        let model = &self.model;
        let head = Head::Embedding { pooling: model.head.pooling() };
        let graph = model.architecture.build(&model.settings, head)?;
        save_model(folder, &Model { head, graph, ..model.clone() }, &[])?;
        let mut tensors = Vec::new();
        for spec in model.graph.parameters().iter().filter(|spec| model.architecture.is_of_head(&spec.name)) {
            let values = model.parameters.get(&spec.name)?.as_f32()?;
            tensors.push(SaveTensor { name: &spec.name, shape: &spec.shape, values });
        }
        Ok(save(&folder.join(HEAD_FILE), &tensors, Precision::F32, &BTreeMap::new())?)
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The classes' names, in the order of probabilities.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// What it says of texts, in their order. Each answer is the same whatever the others are.
    ///
    /// # Errors
    /// When a text cannot be encoded, or the engine fails.
    pub fn predict_all(&self, texts: &[Text<'_>]) -> Result<Vec<Prediction>, ClassifierError> {
        let tokens = self.tokenizer.encode_all(texts, &self.machine.pool)?;
        let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        let rows = run(&mut plan, &self.layout(), &tokens)?;
        Ok(rows.into_iter().map(|logits| Prediction::of(logits, self.model.kind)).collect())
    }

    /// The features of texts: what the encoder leaves before the head.
    ///
    /// # Errors
    /// As [`Classifier::predict_all`].
    pub fn embed(&self, texts: &[Text<'_>]) -> Result<Vec<Vec<f32>>, ClassifierError> {
        let tokens = self.tokenizer.encode_all(texts, &self.machine.pool)?;
        let mut plan = self.features.lock().unwrap_or_else(PoisonError::into_inner);
        let plan = match &mut *plan {
            Some(plan) => plan,
            empty => {
                let cut = self.model.graph.cut(self.model.features_stage()).map_err(EngineError::from)?;
                let plan = empty.insert(Plan::new(&self.machine, &cut.prefix, &self.model.parameters)?);
                plan.set_precision(self.precision)?;
                plan
            }
        };
        Ok(run(plan, &self.layout(), &tokens)?)
    }

    fn layout(&self) -> Layout {
        Layout { fields: self.model.fields(), pad_id: self.tokenizer.pad_id(), batch: BATCH }
    }
}

/// Sentence embeddings of a folder's encoder, as sentence-transformers makes them.
pub struct Embedder {
    model: Model,
    tokenizer: Tokenizer,
    machine: Machine,
    plan: Mutex<Plan>,
}

impl Embedder {
    /// Opens a folder; pooling and normalisation are those of sentence-transformers' files, else the mean.
    ///
    /// # Errors
    /// When files are missing, damaged, or do not fit each other.
    pub fn open(folder: &Path, machine: &Machine) -> Result<Self, ClassifierError> {
        let files = Folder::open(folder)?;
        let head = Head::Embedding { pooling: files.pooling() };
        let model = Model::load(&files, Start::New { head, seed: 0 })?;
        let mut tokenizer = Tokenizer::open(&model.folder)?;
        tokenizer.set_max_length(model.max_length.min(tokenizer.max_length()))?;
        tokenizer.check(model.settings.vocabulary)?;
        let plan = Mutex::new(Plan::new(machine, &model.graph, &model.parameters)?);
        Ok(Self { model, tokenizer, machine: machine.clone(), plan })
    }

    /// In another precision from now on: bf16, or f32, as it begins.
    ///
    /// # Errors
    /// When it is int8, which would need samples to calibrate with.
    pub fn in_precision(mut self, precision: tk_engine::Precision) -> Result<Self, ClassifierError> {
        self.plan.get_mut().unwrap_or_else(PoisonError::into_inner).set_precision(precision)?;
        Ok(self)
    }

    /// The embeddings of texts, in their order. Each is the same whatever the others are.
    ///
    /// # Errors
    /// When a text cannot be encoded, or the engine fails.
    pub fn embed(&self, texts: &[Text<'_>]) -> Result<Vec<Vec<f32>>, ClassifierError> {
        let tokens = self.tokenizer.encode_all(texts, &self.machine.pool)?;
        let layout = Layout { fields: self.model.fields(), pad_id: self.tokenizer.pad_id(), batch: BATCH };
        let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        let mut rows = run(&mut plan, &layout, &tokens)?;
        if self.model.is_normalized {
            for row in &mut rows {
                let norm = row.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt().max(1e-12);
                row.iter_mut().for_each(|value| *value = (f64::from(*value) / norm) as f32);
            }
        }
        Ok(rows)
    }
}

/// The output of each text: texts of one length run together, without padding, so that none depends on the others.
fn run(plan: &mut Plan, layout: &Layout, tokens: &[Tokens]) -> Result<Vec<Vec<f32>>, EngineError> {
    // The longest first, so that memory is made once.
    let mut order: Vec<usize> = (0..tokens.len()).collect();
    order.sort_by_key(|&text| Reverse(tokens[text].ids.len()));
    let mut rows = vec![Vec::new(); tokens.len()];
    let buckets = order.chunk_by(|&a, &b| tokens[a].ids.len() == tokens[b].ids.len());
    for texts in buckets.flat_map(|bucket| bucket.chunks(BATCH)) {
        let stacked: Vec<&Tokens> = texts.iter().map(|&text| &tokens[text]).collect();
        let outputs = plan.run(&layout.stack(&stacked)?)?;
        let Some(output) = outputs.first() else { continue };
        let width = output.len() / texts.len();
        for (&text, row) in texts.iter().zip(output.as_f32()?.chunks_exact(width.max(1))) {
            rows[text] = row.to_vec();
        }
    }
    Ok(rows)
}

/// The model of a folder with its own head, and the head's form.
fn stored(folder: &Path, bundle: Option<&Bundle>) -> Result<(Model, HeadForm), ClassifierError> {
    match bundle {
        Some(Bundle { head: HeadForm::Mlp { hidden }, fields, .. }) => {
            let classes = names(fields);
            let mut model = opened_for_hidden_layer(folder, classes.len(), *hidden)?;
            model.labels = Some(classes);
            Ok((model, HeadForm::Mlp { hidden: *hidden }))
        }
        _ => Ok((Model::open(folder, Start::Stored)?, HeadForm::Linear)),
    }
}

/// The model of a folder whose head has a hidden layer.
fn opened_for_hidden_layer(folder: &Path, classes: usize, hidden: usize) -> Result<Model, ClassifierError> {
    let files = Folder::open(folder)?;
    let head = Head::Pooled { pooling: files.pooling(), classes };
    let mut model = Model::load(&files, Start::New { head, seed: 0 })?;
    model.kind = files.kind()?;
    let layer = model.head_name().unwrap_or_default();
    model.graph = with_hidden_layer(&model.graph, &mut model.parameters, layer, hidden, classes)?;
    let stored = Checkpoint::open(folder.join(HEAD_FILE))?;
    let specs = model.graph.parameters().iter().filter(|spec| model.architecture.is_of_head(&spec.name));
    for spec in specs {
        model.parameters.set(&spec.name, Tensor::new(&spec.shape, stored.f32(&spec.name)?)?);
    }
    Ok(model)
}

/// The classes' names that a run remembers.
fn names(fields: &Map<String, Value>) -> Vec<String> {
    let names = fields.get("classes").and_then(Value::as_array).into_iter().flatten();
    names.filter_map(|name| name.as_str().map(str::to_owned)).collect()
}
