//! A source whose batches have been through the prefix.

use tk_engine::graph::{self, Cut};

use super::Prefix;
use crate::fit::{Source, SourceError, View};
use crate::task::Batch;

/// A source seen through a prefix: its batches are the inputs of the suffix.
pub struct Prefixed<'a> {
    inner: &'a dyn Source,
    prefix: &'a Prefix,
    cut: &'a Cut,
}

impl<'a> Prefixed<'a> {
    /// The source, the prefix to see it through, and the cut that both come from.
    pub fn new(inner: &'a dyn Source, prefix: &'a Prefix, cut: &'a Cut) -> Self {
        Self { inner, prefix, cut }
    }
}

impl Source for Prefixed<'_> {
    fn len(&self) -> usize {
        self.inner.len()
    }

    fn identity(&self, sample: usize) -> u64 {
        self.inner.identity(sample)
    }

    fn cache_key(&self, sample: usize, view: View) -> Option<String> {
        self.inner.cache_key(sample, view)
    }

    fn bucket(&self, sample: usize) -> usize {
        self.inner.bucket(sample)
    }

    fn epoch(&self, seed: u64, epoch: u64) -> Vec<usize> {
        self.inner.epoch(seed, epoch)
    }

    fn order(&self, samples: Vec<usize>, seed: u64, epoch: u64) -> Vec<usize> {
        self.inner.order(samples, seed, epoch)
    }

    fn load(&self, samples: &[usize], view: View) -> Result<Batch, SourceError> {
        let (samples, outputs) = self.prefix.outputs(self.inner, samples, view).map_err(SourceError::new)?;
        // Raw inputs that the suffix reads are supplied again; the others need not even be decoded.
        let reads_inputs = self.cut.sources.iter().any(|source| matches!(source, graph::Source::Input(_)));
        let raw = if reads_inputs { self.inner.load(&samples, view)?.inputs } else { Vec::new() };
        let inputs = self.cut.sources.iter().filter_map(|source| match *source {
            graph::Source::Input(index) => raw.get(index).cloned(),
            graph::Source::Prefix(index) => outputs.get(index).cloned(),
        });
        Ok(Batch { inputs: inputs.collect(), targets: self.inner.targets(&samples, view)?, samples })
    }

    fn targets(&self, samples: &[usize], view: View) -> Result<Vec<tk_engine::Tensor>, SourceError> {
        self.inner.targets(samples, view)
    }
}
