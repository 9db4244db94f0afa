//! A folder of a published encoder: what its small files say, before any weights are read.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use tk_transfer::checkpoint::Checkpoint;
use tk_transfer::data::LabelKind;
use tk_transfer::hub::folder_name;

use super::ModelError;
use super::sentence::{MODULES_FILE, Modules, read_json};
use crate::architectures::{Architecture, Config, Head, Pooling, Settings};
use crate::files;

/// transformers' count of classes where the configuration has none.
const DEFAULT_CLASSES: usize = 2;

/// A folder with `config.json` and weights, as transformers or sentence-transformers writes it.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
    config: Config,
    architecture: &'static Architecture,
    settings: Settings,
    modules: Option<Modules>,
}

impl Folder {
    /// Reads the small files of a folder, or of the default that this library carries by its name, [`EMBEDDED`](crate::EMBEDDED).
    ///
    /// # Errors
    /// When there is no such folder, or a file is missing, damaged, or says what is not built here.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        if !files::is_folder(path) {
            return Err(ModelError::missing(path, "no such folder"));
        }
        let modules = Modules::read(path)?;
        let encoder = modules.as_ref().map_or(path, |modules| &modules.encoder);
        let text = files::read_text(&encoder.join("config.json")).map_err(|error| {
            ModelError::missing(encoder, format!("config.json, which names the encoder: {error}"))
        })?;
        let fail = |problem| ModelError::Config { path: encoder.to_owned(), problem };
        let config = Config::from_json(&text).map_err(fail)?;
        let (architecture, settings) = config.encoder().map_err(fail)?;
        Ok(Self { path: path.to_owned(), config, architecture, settings, modules })
    }

    /// What it is called: the folder's name, or that of the repository of which it is a snapshot.
    pub fn name(&self) -> String {
        folder_name(&self.path)
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where `config.json`, the weights and the tokenizer's files are.
    pub fn encoder(&self) -> &Path {
        self.modules.as_ref().map_or(&self.path, |modules| &modules.encoder)
    }

    /// Its `config.json`.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Which encoder it holds.
    pub fn architecture(&self) -> &'static Architecture {
        self.architecture
    }

    /// What the encoder is built with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// How embeddings are made: as sentence-transformers' files say, else the mean.
    pub fn pooling(&self) -> Pooling {
        self.modules.as_ref().and_then(|modules| modules.pooling).unwrap_or(Pooling::Mean)
    }

    /// Whether embeddings are divided by their length.
    pub fn is_normalized(&self) -> bool {
        self.modules.as_ref().is_some_and(|modules| modules.is_normalized)
    }

    /// The head that its weights came with, if they are a classifier's.
    ///
    /// # Errors
    /// When the classes' names are malformed.
    pub fn head(&self) -> Result<Option<Head>, ModelError> {
        if let Some(modules) = &self.modules {
            let logits = modules.dense.as_ref().filter(|dense| dense.is_plain && !modules.is_normalized);
            return Ok(
                logits.map(|dense| Head::Pooled { pooling: self.pooling(), classes: dense.features[1] })
            );
        }
        let classes = self.labels()?.map_or(DEFAULT_CLASSES, |labels| labels.len());
        let stored = self.config.classes_of_model();
        let heads = [Head::Published { classes }, Head::Tokens { classes }];
        Ok(heads.into_iter().find(|&head| stored.contains(&self.architecture.class_of_model(head).as_str())))
    }

    /// The classes' names that `config.json` has.
    ///
    /// # Errors
    /// When they are malformed.
    pub fn labels(&self) -> Result<Option<Vec<String>>, ModelError> {
        self.config
            .labels()
            .map_err(|problem| ModelError::Config { path: self.encoder().to_owned(), problem })
    }

    /// Whether its classes exclude each other.
    ///
    /// # Errors
    /// When `config.json` says something else than classification.
    pub fn kind(&self) -> Result<LabelKind, ModelError> {
        self.config.kind().map_err(|problem| ModelError::Config { path: self.encoder().to_owned(), problem })
    }

    /// The most tokens of a text, special ones included: what the positions allow, or less where sentence-transformers' files say so.
    ///
    /// # Errors
    /// When `sentence_bert_config.json` is damaged.
    pub fn max_length(&self) -> Result<usize, ModelError> {
        let room = self.architecture.max_length(&self.settings);
        let file = self.encoder().join("sentence_bert_config.json");
        if !files::is_file(&file) {
            return Ok(room);
        }
        let fields: Map<String, Value> = read_json(&file)?;
        let given = fields.get("max_seq_length").and_then(Value::as_u64);
        Ok(given.and_then(|length| usize::try_from(length).ok()).map_or(room, |length| length.min(room)))
    }

    /// What sentence-transformers does after the encoder.
    pub(super) fn modules(&self) -> Option<&Modules> {
        self.modules.as_ref()
    }

    /// The file with the encoder's weights.
    pub(super) fn weights(&self) -> Result<PathBuf, ModelError> {
        weights_in(self.encoder())
    }

    /// What it holds if not a classifier, in words.
    pub(super) fn contents(&self) -> String {
        match &self.modules {
            Some(_) => format!("a sentence encoder ({MODULES_FILE})"),
            None => format!("{} (`architectures` in config.json)", self.config.classes_of_model().join(", ")),
        }
    }
}

/// The file with weights in a folder.
pub(super) fn weights_in(folder: &Path) -> Result<PathBuf, ModelError> {
    let none = || ModelError::missing(folder, format!("it has none of {}", Checkpoint::NAMES.join(", ")));
    files::weights_in(folder).ok_or_else(none)
}
