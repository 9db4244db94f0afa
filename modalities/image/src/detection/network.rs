//! Which head a detector has, and what holds for any: its graph, its loss, its boxes.

use serde::{Deserialize, Serialize};
use tk_engine::cpu::Machine;
use tk_engine::{Graph, Result, Tensor};

use super::fcos::{self, FPN_STRIDES, Fcos, FcosLosses};
use super::ssd::{self, DefaultBoxes, SsdLosses};
use super::{Candidate, Truths};
use tk_transfer::checkpoint::{Checkpoint, Rule};

use crate::architectures::Architecture;
use crate::backbone::{BackboneError, maps_at};
use crate::framing::Framing;
use crate::grafted::Graft;

/// A detector's head.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "kind")]
pub enum DetectionHead {
    /// One answer for each place of a feature pyramid.
    Fcos(Fcos),
    /// Default boxes of six maps, by plain convolutions.
    Ssd,
    /// The same by convolutions of each channel, which is faster.
    SsdLite,
}

/// Which of many boxes are told.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Selecting {
    /// Boxes must be surer than this.
    pub least_score: f32,
    /// At most so many boxes of a level go on, the surest; of SSD so many of a class.
    pub per_level: usize,
    /// Of boxes of a class that overlap by more than this share, the surest stays.
    pub most_overlap: f32,
    /// At most so many boxes of a picture.
    pub limit: usize,
}

/// The parts of a batch's loss with their names, and the gradient of their sum for each output.
pub type Losses = (Vec<(&'static str, f64)>, Vec<Tensor>);

/// A detector's head, and which of its boxes are told.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Detection {
    /// The head.
    pub head: DetectionHead,
    /// Which boxes are told.
    pub selecting: Selecting,
}

impl Graft for Detection {
    const TASK: &'static str = "object-detection";

    fn name(&self) -> &'static str {
        match self.head {
            DetectionHead::Fcos(_) => "fcos",
            DetectionHead::Ssd => "ssd",
            DetectionHead::SsdLite => "ssdlite",
        }
    }

    fn classes_of(&self, checkpoint: &Checkpoint) -> Option<usize> {
        let rows = |name: &str| checkpoint.info(name).and_then(|info| info.shape.first().copied());
        match self.head {
            DetectionHead::Fcos(_) => rows("head.classification_head.cls_logits.weight"),
            DetectionHead::Ssd | DetectionHead::SsdLite => {
                let last = if self.head == DetectionHead::Ssd { "weight" } else { "1.weight" };
                let boxes = rows(&format!("head.regression_head.module_list.0.{last}"))? / 4;
                let scores = rows(&format!("head.classification_head.module_list.0.{last}"))?;
                // The first score of each box is the background's.
                scores.checked_div(boxes)?.checked_sub(1)
            }
        }
    }

    fn prefix(&self) -> &'static str {
        "backbone.body."
    }

    fn published(&self, graph: &Graph, parameter: &str) -> (String, f32) {
        let own = match self.head {
            DetectionHead::Fcos(_) => None,
            DetectionHead::Ssd => ssd::plain_name(graph, parameter).map(|name| (name, 0.0)),
            DetectionHead::SsdLite => ssd::lite_name(graph, parameter),
        };
        own.unwrap_or_else(|| (format!("{}{parameter}", self.prefix()), 0.0))
    }

    fn rules(&self) -> Vec<Rule> {
        let mut rules = match self.head {
            DetectionHead::Fcos(_) => Vec::new(),
            DetectionHead::Ssd => ssd::PLAIN_RULES.to_vec(),
            DetectionHead::SsdLite => ssd::lite_rules(),
        };
        rules.push(Rule::Prefix { from: self.prefix(), to: "" });
        rules
    }

    fn graft(
        &self,
        backbone: &Graph,
        architecture: &Architecture,
        classes: usize,
    ) -> std::result::Result<Graph, BackboneError> {
        match self.head {
            DetectionHead::Fcos(fcos) => {
                let maps = maps_at(backbone, architecture, &FPN_STRIDES)?;
                Ok(fcos.graft(backbone, &maps, classes).map_err(tk_engine::EngineError::from)?)
            }
            DetectionHead::Ssd => ssd::graft_plain(backbone, architecture, classes),
            DetectionHead::SsdLite => ssd::graft_lite(backbone, architecture, classes),
        }
    }
}

impl DetectionHead {
    /// How boxes are chosen when nothing is said. What is hardly sure is kept too: average precision counts it, and whoever shows boxes takes
    /// the surer ones.
    pub fn selecting(&self) -> Selecting {
        match self {
            Self::Fcos(_) => Selecting { least_score: 0.05, per_level: 1000, most_overlap: 0.6, limit: 100 },
            Self::Ssd => Selecting { least_score: 0.01, per_level: 400, most_overlap: 0.45, limit: 200 },
            Self::SsdLite => Selecting { least_score: 0.001, per_level: 300, most_overlap: 0.55, limit: 300 },
        }
    }

    /// The head with boxes chosen so.
    pub fn chosen(self) -> Detection {
        Detection { head: self, selecting: self.selecting() }
    }

    /// How it wants pictures brought to a side in pixels. Default boxes are shares of a picture's sides, so SSD's pictures are square, whatever
    /// shape they had.
    pub fn framing(&self, side: u32) -> Framing {
        match self {
            Self::Fcos(_) => Framing::shorter(side),
            Self::Ssd | Self::SsdLite => Framing::Exact { height: side, width: side },
        }
    }

    /// The loss of a batch, by its parts, and the gradient of their sum for each output.
    ///
    /// # Errors
    /// When outputs and truths do not fit each other.
    pub fn losses(&self, machine: &Machine, outputs: &[Tensor], truths: &Truths) -> Result<Losses> {
        match self {
            Self::Fcos(_) => {
                let (losses, gradients) = FcosLosses::of(machine, outputs, truths)?;
                let FcosLosses { classification, boxes, centreness } = losses;
                let parts =
                    [("classification", classification), ("boxes", boxes), ("centreness", centreness)];
                Ok((parts.to_vec(), gradients))
            }
            Self::Ssd => ssd_losses(&ssd::PLAIN, outputs, truths),
            Self::SsdLite => ssd_losses(&ssd::LITE, outputs, truths),
        }
    }

    /// The objects of each picture, surest first, in pixels of the network's input; `sizes` as in [`Truths`].
    ///
    /// # Errors
    /// When outputs are not this head's.
    pub fn decode(
        &self,
        outputs: &[Tensor],
        sizes: &[[usize; 2]],
        padded: [usize; 2],
        selecting: &Selecting,
    ) -> Result<Vec<Vec<Candidate>>> {
        match self {
            Self::Fcos(_) => fcos::decode(outputs, sizes, padded, selecting),
            Self::Ssd => ssd::decode(&ssd::PLAIN, outputs, sizes, padded, selecting),
            Self::SsdLite => ssd::decode(&ssd::LITE, outputs, sizes, padded, selecting),
        }
    }
}

fn ssd_losses(layout: &DefaultBoxes, outputs: &[Tensor], truths: &Truths) -> Result<Losses> {
    let (SsdLosses { classification, boxes }, gradients) = SsdLosses::of(layout, outputs, truths)?;
    Ok((vec![("classification", classification), ("boxes", boxes)], gradients))
}
