//! Which head a segmenter has, and its graph over a backbone.

use serde::{Deserialize, Serialize};
use tk_engine::graph::{FirstDilation, GraphBuilder, Interpolation, Node, Op};
use tk_engine::{EngineError, Graph, Value};
use tk_transfer::checkpoint::{Checkpoint, Rule};

use super::aspp::deeplab;
use super::fcn::fcn;
use super::lraspp::lraspp;
use super::unet::Unet;
use crate::architectures::{Architecture, numbered};
use crate::backbone::{BackboneError, FeatureMap, maps, maps_at};
use crate::grafted::Graft;

/// A segmenter's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "kind")]
pub enum SegmentationHead {
    /// DeepLabV3 over a dilated backbone.
    DeepLabV3,
    /// A fully convolutional head over a dilated backbone.
    Fcn,
    /// LR-ASPP over a dilated backbone.
    Lraspp,
    /// A decoder like U-Net's over the backbone as it is.
    Unet(Unet),
}

/// A segmenter's head with all that it is built with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Segmentation {
    /// The head.
    pub head: SegmentationHead,
    /// The backbone's maps are nowhere coarser than one place for so many pixels.
    pub output_stride: usize,
    /// Whether the stride's own convolution is dilated too, as torchvision's MobileNets have it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dilates_first: bool,
    /// The node that the fine map is taken from, where it is not the last of stride 8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fine: Option<String>,
    /// Whether a second head teaches the backbone's middle.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub auxiliary: bool,
    /// Whether names on disk are those of torchvision's MobileNetV3.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub numbered: bool,
}

impl SegmentationHead {
    /// The name by which it is asked for.
    pub fn name(&self) -> &'static str {
        match self {
            Self::DeepLabV3 => "deeplabv3",
            Self::Fcn => "fcn",
            Self::Lraspp => "lraspp",
            Self::Unet(_) => "unet",
        }
    }
}

impl Segmentation {
    /// A head as torchvision builds it on a ResNet, without a second one, which small data do not need.
    pub fn new(head: SegmentationHead) -> Self {
        let output_stride = match head {
            SegmentationHead::DeepLabV3 | SegmentationHead::Fcn => 8,
            SegmentationHead::Lraspp => 16,
            SegmentationHead::Unet(_) => 32,
        };
        Self { head, output_stride, dilates_first: false, fine: None, auxiliary: false, numbered: false }
    }
}

impl Graft for Segmentation {
    const TASK: &'static str = "image-segmentation";

    fn name(&self) -> &'static str {
        self.head.name()
    }

    fn classes_of(&self, checkpoint: &Checkpoint) -> Option<usize> {
        let last = match self.head {
            SegmentationHead::Lraspp => "classifier.low_classifier.weight",
            SegmentationHead::Unet(_) => "classifier.weight",
            _ => "classifier.4.weight",
        };
        checkpoint.info(last).and_then(|info| info.shape.first().copied())
    }

    fn prefix(&self) -> &'static str {
        "backbone."
    }

    fn published(&self, graph: &Graph, parameter: &str) -> (String, f32) {
        match self.numbered {
            true => numbered::name(graph, parameter),
            false => (format!("{}{parameter}", self.prefix()), 0.0),
        }
    }

    fn rules(&self) -> Vec<Rule> {
        if self.numbered { numbered::rules() } else { vec![Rule::Prefix { from: self.prefix(), to: "" }] }
    }

    /// The segmenter's graph: the backbone's stages up to the last map that is read, and `head`. Outputs are `out`, the logits of every pixel,
    /// `[batch, height, width, classes]`, and `aux` of the second head, if there is one.
    fn graft(
        &self,
        backbone: &Graph,
        architecture: &Architecture,
        classes: usize,
    ) -> Result<Graph, BackboneError> {
        let strides = maps(backbone)?;
        let before = |map: &&FeatureMap| map.stride < 32;
        // What is dilated has the strides of finer maps, so maps are found before.
        let coarse = maps_at(backbone, architecture, &[32])?.remove(0);
        let middle = strides.iter().rfind(before).cloned();
        let fine = maps_at(backbone, architecture, &[8])?.remove(0);
        let first = if self.dilates_first { FirstDilation::Latter } else { FirstDilation::Former };
        let dilated = backbone.dilated(self.output_stride, first);
        let mut b = GraphBuilder::from_stages(&dilated, coarse.stage);
        let at = |b: &GraphBuilder, node: &str| b.node(node).map_err(EngineError::from);
        let high = at(&b, &coarse.node)?;
        let is_input = |node: &&Node| node.op == Op::Input(0);
        let input = backbone.nodes().iter().find(is_input);
        let pixels = at(&b, input.map_or("", |node| &node.name))?;
        b.begin_stage("head");
        let logits = match self.head {
            SegmentationHead::DeepLabV3 => deeplab(&mut b, high, classes),
            SegmentationHead::Fcn => fcn(&mut b, "classifier", high, classes),
            SegmentationHead::Lraspp => {
                let low = at(&b, self.fine.as_ref().unwrap_or(&fine.node))?;
                lraspp(&mut b, [low, high], classes)
            }
            SegmentationHead::Unet(unet) => {
                let all = strides.iter().filter(|map| map.stage <= coarse.stage);
                let all = all.map(|map| at(&b, &map.node)).collect::<Result<Vec<Value>, _>>()?;
                unet.build(&mut b, &all, classes)
            }
        };
        let enlarged = |b: &mut GraphBuilder, name: &str, logits| {
            b.add(name, Op::ResizeLike(Interpolation::Bilinear), &[logits, pixels])
        };
        let mut outputs = vec![("out", enlarged(&mut b, "out", logits))];
        if let Some(middle) = middle.filter(|_| self.auxiliary) {
            let node = self.fine.clone().unwrap_or(middle.node);
            let taught = at(&b, &node)?;
            let logits = fcn(&mut b, "aux_classifier", taught, classes);
            outputs.push(("aux", enlarged(&mut b, "aux", logits)));
        }
        b.end_stage(outputs[0].1);
        Ok(b.finish(&outputs).map_err(EngineError::from)?)
    }
}
