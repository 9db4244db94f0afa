//! A published network over sound, as adapting sees it.

use tk_audio::architectures::Architecture;
use tk_audio::features::SoundExtractor;
use tk_audio::model::{EMBEDDED, Head as ModelHead, Model};
use tk_engine::{Graph, Parameters, Tensor};
use tk_image::data::Level;
use tk_transfer::checkpoint::LoadReport;
use tk_transfer::data::LabelKind;
use tk_transfer::fit::Schedule;
use tk_transfer::low_rank::LowRank;

use crate::classify::{Defaults, Error, Head, HeadInit, ModeName, Network, Settings};
use crate::hub::{self, Hub, Repository};

/// A network and what makes its input.
#[derive(Clone)]
pub struct SoundNetwork {
    pub(super) inner: Model,
    pub(super) extractor: SoundExtractor,
}

impl SoundNetwork {
    /// Opens the model that settings name with a new head, and completes the settings that are about it.
    pub(super) fn open(
        settings: &mut Settings,
        hub: &Hub,
        mode: ModeName,
        head: Head,
        classes: usize,
    ) -> Result<Self, Error> {
        let name = settings.model.get_or_insert_with(|| EMBEDDED.to_owned()).clone();
        let kinds = "a model for recordings is `sound` (the embedded default), hf:ORG/NAME, or a folder as transformers writes it for the Audio Spectrogram Transformer, \
                     wav2vec 2.0, HuBERT or Whisper";
        let seed = settings.seed.unwrap_or(0);
        // What a probe reads is a recording's embedding; what trains whole is the classifier that transformers publishes.
        let is_pooled = mode == ModeName::Features || head == Head::Mlp;
        let model_head = match is_pooled {
            true => ModelHead::Probe { classes, seed },
            false => ModelHead::New { classes, seed },
        };
        let mut inner = Model::open(&hub::model_folder(&name, hub, EMBEDDED, kinds)?, model_head)?;
        if !is_pooled && inner.architecture.has_projector() && settings.head_init == Some(HeadInit::Probe) {
            return Err(Error::usage_with(
                format!(
                    "the classifier of {} has a projector before it, and cannot start from a probe",
                    inner.name
                ),
                "say --head-init random, or --mode features",
            ));
        }
        if let Some(repository) = Repository::of_model(&name) {
            settings.model = Some(format!("{}{}", hub::PREFIX, hub::pinned(hub, repository?)?));
        }
        if let Some(seconds) = settings.max_seconds {
            if !(seconds > 0.0 && seconds < 1e6) {
                return Err(Error::usage(format!("--max-seconds {seconds}: expected a number above 0")));
            }
            inner = inner.with_seconds(seconds)?;
        }
        settings.max_seconds = Some(inner.asked_seconds());
        if mode == ModeName::Lora {
            let (rank, alpha) = settings.low_rank()?;
            inner = inner.with_low_rank(rank, alpha, seed)?;
        }
        let extractor = inner.front_end.extractor();
        Ok(Self { inner, extractor })
    }
}

impl Network for SoundNetwork {
    fn name(&self) -> &str {
        &self.inner.name
    }

    fn architecture(&self) -> &str {
        self.inner.config.model_type()
    }

    fn input(&self) -> String {
        let at_most = if self.inner.front_end.keeps_lengths() { "at most " } else { "" };
        format!("{at_most}{:.2} seconds", self.inner.front_end.seconds())
    }

    fn graph(&self) -> &Graph {
        &self.inner.graph
    }

    fn parameters(&self) -> &Parameters {
        &self.inner.parameters
    }

    fn with(mut self, graph: Graph, parameters: Parameters) -> Self {
        (self.inner.graph, self.inner.parameters) = (graph, parameters);
        self
    }

    fn finished(mut self) -> Result<Self, Error> {
        self.inner = self.inner.merged()?;
        Ok(self)
    }

    fn low_rank(&self) -> Option<&LowRank> {
        self.inner.low_rank.as_ref()
    }

    fn head(&self) -> &str {
        self.inner.head()
    }

    fn report(&self) -> Option<&LoadReport> {
        Some(&self.inner.report)
    }

    fn with_kept(mut self, classes: Vec<String>) -> Self {
        self.inner.report.kept = classes;
        self
    }

    fn with_kind(mut self, kind: LabelKind) -> Self {
        self.inner.kind = kind;
        self
    }

    fn digest(&self) -> &str {
        &self.inner.digest
    }

    fn defaults(&self, mode: ModeName) -> Defaults {
        let is_small =
            matches!(&self.inner.architecture, Architecture::Ast(settings) if settings.width <= SMALL);
        let defaults = defaults(mode, self.inner.architecture.has_projector());
        match is_small && !matches!(mode, ModeName::Features | ModeName::Lora) {
            true => Defaults {
                learning_rate: if mode == ModeName::Full { 2e-3 } else { 10.0 * defaults.learning_rate },
                layer_decay: Some(0.9),
                epochs: 2 * defaults.epochs,
                augment: Level::Light,
                ..defaults
            },
            false => defaults,
        }
    }

    fn blank(&self, samples: usize) -> Vec<Tensor> {
        self.inner.blank(samples).unwrap_or_default()
    }
}

/// Up to this width a spectrogram network is small: it takes larger steps in all its layers, more passes cost little, and wide masks hide more
/// than it can guess.
const SMALL: usize = 256;

/// How the network is fine-tuned when nothing is said; whole, as its authors did.
fn defaults(mode: ModeName, has_projector: bool) -> Defaults {
    let (epochs, learning_rate) = match mode {
        ModeName::Features => (30, 1e-3),
        ModeName::Partial => (10, 1e-4),
        ModeName::Full => (10, 5e-5),
        ModeName::Contrastive => (20, 5e-5),
        ModeName::Gradual => (2, 5e-5),
        ModeName::Lora => (10, 1e-3),
    };
    let augment = if mode == ModeName::Features { Level::None } else { Level::Standard };
    Defaults {
        epochs,
        batch: 16,
        learning_rate,
        schedule: Schedule::Linear,
        warmup: 0.1,
        layer_decay: Some(if mode == ModeName::Lora { 1.0 } else { 0.75 }),
        weight_decay: 0.01,
        clip: Some(1.0),
        // A probe is one linear layer.
        head_init: if has_projector { HeadInit::Random } else { HeadInit::Probe },
        augment,
    }
}
