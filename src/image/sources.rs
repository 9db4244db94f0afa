//! Parts of the data as sources of batches, and what of them cannot be read.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};

use tk_engine::cpu::Pool;
use tk_image::data::{Augment, Photographs, PictureStore, Preprocess};
use tk_transfer::adapt::AdaptError;
use tk_transfer::data::Quarantine;

use super::Error;
use super::parts::Part;

/// Decoded photographs of one data set are kept up to so many bytes.
const STORE_BYTES: usize = 1 << 30;

/// How the pixels of a part are made.
pub(crate) struct Look<'a> {
    pub preprocess: &'a Preprocess,
    pub augment: Augment,
    pub seed: u64,
    pub pool: &'a Pool,
}

/// A part of the data with a place for its decoded photographs.
pub(crate) struct Shelf<'a> {
    part: Part<'a>,
    store: PictureStore,
}

impl<'a> Shelf<'a> {
    pub fn new(part: Part<'a>) -> Self {
        Self { part, store: PictureStore::new(STORE_BYTES) }
    }

    pub fn part(&self) -> &Part<'a> {
        &self.part
    }

    /// Decodes everything once and leaves out what cannot be read, so that every epoch sees the same samples.
    pub fn leave_out_unreadable(
        &mut self,
        pool: &Pool,
        cancel: &AtomicBool,
        quarantine: &mut Quarantine,
    ) -> Result<(), Error> {
        let failed = Mutex::new(Vec::new());
        let Part { dataset, positions } = &self.part;
        pool.for_each(positions.len(), |index| {
            let sample = &dataset.samples()[positions[index]];
            if !cancel.load(Ordering::Relaxed)
                && let Err(error) = self.store.get(positions[index], || dataset.load(sample))
            {
                let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                failed.push((positions[index], error.to_string()));
            }
        });
        if cancel.load(Ordering::Relaxed) {
            return Err(AdaptError::Interrupted.into());
        }
        let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
        let dataset = self.part.dataset;
        self.part.positions.retain(|position| !failed.iter().any(|(failed, _)| failed == position));
        for (position, reason) in failed {
            quarantine.add(dataset.samples()[position].name(), reason);
        }
        Ok(())
    }

    pub fn photographs(&'a self, look: &Look<'_>) -> Photographs<'a> {
        Photographs::new(
            self.part.dataset,
            self.part.positions.clone(),
            look.preprocess.clone(),
            look.augment,
            look.seed,
            &self.store,
            look.pool.clone(),
        )
    }
}

/// Adds what a source could not read.
pub(crate) fn set_aside(source: &Photographs<'_>, part: &Part<'_>, quarantine: &mut Quarantine) {
    for (position, reason) in source.failed() {
        quarantine.add(part.dataset.samples()[position].name(), reason);
    }
}
