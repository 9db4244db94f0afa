//! An encoder with its weights and a head.

use std::path::{Path, PathBuf};

use tk_engine::{EngineError, Graph, Parameters, Tensor};
use tk_transfer::checkpoint::{
    Checkpoint, LoadReport, Loaded, Need, ParameterRequest, Rule, Target, load_into,
};
use tk_transfer::data::LabelKind;

use super::adapter;
use super::folder::weights_in;
use super::sentence::Dense;
use super::{Folder, ModelError};
use crate::architectures::{Architecture, Config, Field, Head, Settings};
use crate::files;

/// sentence-transformers' name of its linear layer, and ours.
const DENSE_NAMES: Rule = Rule::Prefix { from: "linear.", to: "classifier." };

/// Which head a model starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// The one that the weights came with.
    Stored,
    /// A new one; the seed decides its values.
    New {
        /// The head.
        head: Head,
        /// The seed.
        seed: u64,
    },
}

/// An encoder, a head, and their weights.
#[derive(Clone, Debug)]
pub struct Model {
    /// What it is called in messages.
    pub name: String,
    /// How it is built.
    pub architecture: &'static Architecture,
    /// What it was built with.
    pub settings: Settings,
    /// The end of its graph.
    pub head: Head,
    /// Encoder and head.
    pub graph: Graph,
    /// Every parameter's value.
    pub parameters: Parameters,
    /// The configuration that the encoder came with.
    pub config: Config,
    /// Whether its embeddings are to be divided by their length.
    pub is_normalized: bool,
    /// The most tokens of a text, special ones included.
    pub max_length: usize,
    /// The classes' names, where the weights came with them and their head was kept.
    pub labels: Option<Vec<String>>,
    /// Whether its classes exclude each other.
    pub kind: LabelKind,
    /// What was loaded.
    pub report: LoadReport,
    /// A digest of where the weights came from.
    pub digest: String,
    /// Where the encoder and its tokenizer's files are.
    pub folder: PathBuf,
}

impl Model {
    /// Opens a folder as transformers, sentence-transformers or PEFT writes it. The base of an adapter is where the adapter says.
    ///
    /// # Errors
    /// When files are missing, damaged, or of another architecture; or the folder's own head is asked for and there is none.
    pub fn open(path: &Path, start: Start) -> Result<Self, ModelError> {
        match adapter::base_of(path)? {
            Some(base) => Self::open_adapter(path, &base, start),
            None => Self::load(&Folder::open(path)?, start),
        }
    }

    /// Opens a PEFT adapter, merged into the weights of its base.
    ///
    /// # Errors
    /// As [`Model::open`], and when the adapter does not fit the base, or does what is not built here.
    pub fn open_adapter(adapter: &Path, base: &Path, start: Start) -> Result<Self, ModelError> {
        let opened = adapter::Opened::read(adapter)?;
        let folder = Folder::open(base)?;
        let (head, seed) = match start {
            Start::New { head, seed } => (head, seed),
            Start::Stored => (opened.head(folder.architecture())?, 0),
        };
        let mut model = Self::load(&folder, Start::New { head, seed })?;
        opened.merge_into(&mut model, start == Start::Stored)?;
        if start == Start::Stored {
            model.labels = folder.labels()?.filter(|labels| Some(labels.len()) == head.classes());
            model.kind = folder.kind()?;
        }
        Ok(model)
    }

