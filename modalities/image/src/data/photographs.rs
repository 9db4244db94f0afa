//! Photographs as a source of batches: loaded, looked at, normalised.

use std::sync::{Mutex, PoisonError};

use tk_engine::Tensor;
use tk_engine::cpu::Pool;
use tk_engine::random::Stream;
use tk_transfer::data::Labelled;
use tk_transfer::fit::{Source, SourceError, View};
use tk_transfer::task::Batch;

use crate::data::augment::Augment;
use crate::data::dataset::Dataset;
use crate::data::decode::DecodeError;
use crate::data::store::PictureStore;
use crate::data::transform::Preprocess;

/// Some samples of a data set, ready for a network.
pub struct Photographs<'a> {
    dataset: &'a Dataset,
    /// Positions in the data set.
    samples: Vec<usize>,
    preprocess: Preprocess,
    augment: Augment,
    seed: u64,
    store: &'a PictureStore,
    pool: Pool,
    failed: Mutex<Vec<(usize, String)>>,
}

impl<'a> Photographs<'a> {
    /// The samples at these positions of a data set; `store` keeps decoded pictures, and `seed` decides augmented views.
    pub fn new(
        dataset: &'a Dataset,
        samples: Vec<usize>,
        preprocess: Preprocess,
        augment: Augment,
        seed: u64,
        store: &'a PictureStore,
        pool: Pool,
    ) -> Self {
        Self { dataset, samples, preprocess, augment, seed, store, pool, failed: Mutex::default() }
    }

    /// Positions in the data set.
    pub fn samples(&self) -> &[usize] {
        &self.samples
    }

    /// The samples that could not be decoded so far, each once, by position in the data set, with the reason.
    pub fn failed(&self) -> Vec<(usize, String)> {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        failed.sort_by_key(|(sample, _)| *sample);
        failed.dedup_by_key(|(sample, _)| *sample);
        failed
    }

    fn view(&self, position: usize, view: View, into: &mut [f32]) -> Result<(), DecodeError> {
        let index = self.samples[position];
        let sample = &self.dataset.samples()[index];
        let picture = self.store.get(index, || self.dataset.load(sample))?;
        let pixels = match view {
            View::Plain => self.preprocess.apply(&picture),
            View::Augmented(number) => {
                let name = ["augment".into(), number.into(), self.identity(position).into()];
                self.augment.apply(&picture, &self.preprocess, &mut Stream::new(self.seed, &name))
            }
        };
        into.copy_from_slice(&pixels);
        Ok(())
    }
}

impl Source for Photographs<'_> {
    fn len(&self) -> usize {
        self.samples.len()
    }

    fn identity(&self, sample: usize) -> u64 {
        let digest = &self.dataset.samples()[self.samples[sample]].digest;
        u64::from_le_bytes([
            digest[0], digest[1], digest[2], digest[3], digest[4], digest[5], digest[6], digest[7],
        ])
    }

    fn cache_key(&self, sample: usize, view: View) -> Option<String> {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.dataset.samples()[self.samples[sample]].digest);
        hasher.update(self.preprocess.fingerprint().as_bytes());
        if let View::Augmented(number) = view {
            hasher.update(format!("{number} {} {:?}", self.seed, self.augment).as_bytes());
        }
        Some(hasher.finalize().to_hex()[..32].to_owned())
    }

    fn load(&self, samples: &[usize], view: View) -> Result<Batch, SourceError> {
        let [height, width] = self.preprocess.input_size.map(|side| side as usize);
        let length = height * width * 3;
        let mut pixels = vec![0.0; samples.len() * length];
        let failed = Mutex::new(Vec::new());
        self.pool.for_each_chunk(&mut pixels, length, |row, into| {
            if let Err(error) = self.view(samples[row], view, into) {
                failed.lock().unwrap_or_else(PoisonError::into_inner).push((row, error));
            }
        });
        let mut failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut kept = samples.to_vec();
        if !failed.is_empty() {
            failed.sort_by_key(|(row, _)| *row);
            for (row, _) in failed.iter().rev() {
                kept.remove(*row);
                pixels.drain(row * length..(row + 1) * length);
            }
            let named =
                failed.into_iter().map(|(row, error)| (self.samples[samples[row]], error.to_string()));
            self.failed.lock().unwrap_or_else(PoisonError::into_inner).extend(named);
        }
        let shape = [kept.len(), height, width, 3];
        let inputs = vec![Tensor::new(&shape, pixels).map_err(SourceError::new)?];
        Ok(Batch { inputs, targets: self.targets(&kept, view)?, samples: kept })
    }

    fn targets(&self, samples: &[usize], _: View) -> Result<Vec<Tensor>, SourceError> {
        let positions: Vec<usize> = samples.iter().map(|&sample| self.samples[sample]).collect();
        Ok(vec![self.dataset.targets(&positions).map_err(SourceError::new)?])
    }
}
