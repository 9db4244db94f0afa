//! Learning the tag of every word: cross-entropy, and F1 of entities.

use std::collections::BTreeMap;

use tk_engine::cpu::Machine;
use tk_engine::cpu::kernels::pixel_cross_entropy::PixelCrossEntropy;
use tk_engine::{EngineError, Result, Tensor};
use tk_transfer::metrics::EntityScores;
use tk_transfer::task::{LossValue, Meter, Task};

/// Tagging. Outputs are logits `[batch, length, tags]`; the target is the tag of every token, `[batch, length]`, or
/// [`IGNORED`](tk_engine::cpu::kernels::pixel_cross_entropy::IGNORED). The loss is the mean over the words of each batch, as transformers takes it.
#[derive(Clone, Debug)]
pub struct TaggingTask {
    /// The tags.
    pub tags: Vec<String>,
    /// Where the loss is computed.
    pub machine: Machine,
}

impl TaggingTask {
    fn checked<'a>(&self, outputs: &'a [Tensor], targets: &'a [Tensor]) -> Result<[&'a [f32]; 2]> {
        let misfit = |found: String| EngineError::Tensor {
            what: "tagging".into(),
            expected: format!("logits [batch, length, {}] and tags [batch, length]", self.tags.len()),
            found,
        };
        let ([logits], [tags]) = (outputs, targets) else {
            return Err(misfit(format!("{} outputs and {} targets", outputs.len(), targets.len())));
        };
        let fits = matches!((logits.shape(), tags.shape()), (&[batch, length, count], &[rows, long])
            if batch == rows && length == long && count == self.tags.len());
        if !fits {
            return Err(misfit(format!("{:?} and {:?}", logits.shape(), tags.shape())));
        }
        let (logits, tags) = (logits.as_f32()?, tags.as_f32()?);
        match tags.iter().find(|&&tag| tag >= self.tags.len() as f32) {
            Some(tag) => Err(misfit(format!("tag {tag}"))),
            None => Ok([logits, tags]),
        }
    }
}

impl Task for TaggingTask {
    fn loss(&self, outputs: &[Tensor], targets: &[Tensor], total: f64) -> Result<LossValue> {
        let [logits, tags] = self.checked(outputs, targets)?;
        let batch = outputs[0].shape()[0] as f64;
        let loss = PixelCrossEntropy { class_weights: &[], divisor: 1.0 };
        let divisor = loss.weight(tags).max(1.0) * total / batch;
        let mut gradient = vec![0.0; logits.len()];
        let value = PixelCrossEntropy { divisor, ..loss }.evaluate(
            &self.machine,
            logits,
            self.tags.len(),
            tags,
            &mut gradient,
        );
        Ok(LossValue { value, gradients: vec![Tensor::new(outputs[0].shape(), gradient)?] })
    }

    fn meter(&self) -> Box<dyn Meter> {
        Box::new(EntityMeter { task: self.clone(), scores: EntityScores::default(), loss: 0.0, words: 0.0 })
    }
}

/// Counts entities.
struct EntityMeter {
    task: TaggingTask,
    scores: EntityScores,
    loss: f64,
    words: f64,
}

impl Meter for EntityMeter {
    fn add(&mut self, outputs: &[Tensor], targets: &[Tensor]) -> Result<()> {
        let [logits, tags] = self.task.checked(outputs, targets)?;
        let loss = PixelCrossEntropy { class_weights: &[], divisor: 1.0 };
        let names = &self.task.tags;
        self.loss +=
            loss.evaluate(&self.task.machine, logits, names.len(), tags, &mut vec![0.0; logits.len()]);
        self.words += loss.weight(tags);
        let length = targets[0].shape()[1].max(1);
        for (tags, logits) in tags.chunks_exact(length).zip(logits.chunks_exact(length * names.len())) {
            let words = tags.iter().zip(logits.chunks_exact(names.len())).filter(|(tag, _)| **tag >= 0.0);
            let (truth, told): (Vec<&str>, Vec<&str>) = words
                .map(|(&tag, logits)| (names[tag as usize].as_str(), names[most_probable(logits)].as_str()))
                .unzip();
            self.scores.add(&truth, &told);
        }
        Ok(())
    }

    /// Those of [`EntityScores::metrics`], and `loss`.
    fn scores(&self) -> BTreeMap<String, f64> {
        let mut scores = self.scores.metrics();
        scores.insert("loss".into(), self.loss / self.words.max(1.0));
        scores
    }
}

/// The most probable of some logits; of equals the first.
pub(super) fn most_probable(logits: &[f32]) -> usize {
    let mut best = 0;
    for (class, logit) in logits.iter().enumerate() {
        if *logit > logits[best] {
            best = class;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn task() -> TaggingTask {
        let tags = ["O", "B-a", "I-a"].map(str::to_owned).to_vec();
        TaggingTask { tags, machine: Machine::new(1) }
    }

    /// Two sentences of three tokens; the second has one word.
    fn batch() -> ([Tensor; 1], [Tensor; 1]) {
        let logits = vec![
            0.1, 2.0, -1.0, 0.3, 0.2, 0.9, 1.0, 0.0, 0.0, //
            0.5, 0.4, 0.1, 7.0, 7.0, 7.0, -7.0, 0.0, 7.0,
        ];
        let tags = vec![1.0, 2.0, 0.0, 1.0, -1.0, -1.0];
        ([Tensor::new(&[2, 3, 3], logits).unwrap()], [Tensor::new(&[2, 3], tags).unwrap()])
    }

    #[test]
    fn the_loss_is_the_mean_over_words_and_its_slope_is_right() {
        let (outputs, targets) = batch();
        let found = task().loss(&outputs, &targets, 2.0).unwrap();
        let logits = outputs[0].as_f32().unwrap();
        let value = |logits: &[f32]| -> f64 {
            let of = |token: usize, tag: usize| {
                let row: Vec<f64> = logits[3 * token..3 * token + 3].iter().map(|&x| f64::from(x)).collect();
                row.iter().map(|x| x.exp()).sum::<f64>().ln() - row[tag]
            };
            (of(0, 1) + of(1, 2) + of(2, 0) + of(3, 1)) / 4.0
        };
        assert!((found.value - value(logits)).abs() < 1e-6, "{}", found.value);
        for (at, slope) in found.gradients[0].as_f32().unwrap().iter().enumerate() {
            let moved = |by: f32| {
                let mut logits = logits.to_vec();
                logits[at] += by;
                value(&logits)
            };
            let expected = (moved(1e-2) - moved(-1e-2)) / 2e-2;
            assert!((f64::from(*slope) - expected).abs() < 1e-4, "{at}: {slope} {expected}");
        }
        assert!(task().loss(&outputs, &outputs, 2.0).is_err());
    }

    #[test]
    fn entities_are_counted_within_sentences() {
        let (outputs, targets) = batch();
        let mut meter = task().meter();
        meter.add(&outputs, &targets).unwrap();
        let scores = meter.scores();
        assert!(
            (scores["f1"] - 2.0 / 3.0).abs() < 1e-9 && (scores["accuracy"] - 0.75).abs() < 1e-9,
            "{scores:?}"
        );
        assert!((scores["loss"] - task().loss(&outputs, &targets, 2.0).unwrap().value).abs() < 1e-6);
    }
}
