//! Parts of the data with what is kept at hand of their samples.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};

use tk_engine::cpu::Pool;
use tk_transfer::adapt::AdaptError;
use tk_transfer::data::{Labelled, Quarantine};

use super::Error;
use super::division::Part;
use super::modality::{Loading, Look, Modality};

/// A part of the data with a place for its loaded samples.
pub(crate) struct Shelf<'a, M: Modality> {
    part: Part<'a, M::Dataset>,
    store: M::Store,
}

impl<'a, M: Modality> Shelf<'a, M> {
    /// A part whose samples will be loaded again and again, or once.
    pub fn new(part: Part<'a, M::Dataset>, again: bool) -> Self {
        Self { part, store: M::store(again) }
    }

    pub fn part(&self) -> &Part<'a, M::Dataset> {
        &self.part
    }

    /// Loads everything once and leaves out what cannot be read, so that every epoch sees the same samples.
    pub fn leave_out_unreadable(
        &mut self,
        pool: &Pool,
        cancel: &AtomicBool,
        quarantine: &mut Quarantine,
    ) -> Result<(), Error> {
        let failed = Mutex::new(Vec::new());
        let Part { dataset, positions } = &self.part;
        pool.for_each(positions.len(), |index| {
            if !cancel.load(Ordering::Relaxed)
                && let Err(reason) = M::check(dataset, positions[index], &self.store)
            {
                let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                failed.push((positions[index], reason));
            }
        });
        if cancel.load(Ordering::Relaxed) {
            return Err(AdaptError::Interrupted.into());
        }
        let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
        let dataset = self.part.dataset;
        self.part.positions.retain(|position| !failed.iter().any(|(failed, _)| failed == position));
        for (position, reason) in failed {
            quarantine.add(dataset.name(position), reason);
        }
        Ok(())
    }

    pub fn source(&'a self, look: &Look<'a, M::Model>) -> Result<Box<dyn Loading + 'a>, Error> {
        M::source(&self.part, &self.store, look)
    }
}

/// Adds what a source could not read.
pub(crate) fn set_aside<D: Labelled>(source: &dyn Loading, part: &Part<'_, D>, quarantine: &mut Quarantine) {
    for (position, reason) in source.failed() {
        quarantine.add(part.dataset.name(position), reason);
    }
}
