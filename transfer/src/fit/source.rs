//! Where batches come from.

use tk_engine::Tensor;
use tk_engine::random::Stream;

use crate::task::Batch;

/// Samples that can be asked for by position. Shared with a thread that loads ahead.
pub trait Source: Send + Sync {
    /// How many samples there are.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What identifies a sample, whatever its position: the key of its dropout masks.
    fn identity(&self, sample: usize) -> u64;

    /// What decides a view of a sample: its content, how it is prepared, which view. Equal keys mean equal inputs. `None` when the
    /// view is not worth remembering.
    fn cache_key(&self, sample: usize, view: View) -> Option<String>;

    /// Samples of one bucket can be stacked as they are; stacking others takes padding. By default all are of one bucket.
    fn bucket(&self, _sample: usize) -> usize {
        0
    }

    /// The samples of an epoch in their order: by default each once. All epochs have equally many.
    fn epoch(&self, seed: u64, epoch: u64) -> Vec<usize> {
        self.order((0..self.len()).collect(), seed, epoch)
    }

    /// Puts an epoch's samples, among which some may come several times, into their order: by default shuffled.
    fn order(&self, mut samples: Vec<usize>, seed: u64, epoch: u64) -> Vec<usize> {
        Stream::new(seed, &["epoch".into(), epoch.into()]).shuffle(&mut samples);
        samples
    }

    /// Loads samples, padded to a common size where they are of several buckets. Those that cannot be read are left out of the batch.
    ///
    /// # Errors
    /// When going on makes no sense.
    fn load(&self, samples: &[usize], view: View) -> Result<Batch, SourceError>;

    /// The targets of samples in a view, without loading their inputs.
    ///
    /// # Errors
    /// When there is no such sample.
    fn targets(&self, samples: &[usize], view: View) -> Result<Vec<Tensor>, SourceError>;
}

/// How a sample is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum View {
    /// As it is, for evaluation and features.
    Plain,
    /// Augmented, the n-th of its views.
    Augmented(u64),
}

/// A source that cannot go on.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct SourceError(#[from] Box<dyn std::error::Error + Send + Sync>);

impl SourceError {
    /// Wraps whatever went wrong.
    pub fn new(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(error.into())
    }
}
