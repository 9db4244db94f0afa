//! Contrastive few-shot fine-tuning: samples of one class are drawn together and others apart, then a probe is fitted (SetFit, arXiv
//! 2209.11055).

use std::ops::Range;

use tk_engine::random::Stream;
use tk_engine::{EngineError, Result as EngineResult, Tensor};

use super::finetune::Steering;
use super::{AdaptError, Job, Outcome, Progress, Validation, adapt_by_probe};
use crate::data::LabelView;
use crate::fit::{Recipe, Run, Signals, Source, SourceError, View, fit};
use crate::probe::ProbeKind;
use crate::task::{Batch, LossValue, Meter, Task};

/// How often each sample begins a pair of its class and a pair with another class, in an epoch: SetFit's usual number.
const PAIRS_EACH: usize = 20;

/// With many samples each begins fewer, so that an epoch has about so many pairs at most.
const MOST_PAIRS: usize = 10_000;

/// Norms are at least this, so that a vector of zeros has a direction.
const LEAST_NORM: f64 = 1e-8;

/// Trains the backbone by a recipe on pairs of training samples, then fits a probe on its features. `identity` tells the run from others: a
/// resumed run must have the same.
///
/// # Errors
/// See [`AdaptError`]. Samples with several classes have none in common with others or not, so they are refused.
pub fn adapt_by_contrast(
    job: &Job<'_>,
    recipe: &Recipe,
    kind: ProbeKind,
    identity: String,
    steering: &Steering<'_>,
) -> Result<Outcome, AdaptError> {
    let LabelView::Single(labels) = job.training.labels else {
        return Err(EngineError::Unsupported {
            what: "contrastive mode".into(),
            why: "samples have several classes, so two of them are neither alike nor not".into(),
        }
        .into());
    };
    let boundary = job.graph.stages().len().saturating_sub(2);
    let cut = job.graph.cut(boundary).map_err(EngineError::from)?;
    let pairs = Pairs::new(job.training.source, labels);
    let run = Run {
        machine: job.machine,
        graph: &cut.prefix,
        model: job.model,
        task: &Contrast,
        training: &pairs,
        validation: None,
        recipe,
        identity,
        store: job.store,
        precision: job.precision,
    };
    let began = std::time::Instant::now();
    let observe = |event: &crate::fit::Event<'_>| match event {
        crate::fit::Event::Precision(report) => (steering.observe)(&Progress::Precision(report)),
        event => (steering.observe)(&Progress::Fit(event)),
    };
    let signals = Signals {
        state: steering.state.clone(),
        every: steering.every,
        cancel: steering.cancel,
        observe: &observe,
    };
    let fitted = fit(&run, job.parameters.clone(), &signals)?;
    let train = began.elapsed().as_secs_f64();
    let mut parameters = job.parameters.clone();
    for spec in cut.prefix.parameters() {
        parameters.set(&spec.name, fitted.parameters.get(&spec.name)?.clone());
    }
    // The backbone has seen the training samples' classes: folds of them would flatter.
    let validation = match job.validation {
        Validation::Folds(_) => Validation::None,
        other => other,
    };
    let probed = adapt_by_probe(&Job { parameters: &parameters, validation, ..*job }, kind, steering)?;
    let mut seconds = probed.seconds;
    *seconds.entry("train".into()).or_default() += train;
    let mut precisions = fitted.precisions;
    precisions.extend(probed.precisions);
    Ok(Outcome {
        records: fitted.records,
        audits: fitted.audits.into_iter().chain(probed.audits).collect(),
        cache: (fitted.cache.0 + probed.cache.0, fitted.cache.1 + probed.cache.1),
        precisions,
        seconds,
        ..probed
    })
}

/// Samples in pairs, one behind the other: of one class, and of two.
struct Pairs<'a> {
    samples: &'a dyn Source,
    labels: &'a [usize],
    /// Samples class by class, the place of each among them, and where each class begins and ends.
    by_class: Vec<usize>,
    places: Vec<usize>,
    ranges: Vec<Range<usize>>,
    /// How often each sample begins a pair of each kind.
    each: usize,
}

impl<'a> Pairs<'a> {
    fn new(samples: &'a dyn Source, labels: &'a [usize]) -> Self {
        let each = (MOST_PAIRS / (2 * labels.len()).max(1)).clamp(1, PAIRS_EACH);
        let mut by_class: Vec<usize> = (0..labels.len()).collect();
        by_class.sort_by_key(|&sample| labels[sample]);
        let mut places = vec![0; labels.len()];
        by_class.iter().enumerate().for_each(|(place, &sample)| places[sample] = place);
        let classes = labels.iter().max().map_or(0, |class| class + 1);
        let before = |class: usize| by_class.partition_point(|&sample| labels[sample] < class);
        let ranges = (0..classes).map(|class| before(class)..before(class + 1)).collect();
        Self { samples, labels, by_class, places, ranges, each }
    }

