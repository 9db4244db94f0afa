//! Utterances as a source of batches: decoded, varied, brought to the rate and loudness of a network, padded.

use std::sync::{Mutex, PoisonError};

use tk_engine::Tensor;
use tk_engine::cpu::Pool;
use tk_engine::random::Stream;
use tk_transfer::data::Digest;
use tk_transfer::fit::{Source, SourceError, View};
use tk_transfer::task::Batch;

use super::{Clip, DecodeError, Distortion, SpectrogramStore, Utterances};
use crate::recognition::{SpeechModel, targets};

/// So many batches are sorted by length together: enough that lengths in a batch are alike, few enough that batches are mixed.
const POOLED_BATCHES: usize = 20;

/// Some utterances, ready for a network.
///
/// All views of an utterance are equally long: with room for the slowest one, where varied views are slower or faster, and silence around
/// the others. Utterances of one length are stacked as they are; only training batches are padded.
pub struct Waves<'a> {
    utterances: &'a Utterances,
    /// Positions in the data.
    samples: Vec<usize>,
    /// The symbols of each sample.
    texts: Vec<Vec<u32>>,
    model: &'a SpeechModel,
    distortion: Distortion,
    seed: u64,
    batch: usize,
    store: &'a SpectrogramStore,
    pool: Pool,
    failed: Mutex<Vec<(usize, String)>>,
}

/// How a source gives its batches.
#[derive(Clone)]
pub struct WaveSettings {
    /// How varied views differ from what was recorded.
    pub distortion: Distortion,
    /// What all chance follows from.
    pub seed: u64,
    /// The samples of a batch, for bringing utterances of similar length together.
    pub batch: usize,
    /// The threads that load.
    pub pool: Pool,
}

impl<'a> Waves<'a> {
    /// The utterances at these positions, each with its symbols. What is decoded is kept in a store.
    ///
    /// # Panics
    /// When a position is outside the data, or not every sample has its symbols.
    pub fn new(
        utterances: &'a Utterances,
        samples: Vec<(usize, Vec<u32>)>,
        model: &'a SpeechModel,
        settings: WaveSettings,
        store: &'a SpectrogramStore,
    ) -> Self {
        let (samples, texts): (Vec<usize>, Vec<Vec<u32>>) = samples.into_iter().unzip();
        assert!(samples.iter().all(|&sample| sample < utterances.samples().len()), "positions in the data");
        let WaveSettings { distortion, seed, batch, pool } = settings;
        Self {
            utterances,
            samples,
            texts,
            model,
            distortion,
            seed,
            batch,
            store,
            pool,
            failed: Mutex::default(),
        }
    }

    /// The samples that could not be loaded so far, by position in the data, with the reason.
    pub fn failed(&self) -> Vec<(usize, String)> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many samples every view of an utterance has.
    fn length(&self, sample: usize) -> usize {
        let plain =
            self.utterances.samples()[self.samples[sample]].length_at(self.model.front_end.sampling_rate);
        plain + (plain * self.distortion.length_percent as usize).div_ceil(100)
    }

    /// One view, as long as all of them.
    fn view(&self, sample: usize, view: View) -> Result<Vec<f32>, DecodeError> {
        let (front_end, position) = (&self.model.front_end, self.samples[sample]);
        let rate = front_end.sampling_rate;
        let load = || Ok(self.utterances.load(position)?.at_rate(rate)?.values().to_vec());
        let clip = Clip::samples(&self.store.get(position, load)?, rate)?;
        let mut stream = None;
        let clip = match view {
            View::Augmented(number) if !self.distortion.is_none() => {
                let name = ["wave".into(), number.into(), self.identity(sample).into()];
                let stream = stream.insert(Stream::new(self.seed, &name));
                self.distortion.apply(&clip, stream)?
            }
            _ => clip,
        };
        let mut sound = front_end.features(&clip)?;
        let length = self.length(sample);
        sound.truncate(length);
        let before = stream.map_or(0, |mut stream| stream.below(length - sound.len() + 1));
        let mut wave = vec![0.0; length];
        wave[before..before + sound.len()].copy_from_slice(&sound);
        Ok(wave)
    }
}

impl Source for Waves<'_> {
    fn len(&self) -> usize {
        self.samples.len()
    }

    fn identity(&self, sample: usize) -> u64 {
        let digest = self.utterances.samples()[self.samples[sample]].digest;
        let (first, _) = digest.bytes().as_chunks::<8>();
        u64::from_le_bytes(first[0])
    }

    fn cache_key(&self, sample: usize, view: View) -> Option<String> {
        let digest = self.utterances.samples()[self.samples[sample]].digest;
        let mut text = format!("wave 1 {digest} {:?} {}", self.model.front_end, self.length(sample));
        if let View::Augmented(number) = view
            && !self.distortion.is_none()
        {
            text.push_str(&format!(" {number} {} {:?}", self.seed, self.distortion));
        }
        let mut key = Digest::of(text.as_bytes()).to_string();
        key.truncate(32);
        Some(key)
    }

    /// The number of samples.
    fn bucket(&self, sample: usize) -> usize {
        self.length(sample)
    }

    /// In batches of utterances of similar length: a shuffle is cut into pools of some batches, each pool is sorted by length, and the
    /// batches are shuffled. An incomplete batch is the last.
    fn order(&self, mut order: Vec<usize>, seed: u64, epoch: u64) -> Vec<usize> {
        let mut stream = Stream::new(seed, &["waves".into(), epoch.into()]);
        stream.shuffle(&mut order);
        let batch = self.batch.max(1);
        let mut batches = Vec::with_capacity(order.len().div_ceil(batch));
        for pool in order.chunks_mut(batch * POOLED_BATCHES) {
            pool.sort_by_key(|&sample| self.length(sample));
            batches.extend(pool.chunks(batch).map(<[usize]>::to_vec));
        }
        let incomplete = batches.pop_if(|last| last.len() < batch);
        stream.shuffle(&mut batches);
        batches.into_iter().chain(incomplete).flatten().collect()
    }

    fn load(&self, samples: &[usize], view: View) -> Result<Batch, SourceError> {
        let mut waves: Vec<Result<Vec<f32>, DecodeError>> = vec![Ok(Vec::new()); samples.len()];
        self.pool.for_each_chunk(&mut waves, 1, |row, into| into[0] = self.view(samples[row], view));
        let (mut kept, mut good) = (Vec::new(), Vec::new());
        for (&sample, wave) in samples.iter().zip(&waves) {
            match wave {
                Ok(wave) => {
                    kept.push(sample);
                    good.push(wave.as_slice());
                }
                Err(error) => {
                    let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
                    failed.push((self.samples[sample], error.to_string()));
                }
            }
        }
        if kept.is_empty() {
            return Ok(Batch::default());
        }
        let inputs = self.model.inputs(&good).map_err(SourceError::new)?;
        Ok(Batch { inputs, targets: self.targets(&kept, view)?, samples: kept })
    }

    fn targets(&self, samples: &[usize], _: View) -> Result<Vec<Tensor>, SourceError> {
        let texts: Vec<&[u32]> = samples.iter().map(|&sample| self.texts[sample].as_slice()).collect();
        let frames: Vec<usize> =
            samples.iter().map(|&sample| self.model.frames(self.length(sample))).collect();
        targets(&texts, &frames).map_err(SourceError::new)
    }
}
