//! What a network is built with besides its name.

use serde::{Deserialize, Serialize};

use super::ArchitectureError;

/// The settings of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The count of classes, at least 1.
    pub classes: usize,
    /// The probability of dropout before the classifier (for VGG also between the layers before it), in [0, 1).
    pub drop_rate: f64,
    /// The probability with which training drops the last residual branch, in [0, 1); earlier ones are dropped
    /// proportionally less (arXiv 1603.09382). Families without residual branches do not have this setting.
    pub drop_path: f64,
    /// Deviations from the published shape.
    pub model_args: ModelArgs,
}

impl Settings {
    /// The published shape with this many classes, without dropout.
    pub fn classes(classes: usize) -> Self {
        Self { classes, drop_rate: 0.0, drop_path: 0.0, model_args: ModelArgs::default() }
    }

    /// Checks what holds for every family.
    pub(super) fn check(&self, architecture: &'static str) -> Result<(), ArchitectureError> {
        let fail = |setting, expected, found| {
            Err(ArchitectureError::Setting { architecture, setting, expected, found })
        };
        if self.classes == 0 {
            return fail("classes", "at least 1", "0".to_owned());
        }
        for (setting, rate) in [("drop_rate", self.drop_rate), ("drop_path", self.drop_path)] {
            if !(0.0..1.0).contains(&rate) {
                return fail(setting, "a probability in [0, 1)", rate.to_string());
            }
        }
        Ok(())
    }

    /// Refuses a drop path, for families that do not have it.
    pub(super) fn without_drop_path(&self, architecture: &'static str) -> Result<(), ArchitectureError> {
        match self.drop_path > 0.0 {
            false => Ok(()),
            true => Err(ArchitectureError::Setting {
                architecture,
                setting: "drop_path",
                expected: "0, for this family does not have it",
                found: self.drop_path.to_string(),
            }),
        }
    }
}

/// Deviations from the published shape, by timm's names: the `model_args` of its `config.json`. Each family has some of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelArgs {
    /// ResNet: the count of blocks in each stage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layers: Option<Vec<usize>>,
    /// ResNet: the width of each stage, before a bottleneck's expansion.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<Vec<usize>>,
    /// ResNet: the width of the first convolutions of a deep stem; the plain stem always has 64 channels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stem_width: Option<usize>,
    /// ResNet: the first convolutions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stem_type: Option<StemType>,
    /// ResNet: whether shortcuts are halved by an average pool instead of a stride.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avg_down: Option<bool>,
    /// Vision transformers: height and width of the input in pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub img_size: Option<ImageSize>,
    /// VGG: the width of the first layer of `pre_logits` as a share of 4096.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mlp_ratio: Option<f64>,
    /// ConvNeXt: the count of blocks in each stage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub depths: Option<Vec<usize>>,
    /// ConvNeXt: the channels of each stage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dims: Option<Vec<usize>>,
    /// MobileNetV3: whether the last stages have half as many channels, as torchvision's detectors have them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reduced_tail: Option<bool>,
}

impl ModelArgs {
    /// Refuses arguments that are given but not among those that the family has.
    pub(super) fn only(
        &self,
        architecture: &'static str,
        known: &[&'static str],
    ) -> Result<(), ArchitectureError> {
        let given = [
            ("layers", self.layers.is_some()),
            ("channels", self.channels.is_some()),
            ("stem_width", self.stem_width.is_some()),
            ("stem_type", self.stem_type.is_some()),
            ("avg_down", self.avg_down.is_some()),
            ("img_size", self.img_size.is_some()),
            ("mlp_ratio", self.mlp_ratio.is_some()),
            ("depths", self.depths.is_some()),
            ("dims", self.dims.is_some()),
            ("reduced_tail", self.reduced_tail.is_some()),
        ];
        match given.iter().find(|(name, is_given)| *is_given && !known.contains(name)) {
            None => Ok(()),
            Some((setting, _)) => Err(ArchitectureError::Setting {
                architecture,
                setting,
                expected: "not to be given, for this family does not have it",
                found: format!("{self:?}"),
            }),
        }
    }
}

/// Sides of the input in pixels, as timm spells them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ImageSize {
    /// Both sides.
    Square(u32),
    /// Height and width.
    Sides([u32; 2]),
}

impl ImageSize {
    /// Height and width.
    pub fn sides(self) -> [u32; 2] {
        match self {
            Self::Square(side) => [side, side],
            Self::Sides(sides) => sides,
        }
    }
}

impl From<[u32; 2]> for ImageSize {
    fn from([height, width]: [u32; 2]) -> Self {
        if height == width { Self::Square(height) } else { Self::Sides([height, width]) }
    }
}

/// The first convolutions of a ResNet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StemType {
    /// One of 7×7 with stride 2.
    #[serde(rename = "")]
    Plain,
    /// Three of 3×3 with widths `stem_width`, `stem_width`, `2·stem_width` (ResNet-C, arXiv 1812.01187).
    #[serde(rename = "deep")]
    Deep,
    /// Three of 3×3 with widths `¾·stem_width`, `stem_width`, `2·stem_width`.
    #[serde(rename = "deep_tiered")]
    DeepTiered,
}
