//! Detectors that torchvision publishes, by its names.

use super::fcos::Fcos;
use super::{Detection, DetectionHead, Selecting};
use crate::architectures::ModelArgs;
use crate::data::Interpolation;
use crate::framing::{Framing, Input};
use crate::grafted::Published;

/// All of them.
pub static DETECTORS: &[Published<Detection>] = &[
    Published {
        name: "fcos_resnet50_fpn",
        backbone: "resnet50",
        model_args: ModelArgs::default,
        head: fcos_resnet50_fpn,
        input: of_800,
        labels: crate::catalog::coco_classes,
    },
    Published {
        name: "ssd300_vgg16",
        backbone: "vgg16",
        model_args: ModelArgs::default,
        head: || DetectionHead::Ssd.chosen(),
        input: of_300,
        labels: coco_objects,
    },
    Published {
        name: "ssdlite320_mobilenet_v3_large",
        backbone: "mobilenetv3_large_100",
        model_args: || ModelArgs { reduced_tail: Some(true), ..ModelArgs::default() },
        head: || DetectionHead::SsdLite.chosen(),
        input: of_320,
        labels: coco_objects,
    },
];

fn fcos_resnet50_fpn() -> Detection {
    let selecting = Selecting { least_score: 0.2, per_level: 1000, most_overlap: 0.6, limit: 100 };
    Detection { head: DetectionHead::Fcos(Fcos::default()), selecting }
}

/// COCO's classes by their numbers, without the background, which comes first.
fn coco_objects() -> Vec<String> {
    crate::catalog::coco_classes().split_off(1)
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

/// 300 pixels a side; bytes less their mean.
fn of_300() -> Input {
    Input {
        framing: Framing::Exact { height: 300, width: 300 },
        interpolation: Interpolation::Bilinear,
        is_aliased: true,
        mean: [0.48235, 0.45882, 0.40784],
        std: [1.0 / 255.0; 3],
    }
}

/// 320 pixels a side, in −1 to 1.
fn of_320() -> Input {
    Input {
        framing: Framing::Exact { height: 320, width: 320 },
        interpolation: Interpolation::Bilinear,
        is_aliased: true,
        mean: [0.5; 3],
        std: [0.5; 3],
    }
}
