//! Which head a detector has, and what holds for any: its graph, its loss, its boxes.

use serde::{Deserialize, Serialize};
use tk_engine::cpu::Machine;
use tk_engine::{Graph, Result, Tensor};

use super::fcos::{self, FPN_STRIDES, Fcos, FcosLosses};
use super::{Candidate, Truths};
use tk_transfer::checkpoint::Checkpoint;

use crate::architectures::Architecture;
use crate::backbone::{BackboneError, maps_at};
use crate::grafted::Graft;

/// A detector's head.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "kind")]
pub enum DetectionHead {
    /// One answer for each place of a feature pyramid.
    Fcos(Fcos),
}

/// Which of many boxes are told.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Selecting {
    /// Boxes must be surer than this.
    pub least_score: f32,
    /// At most so many boxes of a level go on, the surest.
    pub per_level: usize,
    /// Of boxes of a class that overlap by more than this share, the surest stays.
    pub most_overlap: f32,
    /// At most so many boxes of a picture.
    pub limit: usize,
}

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
        }
    }

    fn classes_of(&self, checkpoint: &Checkpoint) -> Option<usize> {
        let rows = |name: &str| checkpoint.info(name).and_then(|info| info.shape.first().copied());
        match self.head {
            DetectionHead::Fcos(_) => rows("head.classification_head.cls_logits.weight"),
        }
    }

    fn prefix(&self) -> &'static str {
        match self.head {
            DetectionHead::Fcos(_) => "backbone.body.",
        }
    }

    fn graft(&self, backbone: &Graph, architecture: &Architecture, classes: usize) -> std::result::Result<Graph, BackboneError> {
        let maps = maps_at(backbone, architecture, &FPN_STRIDES)?;
        match self.head {
            DetectionHead::Fcos(fcos) => Ok(fcos.graft(backbone, &maps, classes).map_err(tk_engine::EngineError::from)?),
        }
    }
}

impl DetectionHead {
    /// How boxes are chosen when nothing is said. What is hardly sure is kept too: average precision counts it, and whoever shows boxes takes
    /// the surer ones.
    pub fn selecting(&self) -> Selecting {
        match self {
            Self::Fcos(_) => Selecting { least_score: 0.05, per_level: 1000, most_overlap: 0.6, limit: 100 },
        }
    }

    /// The loss of a batch, by its parts, and the gradient of their sum for each output.
    ///
    /// # Errors
    /// When outputs and truths do not fit each other.
    pub fn losses(&self, machine: &Machine, outputs: &[Tensor], truths: &Truths) -> Result<(Vec<(&'static str, f64)>, Vec<Tensor>)> {
        match self {
            Self::Fcos(_) => {
                let (losses, gradients) = FcosLosses::of(machine, outputs, truths)?;
                let FcosLosses { classification, boxes, centreness } = losses;
                let parts = [("classification", classification), ("boxes", boxes), ("centreness", centreness)];
                Ok((parts.to_vec(), gradients))
            }
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
        }
    }
}
