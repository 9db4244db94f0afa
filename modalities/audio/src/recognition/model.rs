//! A network with a layer of CTC, as transformers publishes it for `Wav2Vec2ForCTC` and `HubertForCTC`.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use tk_engine::{EngineError, Graph, Parameters, Tensor};
use tk_transfer::checkpoint::{
    CheckpointError, LoadError, LoadReport, Need, ParameterRequest, Target, load_into,
};
use tk_transfer::classification::HeadForm;
use tk_transfer::earlier_head::EarlierHead;
use tk_transfer::low_rank::{Adapter, LowRank};

use super::files::Files;
use super::{Vocabulary, VocabularyError};
use crate::architectures::speech::{
    ArchitectureError, FeatureNorm, MASKED, Padding, RENAMES, Speech, SpeechHead,
};
use crate::features::{FrontEndError, Waveform};

/// The layer of CTC.
pub(super) const HEAD: &str = "lm_head";

/// A network and its weights.
#[derive(Clone, Debug)]
pub struct SpeechModel {
    /// What it is called in messages.
    pub name: String,
    /// `config.json`.
    pub config: Map<String, Value>,
    /// What it was built with.
    pub speech: Speech,
    /// How sounds become its input.
    pub front_end: Waveform,
    /// What it is told of padding.
    pub padding: Padding,
    /// What its frames spell.
    pub vocabulary: Vocabulary,
    /// Backbone and layer of CTC.
    pub graph: Graph,
    /// Every parameter's value.
    pub parameters: Parameters,
    /// What was loaded; `None` for random weights.
    pub report: Option<LoadReport>,
    /// A digest of where the weights came from.
    pub digest: String,
    /// Where they are, for whoever opens an adapter.
    pub base: String,
    /// The low-rank pairs that it trains with.
    pub low_rank: Option<LowRank>,
    /// The low-rank pairs that were merged into its weights.
    pub adapter: Option<Adapter>,
}

