//! A published encoder with its tokenizer, as adapting sees it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tk_engine::{Graph, Parameters, Tensor};
use tk_image::data::Level;
use tk_text::EMBEDDED;
use tk_text::architectures::{Head as Shape, Pooling};
use tk_text::data::{Layout, Tokenizer, Tokens};
use tk_text::model::{Folder, Model, Start};
use tk_transfer::checkpoint::LoadReport;
use tk_transfer::classification::HeadForm;
use tk_transfer::data::LabelKind;
use tk_transfer::earlier_head::EarlierHead;
use tk_transfer::fit::Schedule;
use tk_transfer::low_rank::{Adapter, LowRank};

use super::model_name::resolve;
use crate::classify::{Defaults, Error, Head, HeadInit, ModeName, Network, Settings};
use crate::hub::{self, Hub, Repository};

/// Tokens of the blank texts that speed is measured with.
const USUAL_TOKENS: usize = 32;

/// An encoder and its tokenizer.
#[derive(Clone)]
pub struct Encoder {
    pub(crate) inner: Model,
    pub(crate) tokenizer: Arc<Tokenizer>,
    low_rank: Option<LowRank>,
    pub(crate) adapter: Option<Adapter>,
}

impl Encoder {
    /// Opens the model that settings name with a new head, and completes the settings that are about it.
    pub(super) fn open(
        settings: &mut Settings,
        hub: &Hub,
        mode: ModeName,
        head: Head,
        classes: usize,
    ) -> Result<Self, Error> {
        let folder = open_folder(settings, hub)?;
        // What a probe reads is a sentence's embedding; what trains whole is the classifier that transformers publishes.
        let is_pooled = matches!(mode, ModeName::Features | ModeName::Contrastive) || head == Head::Mlp;
        let head = match (is_pooled, settings.pooling.as_deref()) {
            (true, said) => {
                let pooling = match said {
                    None => folder.pooling(),
                    Some("mean") => Pooling::Mean,
                    Some("cls") => Pooling::Cls,
                    Some(other) => {
                        return Err(Error::usage(format!("`pooling` is `{other}`; expected mean or cls")));
                    }
                };
                settings.pooling = Some(if pooling == Pooling::Mean { "mean" } else { "cls" }.to_owned());
                Shape::Pooled { pooling, classes }
            }
            (false, None) => Shape::Published { classes },
            (false, Some(_)) => {
                return Err(Error::usage_with(
                    format!(
                        "`pooling` has no effect in {} mode, whose head is the published one",
                        mode.name()
                    ),
                    "leave it out, or say --mode features",
                ));
            }
        };
        Self::with_head(settings, &folder, head, mode)
    }

    /// Opens the model that settings name with a layer over every token, which tells `tags`; rows of tags that a tagger's own layer knows are kept.
    pub(crate) fn for_tags(
        settings: &mut Settings,
        hub: &Hub,
        mode: ModeName,
        tags: &[String],
    ) -> Result<Self, Error> {
        let folder = open_folder(settings, hub)?;
        let mut encoder = Self::with_head(settings, &folder, Shape::Tokens { classes: tags.len() }, mode)?;
        encoder.tokenizer = Arc::new(Arc::unwrap_or_clone(encoder.tokenizer).for_words()?);
        if let Some(Shape::Tokens { .. }) = folder.head()? {
            let stored = Model::load(&folder, Start::Stored)?;
            let is_of_head = |name: &str| stored.architecture.is_of_head(name);
            if let Some(labels) = stored.labels.clone() {
                let earlier = EarlierHead::of(HeadForm::Linear, labels, &stored.parameters, is_of_head);
                let head = encoder.inner.head_name().unwrap_or_default();
                encoder.inner.report.kept = earlier.keep(&mut encoder.inner.parameters, head, tags)?;
            }
        }
        encoder.inner.labels = Some(tags.to_vec());
        Ok(encoder)
    }

    fn with_head(
        settings: &mut Settings,
        folder: &Folder,
        head: Shape,
        mode: ModeName,
    ) -> Result<Self, Error> {
        let inner = Model::load(folder, Start::New { head, seed: settings.seed.unwrap_or(0) })?;
        let mut tokenizer = Tokenizer::open(&inner.folder)?;
        let most = settings.max_tokens.unwrap_or_else(|| inner.max_length.min(tokenizer.max_length()));
        tokenizer.set_max_length(most)?;
        tokenizer.check(inner.settings.vocabulary)?;
        settings.max_tokens = Some(most);
        let encoder = Self { inner, tokenizer: Arc::new(tokenizer), low_rank: None, adapter: None };
        if mode == ModeName::Lora { encoder.with_low_rank(settings) } else { Ok(encoder) }
    }

