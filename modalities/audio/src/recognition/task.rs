//! Learning to spell: the loss of connectionist temporal classification, and error rates of words and characters.

use std::collections::BTreeMap;

use tk_engine::cpu::Machine;
use tk_engine::cpu::kernels::ctc::{Ctc, CtcReduction, Spelling};
use tk_engine::{EngineError, Result, Tensor};
use tk_transfer::metrics::{Edits, character_edits, word_edits};
use tk_transfer::task::{LossValue, Meter, Task};

use super::Vocabulary;
use crate::ctc::greedy;

/// What stands in a row of targets behind its symbols.
pub(crate) const NO_SYMBOL: f32 = -1.0;

/// CTC over the logits of frames.
///
/// Outputs are logits, `[batch, frames, symbols]`. Targets are the numbers of symbols, `[batch, longest]`, with −1 behind them, and how many
/// of the frames are of the sample, `[batch]`. The loss of each text is divided by its length, and their mean is taken, as transformers'
/// `ctc_loss_reduction="mean"` does.
#[derive(Clone, Debug)]
pub struct CtcTask {
    /// What frames spell.
    pub vocabulary: Vocabulary,
    /// Where the loss is computed.
    pub machine: Machine,
}

/// Targets of some samples: their symbols, and their frames.
///
/// # Errors
/// When there are none.
pub(crate) fn targets(texts: &[&[u32]], frames: &[usize]) -> Result<Vec<Tensor>> {
    let longest = texts.iter().map(|text| text.len()).max().unwrap_or(0).max(1);
    let mut symbols = vec![NO_SYMBOL; texts.len() * longest];
    for (row, text) in symbols.chunks_exact_mut(longest).zip(texts) {
        // Numbers below 2²⁴ are exact in f32; no vocabulary is larger.
        row.iter_mut().zip(*text).for_each(|(place, &symbol)| *place = symbol as f32);
    }
    let frames = frames.iter().map(|&frames| frames as f32).collect();
    Ok(vec![Tensor::new(&[texts.len(), longest], symbols)?, Tensor::new(&[texts.len()], frames)?])
}

/// Logits with what they should have spelled.
struct Spelled<'a> {
    logits: &'a [f32],
    frames: usize,
    symbols: usize,
    texts: Vec<Vec<u32>>,
    lengths: Vec<usize>,
}

impl<'a> Spelled<'a> {
    fn read(outputs: &'a [Tensor], targets: &[Tensor]) -> Result<Self> {
        let misfit = |found: String| EngineError::Tensor {
            what: "speech recognition".into(),
            expected: "logits [batch, frames, symbols], symbols [batch, longest], frames [batch]".into(),
            found,
        };
        let ([logits], [texts, lengths]) = (outputs, targets) else {
            return Err(misfit(format!("{} outputs and {} targets", outputs.len(), targets.len())));
        };
        let (&[batch, frames, symbols], &[rows, longest]) = (logits.shape(), texts.shape()) else {
            return Err(misfit(format!("{:?} and {:?}", logits.shape(), texts.shape())));
        };
        let lengths: Vec<usize> =
            lengths.as_f32()?.iter().map(|&length| (length as usize).min(frames)).collect();
        if rows != batch || lengths.len() != batch {
            return Err(misfit(format!(
                "{batch} samples, {rows} texts and {} counts of frames",
                lengths.len()
            )));
        }
        let of_row = |row: &[f32]| {
            row.iter().take_while(|&&symbol| symbol >= 0.0).map(|&symbol| symbol as u32).collect()
        };
        let texts: Vec<Vec<u32>> = texts.as_f32()?.chunks_exact(longest.max(1)).map(of_row).collect();
        if let Some(symbol) = texts.iter().flatten().find(|&&symbol| symbol as usize >= symbols) {
            return Err(misfit(format!("symbol {symbol} of {symbols}")));
        }
        Ok(Self { logits: logits.as_f32()?, frames, symbols, texts, lengths })
    }

    /// The losses of each text, weighted; their gradient is written.
    fn losses(&self, task: &CtcTask, total: usize, gradient: &mut [f32]) -> f64 {
        let loss = Ctc { blank: task.vocabulary.blank(), zero_infinity: true };
        let weight = |text: &Vec<u32>| CtcReduction::Mean.weight(text.len(), total);
        let samples: Vec<Spelling<'_>> = self
            .texts
            .iter()
            .zip(&self.lengths)
            .map(|(text, &frames)| Spelling { frames, target: text, weight: weight(text) })
            .collect();
        let losses =
            loss.evaluate(&task.machine, self.logits, [self.frames, self.symbols], &samples, gradient);
        // A text that its frames cannot spell teaches nothing; the preflight names it.
        let finite = losses.iter().zip(&samples).filter(|(loss, _)| **loss != f64::INFINITY);
        finite.map(|(loss, sample)| loss * sample.weight).sum()
    }
}

impl Task for CtcTask {
    fn loss(&self, outputs: &[Tensor], targets: &[Tensor], total: f64) -> Result<LossValue> {
        let spelled = Spelled::read(outputs, targets)?;
        let mut gradient = vec![0.0; spelled.logits.len()];
        let value = spelled.losses(self, total as usize, &mut gradient);
        let shape = [spelled.texts.len(), spelled.frames, spelled.symbols];
        Ok(LossValue { value, gradients: vec![Tensor::new(&shape, gradient)?] })
    }