    /// Another sample whose class is the same or another one; the sample itself where there is none.
    fn partner(&self, sample: usize, alike: bool, stream: &mut Stream) -> usize {
        let own = &self.ranges[self.labels[sample]];
        let count = if alike { own.len() - 1 } else { self.labels.len() - own.len() };
        if count == 0 {
            return sample;
        }
        // Of what is drawn from, the sample itself or its whole class is missing.
        let drawn = stream.below(count);
        let place = match alike {
            true if own.start + drawn < self.places[sample] => own.start + drawn,
            true => own.start + drawn + 1,
            false if drawn < own.start => drawn,
            false => drawn + own.len(),
        };
        self.by_class[place]
    }
}

impl Source for Pairs<'_> {
    fn len(&self) -> usize {
        self.samples.len()
    }

    fn identity(&self, sample: usize) -> u64 {
        self.samples.identity(sample)
    }

    fn cache_key(&self, sample: usize, view: View) -> Option<String> {
        self.samples.cache_key(sample, view)
    }

    fn bucket(&self, sample: usize) -> usize {
        self.samples.bucket(sample)
    }

    fn epoch(&self, seed: u64, epoch: u64) -> Vec<usize> {
        let mut stream = Stream::new(seed, &["pairs".into(), epoch.into()]);
        let mut pairs = Vec::with_capacity(2 * self.each * self.labels.len());
        for _ in 0..self.each {
            for sample in 0..self.labels.len() {
                for alike in [true, false] {
                    pairs.push([sample, self.partner(sample, alike, &mut stream)]);
                }
            }
        }
        stream.shuffle(&mut pairs);
        pairs.concat()
    }

    /// Whole pairs alone: one sample of a pair says nothing.
    fn load(&self, samples: &[usize], view: View) -> Result<Batch, SourceError> {
        let batch = self.samples.load(samples, view)?;
        if batch.samples.len() == samples.len() {
            return Ok(batch);
        }
        let is_read = |sample: &usize| batch.samples.contains(sample);
        let whole: Vec<usize> =
            samples.chunks(2).filter(|pair| pair.iter().all(is_read)).flatten().copied().collect();
        if whole.is_empty() { Ok(Batch::default()) } else { self.samples.load(&whole, view) }
    }

    fn targets(&self, samples: &[usize], view: View) -> Result<Vec<Tensor>, SourceError> {
        self.samples.targets(samples, view)
    }
}

/// The mean over pairs of the squared distance between the cosine of two samples' features and 1, if they are of one class, or 0
/// (sentence-transformers' `CosineSimilarityLoss`). The output is `[batch, width]`, the target the class of each, `[batch]`; the first two are a
/// pair, the next two, and so on.
struct Contrast;

impl Contrast {
    /// For each pair its rows, their norms, their cosine and what that should be.
    fn pairs<'a>(outputs: &'a [Tensor], targets: &'a [Tensor]) -> EngineResult<(usize, Vec<Pair<'a>>)> {
        let misfit = |found: String| EngineError::Tensor {
            what: "contrastive learning".into(),
            expected: "features [batch, width] and classes [batch]".into(),
            found,
        };
        let ([features], [classes]) = (outputs, targets) else {
            return Err(misfit(format!("{} outputs and {} targets", outputs.len(), targets.len())));
        };
        let (&[batch, width], &[count]) = (features.shape(), classes.shape()) else {
            return Err(misfit(format!("{:?} and {:?}", features.shape(), classes.shape())));
        };
        if batch != count {
            return Err(misfit(format!("{batch} samples and {count} classes")));
        }
        let rows = features.as_f32()?.chunks_exact(2 * width.max(1)).zip(classes.as_f32()?.chunks_exact(2));
        let pair =
            |(rows, classes): (&'a [f32], &[f32])| Pair::new(rows.split_at(width), classes[0] == classes[1]);
        Ok((width, rows.map(pair).collect()))
    }
}

struct Pair<'a> {
    rows: [&'a [f32]; 2],
    norms: [f64; 2],
    cosine: f64,
    wanted: f64,
}

impl<'a> Pair<'a> {
    fn new((first, second): (&'a [f32], &'a [f32]), is_alike: bool) -> Self {
        let product =
            |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
        let norms = [first, second].map(|row| product(row, row).sqrt().max(LEAST_NORM));
        let cosine = product(first, second) / (norms[0] * norms[1]);
        Self { rows: [first, second], norms, cosine, wanted: f64::from(u8::from(is_alike)) }
    }
}

impl Task for Contrast {
    fn loss(&self, outputs: &[Tensor], targets: &[Tensor], total: f64) -> EngineResult<LossValue> {
        let (width, pairs) = Self::pairs(outputs, targets)?;
        let each = 2.0 / total;
        let mut gradient = vec![0.0; outputs[0].len()];
        let mut value = 0.0;
        for (pair, gradient) in pairs.iter().zip(gradient.chunks_exact_mut(2 * width)) {
            let away = pair.cosine - pair.wanted;
            value += each * away * away;
            let (first, second) = gradient.split_at_mut(width);
            for (own, slope) in [first, second].into_iter().enumerate() {
                let [row, other] = [pair.rows[own], pair.rows[1 - own]];
                let [norm, other_norm] = [pair.norms[own], pair.norms[1 - own]];
                for (at, slope) in slope.iter_mut().enumerate() {
                    let direction = f64::from(other[at]) / (norm * other_norm)
                        - pair.cosine * f64::from(row[at]) / (norm * norm);
                    *slope = (2.0 * each * away * direction) as f32;
                }
            }
        }
        Ok(LossValue { value, gradients: vec![Tensor::new(outputs[0].shape(), gradient)?] })
    }

