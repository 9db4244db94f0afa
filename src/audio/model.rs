//! A published network over spectrograms, as adapting sees it.

use tk_audio::architectures::HEAD;
use tk_audio::features::Extractor;
use tk_audio::model::{Head as ModelHead, Model};
use tk_engine::{Graph, Parameters, Tensor};
use tk_image::data::Level;
use tk_transfer::checkpoint::LoadReport;
use tk_transfer::data::LabelKind;
use tk_transfer::fit::Schedule;
use tk_transfer::low_rank::LowRank;

use crate::classify::{Defaults, Error, HeadInit, ModeName, Network, Settings};
use crate::hub::{self, Hub, Repository};

/// Frames of a second.
const FRAMES_PER_SECOND: f64 = 100.0;

/// A network and what makes its input.
#[derive(Clone)]
pub struct Spectrograms {
    pub(super) inner: Model,
    pub(super) extractor: Extractor,
}

impl Spectrograms {
    /// Opens the model that settings name with a new head, and completes the settings that are about it.
    pub(super) fn open(
        settings: &mut Settings,
        hub: &Hub,
        mode: ModeName,
        classes: usize,
    ) -> Result<Self, Error> {
        let Some(name) = settings.model.clone() else {
            return Err(Error::usage_with(
                "no model: recordings have no embedded default yet",
                "name a published one, such as -m hf:MIT/ast-finetuned-audioset-10-10-0.4593, or a folder with config.json and weights",
            ));
        };
        let kinds = "a model for recordings is hf:ORG/NAME, or a folder as transformers writes it for ASTForAudioClassification";
        let folder = hub::model_folder(&name, hub, kinds)?;
        let seed = settings.seed.unwrap_or(0);
        let mut inner = Model::open(&folder, ModelHead::New { classes, seed })?;
        if let Some(repository) = Repository::of_model(&name) {
            settings.model = Some(format!("{}{}", hub::PREFIX, hub::pinned(hub, repository?)?));
        }
        if let Some(seconds) = settings.max_seconds {
            if !(seconds > 0.0 && seconds < 1e6) {
                return Err(Error::usage(format!("--max-seconds {seconds}: expected a number above 0")));
            }
            inner = inner.with_frames((seconds * FRAMES_PER_SECOND).round() as usize)?;
        }
        settings.max_seconds = Some(inner.settings.frames as f64 / FRAMES_PER_SECOND);
        if mode == ModeName::Lora {
            let (rank, alpha) = settings.low_rank()?;
            inner = inner.with_low_rank(rank, alpha, seed)?;
        }
        let extractor = inner.front_end.extractor();
        Ok(Self { inner, extractor })
    }
}

impl Network for Spectrograms {
    fn name(&self) -> &str {
        &self.inner.name
    }

    fn architecture(&self) -> &str {
        "audio-spectrogram-transformer"
    }

    fn input(&self) -> String {
        format!("{:.2} seconds", self.inner.front_end.seconds())
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
        HEAD
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
        defaults(mode)
    }

    fn blank(&self, samples: usize) -> Vec<Tensor> {
        vec![Tensor::zeros(&self.inner.input_shape(samples))]
    }
}

/// How the network is fine-tuned when nothing is said; whole, as its authors did.
fn defaults(mode: ModeName) -> Defaults {
    let (epochs, learning_rate) = match mode {
        ModeName::Features => (30, 1e-3),
        ModeName::Partial => (10, 1e-4),
        ModeName::Full => (10, 5e-5),
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
        head_init: HeadInit::Probe,
        augment,
    }
}
