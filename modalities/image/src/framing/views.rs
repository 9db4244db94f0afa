//! Pictures with what is marked in them, as a source of batches.

use std::sync::{Arc, Mutex, PoisonError};

use tk_engine::Tensor;
use tk_engine::cpu::Pool;
use tk_engine::random::Stream;
use tk_transfer::fit::{Source, SourceError, View};
use tk_transfer::task::Batch;

use super::{Arrangement, Frame, Input, Variation, paint};
use crate::data::{DecodeError, Picture, PictureStore};

/// Pictures in which something is marked, by position.
pub trait Marked: Send + Sync {
    /// Width and height of a picture, upright, in pixels.
    fn sides(&self, position: usize) -> [u32; 2];

    /// A digest of the picture's file.
    fn content(&self, position: usize) -> [u8; 32];

    /// The picture.
    ///
    /// # Errors
    /// When the file cannot be read any more or is damaged.
    fn picture(&self, position: usize) -> Result<Picture, DecodeError>;

    /// What a task learns from views: its targets of a batch whose padded height and width are given.
    ///
    /// # Errors
    /// When what is marked cannot be read any more.
    fn marks(&self, views: &[Arranged], padded: [usize; 2]) -> Result<Vec<Tensor>, SourceError>;
}

/// A view of a sample before anything is decoded.
#[derive(Clone, Debug)]
pub struct Arranged {
    /// Where which part of which picture is shown.
    pub arrangement: Arrangement,
    /// The pictures' positions in the data; the first is the sample's own.
    pub pictures: Vec<usize>,
    /// The sample's frame.
    pub frame: Frame,
    /// What decides about colours.
    colours: Stream,
}

/// How views are made.
#[derive(Clone, Debug)]
pub struct Viewing {
    /// How pictures become input.
    pub input: Input,
    /// What may happen to them in augmented views.
    pub variation: Variation,
    /// The seed of augmented views.
    pub seed: u64,
    /// Samples in a batch: such with frames alike come together.
    pub batch: usize,
    /// The threads that make views.
    pub pool: Pool,
}

/// Some samples of a data set, ready for a network.
pub struct Views<'a, D> {
    data: &'a D,
    /// Positions in the data.
    samples: Vec<usize>,
    viewing: Viewing,
    store: &'a PictureStore,
    failed: Mutex<Vec<(usize, String)>>,
}

/// So many batches are drawn together and sorted by their frames.
const POOLED_BATCHES: usize = 8;

impl<'a, D: Marked> Views<'a, D> {
    /// The samples at these positions; `store` keeps decoded pictures by position.
    pub fn new(data: &'a D, samples: Vec<usize>, viewing: Viewing, store: &'a PictureStore) -> Self {
        Self { data, samples, viewing, store, failed: Mutex::default() }
    }

    /// The samples that could not be decoded so far, each once, by position in the data, with the reason.
    pub fn failed(&self) -> Vec<(usize, String)> {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        failed.sort_by_key(|(position, _)| *position);
        failed.dedup_by_key(|(position, _)| *position);
        failed
    }

    fn frame(&self, sample: usize) -> Frame {
        let [width, height] = self.data.sides(self.samples[sample]);
        self.viewing.input.framing.frame(width, height)
    }

    /// What is shown in a view.
    fn arranged(&self, sample: usize, view: View) -> Arranged {
        let (own, frame) = (self.samples[sample], self.frame(sample));
        let View::Augmented(number) = view else {
            let [height, width] = frame.size.map(|side| side as u32);
            let arrangement = Arrangement::whole(self.data.sides(own), [width, height]);
            return Arranged { arrangement, pictures: vec![own], frame, colours: Stream::new(0, &[]) };
        };
        let mut stream =
            Stream::new(self.viewing.seed, &["view".into(), number.into(), self.identity(sample).into()]);
        let others = self.viewing.variation.others(&mut stream);
        let mut pictures = vec![own];
        pictures.extend((0..others).map(|_| self.samples[stream.below(self.samples.len())]));
        let sides: Vec<[u32; 2]> = pictures.iter().map(|&position| self.data.sides(position)).collect();
        let arrangement = self.viewing.variation.arrange(&sides, &frame, &mut stream);
        Arranged { arrangement, pictures, frame, colours: stream }
    }

