//! Learning to detect: the head's loss, and average precision as COCO defines it.

use std::collections::BTreeMap;

use tk_engine::cpu::Machine;
use tk_engine::{Result, Tensor};
use tk_transfer::metrics::{DetectionScores, Found, Object, Picture, Size};
use tk_transfer::task::{LossValue, Meter, Task};

use super::{DetectionHead, Selecting, Truths};

/// Detection with a head. Outputs are the head's, targets those of [`Truths::to_targets`].
#[derive(Clone, Debug)]
pub struct DetectionTask {
    /// How many classes there are.
    pub classes: usize,
    /// The head.
    pub head: DetectionHead,
    /// Which boxes are scored.
    pub selecting: Selecting,
    /// Where the loss is computed.
    pub machine: Machine,
}

impl Task for DetectionTask {
    /// As torchvision has it, divided by the objects' places in this batch; batches that are accumulated count by their pictures.
    fn loss(&self, outputs: &[Tensor], targets: &[Tensor], total: f64) -> Result<LossValue> {
        let truths = Truths::from_targets(targets)?;
        let (parts, mut gradients) = self.head.losses(&self.machine, outputs, &truths)?;
        let share = truths.objects.len() as f64 / total;
        if share != 1.0 {
            for gradient in &mut gradients {
                gradient.as_f32_mut()?.iter_mut().for_each(|slope| *slope *= share as f32);
            }
        }
        Ok(LossValue { value: share * parts.iter().map(|(_, loss)| loss).sum::<f64>(), gradients })
    }

    fn meter(&self) -> Box<dyn Meter> {
        Box::new(DetectionMeter { task: self.clone(), pictures: Vec::new(), loss: 0.0 })
    }
}

/// Collects what was found.
struct DetectionMeter {
    task: DetectionTask,
    pictures: Vec<Picture>,
    loss: f64,
}

impl Meter for DetectionMeter {
    fn add(&mut self, outputs: &[Tensor], targets: &[Tensor]) -> Result<()> {
        let truths = Truths::from_targets(targets)?;
        let (parts, _) = self.task.head.losses(&self.task.machine, outputs, &truths)?;
        self.loss += truths.objects.len() as f64 * parts.iter().map(|(_, loss)| loss).sum::<f64>();
        let found = self.task.head.decode(outputs, &truths.sizes, truths.padded, &self.task.selecting)?;
        for (objects, found) in truths.objects.iter().zip(found) {
            let object = |truth: &super::Truth| Object {
                class: truth.class,
                bounds: truth.corners.bounds(),
                area: f64::from(truth.corners.area()),
                is_crowd: truth.is_crowd,
            };
            let one = |candidate: super::Candidate| Found {
                class: candidate.class,
                bounds: candidate.corners.bounds(),
                score: f64::from(candidate.score),
            };
            self.pictures.push(Picture {
                objects: objects.iter().map(object).collect(),
                found: found.into_iter().map(one).collect(),
            });
        }
        Ok(())
    }

    /// `ap`, `ap50`, `ar100` and `loss`; in pixels of the network's input, which changes none of them.
    fn scores(&self) -> BTreeMap<String, f64> {
        let scores = DetectionScores::of(self.task.classes, &self.pictures);
        let loss = self.loss / self.pictures.len().max(1) as f64;
        BTreeMap::from([
            ("ap".to_owned(), scores.average_precision(None, Size::Any).unwrap_or(0.0)),
            ("ap50".to_owned(), scores.average_precision(Some(0), Size::Any).unwrap_or(0.0)),
            ("ar100".to_owned(), scores.average_recall(2, Size::Any).unwrap_or(0.0)),
            ("loss".to_owned(), loss),
        ])
    }
}
