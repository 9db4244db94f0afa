//! A published network for speech, as adapting sees it.

use tk_audio::recognition::SpeechModel;
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
pub(crate) struct SpeechNetwork(pub SpeechModel);

impl Network for SpeechNetwork {
    fn name(&self) -> &str {
        &self.0.name
    }

    fn architecture(&self) -> &str {
        &self.0.speech.model_type
    }

    fn input(&self) -> String {
        format!("{} Hz, {} symbols", self.0.front_end.sampling_rate, self.0.vocabulary.len())
    }

    fn graph(&self) -> &Graph {
        &self.0.graph
    }

    fn parameters(&self) -> &Parameters {
        &self.0.parameters
    }

    fn with(mut self, graph: Graph, parameters: Parameters) -> Self {
        (self.0.graph, self.0.parameters) = (graph, parameters);
        self
    }

    fn finished(self) -> Result<Self, Error> {
        Ok(Self(self.0.merged()?))
    }

    fn low_rank(&self) -> Option<&LowRank> {
        self.0.low_rank.as_ref()
    }

    fn head(&self) -> &str {
        self.0.head()
    }

    fn report(&self) -> Option<&LoadReport> {
        self.0.report.as_ref()
    }

    fn with_kept(self, _: Vec<String>) -> Self {
        self
    }

    fn with_kind(self, _: LabelKind) -> Self {
        self
    }

    fn digest(&self) -> &str {
        &self.0.digest
    }

    /// As wav2vec 2.0 is fine-tuned (arXiv 2006.11477), with fewer passes; a small network takes larger steps.
    fn defaults(&self, mode: ModeName) -> Defaults {
        let (epochs, published) = match mode {
            ModeName::Features => (30, 2e-3),
            ModeName::Partial | ModeName::Full => (20, 2e-4),
            ModeName::Gradual => (4, 2e-4),
            ModeName::Lora => (20, 1e-3),
        };
        let is_small = self.0.speech.layers.width <= SMALL;
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
        let silence = vec![0.0; USUAL * self.0.front_end.sampling_rate as usize];
        self.0.inputs(&vec![silence.as_slice(); samples]).unwrap_or_default()
    }
}

impl SpeechNetwork {
    /// The model alone.
    pub fn into_model(self) -> SpeechModel {
        self.0
    }
}
