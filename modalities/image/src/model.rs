//! A network with its weights: from a folder as timm writes it, from a checkpoint file, or the embedded default.

use std::fmt;
use std::path::{Path, PathBuf};

use tk_engine::{EngineError, Graph, Parameters, Tensor};
use tk_transfer::checkpoint::{
    Checkpoint, CheckpointError, LoadError, LoadReport, Need, ParameterRequest, Target, load_into, tensor_of,
};
use tk_transfer::classification::with_hidden_layer;
use tk_transfer::data::LabelKind;
use tk_transfer::hub::folder_name;
use tk_transfer::low_rank::{Adapter, LowRank};

use crate::architectures::{
    Architecture, ArchitectureError, Body, Config, ConfigError, ImageSize, Settings, find,
};
use crate::catalog;
use crate::data::Preprocess;
use crate::positions::{POSITIONS, other_square, resample};

/// The name under which the embedded default is asked for and shown.
pub const EMBEDDED: &str = "small";

/// The embedded default: its weights and its configuration.
static EMBEDDED_WEIGHTS: &[u8] = include_bytes!("../../../weights/small/model.safetensors");
static EMBEDDED_CONFIG: &str = include_str!("../../../weights/small/config.json");

/// Where weights come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The default that this library carries.
    Embedded,
    /// A folder with `config.json` and `model.safetensors` (or its shards, or `pytorch_model.bin`).
    Folder(PathBuf),
    /// A checkpoint file of the named architecture.
    File {
        /// timm's name; a tag says which published weights' preprocessing is meant.
        architecture: String,
        /// The checkpoint.
        path: PathBuf,
    },
    /// The named architecture with random weights, for comparison.
    Random(String),
}

impl fmt::Display for Origin {
    /// The weights' name, or where they are.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded => formatter.write_str(EMBEDDED),
            Self::Random(name) => formatter.write_str(name),
            Self::Folder(path) | Self::File { path, .. } => {
                write!(formatter, "{}", std::path::absolute(path).as_ref().unwrap_or(path).display())
            }
        }
    }
}