    /// The normalised pixels of a view, in rows of the padded width; or which picture cannot be decoded, and why.
    fn pixels(
        &self,
        arranged: &Arranged,
        view: View,
        into: &mut [f32],
        row: usize,
    ) -> Result<(), (usize, String)> {
        let open = |&position: &usize| {
            let picture = self.store.get(position, || self.data.picture(position));
            picture.map_err(|error| (position, error.to_string()))
        };
        let pictures: Vec<Arc<Picture>> = arranged.pictures.iter().map(open).collect::<Result<_, _>>()?;
        let borrowed: Vec<&Picture> = pictures.iter().map(AsRef::as_ref).collect();
        let input = &self.viewing.input;
        let bytes = paint(&arranged.arrangement, &borrowed, &arranged.frame, input);
        let mut pixels: Vec<f32> = bytes.iter().map(|&byte| f32::from(byte) / 255.0).collect();
        if let (View::Augmented(_), Some(jitter)) = (view, &self.viewing.variation.jitter) {
            jitter.apply(&mut pixels, &mut arranged.colours.clone());
        }
        let width = 3 * arranged.frame.size[1];
        for (out, line) in into.chunks_exact_mut(row).zip(pixels.chunks_exact(width)) {
            for (out, pixel) in out.chunks_exact_mut(3).zip(line.chunks_exact(3)) {
                for channel in 0..3 {
                    out[channel] = (pixel[channel] - input.mean[channel]) / input.std[channel];
                }
            }
        }
        Ok(())
    }

    fn padded(&self, samples: &[usize]) -> [usize; 2] {
        let frames = samples.iter().map(|&sample| self.frame(sample).padded);
        frames.fold([0, 0], |most, of| [most[0].max(of[0]), most[1].max(of[1])])
    }
}

impl<D: Marked> Source for Views<'_, D> {
    fn len(&self) -> usize {
        self.samples.len()
    }

    fn identity(&self, sample: usize) -> u64 {
        let digest = self.data.content(self.samples[sample]);
        digest[..8].iter().fold(0, |number, &byte| number << 8 | u64::from(byte))
    }

    fn cache_key(&self, sample: usize, view: View) -> Option<String> {
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.viewing.input.fingerprint().as_bytes());
        for position in self.arranged(sample, view).pictures {
            hasher.update(&self.data.content(position));
        }
        if let View::Augmented(number) = view {
            hasher.update(format!("{number} {} {:?}", self.viewing.seed, self.viewing.variation).as_bytes());
        }
        Some(hasher.finalize().to_hex()[..32].to_owned())
    }

    /// Samples whose padded frames are equal.
    fn bucket(&self, sample: usize) -> usize {
        let [height, width] = self.frame(sample).padded;
        height << 16 | width
    }

    fn order(&self, mut samples: Vec<usize>, seed: u64, epoch: u64) -> Vec<usize> {
        let mut stream = Stream::new(seed, &["views".into(), epoch.into()]);
        stream.shuffle(&mut samples);
        let batch = self.viewing.batch.max(1);
        let mut batches = Vec::with_capacity(samples.len().div_ceil(batch));
        for pool in samples.chunks_mut(batch * POOLED_BATCHES) {
            pool.sort_by_key(|&sample| self.bucket(sample));
            batches.extend(pool.chunks(batch).map(<[usize]>::to_vec));
        }
        let incomplete = batches.pop_if(|last| last.len() < batch);
        stream.shuffle(&mut batches);
        batches.into_iter().chain(incomplete).flatten().collect()
    }

    fn load(&self, samples: &[usize], view: View) -> Result<Batch, SourceError> {
        let [height, width] = self.padded(samples);
        let (row, length) = (3 * width, 3 * width * height);
        let mut pixels = vec![0.0; samples.len() * length];
        let failed = Mutex::new(Vec::new());
        self.viewing.pool.for_each_chunk(&mut pixels, length.max(1), |at, into| {
            if let Err((position, reason)) = self.pixels(&self.arranged(samples[at], view), view, into, row) {
                failed.lock().unwrap_or_else(PoisonError::into_inner).push((at, position, reason));
            }
        });
        let mut failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
        failed.sort();
        let mut kept = samples.to_vec();
        for (at, ..) in failed.iter().rev() {
            kept.remove(*at);
        }
        self.failed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(failed.iter().map(|(_, position, reason)| (*position, reason.clone())));
        if kept.is_empty() {
            return Ok(Batch::default());
        }
        if kept.len() < samples.len() {
            // What is left may be smaller, and its targets are.
            return self.load(&kept, view);
        }
        let shape = [kept.len(), height, width, 3];
        let inputs = vec![Tensor::new(&shape, pixels).map_err(SourceError::new)?];
        Ok(Batch { inputs, targets: self.targets(&kept, view)?, samples: kept })
    }

    fn targets(&self, samples: &[usize], view: View) -> Result<Vec<Tensor>, SourceError> {
        let views: Vec<Arranged> = samples.iter().map(|&sample| self.arranged(sample, view)).collect();
        self.data.marks(&views, self.padded(samples))
    }
}
