//! How much of a model is adapted, and with which head.

use serde::{Deserialize, Serialize};
use tk_image::data::Level;
use tk_transfer::data::LabelKind;
use tk_transfer::fit::{Goal, Monitor, Schedule};
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
    /// First the head trains, then with each phase one stage more, from the last to the first (ULMFiT, arXiv 1801.06146).
    Gradual,
    /// The backbone trains on pairs of samples, of one class or of two, then a head is fitted on its features (SetFit, arXiv 2209.11055). For few
    /// samples.
    Contrastive,
    /// The backbone is frozen but for low-rank pairs beside its layers (arXiv 2106.09685).
    Lora,
}

impl ModeName {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Features => "features",
            Self::Partial => "partial",
            Self::Full => "full",
            Self::Gradual => "gradual",
            Self::Contrastive => "contrastive",
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
    /// From the head of the run that is gone on from: rows of classes that both know are kept, others are random.
    Kept,
}

/// A score on validation samples by which epochs are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// The share of right answers.
    Accuracy,
    /// The mean of the classes' F1.
    MacroF1,
    /// The mean average precision, of multi-label data.
    Map,
    /// The F1 of all decisions together, of multi-label data.
    MicroF1,
    /// The F1 of entities in tagged words.
    F1,
    /// The word error rate of transcripts, of which less is better.
    Wer,
    /// The character error rate of transcripts, of which less is better.
    Cer,
    /// Average precision over overlaps, of boxes.
    Ap,
    /// Average precision from half an overlap on, of boxes.
    Ap50,
    /// Average recall among a hundred boxes.
    Ar100,
    /// Mean intersection over union, of pixels.
    Miou,
    /// The share of right pixels.
    PixelAccuracy,
    /// The mean of the classes' Dice coefficients, of pixels.
    Dice,
    /// What training makes small.
    Loss,
}

/// What is learned, and so how it is scored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aim {
    /// Classes.
    Classes(LabelKind),
    /// Transcripts.
    Texts,
    /// Boxes around objects.
    Boxes,
    /// The class of every pixel.
    Pixels,
    /// The tag of every word.
    Tags,
}

impl Aim {
    /// The score by which epochs are compared when nothing is said.
    pub fn metric(self) -> Metric {
        match self {
            Self::Classes(LabelKind::Single) => Metric::Accuracy,
            Self::Classes(LabelKind::Multi) => Metric::Map,
            Self::Texts => Metric::Wer,
            Self::Boxes => Metric::Ap50,
            Self::Pixels => Metric::Miou,
            Self::Tags => Metric::F1,
        }
    }

    /// The names of its scores but the loss, for messages.
    pub fn known(self) -> &'static str {
        match self {
            Self::Classes(LabelKind::Single) => "accuracy, macro_f1",
            Self::Classes(LabelKind::Multi) => "map, micro_f1",
            Self::Texts => "wer, cer",
            Self::Boxes => "ap, ap50, ar100",
            Self::Pixels => "miou, pixel_accuracy, dice",
            Self::Tags => "f1, macro_f1, accuracy",
        }
    }
}

impl Metric {
    /// Whether what is learned is scored by it.
    pub(super) fn is_of(self, aim: Aim) -> bool {
        match self {
            Self::Accuracy | Self::MacroF1 => matches!(aim, Aim::Classes(LabelKind::Single) | Aim::Tags),
            Self::F1 => aim == Aim::Tags,
            Self::Map | Self::MicroF1 => aim == Aim::Classes(LabelKind::Multi),
            Self::Wer | Self::Cer => aim == Aim::Texts,
            Self::Ap | Self::Ap50 | Self::Ar100 => aim == Aim::Boxes,
            Self::Miou | Self::PixelAccuracy | Self::Dice => aim == Aim::Pixels,
            Self::Loss => true,
        }
    }

    /// How epochs are compared by it.
    pub(super) fn monitor(self, patience: Option<usize>) -> Monitor {
        let (metric, goal) = match self {
            Self::Accuracy => ("accuracy", Goal::Highest),
            Self::MacroF1 => ("macro_f1", Goal::Highest),
            Self::Map => ("map", Goal::Highest),
            Self::MicroF1 => ("micro_f1", Goal::Highest),
            Self::F1 => ("f1", Goal::Highest),
            Self::Wer => ("wer", Goal::Lowest),
            Self::Cer => ("cer", Goal::Lowest),
            Self::Ap => ("ap", Goal::Highest),
            Self::Ap50 => ("ap50", Goal::Highest),
            Self::Ar100 => ("ar100", Goal::Highest),
            Self::Miou => ("miou", Goal::Highest),
            Self::PixelAccuracy => ("pixel_accuracy", Goal::Highest),
            Self::Dice => ("dice", Goal::Highest),
            Self::Loss => ("loss", Goal::Lowest),
        };
        Monitor { metric: metric.to_owned(), goal, patience }
    }
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

    /// The backbone trains on pairs of samples, then a head is fitted on its features; for few samples.
    pub fn contrastive() -> Self {
        Self::new(ModeName::Contrastive)
    }

    /// The last stages train.
    pub fn partial() -> Self {
        Self::new(ModeName::Partial)
    }

    /// Everything trains.
    pub fn full() -> Self {
        Self::new(ModeName::Full)
    }

    /// The head trains first, then with each phase one stage more.
    pub fn gradual() -> Self {
        Self::new(ModeName::Gradual)
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

    /// Training pictures are blended with others of their batch, by shares from a Beta distribution of this (arXiv 1710.09412).
    pub fn mixup(mut self, alpha: f64) -> Self {
        self.settings.mixup = Some(alpha);
        self
    }

    /// What batch-norm does in stages that train.
    pub fn batch_norm(mut self, batch_norm: BatchNorm) -> Self {
        self.settings.batch_norm = Some(batch_norm);
        self
    }

    /// Training ends after so many epochs whose accuracy on validation samples is not better than the best one's, which is the result.
    pub fn patience(mut self, epochs: usize) -> Self {
        self.settings.patience = Some(epochs);
        self
    }

    /// The score that says which epoch is the best, whose weights then are the result.
    pub fn monitor(mut self, metric: Metric) -> Self {
        self.settings.monitor = Some(metric);
        self
    }

    /// The decay of a moving average of the weights, which then is the result.
    pub fn moving_average(mut self, decay: f64) -> Self {
        self.settings.moving_average = Some(decay);
        self
    }

    /// How the head starts.
    pub fn head_init(mut self, init: HeadInit) -> Self {
        self.settings.head_init = Some(init);
        self
    }
}
