//! A model's files, as transformers publishes them: a folder's, or those of the default that this library carries.

use std::path::{Path, PathBuf};

use tk_transfer::checkpoint::Checkpoint;
use tk_transfer::hub::folder_name;

use super::model::HEAD;
use super::{ModelError, Vocabulary};
use crate::features::front_end_json;

/// The name under which the embedded default is asked for and shown.
pub const EMBEDDED: &str = "speech";

macro_rules! embedded {
    ($include:ident, $file:literal) => {
        $include!(concat!("../../../../weights/speech/", $file))
    };
}

/// The texts of a model's files, and its weights.
pub(super) struct Files {
    pub name: String,
    pub path: PathBuf,
    pub config: String,
    pub front_end: Option<String>,
    /// `vocab.json`, `added_tokens.json`, `tokenizer_config.json`; empty where they are not there.
    symbols: [String; 3],
    pub weights: Checkpoint,
}

impl Files {
    /// Those of a folder; or of the embedded default by its name.
    pub fn open(folder: &Path) -> Result<Self, ModelError> {
        match folder == Path::new(EMBEDDED) {
            true => Self::embedded(),
            false => Self::of_folder(folder),
        }
    }

    fn embedded() -> Result<Self, ModelError> {
        Ok(Self {
            name: EMBEDDED.into(),
            path: EMBEDDED.into(),
            config: embedded!(include_str, "config.json").into(),
            front_end: Some(embedded!(include_str, "preprocessor_config.json").into()),
            symbols: [
                embedded!(include_str, "vocab.json").into(),
                String::new(),
                embedded!(include_str, "tokenizer_config.json").into(),
            ],
            weights: Checkpoint::from_bytes(EMBEDDED, embedded!(include_bytes, "model.safetensors"))?,
        })
    }

    fn of_folder(folder: &Path) -> Result<Self, ModelError> {
        let missing =
            |reason: &str| ModelError::Missing { path: folder.to_owned(), reason: reason.to_owned() };
        if !folder.is_dir() {
            return Err(missing("no such folder"));
        }
        let text = |name: &str| std::fs::read_to_string(folder.join(name)).ok();
        let config = text("config.json")
            .ok_or_else(|| missing("it has no readable config.json, which names the network"))?;
        let weights = Checkpoint::find_in(folder).ok_or_else(|| {
            missing("it has no model.safetensors, whole or sharded, and no pytorch_model.bin")
        })?;
        let symbols = ["vocab.json", "added_tokens.json", "tokenizer_config.json"]
            .map(|name| text(name).unwrap_or_default());
        Ok(Self {
            name: folder_name(folder),
            path: folder.to_owned(),
            config,
            front_end: front_end_json(folder),
            symbols,
            weights: Checkpoint::open(weights)?,
        })
    }

    /// What its layer of CTC spells, where it has one; the count of symbols is the layer's.
    pub fn vocabulary(&self) -> Result<Option<Vocabulary>, ModelError> {
        let weight = self.weights.info(&format!("{HEAD}.weight"));
        let Some(&size) = weight.and_then(|info| info.shape.first()) else { return Ok(None) };
        let [vocabulary, added, tokenizer] = &self.symbols;
        if vocabulary.is_empty() {
            return Ok(None);
        }
        let path = self.path.join("vocab.json");
        Ok(Some(Vocabulary::from_json(&path, vocabulary, added, tokenizer, size)?))
    }
}