    fn meter(&self) -> Box<dyn Meter> {
        Box::new(Distances::default())
    }
}

/// Sums squared distances of cosines.
#[derive(Default)]
struct Distances {
    sum: f64,
    pairs: usize,
}

impl Meter for Distances {
    fn add(&mut self, outputs: &[Tensor], targets: &[Tensor]) -> EngineResult<()> {
        for pair in Contrast::pairs(outputs, targets)?.1 {
            self.sum += (pair.cosine - pair.wanted).powi(2);
            self.pairs += 1;
        }
        Ok(())
    }

    /// `loss`.
    fn scores(&self) -> std::collections::BTreeMap<String, f64> {
        [("loss".to_owned(), self.sum / self.pairs.max(1) as f64)].into()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    /// Samples that are their own number; the one numbered 3 cannot be read.
    struct Numbers(usize);

    impl Source for Numbers {
        fn len(&self) -> usize {
            self.0
        }

        fn identity(&self, sample: usize) -> u64 {
            sample as u64
        }

        fn cache_key(&self, _: usize, _: View) -> Option<String> {
            None
        }

        fn load(&self, samples: &[usize], view: View) -> Result<Batch, SourceError> {
            let read: Vec<usize> = samples.iter().copied().filter(|&sample| sample != 3).collect();
            Ok(Batch { inputs: Vec::new(), targets: self.targets(&read, view)?, samples: read })
        }

        fn targets(&self, samples: &[usize], _: View) -> Result<Vec<Tensor>, SourceError> {
            let numbers = samples.iter().map(|&sample| sample as f32).collect();
            Ok(vec![Tensor::new(&[samples.len()], numbers).map_err(SourceError::new)?])
        }
    }

    #[test]
    fn each_sample_begins_pairs_of_both_kinds() {
        let labels = [0, 0, 1, 1, 1, 2];
        let source = Numbers(labels.len());
        let pairs = Pairs::new(&source, &labels);
        let epoch = pairs.epoch(0, 0);
        assert_eq!(epoch.len(), 2 * 2 * PAIRS_EACH * labels.len());
        assert_eq!((epoch.len(), epoch == pairs.epoch(0, 1)), (pairs.epoch(0, 1).len(), false));
        assert_eq!(epoch, pairs.epoch(0, 0));
        for sample in 0..labels.len() {
            let partners: Vec<usize> =
                epoch.chunks(2).filter(|pair| pair[0] == sample).map(|pair| pair[1]).collect();
            let alike = partners.iter().filter(|&&other| labels[other] == labels[sample]).count();
            assert_eq!((partners.len(), alike), (2 * PAIRS_EACH, PAIRS_EACH), "{sample}");
            // The only one of its class is its own partner.
            assert_eq!(partners.contains(&sample), sample == 5);
        }
        let many = vec![0; 100_000];
        assert_eq!(Pairs::new(&source, &many).each, 1);
    }

    #[test]
    fn a_pair_that_cannot_be_read_is_left_out() {
        let (source, labels) = (Numbers(6), [0; 6]);
        let pairs = Pairs::new(&source, &labels);
        assert_eq!(pairs.load(&[0, 1, 3, 2, 4, 5], View::Plain).unwrap().samples, [0, 1, 4, 5]);
        assert!(pairs.load(&[3, 2], View::Plain).unwrap().samples.is_empty());
    }

    #[test]
    fn the_loss_has_the_slope_that_numbers_say() {
        let features = vec![0.3, -1.0, 0.5, 0.9, 0.2, -0.4, 1.0, 0.1, 0.7, -0.6, 0.8, 0.2];
        let classes = [Tensor::new(&[4], vec![1.0, 1.0, 0.0, 2.0]).unwrap()];
        let value = |features: &[f32]| {
            let outputs = [Tensor::new(&[4, 3], features.to_vec()).unwrap()];
            Contrast.loss(&outputs, &classes, 4.0).unwrap()
        };
        let found = value(&features);
        for (at, slope) in found.gradients[0].as_f32().unwrap().iter().enumerate() {
            let moved = |by: f32| {
                let mut features = features.clone();
                features[at] += by;
                value(&features).value
            };
            let expected = (moved(1e-3) - moved(-1e-3)) / 2e-3;
            assert!((f64::from(*slope) - expected).abs() < 1e-4, "{at}: {slope} {expected}");
        }
        let alike = [Tensor::new(&[2, 2], vec![1.0, 2.0, 2.0, 4.0]).unwrap()];
        let of = |classes: Vec<f32>| {
            Contrast.loss(&alike, &[Tensor::new(&[2], classes).unwrap()], 2.0).unwrap().value
        };
        assert!(of(vec![1.0, 1.0]) < 1e-12 && (of(vec![1.0, 0.0]) - 1.0).abs() < 1e-9);
    }
}
