//! Spectrograms kept in memory, so that epochs after the first need no decoding.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::DecodeError;

/// Spectrograms by sample, up to a number of bytes. What no longer fits is computed again each time.
#[derive(Debug)]
pub struct SpectrogramStore {
    capacity_bytes: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    bytes: usize,
    spectrograms: HashMap<usize, Arc<Vec<f32>>>,
}

impl SpectrogramStore {
    /// An empty store for at most so many bytes.
    pub fn new(capacity_bytes: usize) -> Self {
        Self { capacity_bytes, kept: Mutex::default() }
    }

    /// The spectrogram of a sample: the kept one, or what `compute` gives, which is kept when it fits.
    ///
    /// # Errors
    /// Those of `compute`; nothing is kept then.
    pub fn get(
        &self,
        sample: usize,
        compute: impl FnOnce() -> Result<Vec<f32>, DecodeError>,
    ) -> Result<Arc<Vec<f32>>, DecodeError> {
        if let Some(spectrogram) = self.kept().spectrograms.get(&sample) {
            return Ok(spectrogram.clone());
        }
        let spectrogram = Arc::new(compute()?);
        let mut kept = self.kept();
        let bytes = kept.bytes.saturating_add(4 * spectrogram.len());
        if bytes <= self.capacity_bytes && kept.spectrograms.insert(sample, spectrogram.clone()).is_none() {
            kept.bytes = bytes;
        }
        Ok(spectrogram)
    }

    /// A panic elsewhere cannot leave the map half changed, so a poisoned lock is used on.
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn what_fits_is_computed_once() {
        let store = SpectrogramStore::new(16);
        let mut computed = Vec::new();
        for sample in [0, 1, 0, 1] {
            store
                .get(sample, || {
                    computed.push(sample);
                    Ok(vec![0.0; 3])
                })
                .unwrap();
        }
        assert_eq!(computed, [0, 1, 1]);
        assert_eq!(store.get(2, || Err(DecodeError::Empty)), Err(DecodeError::Empty));
    }
}
