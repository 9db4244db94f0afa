//! Learning the class of every pixel: cross-entropy, and mean intersection over union.

use std::collections::BTreeMap;

use tk_engine::cpu::Machine;
use tk_engine::cpu::kernels::pixel_cross_entropy::PixelCrossEntropy;
use tk_engine::{EngineError, Result, Tensor};
use tk_transfer::metrics::PixelScores;
use tk_transfer::task::{LossValue, Meter, Task};

pub use tk_engine::cpu::kernels::pixel_cross_entropy::IGNORED;

/// How much the second head's loss counts, as torchvision's references have it.
const AUXILIARY: f64 = 0.5;

/// Segmentation. Outputs are logits `[batch, height, width, classes]`, of one head or two; the target is the class of every pixel,
/// `[batch, height, width]`, or [`IGNORED`]. The loss is the mean over the pixels that count, of each batch.
#[derive(Clone, Debug)]
pub struct SegmentationTask {
    /// How many classes there are.
    pub classes: usize,
    /// How much a pixel of each class counts in training; empty: 1.
    pub class_weights: Vec<f32>,
    /// Where the loss is computed.
    pub machine: Machine,
}

impl SegmentationTask {
    fn checked<'a>(&self, outputs: &'a [Tensor], targets: &'a [Tensor]) -> Result<&'a [f32]> {
        let fits = |output: &Tensor, target: &Tensor| match *output.shape() {
            [batch, height, width, classes] => {
                classes == self.classes && *target.shape() == [batch, height, width]
            }
            _ => false,
        };
        match targets {
            [target] if !outputs.is_empty() && outputs.iter().all(|output| fits(output, target)) => {
                let classes = target.as_f32()?;
                match classes.iter().find(|&&class| class >= self.classes as f32) {
                    None => Ok(classes),
                    Some(class) => Err(misfit(self.classes, format!("class {class}"))),
                }
            }
            _ => {
                let shapes = |tensors: &[Tensor]| {
                    format!("{:?}", tensors.iter().map(Tensor::shape).collect::<Vec<_>>())
                };
                Err(misfit(self.classes, format!("{} and {}", shapes(outputs), shapes(targets))))
            }
        }
    }
}

impl Task for SegmentationTask {
    fn loss(&self, outputs: &[Tensor], targets: &[Tensor], total: f64) -> Result<LossValue> {
        let classes = self.checked(outputs, targets)?;
        let batch = outputs[0].shape()[0] as f64;
        let weights = PixelCrossEntropy { class_weights: &self.class_weights, divisor: 1.0 };
        let counted = weights.weight(classes).max(1.0) * total / batch;
        let (mut value, mut gradients) = (0.0, Vec::with_capacity(outputs.len()));
        for (number, output) in outputs.iter().enumerate() {
            let divisor = if number == 0 { counted } else { counted / AUXILIARY };
            let loss = PixelCrossEntropy { divisor, ..weights };
            let mut gradient = vec![0.0; output.len()];
            value += loss.evaluate(&self.machine, output.as_f32()?, self.classes, classes, &mut gradient);
            gradients.push(Tensor::new(output.shape(), gradient)?);
        }
        Ok(LossValue { value, gradients })
    }

    fn meter(&self) -> Box<dyn Meter> {
        Box::new(PixelMeter {
            task: self.clone(),
            scores: PixelScores::new(self.classes),
            loss: 0.0,
            counted: 0.0,
        })
    }
}

/// Counts pixels.
struct PixelMeter {
    task: SegmentationTask,
    scores: PixelScores,
    loss: f64,
    counted: f64,
}

impl Meter for PixelMeter {
    fn add(&mut self, outputs: &[Tensor], targets: &[Tensor]) -> Result<()> {
        let classes = self.task.checked(outputs, targets)?;
        let logits = outputs[0].as_f32()?;
        let loss = PixelCrossEntropy { class_weights: &[], divisor: 1.0 };
        let mut gradient = vec![0.0; logits.len()];
        self.loss += loss.evaluate(&self.task.machine, logits, self.task.classes, classes, &mut gradient);
        self.counted += loss.weight(classes);
        let truth: Vec<u8> =
            classes.iter().map(|&class| if class < 0.0 { u8::MAX } else { class as u8 }).collect();
        self.scores.add(&truth, &most_probable(logits, self.task.classes));
        Ok(())
    }

    /// `miou`, `pixel_accuracy`, `dice` and `loss`.
    fn scores(&self) -> BTreeMap<String, f64> {
        BTreeMap::from([
            ("miou".to_owned(), self.scores.miou()),
            ("pixel_accuracy".to_owned(), self.scores.pixel_accuracy()),
            ("dice".to_owned(), self.scores.dice()),
            ("loss".to_owned(), self.loss / self.counted.max(1.0)),
        ])
    }
}

/// The most probable class of each row of logits; of equals the first.
pub(crate) fn most_probable(logits: &[f32], classes: usize) -> Vec<u8> {
    let best = |row: &[f32]| {
        let mut best = 0;
        for (class, logit) in row.iter().enumerate() {
            if *logit > row[best] {
                best = class;
            }
        }
        best as u8
    };
    logits.chunks_exact(classes.max(1)).map(best).collect()
}

fn misfit(classes: usize, found: String) -> EngineError {
    EngineError::Tensor {
        what: "segmentation".into(),
        expected: format!("logits [batch, height, width, {classes}] and classes [batch, height, width]"),
        found,
    }
}
