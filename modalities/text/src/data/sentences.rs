//! Some samples of a data set as batches of token numbers.

use tk_engine::Tensor;
use tk_engine::random::Stream;
use tk_transfer::data::{Digest, Labelled};
use tk_transfer::fit::{Source, SourceError, View};
use tk_transfer::task::Batch;

use crate::architectures::Field;
use crate::data::dataset::Dataset;
use crate::data::tokens::{Statistics, Tokens};

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

impl Layout {
    /// A graph's inputs for texts, padded to the longest of them.
    ///
    /// # Errors
    /// When there are none.
    pub fn stack(&self, texts: &[&Tokens]) -> tk_engine::Result<Vec<Tensor>> {
        let length = texts.iter().map(|text| text.ids.len()).max().unwrap_or(0).max(1);
        self.fields.iter().map(|&field| self.input(field, texts, length)).collect()
    }

    /// An order of samples in batches of similar length, which `length` tells: a shuffle is cut into pools of some batches, each pool is
    /// sorted by length, and the batches are shuffled. An incomplete batch is the last, so that the others begin where the loop's batches
    /// begin.
    pub fn order(
        &self,
        mut order: Vec<usize>,
        mut stream: Stream,
        length: impl Fn(usize) -> usize,
    ) -> Vec<usize> {
        stream.shuffle(&mut order);
        let batch = self.batch.max(1);
        let mut batches = Vec::with_capacity(order.len().div_ceil(batch));
        for pool in order.chunks_mut(batch * POOLED_BATCHES) {
            pool.sort_by_key(|&sample| length(sample));
            batches.extend(pool.chunks(batch).map(<[usize]>::to_vec));
        }
        let incomplete = batches.pop_if(|last| last.len() < batch);
        stream.shuffle(&mut batches);
        batches.into_iter().chain(incomplete).flatten().collect()
    }

    fn input(&self, field: Field, texts: &[&Tokens], length: usize) -> tk_engine::Result<Tensor> {
        let batch = texts.len();
        let (shape, padding) = match field {
            Field::Tokens => (vec![batch, length], self.pad_id as f32),
            Field::TokenTypes => (vec![batch, length], 0.0),
            Field::Mask => (vec![batch, 1, 1, length], Field::MASKED),
            Field::PoolingWeights => (vec![batch, 1, length], 0.0),
        };
        let mut values = vec![padding; batch * length];
        for (row, tokens) in values.chunks_exact_mut(length).zip(texts) {
            let count = tokens.ids.len();
            match field {
                // Numbers below 2²⁴ are exact in f32; no vocabulary is larger.
                Field::Tokens => row.iter_mut().zip(&tokens.ids).for_each(|(value, &id)| *value = id as f32),
                Field::TokenTypes => {
                    row.iter_mut().zip(&tokens.types).for_each(|(value, &kind)| *value = kind as f32);
                }
                Field::Mask => row.iter_mut().take(count).for_each(|value| *value = 0.0),
                Field::PoolingWeights => {
                    row.iter_mut().take(count).for_each(|value| *value = 1.0 / count as f32);
                }
            }
        }
        Tensor::new(&shape, values)
    }
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

    /// What became of the texts.
    pub fn statistics(&self) -> Statistics {
        Statistics::of((0..self.samples.len()).map(|sample| self.encoded(sample)))
    }

