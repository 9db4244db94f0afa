//! Detectors that torchvision publishes, by its names.

use super::fcos::Fcos;
use super::{Detection, DetectionHead, Selecting};
use crate::data::Interpolation;
use crate::framing::{Framing, Input};
use crate::grafted::Published;

/// All of them.
pub static DETECTORS: &[Published<Detection>] = &[Published {
    name: "fcos_resnet50_fpn",
    backbone: "resnet50",
    head: fcos_resnet50_fpn,
    input: of_800,
    labels: crate::catalog::coco_classes,
}];

fn fcos_resnet50_fpn() -> Detection {
    let selecting = Selecting { least_score: 0.2, per_level: 1000, most_overlap: 0.6, limit: 100 };
    Detection { head: DetectionHead::Fcos(Fcos::default()), selecting }
}

/// The shorter side 800 pixels, the longer at most 1333.
fn of_800() -> Input {
    Input {
        framing: Framing::Shorter { least: 800, most: 1333, multiple: 32 },
        interpolation: Interpolation::Bilinear,
        is_aliased: true,
        mean: [0.485, 0.456, 0.406],
        std: [0.229, 0.224, 0.225],
    }
}