/// What frames shall spell.
#[derive(Clone)]
pub enum SymbolChoice<'a> {
    /// What they were trained to; an error where they were not.
    Published,
    /// This; rows of symbols that the published layer has too are kept.
    Given(&'a Vocabulary),
    /// What they were trained to, where that spells all these texts, else the texts' own characters.
    Fitting(&'a dyn Fn(&Vocabulary) -> bool, &'a dyn Fn() -> Vocabulary),
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
    #[error("{model}: {problem}")]
    Architecture {
        /// The model.
        model: String,
        /// What is wrong.
        problem: ArchitectureError,
    },
    /// A front end that cannot be followed.
    #[error("{model}: {problem}")]
    FrontEnd {
        /// The model.
        model: String,
        /// What is wrong.
        problem: FrontEndError,
    },
    /// Symbols that cannot be read.
    #[error(transparent)]
    Vocabulary(#[from] VocabularyError),
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

impl SpeechModel {
    /// Opens a folder as transformers writes it, or by its name, [`EMBEDDED`](super::EMBEDDED), the default that this library carries (a folder
    /// of that name is `./speech`). Its frames spell what is chosen; the seed decides the values of a new layer.
    ///
    /// # Errors
    /// When files are missing, damaged, or of another network.
    pub fn open(folder: &Path, symbols: &SymbolChoice<'_>, seed: u64) -> Result<Self, ModelError> {
        Self::from_files(Files::open(folder)?, symbols, seed)
    }

    fn from_files(files: Files, symbols: &SymbolChoice<'_>, seed: u64) -> Result<Self, ModelError> {
        let name = files.name.clone();
        let missing =
            |reason: &str| ModelError::Missing { path: files.path.clone(), reason: reason.to_owned() };
        let architecture = |problem| ModelError::Architecture { model: name.clone(), problem };
        let speech = Speech::from_json(&files.config).map_err(architecture)?;
        let front_end = match &files.front_end {
            Some(text) => Waveform::from_json(text)
                .map_err(|problem| ModelError::FrontEnd { model: name.clone(), problem })?,
            None => Waveform::default(),
        };
        let padding = padding(&front_end, &speech);
        let published = files.vocabulary()?;
        let vocabulary = match (symbols, &published) {
            (SymbolChoice::Published, None) => {
                return Err(missing(
                    "it has no layer of CTC (`lm_head`) with its vocab.json; train one first",
                ));
            }
            (SymbolChoice::Published, Some(own)) => own.clone(),
            (SymbolChoice::Given(given), _) => (*given).clone(),
            (SymbolChoice::Fitting(fits, _), Some(own)) if fits(own) => own.clone(),
            (SymbolChoice::Fitting(_, make), _) => make(),
        };
        let build = |symbols: usize| speech.build(SpeechHead::Ctc { symbols }, padding).map_err(architecture);
        // As published first, so that rows of symbols can be taken over.
        let trained = published.as_ref().map_or(vocabulary.len(), Vocabulary::len);
        let mut graph = build(trained)?;
        let head = format!("{HEAD}.");
        let request = |spec: &tk_engine::graph::ParameterSpec| ParameterRequest {
            name: spec.name.clone(),
            shape: spec.shape.clone(),
            need: match published {
                None if spec.name.starts_with(&head) => Need::NewHead,
                _ => Need::Required,
            },
        };
        let requests: Vec<ParameterRequest> = graph.parameters().iter().map(request).collect();
        let target = Target { model: &name, parameters: &requests, rules: RENAMES };
        let mut loaded = load_into(&target, &files.weights)?;
        let mut parameters = Parameters::default();
        for (parameter, values) in std::mem::take(&mut loaded.values) {
            let index = graph.parameter(&parameter);
            let shape = index.map(|index| graph.parameters()[index].shape.clone()).unwrap_or_default();
            parameters.set(&parameter, Tensor::new(&shape, values)?);
        }
        if let Some(published) = published.filter(|published| *published != vocabulary) {
            let names = published.shared_names();
            let earlier =
                EarlierHead::of(HeadForm::Linear, names, &parameters, |name| name.starts_with(&head));
            graph = build(vocabulary.len())?;
            ["weight", "bias"].iter().for_each(|part| parameters.remove(&format!("{head}{part}")));
            parameters.initialise(&graph, seed);
            loaded.report.kept = earlier.keep(&mut parameters, HEAD, &vocabulary.shared_names())?;
        }
        parameters.initialise(&graph, seed);
        let config = serde_json::from_str(&files.config).map_err(|error| architecture(error.into()))?;
        Ok(Self {
            config,
            speech,
            front_end,
            padding,
            vocabulary,
            graph,
            parameters,
            report: Some(loaded.report),
            digest: files.weights.digest().to_hex().to_string(),
            base: files.path.display().to_string(),
            low_rank: None,
            adapter: None,
            name,
        })
    }

    /// A network of `config.json` with random weights.
    ///
    /// # Errors
    /// When the configuration cannot be followed.
    pub fn random(
        config: &str,
        front_end: Waveform,
        vocabulary: Vocabulary,
        seed: u64,
    ) -> Result<Self, ModelError> {
        let name = "random weights".to_owned();
        let architecture = |problem| ModelError::Architecture { model: name.clone(), problem };
        let speech = Speech::from_json(config).map_err(architecture)?;
        let padding = padding(&front_end, &speech);
        let head = SpeechHead::Ctc { symbols: vocabulary.len() };
        let graph = speech.build(head, padding).map_err(architecture)?;
        let mut parameters = Parameters::default();
        parameters.initialise(&graph, seed);
        let digest = blake3_of(&format!("random {seed} {}", graph.digest()));
        let config = serde_json::from_str(config).map_err(|error| architecture(error.into()))?;
        let (low_rank, adapter, base) = (None, None, String::new());
        let report = None;
        Ok(Self {
            name,
            config,
            speech,
            front_end,
            padding,
            vocabulary,
            graph,
            parameters,
            report,
            digest,
            base,
            low_rank,
            adapter,
        })
    }

    /// The same network with random values in place of all that were loaded.
    #[must_use]
    pub fn from_scratch(mut self, seed: u64) -> Self {
        self.parameters = Parameters::default();
        self.parameters.initialise(&self.graph, seed);
        self.report = None;
        self.digest = blake3_of(&format!("random {seed} {}", self.graph.digest()));
        self
    }

    /// The stage of the layer of CTC, and the prefix of its parameters.
    pub fn head(&self) -> &'static str {
        HEAD
    }

    /// Whether it is told which frames are padding.
    pub fn is_masked(&self) -> bool {
        self.padding == Padding::Masked
    }

    /// How many frames so many samples become; 0 where they are too few for one.
    pub fn frames(&self, samples: usize) -> usize {
        self.speech.features.frames(samples)
    }

    /// Seconds from one frame to the next.
    pub fn seconds_per_frame(&self) -> f64 {
        self.stride() as f64 / f64::from(self.front_end.sampling_rate)
    }

    /// Samples from one frame to the next.
    pub fn stride(&self) -> usize {
        self.speech.features.convolutions.iter().map(|[_, _, stride]| stride).product()
    }

    /// The graph's inputs for sounds that went through the front end, padded to the longest.
    ///
    /// # Errors
    /// When there are none.
    pub fn inputs(&self, waves: &[&[f32]]) -> tk_engine::Result<Vec<Tensor>> {
        let length = waves.iter().map(|wave| wave.len()).max().unwrap_or(0);
        let mut padded = vec![0.0; waves.len() * length];
        for (row, wave) in padded.chunks_exact_mut(length.max(1)).zip(waves) {
            row[..wave.len()].copy_from_slice(wave);
        }
        let batch = waves.len();
        let mut inputs = vec![Tensor::new(&[batch, length, 1], padded)?];
        if self.is_masked() {
            let frames = self.frames(length);
            let (mut is_frame, mut mask) = (vec![1.0; batch * frames], vec![0.0; batch * frames]);
            for (row, wave) in waves.iter().enumerate() {
                let own = self.frames(wave.len());
                is_frame[row * frames + own..(row + 1) * frames].fill(0.0);
                mask[row * frames + own..(row + 1) * frames].fill(MASKED);
            }
            inputs.push(Tensor::new(&[batch, frames, 1], is_frame)?);
            inputs.push(Tensor::new(&[batch, 1, 1, frames], mask)?);
        }
        Ok(inputs)
    }

    /// With low-rank pairs beside every layer of the transformer that can have one; the seed decides their values.
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
            let (graph, adapter) = low_rank.merged(&mut self.parameters, self.base.clone())?;
            self.graph = graph;
            self.adapter = Some(adapter);
        }
        Ok(self)
    }

    /// `config.json` of this model, as transformers reads it.
    pub(super) fn written_config(&self) -> Map<String, Value> {
        let mut fields = self.config.clone();
        for name in ["dtype", "torch_dtype"] {
            if let Some(dtype) = fields.get_mut(name) {
                *dtype = json!("float32");
            }
        }
        let class = if self.speech.model_type == "hubert" { "HubertForCTC" } else { "Wav2Vec2ForCTC" };
        let number = |symbol: &str| self.vocabulary.symbols().iter().position(|own| own == symbol);
        fields.extend([
            ("architectures".to_owned(), json!([class])),
            ("vocab_size".to_owned(), json!(self.vocabulary.len())),
            ("pad_token_id".to_owned(), json!(self.vocabulary.blank())),
            ("bos_token_id".to_owned(), json!(number("<s>").unwrap_or(0))),
            ("eos_token_id".to_owned(), json!(number("</s>").unwrap_or(0))),
            ("ctc_loss_reduction".to_owned(), json!("mean")),
            // What masks frames in transformers' training is no part of these weights.
            ("mask_time_prob".to_owned(), json!(0.0)),
            ("mask_feature_prob".to_owned(), json!(0.0)),
        ]);
        fields
    }
}

/// What a network is told of padding: what its front end says, else what its family is trained with.
fn padding(front_end: &Waveform, speech: &Speech) -> Padding {
    let said = front_end.other.get("return_attention_mask").and_then(Value::as_bool);
    match said.unwrap_or(speech.features.norm == FeatureNorm::Layer) {
        true => Padding::Masked,
        false => Padding::Ignored,
    }
}

fn blake3_of(text: &str) -> String {
    tk_transfer::data::Digest::of(text.as_bytes()).to_string()
}
