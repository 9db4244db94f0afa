//! Recordings as a source of batches: decoded, turned into what a network reads, masked.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use tk_engine::Tensor;
use tk_engine::cpu::Pool;
use tk_engine::random::Stream;
use tk_transfer::data::{Digest, Labelled};
use tk_transfer::fit::{Source, SourceError, View};
use tk_transfer::task::Batch;

use super::{Clip, Dataset, DecodeError, Distortion, Masks, SpectrogramStore};
use crate::architectures::Architecture;
use crate::features::SoundExtractor;

/// So many batches are sorted by length together: enough that lengths in a batch are alike, few enough that batches are mixed.
const POOLED_BATCHES: usize = 20;

/// Some recordings of a data set, ready for a network.
///
/// Where a front end keeps lengths, all views of a recording are as long as the plain one, and only training batches are padded.
pub struct Recordings<'a> {
    dataset: &'a Dataset,
    /// Positions in the data set.
    samples: Vec<usize>,
    /// How long each sample's features are, where lengths differ; 0 where there are none.
    lengths: Vec<usize>,
    hearing: Hearing,
    views: Views,
    store: &'a SpectrogramStore,
    failed: Mutex<Vec<(usize, String)>>,
}

/// How a network hears, and how its batches are made.
#[derive(Clone)]
pub struct Hearing {
    /// What computes its input.
    pub extractor: SoundExtractor,
    /// What puts samples together.
    pub architecture: Architecture,
    /// The samples of a batch, for bringing those of similar length together.
    pub batch: usize,
    /// The threads that load.
    pub pool: Pool,
}

/// How varied views of recordings differ from what was recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Views {
    /// What happens to the sound. Distorted sounds have spectrograms of their own, which are not kept.
    pub distortion: Distortion,
    /// What is masked, for a spectrogram of 128 bins and 1,024 frames; other features have their share of it.
    pub masks: Masks,
    /// What all chance follows from.
    pub seed: u64,
}

impl<'a> Recordings<'a> {
    /// The samples at these positions of a data set, and how varied views of them differ. Where lengths differ, all are decoded here.
    ///
    /// # Panics
    /// When a position is outside the data set.
    pub fn new(
        dataset: &'a Dataset,
        samples: Vec<usize>,
        hearing: Hearing,
        views: Views,
        store: &'a SpectrogramStore,
    ) -> Self {
        assert!(samples.iter().all(|&sample| sample < dataset.len()), "positions in the data set");
        let mut lengths = vec![0; samples.len()];
        let extractor = &hearing.extractor;
        if extractor.front_end().keeps_lengths() {
            hearing.pool.for_each_chunk(&mut lengths, 1, |row, into| {
                let plain = store.get(samples[row], || load(dataset, samples[row], extractor));
                // What cannot be loaded is said where it is.
                into[0] = plain.map_or(0, |plain| plain.len());
            });
        }
        Self { dataset, samples, lengths, hearing, views, store, failed: Mutex::default() }
    }

    /// The samples that could not be loaded so far, by position in the data set, with the reason.
    pub fn failed(&self) -> Vec<(usize, String)> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// At most so many of the recordings, evenly spread, decoded and at the rate of the network's input, and how many were looked at. Those
    /// that cannot be decoded are missing.
    pub fn some(&self, count: usize) -> (Vec<Clip>, usize) {
        let step = self.samples.len().div_ceil(count.max(1)).max(1);
        let front_end = self.hearing.extractor.front_end();
        let looked_at: Vec<usize> = self.samples.iter().step_by(step).copied().collect();
        let load =
            |&sample: &usize| self.dataset.load(sample, front_end.seconds())?.at_rate(front_end.rate());
        (looked_at.iter().map(load).filter_map(Result::ok).collect(), looked_at.len())
    }

    /// The rates of the recordings in Hz, ascending.
    pub fn rates(&self) -> Vec<u32> {
        let rates: BTreeSet<u32> =
            self.samples.iter().map(|&sample| self.dataset.samples()[sample].rate).collect();
        rates.into_iter().collect()
    }

    /// The rate of the network's input in Hz.
    pub fn rate(&self) -> u32 {
        self.hearing.extractor.front_end().rate()
    }

