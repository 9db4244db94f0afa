//! Segmenters that torchvision publishes, by its names.

use super::{Segmentation, SegmentationHead};
use crate::architectures::ModelArgs;
use crate::data::Interpolation;
use crate::framing::{Framing, Input};
use crate::grafted::Published;

/// All of them.
pub static SEGMENTERS: &[Published<Segmentation>] = &[
    published("deeplabv3_resnet50", "resnet50", || with_auxiliary(SegmentationHead::DeepLabV3)),
    published("deeplabv3_resnet101", "resnet101", || with_auxiliary(SegmentationHead::DeepLabV3)),
    published("fcn_resnet50", "resnet50", || with_auxiliary(SegmentationHead::Fcn)),
    published("fcn_resnet101", "resnet101", || with_auxiliary(SegmentationHead::Fcn)),
    published("lraspp_mobilenet_v3_large", "mobilenetv3_large_100", || mobile(SegmentationHead::Lraspp)),
    published("deeplabv3_mobilenet_v3_large", "mobilenetv3_large_100", || Segmentation {
        auxiliary: true,
        ..mobile(SegmentationHead::DeepLabV3)
    }),
];

const fn published(
    name: &'static str,
    backbone: &'static str,
    head: fn() -> Segmentation,
) -> Published<Segmentation> {
    Published {
        name,
        backbone,
        model_args: ModelArgs::default,
        head,
        input: of_520,
        labels: crate::catalog::voc_classes,
    }
}

fn with_auxiliary(head: SegmentationHead) -> Segmentation {
    Segmentation { auxiliary: true, ..Segmentation::new(head) }
}

/// On torchvision's MobileNetV3, whose fine map is the first of stride 8.
fn mobile(head: SegmentationHead) -> Segmentation {
    Segmentation {
        output_stride: 16,
        dilates_first: true,
        fine: Some("blocks.2.0.bn3".into()),
        numbered: true,
        ..Segmentation::new(head)
    }
}

/// The shorter side 520 pixels.
fn of_520() -> Input {
    Input {
        framing: Framing::Shorter { least: 520, most: 2080, multiple: 1 },
        interpolation: Interpolation::Bilinear,
        is_aliased: false,
        mean: [0.485, 0.456, 0.406],
        std: [0.229, 0.224, 0.225],
    }
}
