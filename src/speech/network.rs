//! A published network for speech, as adapting sees it.

use tk_audio::recognition::{SpeechModel, Spelling};
use tk_engine::{Graph, Parameters, Tensor};
use tk_image::data::Level;
use tk_transfer::checkpoint::LoadReport;
use tk_transfer::data::LabelKind;
use tk_transfer::fit::Schedule;
use tk_transfer::low_rank::LowRank;

use crate::classify::{Defaults, Error, HeadInit, ModeName, Network};

/// How long a recording is taken to be before any was seen, in seconds.
const USUAL: usize = 2;

/// Up to this width a network is small: it learns fast and forgets little.
const SMALL: usize = 256;

/// A network with a layer of CTC.
#[derive(Clone)]
pub struct SpeechNetwork {
    /// The network.
    pub(super) model: SpeechModel,
    /// What is made of transcripts before they are learned from.
    pub(super) spelling: Spelling,
}

impl Network for SpeechNetwork {
    fn name(&self) -> &str {
        &self.model.name
    }

    fn architecture(&self) -> &str {
        &self.model.speech.model_type
    }

    fn input(&self) -> String {
        format!("{} Hz, {} symbols", self.model.front_end.sampling_rate, self.model.vocabulary.len())
    }

    fn graph(&self) -> &Graph {
        &self.model.graph
    }

    fn parameters(&self) -> &Parameters {
        &self.model.parameters
    }

    fn with(mut self, graph: Graph, parameters: Parameters) -> Self {
        (self.model.graph, self.model.parameters) = (graph, parameters);
        self
    }

    fn finished(self) -> Result<Self, Error> {
        Ok(Self { model: self.model.merged()?, ..self })
    }

    fn low_rank(&self) -> Option<&LowRank> {
        self.model.low_rank.as_ref()
    }

    fn head(&self) -> &str {
        self.model.head()
    }

    fn report(&self) -> Option<&LoadReport> {
        self.model.report.as_ref()
    }

    fn with_kept(self, _: Vec<String>) -> Self {
        self
    }

    fn with_kind(self, _: LabelKind) -> Self {
        self
    }

    fn digest(&self) -> &str {
        &self.model.digest
    }

    /// As wav2vec 2.0 is fine-tuned (arXiv 2006.11477), with fewer passes; a small network takes larger steps.
    fn defaults(&self, mode: ModeName) -> Defaults {
        let (epochs, published) = match mode {
            ModeName::Features => (30, 2e-3),
            ModeName::Partial | ModeName::Full | ModeName::Contrastive => (20, 2e-4),
            ModeName::Gradual => (4, 2e-4),
            ModeName::Lora => (20, 1e-3),
        };
        let is_small = self.model.speech.layers.width <= SMALL;
        let learning_rate = if is_small && mode != ModeName::Features { 5.0 * published } else { published };
        let augment = if mode == ModeName::Features { Level::None } else { Level::Standard };
        Defaults {
            epochs,
            batch: 16,
            learning_rate,
            schedule: Schedule::Linear,
            warmup: 0.1,
            layer_decay: Some(1.0),
            weight_decay: 0.01,
            clip: Some(1.0),
            head_init: HeadInit::Random,
            augment,
        }
    }

    fn blank(&self, samples: usize) -> Vec<Tensor> {
        let silence = vec![0.0; USUAL * self.model.front_end.sampling_rate as usize];
        self.model.inputs(&vec![silence.as_slice(); samples]).unwrap_or_default()
    }
}