    /// Opens a folder whose small files have been read.
    ///
    /// # Errors
    /// As [`Model::open`].
    pub fn load(folder: &Folder, start: Start) -> Result<Self, ModelError> {
        let architecture = folder.architecture();
        let (head, seed) = match start {
            Start::New { head, seed } => (head, seed),
            Start::Stored => match folder.head()? {
                Some(head) => (head, 0),
                None => {
                    let (path, found) = (folder.path().to_owned(), folder.contents());
                    return Err(ModelError::NoHead { path, found });
                }
            },
        };
        let dense = folder.modules().and_then(|modules| modules.dense.as_ref());
        if let (Head::Embedding { .. }, Some(dense)) = (head, dense) {
            let problem =
                "embeddings through a linear layer; expected an encoder whose pooled vectors they are";
            return Err(ModelError::malformed(&dense.folder, problem));
        }
        let graph = architecture.build(folder.settings(), head)?;
        let name = folder.name();
        let checkpoint = files::checkpoint(&folder.weights()?)?;
        // A pooled head is stored in a file of its own.
        let keeps_head =
            start == Start::Stored && matches!(head, Head::Published { .. } | Head::Tokens { .. });
        let requests = requests(architecture, &graph, keeps_head);
        let target = Target { model: &name, parameters: &requests, rules: architecture.renames };
        let mut loaded = load_into(&target, &checkpoint)?;
        let mut digest = checkpoint.digest().to_hex().to_string();
        if let (Start::Stored, Head::Pooled { .. }, Some(dense)) = (start, head, dense) {
            let stored = files::checkpoint(&weights_in(&dense.folder)?)?;
            add_dense(&mut loaded, &target, dense, &stored)?;
            digest = format!("{digest} {}", stored.digest().to_hex());
        }
        let Loaded { values, report } = loaded;
        let mut parameters = Parameters::default();
        set_all(&mut parameters, &graph, values)?;
        parameters.initialise(&graph, seed);
        let labels = match start {
            Start::Stored => folder.labels()?.filter(|labels| Some(labels.len()) == head.classes()),
            Start::New { .. } => None,
        };
        let kind = match start {
            Start::Stored if head.classes().is_some() => folder.kind()?,
            _ => LabelKind::Single,
        };
        Ok(Self {
            name,
            architecture,
            settings: folder.settings().clone(),
            head,
            graph,
            parameters,
            config: folder.config().clone(),
            is_normalized: folder.is_normalized(),
            max_length: folder.max_length()?,
            labels,
            kind,
            report,
            digest,
            folder: folder.encoder().to_owned(),
        })
    }

    /// What the graph reads, in the order of its inputs.
    pub fn fields(&self) -> Vec<Field> {
        self.architecture.fields(&self.settings, self.head)
    }

    /// The name of the last linear layer, the prefix of its parameters; `None` without classes.
    pub fn head_name(&self) -> Option<&'static str> {
        self.architecture.head_name(self.head)
    }

    /// The position of the stage whose output, `[batch, width]`, is what probes learn from.
    pub fn features_stage(&self) -> usize {
        self.graph.stages().len().saturating_sub(if self.head.classes().is_some() { 2 } else { 1 })
    }

    /// The width of the features.
    pub fn feature_count(&self) -> usize {
        self.settings.width
    }
}

/// What a graph wants of the encoder's checkpoint. A pooler is older weights' own and new where there is none.
fn requests(architecture: &Architecture, graph: &Graph, keeps_head: bool) -> Vec<ParameterRequest> {
    let stages = graph.parameter_stages();
    let pooler = graph.stage("pooler").ok();
    let need = |name: &str, stage: usize| match () {
        () if keeps_head => Need::Required,
        () if architecture.is_of_head(name) => Need::NewHead,
        () if Some(stage) == pooler => Need::Optional,
        () => Need::Required,
    };
    graph
        .parameters()
        .iter()
        .zip(stages)
        .map(|(spec, stage)| ParameterRequest {
            name: spec.name.clone(),
            shape: spec.shape.clone(),
            need: need(&spec.name, stage),
        })
        .collect()
}

/// Adds the linear layer that sentence-transformers stores beside the encoder; it is the whole head.
fn add_dense(
    loaded: &mut Loaded,
    encoder: &Target<'_>,
    dense: &Dense,
    stored: &Checkpoint,
) -> Result<(), ModelError> {
    let of_head = encoder.parameters.iter().filter(|request| request.need == Need::NewHead);
    let requests: Vec<ParameterRequest> = of_head
        .map(|request| {
            let may_lack = request.shape.len() == 1 && !dense.has_bias;
            ParameterRequest {
                need: if may_lack { Need::Optional } else { Need::Required },
                ..request.clone()
            }
        })
        .collect();
    let target = Target { parameters: &requests, rules: &[DENSE_NAMES], ..*encoder };
    let head = load_into(&target, stored)?;
    let is_of_head = |name: &str| requests.iter().any(|request| request.name == name);
    loaded.values.extend(head.values);
    let report = &mut loaded.report;
    report.loaded += head.report.loaded;
    report.renamed += head.report.renamed;
    report.replaced.retain(|replaced| !is_of_head(&replaced.name));
    report.initialised.retain(|initialised| !is_of_head(&initialised.name));
    report.initialised.extend(head.report.initialised);
    Ok(())
}

/// Sets parameters of a graph to values in the order of their shapes.
pub(super) fn set_all(
    parameters: &mut Parameters,
    graph: &Graph,
    values: Vec<(String, Vec<f32>)>,
) -> Result<(), EngineError> {
    for (name, values) in values {
        let spec = graph.parameter(&name).and_then(|index| graph.parameters().get(index));
        let spec = spec.ok_or_else(|| EngineError::MissingParameter { name: name.clone() })?;
        parameters.set(&name, Tensor::new(&spec.shape, values)?);
    }
    Ok(())
}