    fn view(&self, sample: usize, view: View) -> Result<Vec<f32>, DecodeError> {
        let (position, extractor) = (self.samples[sample], &self.hearing.extractor);
        let Views { distortion, masks, seed } = self.views;
        let stream = |what: &str, number: u64| {
            Stream::new(seed, &[what.into(), number.into(), self.identity(sample).into()])
        };
        let mut features = match view {
            View::Augmented(number) if !distortion.is_none() => {
                let mut stream = stream("sound", number);
                let seconds = extractor.front_end().seconds() * distortion.stretch();
                let clip = distortion.apply(&self.dataset.load(position, seconds)?, &mut stream)?;
                let features = extractor.features(&clip)?;
                match self.lengths[sample] {
                    0 => features,
                    length => fitted(&features, length, &mut stream),
                }
            }
            _ => self.store.get(position, || load(self.dataset, position, extractor))?.to_vec(),
        };
        if let View::Augmented(number) = view {
            let frames = extractor.frames(features.len()).max(1);
            let masks = masks.scaled(features.len() / frames, frames);
            masks.apply(&mut features, frames, &mut stream("masks", number));
        }
        Ok(features)
    }
}

/// A sound of another length: cut out of it at a random place, or in silence at one.
fn fitted(sound: &[f32], length: usize, stream: &mut Stream) -> Vec<f32> {
    let place = stream.below(sound.len().abs_diff(length) + 1);
    match sound.len() >= length {
        true => sound[place..place + length].to_vec(),
        false => {
            let mut fitted = vec![0.0; length];
            fitted[place..place + sound.len()].copy_from_slice(sound);
            fitted
        }
    }
}

/// The features of a sample of a data set.
///
/// # Errors
/// When it cannot be decoded, or is too short.
fn load(dataset: &Dataset, sample: usize, extractor: &SoundExtractor) -> Result<Vec<f32>, DecodeError> {
    extractor.features(&dataset.load(sample, extractor.front_end().seconds())?)
}

impl Source for Recordings<'_> {
    fn len(&self) -> usize {
        self.samples.len()
    }

    fn identity(&self, sample: usize) -> u64 {
        let digest = self.dataset.samples()[self.samples[sample]].digest;
        let (first, _) = digest.bytes().as_chunks::<8>();
        u64::from_le_bytes(first[0])
    }

    fn cache_key(&self, sample: usize, view: View) -> Option<String> {
        let digest = self.dataset.samples()[self.samples[sample]].digest;
        let mut text = format!("recording 2 {digest} {:?}", self.hearing.extractor.front_end());
        if let View::Augmented(number) = view {
            text.push_str(&format!(" {number} {:?}", self.views));
        }
        let mut key = Digest::of(text.as_bytes()).to_string();
        key.truncate(32);
        Some(key)
    }

    /// The number of features, where lengths differ.
    fn bucket(&self, sample: usize) -> usize {
        self.lengths[sample]
    }

    /// Where lengths differ, in batches of similar ones: a shuffle is cut into pools of some batches, each pool is sorted by length, and
    /// the batches are shuffled. An incomplete batch is the last.
    fn order(&self, mut order: Vec<usize>, seed: u64, epoch: u64) -> Vec<usize> {
        let mut stream = Stream::new(seed, &["recordings".into(), epoch.into()]);
        stream.shuffle(&mut order);
        let batch = self.hearing.batch.max(1);
        let mut batches = Vec::with_capacity(order.len().div_ceil(batch));
        for pool in order.chunks_mut(batch * POOLED_BATCHES) {
            pool.sort_by_key(|&sample| self.lengths[sample]);
            batches.extend(pool.chunks(batch).map(<[usize]>::to_vec));
        }
        let incomplete = batches.pop_if(|last| last.len() < batch);
        stream.shuffle(&mut batches);
        batches.into_iter().chain(incomplete).flatten().collect()
    }

    fn load(&self, samples: &[usize], view: View) -> Result<Batch, SourceError> {
        let mut views: Vec<Result<Vec<f32>, DecodeError>> = samples.iter().map(|_| Ok(Vec::new())).collect();
        self.hearing.pool.for_each_chunk(&mut views, 1, |row, into| into[0] = self.view(samples[row], view));
        let (mut kept, mut good) = (Vec::new(), Vec::new());
        for (&sample, view) in samples.iter().zip(&views) {
            match view {
                Ok(features) => {
                    kept.push(sample);
                    good.push(features.as_slice());
                }
                Err(error) => {
                    let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
                    failed.push((self.samples[sample], error.to_string()));
                }
            }
        }
        let inputs = self.hearing.architecture.stack(&good).map_err(SourceError::new)?;
        Ok(Batch { inputs, targets: self.targets(&kept, view)?, samples: kept })
    }

    fn targets(&self, samples: &[usize], _: View) -> Result<Vec<Tensor>, SourceError> {
        let positions: Vec<usize> = samples.iter().map(|&sample| self.samples[sample]).collect();
        Ok(vec![self.dataset.targets(&positions).map_err(SourceError::new)?])
    }
}
