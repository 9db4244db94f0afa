//! Writing a model as a folder that other tools open.
//!
//! Published heads become what `AutoModelForSequenceClassification.from_pretrained` opens; pooled heads and embeddings become
//! what `SentenceTransformer` opens, whose `encode` then gives the logits or the embedding.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tk_engine::EngineError;
use tk_transfer::atomic::{WriteError, write_bytes_atomic};
use tk_transfer::checkpoint::{Precision, SaveError, SaveTensor, save};
use tk_transfer::low_rank::AdapterError;

use super::Model;
use super::sentence::{DENSE_FOLDER, MODULES_FILE, POOLING_FOLDER, dense_json, modules_json, pooling_json};
use crate::architectures::{ConfigError, Head};
use crate::data::prefix_spaces;
use crate::files;

/// The files of tokenizers, of any kind.
const TOKENIZER_FILES: [&str; 10] = [
    TOKENIZER_FILE,
    TOKENIZER_CONFIG_FILE,
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    MERGES_FILE,
    "sentencepiece.bpe.model",
    "spm.model",
    "spiece.model",
];

const TOKENIZER_FILE: &str = "tokenizer.json";

const TOKENIZER_CONFIG_FILE: &str = "tokenizer_config.json";

/// What byte-level BPE joins.
const MERGES_FILE: &str = "merges.txt";

/// sentence-transformers' file with the most tokens of a text.
const LENGTH_FILE: &str = "sentence_bert_config.json";

/// The file with an encoder's or a layer's weights.
const WEIGHTS_FILE: &str = "model.safetensors";

