//! Recordings as a source of batches: decoded, turned into spectrograms, masked.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use tk_engine::Tensor;
use tk_engine::cpu::Pool;
use tk_engine::random::Stream;
use tk_transfer::data::{Digest, Labelled};
use tk_transfer::fit::{Source, SourceError, View};
use tk_transfer::task::Batch;

use super::{Clip, Dataset, DecodeError, Distortion, Masks, SpectrogramStore};
use crate::features::Extractor;

/// Some recordings of a data set, ready for a network: spectrograms `[batch, bins, frames, 1]`.
pub struct Recordings<'a> {
    dataset: &'a Dataset,
    /// Positions in the data set.
    samples: Vec<usize>,
    extractor: Extractor,
    views: Views,
    store: &'a SpectrogramStore,
    pool: Pool,
    failed: Mutex<Vec<(usize, String)>>,
}

/// How varied views of recordings differ from what was recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Views {
    /// What happens to the sound. Distorted sounds have spectrograms of their own, which are not kept.
    pub distortion: Distortion,
    /// What of the spectrogram is masked.
    pub masks: Masks,
    /// What all chance follows from.
    pub seed: u64,
}

impl<'a> Recordings<'a> {
    /// The samples at these positions of a data set, and how varied views of them differ.
    ///
    /// # Panics
    /// When a position is outside the data set.
    pub fn new(
        dataset: &'a Dataset,
        samples: Vec<usize>,
        extractor: Extractor,
        views: Views,
        store: &'a SpectrogramStore,
        pool: Pool,
    ) -> Self {
        assert!(samples.iter().all(|&sample| sample < dataset.len()), "positions in the data set");
        Self { dataset, samples, extractor, views, store, pool, failed: Mutex::default() }
    }

    /// The samples that could not be loaded so far, by position in the data set, with the reason.
    pub fn failed(&self) -> Vec<(usize, String)> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// At most so many of the recordings, evenly spread, decoded and at the rate of the network's input, and how many were looked at. Those
    /// that cannot be decoded are missing.
    pub fn some(&self, count: usize) -> (Vec<Clip>, usize) {
        let step = self.samples.len().div_ceil(count.max(1)).max(1);
        let settings = self.extractor.settings();
        let looked_at: Vec<usize> = self.samples.iter().step_by(step).copied().collect();
        let load =
            |&sample: &usize| self.dataset.load(sample, settings.seconds())?.at_rate(settings.sampling_rate);
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
        self.extractor.settings().sampling_rate
    }

    fn view(&self, sample: usize, view: View, into: &mut [f32]) -> Result<(), DecodeError> {
        let position = self.samples[sample];
        let Views { distortion, masks, seed } = self.views;
        let stream = |what: &str, number: u64| {
            Stream::new(seed, &[what.into(), number.into(), self.identity(sample).into()])
        };
        match view {
            View::Augmented(number) if !distortion.is_none() => {
                let seconds = self.extractor.settings().seconds() * distortion.stretch();
                let clip = self.dataset.load(position, seconds)?;
                let clip = distortion.apply(&clip, &mut stream("sound", number))?;
                into.copy_from_slice(&self.extractor.spectrogram(&clip)?);
            }
            _ => {
                let plain = self.store.get(position, || load(self.dataset, position, &self.extractor))?;
                into.copy_from_slice(&plain);
            }
        }
        if let View::Augmented(number) = view {
            masks.apply(into, self.extractor.settings().max_length, &mut stream("masks", number));
        }
        Ok(())
    }
}

/// The spectrogram of a sample of a data set.
///
/// # Errors
/// When it cannot be decoded, or is too short.
fn load(dataset: &Dataset, sample: usize, extractor: &Extractor) -> Result<Vec<f32>, DecodeError> {
    extractor.spectrogram(&dataset.load(sample, extractor.settings().seconds())?)
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
        let mut text = format!("recording 1 {digest} {:?}", self.extractor.settings());
        if let View::Augmented(number) = view {
            text.push_str(&format!(" {number} {:?}", self.views));
        }
        let mut key = Digest::of(text.as_bytes()).to_string();
        key.truncate(32);
        Some(key)
    }

    fn load(&self, samples: &[usize], view: View) -> Result<Batch, SourceError> {
        let settings = self.extractor.settings();
        let (bins, frames) = (settings.num_mel_bins, settings.max_length);
        let length = bins * frames;
        let mut values = vec![0.0; samples.len() * length];
        let failed = Mutex::new(Vec::new());
        self.pool.for_each_chunk(&mut values, length, |row, into| {
            if let Err(error) = self.view(samples[row], view, into) {
                failed.lock().unwrap_or_else(PoisonError::into_inner).push((row, error.to_string()));
            }
        });
        let mut failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
        failed.sort();
        let mut kept = samples.to_vec();
        for (row, _) in failed.iter().rev() {
            kept.remove(*row);
            values.drain(row * length..(row + 1) * length);
        }
        let named = failed.into_iter().map(|(row, reason)| (self.samples[samples[row]], reason));
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).extend(named);
        let inputs = vec![Tensor::new(&[kept.len(), bins, frames, 1], values).map_err(SourceError::new)?];
        Ok(Batch { inputs, targets: self.targets(&kept)?, samples: kept })
    }

    fn targets(&self, samples: &[usize]) -> Result<Vec<Tensor>, SourceError> {
        let positions: Vec<usize> = samples.iter().map(|&sample| self.samples[sample]).collect();
        Ok(vec![self.dataset.targets(&positions).map_err(SourceError::new)?])
    }
}
