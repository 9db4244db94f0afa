//! Compiling a prefix in the precision that is asked for, and finding how far that is from f32.
//!
//! Both calibration and comparison look at some of the run's own training samples, as they are, so that a run that is repeated or
//! resumed comes to the same.

use std::collections::BTreeMap;

use tk_engine::cpu::{Machine, Ranges};
use tk_engine::{Graph, Parameters, Precision, Tensor};

use super::disagreement::Disagreement;
use super::{Finding, PrecisionChoice, PrecisionReport, Prefix, PrefixError, PrefixStore, Tried};
use crate::fit::{Source, View};

/// Training samples that are looked at.
const MOST_SAMPLES: usize = 128;

/// Samples that run between two sums.
const AT_ONCE: usize = 32;

/// `auto` takes a precision whose features differ from f32's by at most this share of their variation among samples.
const MOST_DISAGREEMENT: f64 = 0.05;

/// What a prefix is compiled from.
#[derive(Clone, Copy)]
pub struct Frozen<'a> {
    /// Where it runs.
    pub machine: &'a Machine,
    /// The frozen part of a graph.
    pub graph: &'a Graph,
    /// Every parameter's value.
    pub parameters: &'a Parameters,
    /// Where results are remembered.
    pub store: &'a PrefixStore,
}

impl Frozen<'_> {
    /// The prefix in the precision that is asked for, found with training samples, and what was found; no report where f32 was asked for.
    /// `until` names the last stage, for the report.
    ///
    /// # Errors
    /// When a parameter has no value, samples cannot be loaded, or the cache cannot be used.
    pub fn compile(
        &self,
        asked: PrecisionChoice,
        until: &str,
        training: &dyn Source,
    ) -> Result<(Prefix, Option<PrecisionReport>), PrefixError> {
        let exact = self.in_f32()?;
        if asked == PrecisionChoice::F32 {
            return Ok((exact, None));
        }
        let mut report = PrecisionReport {
            until: Some(until.to_owned()),
            asked,
            taken: Precision::F32,
            emulated: false,
            samples: 0,
            tried: Vec::new(),
        };
        let samples = Samples::of(training);
        let blank = samples.inputs_of_one()?;
        let mut ranges = None;
        for &precision in asked.candidates() {
            let lacks = !self.machine.isa.has(precision);
            let mut found = |finding| report.tried.push(Tried { precision, finding });
            if asked == PrecisionChoice::Auto && lacks {
                found(Finding::Lacking);
                continue;
            }
            let Some(blank) = &blank else {
                found(Finding::Incomparable);
                continue;
            };
            if precision == Precision::Int8 && ranges.is_none() {
                ranges = Some(samples.calibrate(&exact)?);
            }
            let lowered = self.in_f32()?.in_precision(precision, ranges.as_ref())?;
            if !lowered.lowers_any(blank)? {
                found(Finding::Unsuited);
                continue;
            }
            let disagreement = samples.compare(&exact, &lowered)?;
            let share = disagreement.share();
            found(share.map_or(Finding::Incomparable, Finding::Differs));
            report.samples = disagreement.samples();
            if asked != PrecisionChoice::Auto || share.is_some_and(|share| share <= MOST_DISAGREEMENT) {
                (report.taken, report.emulated) = (precision, lacks);
                return Ok((lowered, Some(report)));
            }
        }
        Ok((exact, Some(report)))
    }

    fn in_f32(&self) -> Result<Prefix, PrefixError> {
        Prefix::new(self.machine, self.graph, self.parameters, self.store)
    }
}

/// The training samples that are looked at.
struct Samples<'a> {
    source: &'a dyn Source,
    /// Samples of one bucket follow each other.
    positions: Vec<usize>,
}

impl<'a> Samples<'a> {
    /// Evenly spread over the samples in their order.
    fn of(source: &'a dyn Source) -> Self {
        let count = source.len().min(MOST_SAMPLES);
        let mut positions: Vec<usize> = (0..count).map(|number| number * source.len() / count).collect();
        positions.sort_by_key(|&sample| source.bucket(sample));
        Self { source, positions }
    }

    /// The inputs of the first that can be read.
    fn inputs_of_one(&self) -> Result<Option<Vec<Tensor>>, PrefixError> {
        for &sample in &self.positions {
            let batch = self.source.load(&[sample], View::Plain)?;
            if !batch.samples.is_empty() {
                return Ok(Some(batch.inputs));
            }
        }
        Ok(None)
    }

    /// Between which bounds the values lie.
    fn calibrate(&self, exact: &Prefix) -> Result<Ranges, PrefixError> {
        for samples in self.positions.chunks(AT_ONCE) {
            exact.calibrate(self.source, samples)?;
        }
        exact.ranges()
    }

    /// How far two prefixes are from each other.
    fn compare(&self, exact: &Prefix, lowered: &Prefix) -> Result<Disagreement, PrefixError> {
        let mut disagreement = Disagreement::default();
        for samples in self.positions.chunks(AT_ONCE) {
            let mut others: BTreeMap<usize, Vec<Tensor>> =
                lowered.results(self.source, samples, View::Plain)?.into_iter().collect();
            for (sample, results) in exact.results(self.source, samples, View::Plain)? {
                if let Some(other) = others.remove(&sample) {
                    disagreement.add(&results, &other)?;
                }
            }
        }
        Ok(disagreement)
    }
}
