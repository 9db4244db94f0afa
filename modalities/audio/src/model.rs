//! A network with its weights, as transformers publishes it.

use std::path::{Path, PathBuf};

use tk_engine::{EngineError, Graph, Parameters, Tensor};
use tk_transfer::checkpoint::{
    Checkpoint, CheckpointError, LoadError, LoadReport, Need, ParameterRequest, Rule, Target, load_into,
};
use tk_transfer::classification::with_hidden_layer;
use tk_transfer::data::LabelKind;
use tk_transfer::hub::folder_name;
use tk_transfer::low_rank::{Adapter, LowRank};

use crate::architectures::{Config, ConfigError, HEAD, POSITIONS, Settings, build, place_of_crop};
use crate::features::{FilterBank, FrontEndError};

/// Weights of the encoder alone lack the prefix.
const RENAMES: &[Rule] = &[
    Rule::Prefix { from: "embeddings.", to: "audio_spectrogram_transformer.embeddings." },
    Rule::Prefix { from: "encoder.", to: "audio_spectrogram_transformer.encoder." },
    Rule::Prefix { from: "layernorm.", to: "audio_spectrogram_transformer.layernorm." },
];

/// A network and its weights.
#[derive(Clone, Debug)]
pub struct Model {
    /// What it is called in messages.
    pub name: String,
    /// The configuration that it came with.
    pub config: Config,
    /// What it was built with.
    pub settings: Settings,
    /// How sounds become its input.
    pub front_end: FilterBank,
    /// Backbone and head.
    pub graph: Graph,
    /// Every parameter's value.
    pub parameters: Parameters,
    /// The classes' names, where the weights came with them and their head was kept.
    pub labels: Option<Vec<String>>,
    /// Whether its classes exclude each other.
    pub kind: LabelKind,
    /// What was loaded.
    pub report: LoadReport,
    /// A digest of where the weights came from.
    pub digest: String,
    /// Where they are.
    pub folder: PathBuf,
    /// The low-rank pairs that it trains with.
    pub low_rank: Option<LowRank>,
    /// The low-rank pairs that were merged into its weights.
    pub adapter: Option<Adapter>,
}

/// A model that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// No such folder or file.
    #[error("no model at {}: {reason}", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
        /// What is missing.
        reason: String,
    },
    /// A configuration that cannot be followed.
    #[error("{}: {problem}", path.display())]
    Config {
        /// The folder.
        path: PathBuf,
        /// What is wrong.
        problem: ConfigError,
    },
    /// A front end that cannot be followed.
    #[error("{}: {problem}", path.display())]
    FrontEnd {
        /// The folder.
        path: PathBuf,
        /// What is wrong.
        problem: FrontEndError,
    },
    /// More frames than the weights have places for.
    #[error("{frames} frames are more than the {most} that `{model}` was trained for; expected no more")]
    TooLong {
        /// The model.
        model: String,
        /// What was asked for.
        frames: usize,
        /// What there is.
        most: usize,
    },
    /// A checkpoint that cannot be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A checkpoint of something else.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// Which head a model gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// The one that the weights came with.
    Published,
    /// A new one for this many classes; the seed decides its values.
    New {
        /// The count of classes.
        classes: usize,
        /// The seed.
        seed: u64,
    },
}

impl Model {
    /// Opens a folder with `config.json`, weights and perhaps `preprocessor_config.json`, as transformers writes it.
    ///
    /// # Errors
    /// When files are missing, damaged, or of another network; or the published head is asked for and there is none.
    pub fn open(folder: &Path, head: Head) -> Result<Self, ModelError> {
        let missing =
            |reason: &str| ModelError::Missing { path: folder.to_owned(), reason: reason.to_owned() };
        let fail = |problem| ModelError::Config { path: folder.to_owned(), problem };
        if !folder.is_dir() {
            return Err(missing("no such folder"));
        }
        let text = std::fs::read_to_string(folder.join("config.json"))
            .map_err(|_| missing("it has no readable config.json, which names the network"))?;
        let config = Config::from_json(&text).map_err(fail)?;
        let mut settings = config.settings().map_err(fail)?;
        let front_end = front_end(folder, &settings)?;
        let weights = Checkpoint::find_in(folder).ok_or_else(|| {
            missing("it has no model.safetensors, whole or sharded, and no pytorch_model.bin")
        })?;
        let (seed, labels, kind) = match head {
            Head::New { classes, seed } => {
                settings.classes = classes;
                (seed, None, LabelKind::Single)
            }
            Head::Published if !config.has_head() => {
                return Err(missing("its weights have no classifier; train one first"));
            }
            Head::Published => (0, config.labels().map_err(fail)?, config.kind().map_err(fail)?),
        };
        let graph = build(&settings)?;
        let name = folder_name(folder);
        let checkpoint = Checkpoint::open(weights)?;
        let head_prefix = format!("{HEAD}.");
        let need = |parameter: &str| match head {
            Head::New { .. } if parameter.starts_with(&head_prefix) => Need::NewHead,
            // The encoder alone has no classifier's norm.
            Head::New { .. } if parameter.starts_with("classifier.") => Need::Optional,
            _ => Need::Required,
        };
        let request = |spec: &tk_engine::graph::ParameterSpec| ParameterRequest {
            name: spec.name.clone(),
            shape: spec.shape.clone(),
            need: need(&spec.name),
        };
        let requests: Vec<ParameterRequest> = graph.parameters().iter().map(request).collect();
        let loaded = load_into(&Target { model: &name, parameters: &requests, rules: RENAMES }, &checkpoint)?;
        let mut parameters = Parameters::default();
        for (parameter, values) in loaded.values {
            let index = graph.parameter(&parameter);
            let shape = index.map(|index| graph.parameters()[index].shape.clone()).unwrap_or_default();
            parameters.set(&parameter, Tensor::new(&shape, values)?);
        }
        parameters.initialise(&graph, seed);
        Ok(Self {
            name,
            config,
            settings,
            front_end,
            graph,
            parameters,
            labels,
            kind,
            report: loaded.report,
            digest: checkpoint.digest().to_hex().to_string(),
            folder: folder.to_owned(),
            low_rank: None,
            adapter: None,
        })
    }

