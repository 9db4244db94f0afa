//! From a folder of transformers to a model.

use std::path::Path;

use tk_engine::graph::ParameterSpec;
use tk_engine::{Parameters, Tensor};
use tk_transfer::checkpoint::{Checkpoint, Need, ParameterRequest, Target, load_into};
use tk_transfer::data::LabelKind;
use tk_transfer::hub::folder_name;

use super::{Head, Model, ModelError};
use crate::architectures::speech::End;
use crate::architectures::{Config, Start, StartError};
use crate::features::front_end_json;

/// What stands for masked frames when transformers trains wav2vec 2.0 and HuBERT; the graph masks none.
const MASK: &str = "masked_spec_embed";

/// The name under which the embedded default is asked for and shown.
pub const EMBEDDED: &str = "sound";

static EMBEDDED_WEIGHTS: &[u8] = include_bytes!("../../../../weights/recordings/model.safetensors");
static EMBEDDED_CONFIG: &str = include_str!("../../../../weights/recordings/config.json");
static EMBEDDED_FRONT_END: &str = include_str!("../../../../weights/recordings/preprocessor_config.json");

impl Model {
    /// Opens a folder with `config.json`, weights and perhaps `preprocessor_config.json`, as transformers writes it. Of whole Whisper
    /// networks the encoder is taken. [`EMBEDDED`] means the default that this library carries; a folder of that name is `./sound`.
    ///
    /// # Errors
    /// When files are missing, damaged, or of another network; or the published head is asked for and there is none.
    pub fn open(folder: &Path, head: Head) -> Result<Self, ModelError> {
        let missing =
            |reason: &str| ModelError::Missing { path: folder.to_owned(), reason: reason.to_owned() };
        if folder == Path::new(EMBEDDED) {
            let weights = Checkpoint::from_bytes(EMBEDDED, EMBEDDED_WEIGHTS)?;
            return Self::from_files(folder, EMBEDDED_CONFIG, Some(EMBEDDED_FRONT_END), &weights, head);
        }
        if !folder.is_dir() {
            return Err(missing("no such folder"));
        }
        let config = std::fs::read_to_string(folder.join("config.json"))
            .map_err(|_| missing("it has no readable config.json, which names the network"))?;
        let weights = Checkpoint::find_in(folder).ok_or_else(|| {
            missing("it has no model.safetensors, whole or sharded, and no pytorch_model.bin")
        })?;
        Self::from_files(
            folder,
            &config,
            front_end_json(folder).as_deref(),
            &Checkpoint::open(weights)?,
            head,
        )
    }

    /// A model of its files' contents; the folder is what it is called by.
    fn from_files(
        folder: &Path,
        config: &str,
        front_end: Option<&str>,
        checkpoint: &Checkpoint,
        head: Head,
    ) -> Result<Self, ModelError> {
        let missing =
            |reason: &str| ModelError::Missing { path: folder.to_owned(), reason: reason.to_owned() };
        let fail = |problem| ModelError::Config { path: folder.to_owned(), problem };
        let config = Config::from_json(config).map_err(fail)?;
        let start = Start::read(&config, front_end).map_err(|error| match error {
            StartError::Config(problem) => fail(problem),
            StartError::FrontEnd(problem) => ModelError::FrontEnd { path: folder.to_owned(), problem },
        })?;
        let Start { architecture, front_end } = start;
        let (end, seed, labels, kind) = match head {
            Head::New { classes, seed } => (End::Published { classes }, seed, None, LabelKind::Single),
            Head::Probe { classes, seed } => (End::Probe { classes }, seed, None, LabelKind::Single),
            Head::Published if !config.has_head() => {
                return Err(missing("its weights have no classifier; train one first"));
            }
            Head::Published => {
                let labels = config.labels().map_err(fail)?;
                let classes = labels.as_ref().map_or(2, Vec::len);
                (End::Published { classes }, 0, labels, config.kind().map_err(fail)?)
            }
        };
        let graph = architecture.build(end)?;
        let name = folder_name(folder);
        let head_prefix = format!("{}.", architecture.head());
        let need = |parameter: &str| match head {
            Head::Published => Need::Required,
            _ if parameter.starts_with(&head_prefix) => Need::NewHead,
            // The encoder alone has neither a classifier's norm nor a projector.
            _ if parameter.starts_with("classifier.") || parameter.starts_with("projector.") => {
                Need::Optional
            }
            _ => Need::Required,
        };
        let request = |spec: &ParameterSpec| ParameterRequest {
            name: spec.name.clone(),
            shape: spec.shape.clone(),
            need: need(&spec.name),
        };
        let requests: Vec<ParameterRequest> = graph.parameters().iter().map(request).collect();
        let target = Target { model: &name, parameters: &requests, rules: architecture.renames() };
        let loaded = load_into(&target, checkpoint)?;
        let mut parameters = Parameters::default();
        for (parameter, values) in loaded.values {
            let index = graph.parameter(&parameter);
            let shape = index.map(|index| graph.parameters()[index].shape.clone()).unwrap_or_default();
            parameters.set(&parameter, Tensor::new(&shape, values)?);
        }
        parameters.initialise(&graph, seed);
        let mut kept = Vec::new();
        if let Some(tensor) = checkpoint.names().find(|name| name.rsplit('.').next() == Some(MASK)) {
            let values = checkpoint.f32(tensor)?;
            kept.push((architecture.published_name(MASK), Tensor::new(&[values.len()], values)?));
        }
        Ok(Self {
            name,
            config,
            architecture,
            end,
            front_end,
            graph,
            parameters,
            kept,
            labels,
            kind,
            report: loaded.report,
            digest: checkpoint.digest().to_hex().to_string(),
            folder: folder.to_owned(),
            low_rank: None,
            adapter: None,
        })
    }
}