    fn encoded(&self, sample: usize) -> &Tokens {
        &self.tokens[self.samples[sample]]
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

    /// The number of tokens.
    fn bucket(&self, sample: usize) -> usize {
        self.encoded(sample).ids.len()
    }

    fn cache_key(&self, sample: usize, _: View) -> Option<String> {
        let tokens = self.encoded(sample);
        let mut bytes = format!("sentence 1 {:?} {}\n", self.layout.fields, tokens.ids.len()).into_bytes();
        tokens.ids.iter().chain(&tokens.types).for_each(|number| bytes.extend(number.to_le_bytes()));
        let mut key = Digest::of(&bytes).to_string();
        key.truncate(32);
        Some(key)
    }

    fn order(&self, order: Vec<usize>, seed: u64, epoch: u64) -> Vec<usize> {
        let stream = Stream::new(seed, &["sentences".into(), epoch.into()]);
        self.layout.order(order, stream, |sample| self.bucket(sample))
    }

    fn load(&self, samples: &[usize], view: View) -> Result<Batch, SourceError> {
        let texts: Vec<&Tokens> = samples.iter().map(|&sample| self.encoded(sample)).collect();
        let inputs = self.layout.stack(&texts).map_err(SourceError::new)?;
        Ok(Batch { inputs, targets: self.targets(samples, view)?, samples: samples.to_vec() })
    }

    fn targets(&self, samples: &[usize], _: View) -> Result<Vec<Tensor>, SourceError> {
        let positions: Vec<usize> = samples.iter().map(|&sample| self.samples[sample]).collect();
        Ok(vec![self.dataset.targets(&positions).map_err(SourceError::new)?])
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use tk_transfer::fit::Balanced;

    /// A data set of texts `0`, `1`, … with classes in turn, and encodings of these lengths.
    fn data(lengths: &[usize]) -> (Dataset, Vec<Tokens>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        let rows: String = (0..lengths.len()).map(|row| format!("t{row},{}\n", row % 2)).collect();
        std::fs::write(&path, format!("text,label\n{rows}")).unwrap();
        let encode = |(row, &length): (usize, &usize)| Tokens {
            ids: (0..length).map(|at| (10 * row + at + 1) as u32).collect(),
            types: (0..length).map(|at| u32::from(at > 1)).collect(),
            ..Tokens::default()
        };
        (Dataset::open(path).unwrap(), lengths.iter().enumerate().map(encode).collect())
    }

    fn layout(fields: &[Field], batch: usize) -> Layout {
        Layout { fields: fields.to_vec(), pad_id: 7, batch }
    }

    const ALL: [Field; 4] = [Field::Tokens, Field::TokenTypes, Field::Mask, Field::PoolingWeights];

    #[test]
    fn batches_are_padded_to_their_longest_text() {
        let (dataset, tokens) = data(&[9, 1, 4, 2]);
        let sentences = Sentences::new(&dataset, &tokens, vec![3, 2, 1], layout(&ALL, 2));
        assert_eq!((sentences.len(), sentences.samples()), (3, &[3, 2, 1][..]));
        let batch = sentences.load(&[0, 1, 2], View::Plain).unwrap();
        let m = Field::MASKED;
        let expected: [(&[usize], Vec<f32>); 4] = [
            (&[3, 4], vec![31., 32., 7., 7., 21., 22., 23., 24., 11., 7., 7., 7.]),
            (&[3, 4], vec![0., 0., 0., 0., 0., 0., 1., 1., 0., 0., 0., 0.]),
            (&[3, 1, 1, 4], vec![0., 0., m, m, 0., 0., 0., 0., 0., m, m, m]),
            (&[3, 1, 4], vec![0.5, 0.5, 0., 0., 0.25, 0.25, 0.25, 0.25, 1., 0., 0., 0.]),
        ];
        assert_eq!(batch.inputs.len(), expected.len());
        for (input, (shape, values)) in batch.inputs.iter().zip(expected) {
            assert_eq!((input.shape(), input.to_f32()), (shape, values));
        }
        assert_eq!((batch.targets[0].to_f32(), batch.samples), (vec![1., 0., 1.], vec![0, 1, 2]));

        // The order of the fields is the graph's, and a shorter batch is a shorter tensor.
        let sentences =
            Sentences::new(&dataset, &tokens, vec![3, 2, 1], layout(&[Field::Mask, Field::Tokens], 2));
        let batch = sentences.load(&[2], View::Augmented(3)).unwrap();
        let shapes: Vec<&[usize]> = batch.inputs.iter().map(Tensor::shape).collect();
        assert_eq!(shapes, [&[1, 1, 1, 1][..], &[1, 1]]);
    }

    #[test]
    fn keys_are_those_of_content_and_layout() {
        let (dataset, mut tokens) = data(&[3, 3, 3, 3]);
        let key = |tokens: &[Tokens], fields: &[Field], sample| {
            let sentences = Sentences::new(&dataset, tokens, vec![0, 1, 2, 3], layout(fields, 2));
            assert_eq!(
                sentences.cache_key(sample, View::Plain),
                sentences.cache_key(sample, View::Augmented(1))
            );
            (sentences.cache_key(sample, View::Plain).unwrap(), sentences.identity(sample))
        };
        let (base, identity) = key(&tokens, &ALL, 0);
        assert_eq!(base.len(), 32);
        assert_eq!(key(&tokens, &ALL, 0), (base.clone(), identity));
        let other = key(&tokens, &ALL, 1);
        assert!(other.0 != base && other.1 != identity);
        let reordered = key(&tokens, &ALL[1..], 0);
        assert!(reordered.0 != base && reordered.1 == identity);
        tokens[0].types[0] = 1;
        assert_ne!(key(&tokens, &ALL, 0).0, base);
    }

    #[test]
    fn an_epoch_has_every_sample_once_in_batches_of_similar_length() {
        let lengths: Vec<usize> = (0..1003).map(|row| 1 + (row * 37) % 101).collect();
        let (dataset, tokens) = data(&lengths);
        let sentences = Sentences::new(&dataset, &tokens, (0..1003).collect(), layout(&ALL, 8));
        let order = sentences.epoch(5, 2);
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..1003).collect::<Vec<_>>());
        assert_eq!(order, sentences.epoch(5, 2));
        assert!(order != sentences.epoch(5, 3) && order != sentences.epoch(6, 2));
        // Padding costs little, and the lengths of batches come in no order.
        let longest: Vec<usize> =
            order.chunks(8).map(|batch| batch.iter().map(|&sample| lengths[sample]).max().unwrap()).collect();
        let padded: usize =
            longest.iter().zip(order.chunks(8)).map(|(length, batch)| length * batch.len()).sum();
        let filled: usize = lengths.iter().sum();
        assert!(padded < filled + filled / 10, "{padded} for {filled}");
        let rises = longest.windows(2).filter(|pair| pair[0] < pair[1]).count();
        assert!((30..95).contains(&rises), "{rises} of {}", longest.len());
        // Samples that come several times are put in order alike.
        let labels: Vec<usize> = (0..1003).map(|row| usize::from(row >= 1000)).collect();
        let balanced = Balanced::new(&sentences, &labels, 2).epoch(5, 2);
        assert_eq!(balanced.len(), 1003);
        assert!(balanced.iter().filter(|&&sample| sample >= 1000).count() > 400);
        let spread = |batch: &[usize]| {
            let lengths = batch.iter().map(|&sample| lengths[sample]);
            lengths.clone().max().unwrap() - lengths.min().unwrap()
        };
        let mean = balanced.chunks(8).map(spread).sum::<usize>() as f64 / balanced.chunks(8).count() as f64;
        assert!(mean < 5.0, "lengths lie up to 100 apart, in a batch {mean}");
        // Fewer samples than a batch, and none.
        let few = Sentences::new(&dataset, &tokens, vec![5, 6], layout(&ALL, 8));
        assert_eq!(few.epoch(0, 0).len(), 2);
        assert!(Sentences::new(&dataset, &tokens, Vec::new(), layout(&ALL, 8)).epoch(0, 0).is_empty());
    }
}