    /// With low-rank pairs beside every linear layer of the encoder.
    fn with_low_rank(mut self, settings: &mut Settings) -> Result<Self, Error> {
        let (rank, alpha) = settings.low_rank()?;
        let stages: Vec<bool> =
            self.inner.graph.stages().iter().map(|stage| stage.name.starts_with("layer")).collect();
        let (low_rank, graph) = LowRank::add(&self.inner.graph, |node| stages[node.stage], rank, alpha)?;
        self.inner.graph = graph;
        self.inner.parameters.initialise(&self.inner.graph, settings.seed.unwrap_or(0));
        self.low_rank = Some(low_rank);
        Ok(self)
    }

    /// How token numbers become the graph's inputs.
    pub(crate) fn layout(&self, batch: usize) -> Layout {
        Layout { fields: self.inner.fields(), pad_id: self.tokenizer.pad_id(), batch }
    }
}

/// The folder of the model that settings name, or else of the embedded default; a repository's name is completed with the commit that it has in
/// the hub's cache.
fn open_folder(settings: &mut Settings, hub: &Hub) -> Result<Folder, Error> {
    let name = settings.model.get_or_insert_with(|| EMBEDDED.to_owned()).clone();
    let folder = Folder::open(&resolve(&name, hub)?)?;
    if let Some(repository) = Repository::of_model(&name) {
        settings.model = Some(format!("{}{}", hub::PREFIX, hub::pinned(hub, repository?)?));
    }
    Ok(folder)
}

impl Network for Encoder {
    fn name(&self) -> &str {
        &self.inner.name
    }

    fn architecture(&self) -> &str {
        self.inner.architecture.model_type
    }

    fn input(&self) -> String {
        format!("{} tokens", self.tokenizer.max_length())
    }

    fn graph(&self) -> &Graph {
        &self.inner.graph
    }

    fn parameters(&self) -> &Parameters {
        &self.inner.parameters
    }

    fn with(mut self, graph: Graph, parameters: Parameters) -> Self {
        self.inner.graph = graph;
        self.inner.parameters = parameters;
        self
    }

    fn head(&self) -> &str {
        self.inner.head_name().unwrap_or_default()
    }

    fn report(&self) -> Option<&LoadReport> {
        Some(&self.inner.report)
    }

    fn with_kind(mut self, kind: LabelKind) -> Self {
        self.inner.kind = kind;
        self
    }

    fn with_kept(mut self, classes: Vec<String>) -> Self {
        self.inner.report.kept = classes;
        self
    }

    fn digest(&self) -> &str {
        &self.inner.digest
    }

    fn defaults(&self, mode: ModeName) -> Defaults {
        defaults(mode, self.inner.settings.width)
    }

    fn blank(&self, samples: usize) -> Vec<Tensor> {
        let length = USUAL_TOKENS.min(self.tokenizer.max_length());
        let blank = Tokens { ids: vec![0; length], types: vec![0; length], ..Tokens::default() };
        let texts = vec![&blank; samples];
        self.layout(samples).stack(&texts).unwrap_or_default()
    }

    /// Low-rank pairs are merged into the weights that they stand beside, and kept apart to be written as an adapter.
    fn finished(mut self) -> Result<Self, Error> {
        let Some(low_rank) = self.low_rank.take() else { return Ok(self) };
        let base = match &self.inner.folder {
            embedded if embedded == Path::new(EMBEDDED) => PathBuf::from(EMBEDDED),
            folder => std::path::absolute(folder).unwrap_or_else(|_| folder.clone()),
        };
        let (graph, adapter) = low_rank.merged(&mut self.inner.parameters, base.display().to_string())?;
        self.inner.graph = graph;
        self.adapter = Some(adapter);
        Ok(self)
    }

    fn low_rank(&self) -> Option<&LowRank> {
        self.low_rank.as_ref()
    }
}

/// Encoders below this width learn at higher rates.
const NARROW: usize = 256;

/// How encoders of a width are fine-tuned when nothing is said.
pub(crate) fn defaults(mode: ModeName, width: usize) -> Defaults {
    // The embedded default, of width 160, fine-tuned on sst2: 0.813 of its validation part at 5e-5, 0.837 at 3e-4, 0.812 at 1e-3.
    let rate = |usual: f64, narrow: f64| if width < NARROW { narrow } else { usual };
    let (epochs, learning_rate) = match mode {
        ModeName::Features => (30, 1e-3),
        ModeName::Partial => (3, rate(1e-4, 6e-4)),
        ModeName::Full => (3, rate(5e-5, 3e-4)),
        ModeName::Contrastive => (20, rate(5e-5, 3e-4)),
        ModeName::Gradual => (1, rate(1e-4, 6e-4)),
        ModeName::Lora => (3, 1e-3),
    };
    Defaults {
        epochs,
        batch: 32,
        learning_rate,
        schedule: Schedule::Linear,
        warmup: 0.1,
        layer_decay: Some(1.0),
        weight_decay: 0.01,
        clip: Some(1.0),
        augment: Level::None,
        head_init: HeadInit::Random,
    }
}
