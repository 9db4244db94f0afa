//! How much of a model is adapted, and with which head.

use serde::{Deserialize, Serialize};
use tk_image::data::Level;
use tk_transfer::fit::Schedule;
use tk_transfer::freeze::BatchNorm;

use super::Settings;

/// The name of a mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ModeName {
    /// The backbone is frozen; its features are computed once and a head is fitted on them.
    #[default]
    Features,
    /// The last stages train; what lies before them is frozen, computed once and remembered.
    Partial,
    /// Every stage trains, earlier ones more slowly.
    Full,
    /// The backbone is frozen but for low-rank pairs beside its linear layers (arXiv 2106.09685).
    Lora,
}

impl ModeName {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Features => "features",
            Self::Partial => "partial",
            Self::Full => "full",
            Self::Lora => "lora",
        }
    }
}

/// A head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Head {
    /// Logistic regression on frozen features, its strength found by cross-validation.
    Logreg,
    /// A linear support vector machine on frozen features, its strength found by cross-validation, its scores scaled into logits.
    Svm,
    /// One hidden layer.
    Mlp,
    /// One linear layer, trained by gradient descent.
    Linear,
}

impl Head {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Logreg => "logreg",
            Self::Svm => "svm",
            Self::Mlp => "mlp",
            Self::Linear => "linear",
        }
    }
}

/// How a head that is trained by gradient descent starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HeadInit {
    /// From a logistic regression on the frozen features.
    Probe,
    /// From random numbers.
    Random,
}

/// A mode with its options; what is not said, the preset decides.
#[derive(Clone, Debug, PartialEq)]
pub struct Mode {
    pub(super) settings: Settings,
}

impl Mode {
    fn new(mode: ModeName) -> Self {
        Self { settings: Settings { mode: Some(mode), ..Settings::default() } }
    }

    /// The backbone is frozen and a head is fitted on its features.
    pub fn features() -> Self {
        Self::new(ModeName::Features)
    }

    /// The last stages train.
    pub fn partial() -> Self {
        Self::new(ModeName::Partial)
    }

    /// Everything trains.
    pub fn full() -> Self {
        Self::new(ModeName::Full)
    }

    /// Low-rank pairs of this rank train.
    pub fn lora(rank: usize) -> Self {
        let mut mode = Self::new(ModeName::Lora);
        mode.settings.lora_rank = Some(rank);
        mode
    }

    /// Passes over the data.
    pub fn epochs(mut self, epochs: usize) -> Self {
        self.settings.epochs = Some(epochs);
        self
    }

    /// What stays frozen: a stage's name, `last:2`, `30%` or `re:PATTERN`.
    pub fn freeze(mut self, selection: impl Into<String>) -> Self {
        self.settings.freeze = Some(selection.into());
        self
    }

    /// What trains besides the head.
    pub fn unfreeze(mut self, selection: impl Into<String>) -> Self {
        self.settings.unfreeze = Some(selection.into());
        self
    }

    /// The peak learning rate of the head.
    pub fn learning_rate(mut self, rate: f64) -> Self {
        self.settings.learning_rate = Some(rate);
        self
    }

    /// The factor of the learning rate from a stage to the one before it.
    pub fn layer_decay(mut self, factor: f64) -> Self {
        self.settings.layer_decay = Some(factor);
        self
    }

    /// How the learning rate changes.
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        self.settings.schedule = Some(schedule);
        self
    }

    /// Samples in a batch.
    pub fn batch(mut self, samples: usize) -> Self {
        self.settings.batch = Some(samples);
        self
    }

    /// How strongly training pictures are varied.
    pub fn augment(mut self, level: Level) -> Self {
        self.settings.augment = Some(level);
        self
    }

    /// What batch-norm does in stages that train.
    pub fn batch_norm(mut self, batch_norm: BatchNorm) -> Self {
        self.settings.batch_norm = Some(batch_norm);
        self
    }

    /// How the head starts.
    pub fn head_init(mut self, init: HeadInit) -> Self {
        self.settings.head_init = Some(init);
        self
    }
}
