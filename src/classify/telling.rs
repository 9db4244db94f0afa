//! What happens in a run's training: told to whoever watches, and each epoch written beside the run.

use std::cell::RefCell;
use std::path::Path;

use tk_transfer::adapt::Progress;
use tk_transfer::fit;

use super::event::{Event, Translator};
use super::job::Job;
use super::{Error, record};

/// Tells of a job's progress.
pub(crate) struct Telling<'a> {
    observe: &'a dyn Fn(&Event),
    folder: Option<&'a Path>,
    translator: Translator,
    trouble: RefCell<Option<Error>>,
}

impl<'a> Telling<'a> {
    pub fn of<T>(job: &'a Job<'_, T>) -> Self {
        Self {
            observe: &*job.observe,
            folder: job.checkpoint.as_deref(),
            translator: Translator::default(),
            trouble: RefCell::default(),
        }
    }

    /// Takes what the layer below says.
    pub fn progress(&self, progress: &Progress<'_>) {
        if let (Progress::Fit(fit::Event::Epoch(records)), Some(folder)) = (progress, self.folder)
            && let Err(error) = record::write_metrics(folder, records)
        {
            self.trouble.borrow_mut().get_or_insert(error);
        }
        if let Some(event) = self.translator.event(progress) {
            (self.observe)(&event);
        }
    }

    /// Tells of something else.
    pub fn event(&self, event: &Event) {
        (self.observe)(event);
    }

    /// Whether everything was written.
    ///
    /// # Errors
    /// The first one that writing met.
    pub fn finish(self) -> Result<(), Error> {
        self.trouble.into_inner().map_or(Ok(()), Err)
    }
}