/// A network and its weights.
#[derive(Clone, Debug)]
pub struct Model {
    /// What it is called in messages.
    pub name: String,
    /// How it is built.
    pub architecture: &'static Architecture,
    /// What it was built with.
    pub settings: Settings,
    /// Backbone and head.
    pub graph: Graph,
    /// Every parameter's value.
    pub parameters: Parameters,
    /// How pictures become its input.
    pub preprocess: Preprocess,
    /// The classes' names, where the weights came with them and their head was kept.
    pub labels: Option<Vec<String>>,
    /// Whether its classes exclude each other.
    pub kind: LabelKind,
    /// What was loaded; `None` for random weights.
    pub report: Option<LoadReport>,
    /// A digest of where the weights came from.
    pub digest: String,
    /// Whether its head says anything: not so of weights that were published without one.
    pub has_head: bool,
    /// Where the weights came from: a name, a folder or a file.
    pub base: String,
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
    /// An unknown architecture, or settings that it does not have.
    #[error(transparent)]
    Architecture(#[from] ArchitectureError),
    /// A configuration that cannot be followed.
    #[error(transparent)]
    Config(#[from] ConfigError),
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
    /// The one that the weights came with; where they came without, one that [`Model::has_head`] tells apart.
    Published,
    /// A new one for this many classes; the seed decides its values.
    New {
        /// The count of classes.
        classes: usize,
        /// The seed.
        seed: u64,
    },
}

/// What a checkpoint's publisher says of it.
struct Published {
    name: String,
    architecture: &'static Architecture,
    settings: Settings,
    preprocess: Preprocess,
    labels: Option<Vec<String>>,
    kind: LabelKind,
}

impl Model {
    /// Opens a model.
    ///
    /// # Errors
    /// When the weights are missing, damaged, or of another architecture.
    pub fn open(origin: &Origin, head: Head) -> Result<Self, ModelError> {
        let model = Self::opened(origin, head)?;
        Ok(Self { base: origin.to_string(), ..model })
    }

    fn opened(origin: &Origin, head: Head) -> Result<Self, ModelError> {
        match origin {
            Origin::Embedded => {
                let checkpoint = Checkpoint::from_bytes(EMBEDDED, EMBEDDED_WEIGHTS)?;
                let config = Config::from_json(EMBEDDED_CONFIG)?;
                Self::from_parts(EMBEDDED.to_owned(), &config, &checkpoint, head)
            }
            Origin::Folder(folder) => {
                let (config, weights) = folder_files(folder)?;
                Self::from_parts(folder_name(folder), &config, &Checkpoint::open(&weights)?, head)
            }
            Origin::File { architecture, path } => {
                if !path.is_file() {
                    return Err(ModelError::Missing { path: path.clone(), reason: "no such file".into() });
                }
                let found = find(architecture)?;
                let checkpoint = Checkpoint::open(path)?;
                let head_weight = format!("{}.weight", found.head);
                let rows =
                    tensor_of(&checkpoint, found.renames, &head_weight)?.and_then(|info| info.shape.first());
                let preprocess = catalog::find(architecture).map(catalog::Entry::preprocess);
                let published = Published {
                    name: architecture.clone(),
                    architecture: found,
                    settings: Settings::classes(rows.copied().unwrap_or(0)),
                    preprocess: preprocess.unwrap_or_else(|| found.preprocess()),
                    labels: None,
                    kind: LabelKind::Single,
                };
                Self::load(published, &checkpoint, head)
            }
            Origin::Random(name) => {
                let architecture = find(name)?;
                let (classes, seed) = match head {
                    Head::Published => (1000, 0),
                    Head::New { classes, seed } => (classes, seed),
                };
                let settings = Settings::classes(classes);
                let graph = architecture.build(&settings)?;
                let parameters = Parameters::initial(&graph, seed);
                let preprocess = architecture.preprocess();
                let (name, digest) = (format!("{name} (random weights)"), format!("random {seed}"));
                Ok(Self {
                    name,
                    architecture,
                    settings,
                    graph,
                    parameters,
                    preprocess,
                    labels: None,
                    kind: LabelKind::Single,
                    report: None,
                    digest,
                    has_head: true,
                    base: String::new(),
                    low_rank: None,
                    adapter: None,
                })
            }
        }
    }

    fn from_parts(
        name: String,
        config: &Config,
        checkpoint: &Checkpoint,
        head: Head,
    ) -> Result<Self, ModelError> {
        let (architecture, settings) = config.network()?;
        let (preprocess, labels, kind) = (config.preprocess()?, config.labels()?, config.kind()?);
        Self::load(Published { name, architecture, settings, preprocess, labels, kind }, checkpoint, head)
    }

    fn load(published: Published, checkpoint: &Checkpoint, head: Head) -> Result<Self, ModelError> {
        let Published { name, architecture, mut settings, preprocess, mut labels, mut kind } = published;
        let (mut seed, has_head) = (0, head != Head::Published || settings.classes > 0);
        match head {
            Head::New { classes, seed: given } => {
                settings.classes = classes;
                seed = given;
                (labels, kind) = (None, LabelKind::Single);
            }
            // A graph has a head; where none was published, nobody may read this one.
            Head::Published if !has_head => settings.classes = 1,
            Head::Published => {}
        }
        // timm too takes a thousand classes without names for ImageNet's.
        if head == Head::Published
            && labels.is_none()
            && settings.classes == catalog::imagenet_classes().len()
        {
            labels = Some(catalog::imagenet_classes().map(str::to_owned).collect());
        }
        let asked = settings.model_args.img_size.map_or(preprocess.input_size, ImageSize::sides);
        if architecture.family.body == Body::Tokens {
            settings.model_args.img_size = Some(asked.into());
        }
        let mut graph = architecture.build(&settings)?;
        // Embeddings of other places than those asked for are loaded for the square that they were trained for, and then resampled.
        if architecture.family.body == Body::Tokens
            && let Some(info) = tensor_of(checkpoint, architecture.renames, POSITIONS)?
            && let Some(side) = other_square(&graph, &info.shape)
        {
            settings.model_args.img_size = Some(ImageSize::Square(side));
            graph = architecture.build(&settings)?;
        }
        let prefix = format!("{}.", architecture.head);
        let is_new = head != Head::Published || !has_head;
        let need = |parameter: &str| match is_new && parameter.starts_with(&prefix) {
            true => Need::NewHead,
            false => Need::Required,
        };
        let requests: Vec<ParameterRequest> = graph
            .parameters()
            .iter()
            .map(|spec| ParameterRequest {
                name: spec.name.clone(),
                shape: spec.shape.clone(),
                need: need(&spec.name),
            })
            .collect();
        let target = Target { model: &name, parameters: &requests, rules: architecture.renames };
        let loaded = load_into(&target, checkpoint)?;
        let mut parameters = Parameters::default();
        for (parameter, values) in loaded.values {
            let shape = graph
                .parameter(&parameter)
                .map(|index| graph.parameters()[index].shape.clone())
                .unwrap_or_default();
            parameters.set(&parameter, Tensor::new(&shape, values)?);
        }
        parameters.initialise(&graph, seed);
        let digest = checkpoint.digest().to_hex().to_string();
        let model = Self {
            name,
            architecture,
            settings,
            graph,
            parameters,
            preprocess,
            labels,
            kind,
            report: Some(loaded.report),
            digest,
            has_head,
            base: String::new(),
            low_rank: None,
            adapter: None,
        };
        match architecture.family.body {
            Body::Tokens => model.resized(asked),
            Body::Map => Ok(model),
        }
    }

    /// The same model for pixels of another height and width. Embeddings of places are resampled, as timm does.
    ///
    /// # Errors
    /// When the network cannot be built for this size.
    pub fn resized(mut self, [height, width]: [u32; 2]) -> Result<Self, ModelError> {
        let was = self.settings.model_args.img_size.map_or(self.preprocess.input_size, ImageSize::sides);
        let sides = [height, width];
        self.preprocess.input_size = sides;
        self.preprocess.check().map_err(ConfigError::from)?;
        if self.architecture.family.body == Body::Tokens {
            self.settings.model_args.img_size = Some(sides.into());
            if was != sides {
                self.graph = self.architecture.build(&self.settings)?;
                let embeddings = resample(&self.graph, self.parameters.get(POSITIONS)?, [was, sides])?;
                self.parameters.set(POSITIONS, embeddings);
            }
        }
        Ok(self)
    }

    /// The position of the last stage of the backbone, whose output is what probes learn from.
    pub fn features_stage(&self) -> usize {
        self.graph.stages().len().saturating_sub(2)
    }

    /// The width of the features.
    pub fn feature_count(&self) -> usize {
        let name = format!("{}.weight", self.architecture.head);
        self.graph.parameter(&name).map_or(0, |index| self.graph.parameters()[index].shape[1])
    }

    /// With low-rank pairs beside every layer of the backbone that can have one; the seed decides their values.
    ///
    /// # Errors
    /// When no layer can have one.
    pub fn with_low_rank(mut self, rank: usize, alpha: f64, seed: u64) -> Result<Self, ModelError> {
        let head = self.graph.stages().len().saturating_sub(1);
        let (low_rank, graph) = LowRank::add(&self.graph, |node| node.stage < head, rank, alpha)?;
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

    /// Replaces the linear head by one hidden layer with ReLU: `HEAD.0`, `HEAD.2`. Their values are the caller's to set.
    ///
    /// # Errors
    /// When the graph cannot be built.
    pub fn with_hidden_layer(mut self, hidden: usize) -> Result<Self, ModelError> {
        let head = self.architecture.head;
        let classes = self.settings.classes;
        self.graph = with_hidden_layer(&self.graph, &mut self.parameters, head, hidden, classes)?;
        Ok(self)
    }
}

/// The configuration and the weights file of a folder.
fn folder_files(folder: &Path) -> Result<(Config, PathBuf), ModelError> {
    let missing = |reason: &str| ModelError::Missing { path: folder.to_owned(), reason: reason.to_owned() };
    if !folder.is_dir() {
        return Err(missing("no such folder"));
    }
    let text = std::fs::read_to_string(folder.join("config.json")).map_err(|_| {
        missing(
            "it has no readable config.json; a checkpoint alone needs its architecture: ARCHITECTURE=FILE",
        )
    })?;
    let config = Config::from_json(&text)?;
    let weights = Checkpoint::find_in(folder);
    Ok((
        config,
        weights.ok_or_else(|| {
            missing("it has no model.safetensors, whole or sharded, and no pytorch_model.bin")
        })?,
    ))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use tk_transfer::checkpoint::{Precision, SaveTensor, save};

    #[test]
    fn a_tag_says_how_pixels_become_input() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.safetensors");
        let model = Model::open(&Origin::Random("resnet18".into()), Head::Published).unwrap();
        let tensors: Vec<SaveTensor> = model
            .parameters
            .iter()
            .map(|(name, tensor)| SaveTensor {
                name,
                shape: tensor.shape(),
                values: tensor.as_f32().unwrap(),
            })
            .collect();
        save(&path, &tensors, Precision::F32, &Default::default()).unwrap();
        let mut found = Vec::new();
        for name in ["resnet18.a1_in1k", "resnet18.tv_in1k", "resnet18.unknown", "resnet18"] {
            let origin = Origin::File { architecture: name.into(), path: path.clone() };
            found.push(Model::open(&origin, Head::Published).unwrap().preprocess);
        }
        assert_eq!(
            Some(&found[1]),
            catalog::find("resnet18.tv_in1k").map(catalog::Entry::preprocess).as_ref()
        );
        assert_ne!(found[0], found[1]);
        assert!(found[2] == found[0] && found[3] == found[0]);
    }
}
