//! Learning to give sentences the embeddings that another encoder gives them.

use std::collections::BTreeMap;

use tk_engine::random::Stream;
use tk_engine::{Result, Tensor};
use tk_text::data::{Layout, Tokens};
use tk_transfer::fit::{Source, SourceError, View};
use tk_transfer::task::{Batch, LossValue, Meter, Task};

/// Some sentences with what the teacher says of them.
pub struct Heard<'a> {
    pub tokens: &'a [Tokens],
    pub taught: &'a [Vec<f32>],
    pub samples: Vec<usize>,
    pub layout: &'a Layout,
}

impl Source for Heard<'_> {
    fn len(&self) -> usize {
        self.samples.len()
    }

    fn identity(&self, sample: usize) -> u64 {
        self.samples[sample] as u64
    }

    fn bucket(&self, sample: usize) -> usize {
        self.tokens[self.samples[sample]].ids.len()
    }

    fn cache_key(&self, _: usize, _: View) -> Option<String> {
        None
    }

    fn order(&self, order: Vec<usize>, seed: u64, epoch: u64) -> Vec<usize> {
        self.layout
            .order(order, Stream::new(seed, &["heard".into(), epoch.into()]), |sample| self.bucket(sample))
    }

    fn load(&self, samples: &[usize], view: View) -> Result<Batch, SourceError> {
        let texts: Vec<&Tokens> = samples.iter().map(|&sample| &self.tokens[self.samples[sample]]).collect();
        let inputs = self.layout.stack(&texts).map_err(SourceError::new)?;
        Ok(Batch { inputs, targets: self.targets(samples, view)?, samples: samples.to_vec() })
    }

    fn targets(&self, samples: &[usize], _: View) -> Result<Vec<Tensor>, SourceError> {
        let rows: Vec<&[f32]> =
            samples.iter().map(|&sample| self.taught[self.samples[sample]].as_slice()).collect();
        let width = rows.first().map_or(0, |row| row.len());
        Ok(vec![Tensor::new(&[samples.len(), width], rows.concat()).map_err(SourceError::new)?])
    }
}

/// The mean over sentences of the squared distance between two embeddings; the teacher's have length 1.
pub struct Mimic;

impl Task for Mimic {
    fn loss(&self, outputs: &[Tensor], targets: &[Tensor], total: f64) -> Result<LossValue> {
        let (told, taught) = (outputs[0].as_f32()?, targets[0].as_f32()?);
        let away: Vec<f32> = told.iter().zip(taught).map(|(told, taught)| told - taught).collect();
        let value = away.iter().map(|away| f64::from(*away).powi(2)).sum::<f64>() / total;
        let gradient = away.iter().map(|away| (2.0 * f64::from(*away) / total) as f32).collect();
        Ok(LossValue { value, gradients: vec![Tensor::new(outputs[0].shape(), gradient)?] })
    }

    fn meter(&self) -> Box<dyn Meter> {
        Box::new(Closeness::default())
    }
}

/// Sums cosines up.
#[derive(Default)]
struct Closeness {
    cosines: f64,
    distances: f64,
    sentences: usize,
}

impl Meter for Closeness {
    fn add(&mut self, outputs: &[Tensor], targets: &[Tensor]) -> Result<()> {
        let width = targets[0].shape()[1];
        let rows = outputs[0].as_f32()?.chunks_exact(width).zip(targets[0].as_f32()?.chunks_exact(width));
        for (told, taught) in rows {
            let product = |a: &[f32], b: &[f32]| {
                a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>()
            };
            let (own, common, other) = (product(told, told), product(told, taught), product(taught, taught));
            self.cosines += common / (own * other).sqrt().max(1e-12);
            self.distances += own - 2.0 * common + other;
            self.sentences += 1;
        }
        Ok(())
    }

    /// The mean cosine between both embeddings, and `loss`.
    fn scores(&self) -> BTreeMap<String, f64> {
        let mean = |sum: f64| sum / self.sentences.max(1) as f64;
        [("cosine".to_owned(), mean(self.cosines)), ("loss".to_owned(), mean(self.distances))].into()
    }
}
