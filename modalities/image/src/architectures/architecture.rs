//! A published network: its name, its family, how it is built.

use tk_engine::Graph;
use tk_transfer::checkpoint::Rule;

use super::{ArchitectureError, Settings};
use crate::catalog;
use crate::data::{Interpolation, Preprocess};

/// A published network. All of them are networks of the [`super::FAMILIES`].
#[derive(Debug)]
pub struct Architecture {
    /// timm's name, without a tag.
    pub name: &'static str,
    /// The family.
    pub family: &'static Family,
    /// The prefix of the classifier's parameters, such as `fc`.
    pub head: &'static str,
    /// How torchvision's names become timm's; names that are timm's already pass unchanged.
    pub renames: &'static [Rule],
    /// The family's builder for this network. It may rely on [`Settings::check`].
    pub(super) graph: Builder,
}

/// Builds a network's graph.
pub(super) type Builder = fn(&Settings) -> Result<Graph, ArchitectureError>;

/// The side of the input where no published weights say it.
const USUAL_SIDE: u32 = 224;

impl Architecture {
    /// The graph: input `pixels`, `[batch, height, width, 3]`; output `logits`, `[batch, classes]`.
    ///
    /// # Errors
    /// When a setting is out of range or the family does not have it.
    pub fn build(&self, settings: &Settings) -> Result<Graph, ArchitectureError> {
        settings.check(self.name)?;
        (self.graph)(settings)
    }

    /// What timm's default weights expect of pixels; where there are none, what timm's networks expect as a rule.
    pub fn preprocess(&self) -> Preprocess {
        let usual =
            || Preprocess { interpolation: Interpolation::Bicubic, ..Preprocess::imagenet(USUAL_SIDE) };
        catalog::default_of(self.name).map_or_else(usual, catalog::Entry::preprocess)
    }
}

/// Networks of one construction.
#[derive(Debug)]
pub struct Family {
    /// Its name, that of its file.
    pub name: &'static str,
    /// What its networks make of pixels.
    pub body: Body,
    /// How its networks are fine-tuned when nothing is said.
    pub fine_tuning: FineTuning,
    /// Its networks.
    pub networks: &'static [Architecture],
}

/// What networks make of pixels before features are taken from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// A map as large as the pixels ask for, whose mean the features are.
    Map,
    /// One token for each patch and one for the class, which the features are. Each place has an embedding `pos_embed`, so that a
    /// network is built for one size of the input.
    Tokens,
}

impl Body {
    /// timm's `global_pool`.
    pub(super) fn global_pool(self) -> &'static str {
        match self {
            Self::Map => "avg",
            Self::Tokens => "token",
        }
    }
}

/// How networks are fine-tuned when nothing is said, with AdamW.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FineTuning {
    /// The peak learning rate for 32 samples, that of the head.
    pub learning_rate: f64,
    /// The factor of the learning rate from a stage to the one before it; `None`: such that the first stage has a hundredth.
    pub layer_decay: Option<f64>,
    /// The decay of weights, as a share of the learning rate.
    pub weight_decay: f64,
}

impl FineTuning {
    /// Of convolutional networks with batch-norm: 10⁻³ for 256 samples, as fastai has it.
    pub(super) const CONVOLUTIONAL: Self =
        Self { learning_rate: 1.25e-4, layer_decay: None, weight_decay: 0.01 };
}
