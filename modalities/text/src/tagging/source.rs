//! Windows of sentences as batches.

use std::sync::Arc;

use tk_engine::Tensor;
use tk_engine::cpu::kernels::pixel_cross_entropy::IGNORED;
use tk_engine::random::Stream;
use tk_transfer::data::Digest;
use tk_transfer::fit::{Source, SourceError, View};
use tk_transfer::task::Batch;

use super::{Tagged, Window, Windows};
use crate::data::{Layout, Tokens};

/// The windows of some sentences of a data set, ready for an encoder.
pub struct TaggedWindows<'a> {
    data: &'a Tagged,
    sentences: Arc<Vec<Windows>>,
    /// A sentence and one of its windows each.
    samples: Vec<(usize, usize)>,
    layout: Layout,
}

impl<'a> TaggedWindows<'a> {
    /// The windows of the sentences at these positions; `sentences` has an entry for each sentence of the data set.
    pub fn new(data: &'a Tagged, sentences: Arc<Vec<Windows>>, positions: &[usize], layout: Layout) -> Self {
        let windows =
            |&sentence: &usize| (0..sentences[sentence].windows.len()).map(move |window| (sentence, window));
        let samples = positions.iter().flat_map(windows).collect();
        Self { data, sentences, samples, layout }
    }

    /// What is worth saying of words and windows.
    pub fn remarks(&self) -> Vec<String> {
        let mut sentences: Vec<usize> = self.samples.iter().map(|(sentence, _)| *sentence).collect();
        sentences.dedup();
        let tokens: usize = (0..self.samples.len()).map(|sample| self.window(sample).tokens.ids.len()).sum();
        let mut remarks =
            vec![format!("{:.0} tokens a window", tokens as f64 / self.samples.len().max(1) as f64)];
        let long = sentences.iter().filter(|&&sentence| self.sentences[sentence].windows.len() > 1).count();
        if long > 0 {
            remarks
                .push(format!("{long} sentences are longer than the model takes: they are seen in windows"));
        }
        let cut: usize = sentences.iter().map(|&sentence| self.sentences[sentence].cut).sum();
        if cut > 0 {
            remarks.push(format!("{cut} words are longer than a window: the model sees their beginnings"));
        }
        remarks
    }

    fn window(&self, sample: usize) -> &Window {
        let (sentence, window) = self.samples[sample];
        &self.sentences[sentence].windows[window]
    }
}

impl Source for TaggedWindows<'_> {
    fn len(&self) -> usize {
        self.samples.len()
    }

    fn identity(&self, sample: usize) -> u64 {
        let (sentence, window) = self.samples[sample];
        let (first, _) = self.data.sentences()[sentence].digest.as_chunks::<8>();
        u64::from_le_bytes(first[0]).wrapping_add(window as u64)
    }

    /// The number of tokens.
    fn bucket(&self, sample: usize) -> usize {
        self.window(sample).tokens.ids.len()
    }

    fn cache_key(&self, sample: usize, _: View) -> Option<String> {
        let ids = &self.window(sample).tokens.ids;
        let mut bytes = format!("window 1 {:?} {}\n", self.layout.fields, ids.len()).into_bytes();
        ids.iter().for_each(|number| bytes.extend(number.to_le_bytes()));
        let mut key = Digest::of(&bytes).to_string();
        key.truncate(32);
        Some(key)
    }

    fn order(&self, order: Vec<usize>, seed: u64, epoch: u64) -> Vec<usize> {
        self.layout
            .order(order, Stream::new(seed, &["windows".into(), epoch.into()]), |sample| self.bucket(sample))
    }

    fn load(&self, samples: &[usize], view: View) -> Result<Batch, SourceError> {
        let texts: Vec<&Tokens> = samples.iter().map(|&sample| &self.window(sample).tokens).collect();
        let inputs = self.layout.stack(&texts).map_err(SourceError::new)?;
        Ok(Batch { inputs, targets: self.targets(samples, view)?, samples: samples.to_vec() })
    }

    /// The tag of every token, `[batch, length]`: of a word's first token, and nothing elsewhere.
    fn targets(&self, samples: &[usize], _: View) -> Result<Vec<Tensor>, SourceError> {
        let length = samples.iter().map(|&sample| self.bucket(sample)).max().unwrap_or(0).max(1);
        let mut tags = vec![IGNORED; samples.len() * length];
        for (row, &sample) in tags.chunks_exact_mut(length).zip(samples) {
            let sentence = &self.data.sentences()[self.samples[sample].0];
            for &(word, token) in &self.window(sample).words {
                row[token] = sentence.tags[word] as f32;
            }
        }
        Ok(vec![Tensor::new(&[samples.len(), length], tags).map_err(SourceError::new)?])
    }
}
