//! Decoded photographs kept in memory, so that epochs after the first need no decoding.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::data::decode::DecodeError;
use crate::data::picture::Picture;

/// Decoded pictures by sample index, up to a number of bytes. What no longer fits is decoded again each time: epochs visit every
/// sample once in random order, for which dropping pictures to keep others would win nothing.
#[derive(Debug)]
pub struct PictureStore {
    capacity_bytes: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    bytes: usize,
    pictures: HashMap<usize, Arc<Picture>>,
}

impl PictureStore {
    /// An empty store for at most `capacity_bytes` bytes of pixels.
    pub fn new(capacity_bytes: usize) -> Self {
        Self { capacity_bytes, kept: Mutex::default() }
    }

    /// The picture of a sample: the kept one, or what `decode` gives, which is kept when it fits. Two threads that ask for the same new
    /// sample at once may both decode it.
    ///
    /// # Errors
    /// Those of `decode`; nothing is kept then.
    pub fn get(
        &self,
        sample: usize,
        decode: impl FnOnce() -> Result<Picture, DecodeError>,
    ) -> Result<Arc<Picture>, DecodeError> {
        if let Some(picture) = self.kept().pictures.get(&sample) {
            return Ok(picture.clone());
        }
        let picture = Arc::new(decode()?);
        let mut kept = self.kept();
        let bytes = kept.bytes.saturating_add(picture.pixels().len());
        if bytes <= self.capacity_bytes && kept.pictures.insert(sample, picture.clone()).is_none() {
            kept.bytes = bytes;
        }
        Ok(picture)
    }

    /// Bytes of pixels kept now.
    pub fn bytes(&self) -> usize {
        self.kept().bytes
    }

    /// How many pictures are kept now.
    pub fn len(&self) -> usize {
        self.kept().pictures.len()
    }

    /// Whether no picture is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A panic elsewhere cannot leave the map half changed, so a poisoned lock is used on.
    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn gray(side: u32) -> Result<Picture, DecodeError> {
        Picture::rgb8(side, side, &vec![128; (side * side * 3) as usize])
    }

    #[test]
    fn pictures_are_kept_until_the_store_is_full() {
        let store = PictureStore::new(2 * 300 + 50);
        for sample in 0..3 {
            assert_eq!(store.get(sample, || gray(10)).unwrap().width(), 10);
        }
        assert_eq!((store.len(), store.bytes(), store.is_empty()), (2, 600, false));
        let must_not_decode = || -> Result<Picture, DecodeError> { panic!("decoded again") };
        assert_eq!(store.get(0, must_not_decode).unwrap().width(), 10);
        assert_eq!(store.get(2, || gray(11)).unwrap().width(), 11);
        // A smaller one still fits.
        store.get(3, || gray(4)).unwrap();
        assert_eq!((store.len(), store.bytes()), (3, 648));
    }

    #[test]
    fn failures_are_not_kept() {
        let store = PictureStore::new(1000);
        assert!(matches!(store.get(7, || Err(DecodeError::Empty)), Err(DecodeError::Empty)));
        assert!(store.is_empty());
        assert!(store.get(7, || gray(2)).is_ok());
    }
}