    /// The same model for fewer frames: it looks at the beginning of a recording, and the embeddings of places are those in the middle of
    /// what they were trained for, as the paper's program takes them.
    ///
    /// # Errors
    /// When there are more frames than places.
    pub fn with_frames(mut self, frames: usize) -> Result<Self, ModelError> {
        let most = self.settings.frames;
        if frames == most {
            return Ok(self);
        }
        let [rows, trained] = self.settings.grid();
        let shorter = Settings { frames: frames.max(self.settings.patch), ..self.settings.clone() };
        let columns = shorter.grid()[1];
        let start = place_of_crop(trained, columns).filter(|_| frames < most);
        let start = start.ok_or_else(|| ModelError::TooLong { model: self.name.clone(), frames, most })?;
        let width = self.settings.width;
        let places = self.parameters.get(POSITIONS)?.to_f32();
        let (tokens, patches) = places.split_at(2 * width);
        let mut kept = tokens.to_vec();
        for row in patches.chunks_exact(trained * width).take(rows) {
            kept.extend_from_slice(&row[start * width..(start + columns) * width]);
        }
        self.graph = build(&shorter)?;
        self.parameters.set(POSITIONS, Tensor::new(&[1, 2 + rows * columns, width], kept)?);
        self.front_end.max_length = shorter.frames;
        self.settings = shorter;
        Ok(self)
    }

    /// The shape of the network's input for so many samples.
    pub fn input_shape(&self, samples: usize) -> [usize; 4] {
        [samples, self.settings.bins, self.settings.frames, 1]
    }

    /// The position of the last stage of the backbone, whose output is what probes learn from.
    pub fn features_stage(&self) -> usize {
        self.graph.stages().len().saturating_sub(2)
    }

    /// With low-rank pairs beside every layer of the backbone that can have one; the seed decides their values.
    ///
    /// # Errors
    /// When no layer can have one.
    pub fn with_low_rank(mut self, rank: usize, alpha: f64, seed: u64) -> Result<Self, ModelError> {
        let stages: Vec<bool> =
            self.graph.stages().iter().map(|stage| stage.name.starts_with("layer")).collect();
        let (low_rank, graph) = LowRank::add(&self.graph, |node| stages[node.stage], rank, alpha)?;
        self.graph = graph;
        self.parameters.initialise(&self.graph, seed);
        self.low_rank = Some(low_rank);
        Ok(self)
    }

    /// With its low-rank pairs, if it has any, merged into the weights that they stand beside, and kept apart as an adapter.
    ///
    /// # Errors
    /// When a value is missing.
    pub fn merged(mut self) -> Result<Self, ModelError> {
        if let Some(low_rank) = self.low_rank.take() {
            let base = self.folder.display().to_string();
            let (graph, adapter) = low_rank.merged(&mut self.parameters, base)?;
            self.graph = graph;
            self.adapter = Some(adapter);
        }
        Ok(self)
    }

    /// Replaces the linear head by one hidden layer with ReLU: `HEAD.0`, `HEAD.2`. Their values are the caller's to set.
    ///
    /// # Errors
    /// When the graph cannot be built.
    pub fn with_hidden_layer(mut self, hidden: usize) -> Result<Self, ModelError> {
        let classes = self.settings.classes;
        self.graph = with_hidden_layer(&self.graph, &mut self.parameters, HEAD, hidden, classes)?;
        Ok(self)
    }
}

/// The front end of a folder; where it says nothing of one, that of the published weights for the network's sizes.
fn front_end(folder: &Path, settings: &Settings) -> Result<FilterBank, ModelError> {
    let mut front_end = match std::fs::read_to_string(folder.join("preprocessor_config.json")) {
        Ok(text) => FilterBank::from_json(&text)
            .map_err(|problem| ModelError::FrontEnd { path: folder.to_owned(), problem })?,
        Err(_) => FilterBank::default(),
    };
    // The network's own sizes are what its places are for.
    (front_end.num_mel_bins, front_end.max_length) = (settings.bins, settings.frames);
    Ok(front_end)
}
