//! Some samples of a data set as batches of token numbers.

use tk_engine::Tensor;
use tk_engine::random::Stream;
use tk_transfer::data::Digest;
use tk_transfer::fit::{Source, SourceError, View};
use tk_transfer::task::Batch;

use crate::data::dataset::Dataset;
use crate::data::tokens::Tokens;

/// An input of an encoder's graph. Length is that of the longest text of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// Token numbers, `[batch, length]`, f32; the padding's number behind the end.
    Tokens,
    /// 0, or 1 in the second text of a pair, `[batch, length]`, f32.
    TokenTypes,
    /// What is added to the scores of attention, `[batch, 1, 1, length]`, f32: 0 for a token, [`f32::MIN`] for padding.
    Mask,
    /// The weights of a mean over the tokens, `[batch, 1, length]`, f32: one over their number, 0 for padding.
    PoolingWeights,
}

/// How samples become a graph's inputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The graph's inputs in their order.
    pub fields: Vec<Field>,
    /// The token that fills up shorter texts.
    pub pad_id: u32,
    /// The number of samples in a batch, for bringing texts of similar length together.
    pub batch: usize,
}

/// So many batches are sorted by length together: enough that lengths in a batch are alike, few enough that batches are mixed.
const POOLED_BATCHES: usize = 50;

/// Some samples of a data set, ready for an encoder. Texts are not augmented: every view of a sample is the plain one.
pub struct Sentences<'a> {
    dataset: &'a Dataset,
    tokens: &'a [Tokens],
    /// Positions in the data set.
    samples: Vec<usize>,
    layout: Layout,
}

impl<'a> Sentences<'a> {
    /// The samples at these positions of a data set, whose texts are encoded in `tokens`, one entry for each sample of the data set.
    ///
    /// # Panics
    /// When there is not one entry for each sample, or a position is outside the data set.
    pub fn new(dataset: &'a Dataset, tokens: &'a [Tokens], samples: Vec<usize>, layout: Layout) -> Self {
        assert_eq!(tokens.len(), dataset.samples().len(), "one encoding for each sample");
        assert!(samples.iter().all(|&sample| sample < tokens.len()), "positions in the data set");
        Self { dataset, tokens, samples, layout }
    }

    /// Positions in the data set.
    pub fn samples(&self) -> &[usize] {
        &self.samples
    }

    /// The number of tokens of a sample: samples of the same number can be stacked without padding.
    pub fn bucket(&self, sample: usize) -> usize {
        self.encoded(sample).ids.len()
    }

    fn encoded(&self, sample: usize) -> &Tokens {
        &self.tokens[self.samples[sample]]
    }

    fn input(&self, field: Field, samples: &[usize], length: usize) -> Result<Tensor, SourceError> {
        let batch = samples.len();
        let (shape, padding) = match field {
            Field::Tokens => (vec![batch, length], self.layout.pad_id as f32),
            Field::TokenTypes => (vec![batch, length], 0.0),
            Field::Mask => (vec![batch, 1, 1, length], f32::MIN),
            Field::PoolingWeights => (vec![batch, 1, length], 0.0),
        };
        let mut values = vec![padding; batch * length];
        for (row, &sample) in values.chunks_exact_mut(length).zip(samples) {
            let tokens = self.encoded(sample);
            let count = tokens.ids.len();
            match field {
                // Numbers below 2²⁴ are exact in f32; no vocabulary is larger.
                Field::Tokens => row.iter_mut().zip(&tokens.ids).for_each(|(value, &id)| *value = id as f32),
                Field::TokenTypes => {
                    row.iter_mut().zip(&tokens.types).for_each(|(value, &kind)| *value = kind as f32)
                }
                Field::Mask => row.iter_mut().take(count).for_each(|value| *value = 0.0),
                Field::PoolingWeights => {
                    row.iter_mut().take(count).for_each(|value| *value = 1.0 / count as f32)
                }
            }
        }
        Tensor::new(&shape, values).map_err(SourceError::new)
    }
}

impl Source for Sentences<'_> {
    fn len(&self) -> usize {
        self.samples.len()
    }

    fn identity(&self, sample: usize) -> u64 {
        let digest = self.dataset.samples()[self.samples[sample]].digest;
        let (first, _) = digest.bytes().as_chunks::<8>();
        u64::from_le_bytes(first[0])
    }

    fn cache_key(&self, sample: usize, _: View) -> Option<String> {
        let tokens = self.encoded(sample);
        let mut bytes = format!("sentence 1 {:?} {}\n", self.layout.fields, tokens.ids.len()).into_bytes();
        tokens.ids.iter().chain(&tokens.types).for_each(|number| bytes.extend(number.to_le_bytes()));
        let mut key = Digest::of(&bytes).to_string();
        key.truncate(32);
        Some(key)
    }

    /// Each sample once, in batches of texts of similar length: a shuffle is cut into pools of some batches, each pool is sorted by
    /// length, and the batches are shuffled. An incomplete batch is the last, so that the others begin where the loop's batches begin.
    fn epoch(&self, seed: u64, epoch: u64) -> Vec<usize> {
        let mut stream = Stream::new(seed, &["sentences".into(), epoch.into()]);
        let mut order: Vec<usize> = (0..self.len()).collect();
        stream.shuffle(&mut order);
        let batch = self.layout.batch.max(1);
        let mut batches = Vec::with_capacity(order.len().div_ceil(batch));
        for pool in order.chunks_mut(batch * POOLED_BATCHES) {
            pool.sort_by_key(|&sample| self.bucket(sample));
            batches.extend(pool.chunks(batch).map(<[usize]>::to_vec));
        }
        let incomplete = batches.pop_if(|last| last.len() < batch);
        stream.shuffle(&mut batches);
        batches.into_iter().chain(incomplete).flatten().collect()
    }

    fn load(&self, samples: &[usize], _: View) -> Result<Batch, SourceError> {
        let length = samples.iter().map(|&sample| self.bucket(sample)).max().unwrap_or(0).max(1);
        let inputs = self.layout.fields.iter().map(|&field| self.input(field, samples, length));
        let inputs = inputs.collect::<Result<_, _>>()?;
        Ok(Batch { inputs, targets: self.targets(samples)?, samples: samples.to_vec() })
    }

    fn targets(&self, samples: &[usize]) -> Result<Vec<Tensor>, SourceError> {
        let class = |&sample: &usize| self.dataset.samples()[self.samples[sample]].class as f32;
        let classes = samples.iter().map(class).collect();
        Ok(vec![Tensor::new(&[samples.len()], classes).map_err(SourceError::new)?])
    }
}