    fn meter(&self) -> Box<dyn Meter> {
        Box::new(SpellingMeter {
            task: self.clone(),
            words: Edits::default(),
            characters: Edits::default(),
            loss: 0.0,
            texts: 0,
            empty: 0,
        })
    }
}

/// Sums edits up.
struct SpellingMeter {
    task: CtcTask,
    words: Edits,
    characters: Edits,
    loss: f64,
    texts: usize,
    empty: usize,
}

impl Meter for SpellingMeter {
    fn add(&mut self, outputs: &[Tensor], targets: &[Tensor]) -> Result<()> {
        let spelled = Spelled::read(outputs, targets)?;
        self.loss += spelled.losses(&self.task, 1, &mut vec![0.0; spelled.logits.len()]);
        let vocabulary = &self.task.vocabulary;
        for (row, (text, &frames)) in spelled.texts.iter().zip(&spelled.lengths).enumerate() {
            let start = row * spelled.frames * spelled.symbols;
            let own = &spelled.logits[start..start + frames * spelled.symbols];
            let heard =
                greedy(own, spelled.symbols, vocabulary.blank()).into_iter().map(|spoken| spoken.symbol);
            let (said, heard) = (vocabulary.decode(text.iter().copied()), vocabulary.decode(heard));
            self.words += word_edits(&said, &heard);
            self.characters += character_edits(&said, &heard);
            self.texts += 1;
            self.empty += usize::from(heard.is_empty());
        }
        Ok(())
    }

    /// `wer`, `cer`, `loss`, and `empty`: the share of texts of which nothing came out.
    fn scores(&self) -> BTreeMap<String, f64> {
        let texts = self.texts.max(1) as f64;
        BTreeMap::from([
            ("wer".to_owned(), self.words.rate().unwrap_or(0.0)),
            ("cer".to_owned(), self.characters.rate().unwrap_or(0.0)),
            ("loss".to_owned(), self.loss / texts),
            ("empty".to_owned(), self.empty as f64 / texts),
        ])
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn task() -> CtcTask {
        let vocabulary = Vocabulary::new(["_", "a", "b", "|"].map(str::to_owned).into(), "_", "|").unwrap();
        CtcTask { vocabulary, machine: Machine::new(1) }
    }

    /// Logits that say these symbols.
    fn said(rows: &[&[usize]]) -> Tensor {
        let frames = rows[0].len();
        let mut logits = vec![0.0; rows.len() * frames * 4];
        for (row, symbols) in rows.iter().enumerate() {
            symbols
                .iter()
                .enumerate()
                .for_each(|(at, symbol)| logits[(row * frames + at) * 4 + symbol] = 5.0);
        }
        Tensor::new(&[rows.len(), frames, 4], logits).unwrap()
    }

    #[test]
    fn the_gradient_is_that_of_the_loss() {
        let task = task();
        let logits: Vec<f32> =
            tk_engine::testing::signed("ctc task", 2 * 5 * 4).iter().map(|&v| v as f32).collect();
        let goal = targets(&[&[1, 1], &[2, 3, 1]], &[5, 4]).unwrap();
        let at = |logits: &[f32]| {
            task.loss(&[Tensor::new(&[2, 5, 4], logits.to_vec()).unwrap()], &goal, 2.0).unwrap()
        };
        let found = at(&logits).gradients.remove(0).to_f32();
        for index in 0..logits.len() {
            let moved = |by: f32| {
                let mut logits = logits.clone();
                logits[index] += by;
                at(&logits).value
            };
            let slope = (moved(1e-2) - moved(-1e-2)) / 2e-2;
            assert!((slope - f64::from(found[index])).abs() < 1e-4, "{index}: {slope} {}", found[index]);
        }
        // The last frame of the second is padding.
        assert_eq!(found[36..], [0.0; 4]);
    }

    #[test]
    fn batches_that_are_accumulated_make_the_same_loss() {
        let task = task();
        let logits = said(&[&[1, 0, 2], &[2, 2, 0]]);
        let (texts, frames): ([&[u32]; 2], _) = ([&[1, 2], &[1]], [3, 3]);
        let whole =
            task.loss(std::slice::from_ref(&logits), &targets(&texts, &frames).unwrap(), 2.0).unwrap().value;
        let part = |row: usize| {
            let goal = targets(&texts[row..=row], &frames[row..=row]).unwrap();
            task.loss(&[logits.rows(row, row + 1).unwrap()], &goal, 2.0).unwrap().value
        };
        assert!((whole - part(0) - part(1)).abs() < 1e-9);
    }

    #[test]
    fn errors_of_words_and_characters_are_counted() {
        let mut meter = task().meter();
        let goal = targets(&[&[1, 3, 2], &[1]], &[4, 4]).unwrap();
        meter.add(&[said(&[&[1, 3, 1, 0], &[0, 0, 0, 0]])], &goal).unwrap();
        let scores = meter.scores();
        assert!((scores["wer"] - 2.0 / 3.0).abs() < 1e-9 && (scores["cer"] - 0.5).abs() < 1e-9);
        assert_eq!(scores["empty"], 0.5);
        let none = task().loss(&[said(&[&[0]])], &targets(&[&[1, 1]], &[1]).unwrap(), 1.0).unwrap();
        assert_eq!((none.value, none.gradients[0].to_f32()), (0.0, vec![0.0; 4]));
        assert!(task().loss(&[said(&[&[0]])], &targets(&[&[9]], &[1]).unwrap(), 1.0).is_err());
    }
}