/// A model that cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// As many names as classes are needed.
    #[error("cannot save: {names} class names for {classes} classes")]
    Labels {
        /// The count of names.
        names: usize,
        /// The count of classes.
        classes: usize,
    },
    /// An adapter cannot be written.
    #[error(transparent)]
    Adapter(#[from] AdapterError),
    /// A file of the tokenizer cannot be read.
    #[error("cannot copy {}: {problem}", path.display())]
    Copy {
        /// The file.
        path: PathBuf,
        /// What the system said.
        problem: io::Error,
    },
    /// The configuration cannot be written.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A file's contents cannot be written as JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// Weights cannot be written.
    #[error(transparent)]
    Save(#[from] SaveError),
    /// A file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A parameter has no value.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// Writes a model and its tokenizer into a folder that exists and is empty or was written for the same head; each file is written
/// aside and renamed. `labels` are the classes' names in the order of the logits, none for embeddings.
///
/// # Errors
/// When there are not as many names as classes, a parameter has no value, or a file cannot be read or written.
pub fn save_model(folder: &Path, model: &Model, labels: &[String]) -> Result<(), BundleError> {
    let classes = model.head.classes().unwrap_or(0);
    if labels.len() != classes {
        return Err(BundleError::Labels { names: labels.len(), classes });
    }
    copy_files(&model.folder, folder, &TOKENIZER_FILES)?;
    match model.head {
        Head::Published { .. } | Head::Tokens { .. } => {
            save_parameters(&folder.join(WEIGHTS_FILE), model, |name| {
                Some(model.architecture.published_name(name))
            })?;
            if matches!(model.head, Head::Tokens { .. }) {
                keep_spaces_before_words(folder)?;
            }
        }
        Head::Pooled { .. } | Head::Embedding { .. } => save_sentence_encoder(folder, model)?,
    }
    let class_of_model = model.architecture.class_of_model(model.head);
    let config = model.config.with_classes(&class_of_model, labels, model.kind);
    Ok(write_bytes_atomic(&folder.join("config.json"), config.to_json()?.as_bytes())?)
}

/// Makes a folder's tokenizer that of [`Tokenizer::for_words`](crate::data::Tokenizer::for_words) for whoever opens it.
fn keep_spaces_before_words(folder: &Path) -> Result<(), BundleError> {
    let tokenizer = folder.join(TOKENIZER_FILE);
    let is_changed = match read_json(&tokenizer)? {
        Some(mut json) => {
            let is_changed = json.get_mut("pre_tokenizer").is_some_and(prefix_spaces);
            if is_changed {
                write_json(&tokenizer, &json)?;
            }
            is_changed
        }
        // Who makes it of the files of byte-level BPE asks the configuration.
        None => folder.join(MERGES_FILE).is_file(),
    };
    if !is_changed {
        return Ok(());
    }
    let file = folder.join(TOKENIZER_CONFIG_FILE);
    let mut config = read_json(&file)?.unwrap_or_else(|| json!({}));
    if let Some(fields) = config.as_object_mut() {
        fields.insert("add_prefix_space".into(), true.into());
    }
    write_json(&file, &config)
}

/// What makes a folder sentence-transformers': encoder, pooling, and the linear layer or the normalisation.
fn save_sentence_encoder(folder: &Path, model: &Model) -> Result<(), BundleError> {
    let is_of_head = |name: &str| model.architecture.is_of_head(name);
    save_parameters(&folder.join(WEIGHTS_FILE), model, |name| (!is_of_head(name)).then(|| name.to_owned()))?;
    let width = model.settings.width;
    let pooling = create(folder, POOLING_FOLDER)?;
    write_json(&pooling.join("config.json"), &pooling_json(model.head.pooling(), width))?;
    let dense = model.head.classes().zip(model.head_name());
    if let Some((classes, layer)) = dense {
        let dense = create(folder, DENSE_FOLDER)?;
        save_parameters(&dense.join(WEIGHTS_FILE), model, |name| {
            is_of_head(name).then(|| name.replacen(layer, "linear", 1))
        })?;
        write_json(&dense.join("config.json"), &dense_json([width, classes]))?;
    }
    let length = json!({ "max_seq_length": model.max_length, "do_lower_case": false });
    write_json(&folder.join(LENGTH_FILE), &length)?;
    let is_normalized = model.is_normalized && dense.is_none();
    write_json(&folder.join(MODULES_FILE), &modules_json(dense.is_some(), is_normalized))
}

/// Writes those parameters that get a name.
fn save_parameters(
    file: &Path,
    model: &Model,
    name: impl Fn(&str) -> Option<String>,
) -> Result<(), BundleError> {
    let named: Vec<_> =
        model.graph.parameters().iter().filter_map(|spec| Some((name(&spec.name)?, spec))).collect();
    let mut tensors = Vec::new();
    for (name, spec) in &named {
        let values = model.parameters.get(&spec.name)?.as_f32()?;
        tensors.push(SaveTensor { name, shape: &spec.shape, values });
    }
    Ok(save(file, &tensors, Precision::F32, &BTreeMap::new())?)
}

fn write_json(file: &Path, value: &Value) -> Result<(), BundleError> {
    Ok(write_bytes_atomic(file, (serde_json::to_string_pretty(value)? + "\n").as_bytes())?)
}

/// A file's JSON, if there is the file.
fn read_json(file: &Path) -> Result<Option<Value>, BundleError> {
    match std::fs::read(file) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(problem) => Err(BundleError::Copy { path: file.to_owned(), problem }),
    }
}

fn create(folder: &Path, name: &str) -> Result<PathBuf, BundleError> {
    let path = folder.join(name);
    std::fs::create_dir_all(&path).map_err(|source| WriteError { path: path.clone(), source })?;
    Ok(path)
}

/// Copies those of the files that are there.
fn copy_files(from: &Path, to: &Path, names: &[&str]) -> Result<(), BundleError> {
    for name in names {
        let path = from.join(name);
        match files::read(&path) {
            Ok(bytes) => write_bytes_atomic(&to.join(name), &bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(problem) => return Err(BundleError::Copy { path, problem }),
        }
    }
    Ok(())
}
