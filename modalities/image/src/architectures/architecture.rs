//! A published network: its name, how it is built, what its weights expect.

use tk_engine::Graph;
use tk_transfer::checkpoint::Rule;

use super::{ArchitectureError, Settings};
use crate::data::{CropMode, Interpolation, Preprocess};

/// A published network. All of them are listed in [`super::ARCHITECTURES`].
#[derive(Clone, Debug)]
pub struct Architecture {
    /// timm's name, without a tag.
    pub name: &'static str,
    /// The family.
    pub family: Family,
    /// What timm's default weights were trained and scored with.
    pub preset: Preset,
    /// The prefix of the classifier's parameters, such as `fc`.
    pub head: &'static str,
    /// How torchvision's names become timm's; names that are timm's already pass unchanged.
    pub renames: &'static [Rule],
    /// The family's builder for this network. It may rely on [`Settings::check`].
    pub(super) graph: fn(&Settings) -> Result<Graph, ArchitectureError>,
}

impl Architecture {
    /// The graph: input `pixels`, `[batch, height, width, 3]`; output `logits`, `[batch, classes]`.
    ///
    /// # Errors
    /// When a setting is out of range or the family does not have it.
    pub fn build(&self, settings: &Settings) -> Result<Graph, ArchitectureError> {
        settings.check(self.name)?;
        (self.graph)(settings)
    }
}

/// Networks of one construction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// Residual networks (arXiv 1512.03385).
    Resnet,
    /// Plain stacks of 3×3 convolutions (arXiv 1409.1556).
    Vgg,
    /// Depthwise separable convolutions without shortcuts (arXiv 1704.04861).
    MobilenetV1,
    /// Inverted residuals with linear bottlenecks (arXiv 1801.04381).
    MobilenetV2,
    /// Parallel convolutions of several sizes (arXiv 1512.00567).
    InceptionV3,
    /// Residual blocks of depthwise separable convolutions (arXiv 1610.02357).
    Xception,
}

/// What the default weights of a network expect.
#[derive(Clone, Debug, PartialEq)]
pub struct Preset {
    /// timm's default tag, which names the weights that the rest belongs to.
    pub tag: &'static str,
    /// The weights' licence, as SPDX has it.
    pub licence: &'static str,
    /// The preprocessing that they were trained for.
    pub preprocess: Preprocess,
    /// The size and crop fraction with which they score best, where those differ from training's.
    pub test: Option<(u32, f64)>,
}

impl Preset {
    /// Square input at ImageNet's means and deviations.
    pub(super) const fn new(tag: &'static str, size: u32, crop_fraction: f64) -> Self {
        let preprocess = Preprocess {
            input_size: [size, size],
            interpolation: Interpolation::Bicubic,
            crop_fraction,
            crop_mode: CropMode::Center,
            mean: [0.485, 0.456, 0.406],
            std: [0.229, 0.224, 0.225],
        };
        Self { tag, licence: "Apache-2.0", preprocess, test: None }
    }

    /// With another interpolation.
    pub(super) const fn interpolation(mut self, interpolation: Interpolation) -> Self {
        self.preprocess.interpolation = interpolation;
        self
    }

    /// With other means and deviations.
    pub(super) const fn normalisation(mut self, mean: [f32; 3], std: [f32; 3]) -> Self {
        self.preprocess.mean = mean;
        self.preprocess.std = std;
        self
    }

    /// With another licence.
    pub(super) const fn licence(mut self, licence: &'static str) -> Self {
        self.licence = licence;
        self
    }

    /// With the size and crop fraction that score best.
    pub(super) const fn test(mut self, size: u32, crop_fraction: f64) -> Self {
        self.test = Some((size, crop_fraction));
        self
    }
}
