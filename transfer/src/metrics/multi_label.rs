//! Scores of samples that have any number of classes: average precision, F1, and how sure they are.

use tk_engine::random::Stream;

use super::interval::{Bootstrap, Interval, quantile};
use super::{ClassScore, MetricsError};

/// The probability from which on a sample is said to be of a class.
pub const THRESHOLD: f32 = 0.5;

/// Additions that a bootstrap makes at most; of many samples fewer draws do.
const WORK: usize = 200_000_000;

/// Probabilities `[samples, classes]` and the true classes of each sample.
#[derive(Clone, Copy, Debug)]
pub struct MultiLabelPredictions<'a> {
    probabilities: &'a [f32],
    labels: &'a [Vec<usize>],
    classes: usize,
}

/// The mean average precision and the micro-F1 of some samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MultiLabelScores {
    /// The mean over classes of [`MultiLabelPredictions::average_precision`].
    pub map: f64,
    /// See [`MultiLabelPredictions::micro_f1`].
    pub micro_f1: f64,
}

impl<'a> MultiLabelPredictions<'a> {
    /// Rows of probabilities, `[samples, classes]`, and the true classes of each sample.
    ///
    /// # Errors
    /// When sizes do not fit, a label is not a class, or a probability is not in 0 to 1.
    pub fn new(
        probabilities: &'a [f32],
        labels: &'a [Vec<usize>],
        classes: usize,
    ) -> Result<Self, MetricsError> {
        let (samples, found) = (labels.len(), probabilities.len());
        if classes == 0 || found != samples * classes {
            return Err(MetricsError::Shape { samples, classes, found });
        }
        for (sample, of) in labels.iter().enumerate() {
            if let Some(&class) = of.iter().find(|&&class| class >= classes) {
                return Err(MetricsError::Class { sample, class, classes });
            }
        }
        let is_outside = |value: f32| !(0.0..=1.0).contains(&value);
        if let Some((index, &value)) = probabilities.iter().enumerate().find(|&(_, &value)| is_outside(value))
        {
            return Err(MetricsError::Probability { sample: index / classes, class: index % classes, value });
        }
        Ok(Self { probabilities, labels, classes })
    }

    /// The probabilities and the true classes of each sample.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&'a [f32], &'a [usize])> {
        self.probabilities.chunks_exact(self.classes).zip(self.labels.iter().map(Vec::as_slice))
    }

    /// The average precision of each class, scikit-learn's `average_precision_score`: over falling probabilities, the precision at
    /// each weighted by the recall it adds. `None` for a class that no sample has.
    pub fn average_precision(&self) -> Vec<Option<f64>> {
        let whole = vec![1; self.labels.len()];
        self.rankings().iter().map(|ranking| ranking.average_precision(&whole)).collect()
    }

    /// The F1 of all decisions together at a probability of one half, scikit-learn's `f1_score(average="micro")`; 0 when nothing is
    /// there and nothing is found.
    pub fn micro_f1(&self) -> f64 {
        f1(self.decisions().into_iter().fold([0; 3], |sum, of| [0, 1, 2].map(|at| sum[at] + of[at])))
    }

    /// Precision, recall and F1 of each class at a probability of one half.
    pub fn per_class(&self) -> Vec<ClassScore> {
        let mut counts = vec![[0u64; 3]; self.classes];
        for (row, of) in self.iter() {
            for (class, (counts, &probability)) in counts.iter_mut().zip(row).enumerate() {
                let [hits, found, there] = decision(probability, of.contains(&class));
                counts[0] += hits;
                counts[1] += found;
                counts[2] += there;
            }
        }
        let share = |part: u64, of: u64| if of == 0 { 0.0 } else { part as f64 / of as f64 };
        let score = |counts: [u64; 3]| ClassScore {
            samples: counts[2],
            precision: share(counts[0], counts[1]),
            recall: share(counts[0], counts[2]),
            f1: f1(counts),
            predicted: counts[1],
        };
        counts.into_iter().map(score).collect()
    }

    /// The scores by their fixed names.
    pub fn scores(&self) -> MultiLabelScores {
        MultiLabelScores { map: mean(self.average_precision().into_iter()), micro_f1: self.micro_f1() }
    }

    /// The percentile bootstrap intervals of the mean average precision and of micro-F1: samples are drawn with replacement. A draw is
    /// scored over the classes it has. Of many samples and classes there are fewer draws than asked for, but at least 100.
    pub fn intervals(&self, bootstrap: Bootstrap) -> [Interval; 2] {
        let samples = self.labels.len();
        let most = WORK / (samples * self.classes).max(1);
        let draws = bootstrap.draws.min(most.max(100));
        if samples == 0 || draws == 0 {
            let MultiLabelScores { map, micro_f1 } = self.scores();
            return [map, micro_f1].map(|score| Interval { low: score, high: score });
        }
        let (rankings, decisions) = (self.rankings(), self.decisions());
        let mut scores = [Vec::with_capacity(draws), Vec::with_capacity(draws)];
        for draw in 0..draws {
            let mut stream = Stream::new(bootstrap.seed, &["bootstrap".into(), draw.into()]);
            let mut times = vec![0u32; samples];
            let mut counts = [0; 3];
            for _ in 0..samples {
                let sample = stream.below(samples);
                times[sample] += 1;
                counts = [0, 1, 2].map(|at| counts[at] + decisions[sample][at]);
            }
            scores[0].push(mean(rankings.iter().map(|ranking| ranking.average_precision(&times))));
            scores[1].push(f1(counts));
        }
        let tail = (1.0 - bootstrap.confidence.clamp(0.0, 1.0)) / 2.0;
        scores.map(|mut scores| {
            scores.sort_by(f64::total_cmp);
            Interval { low: quantile(&scores, tail), high: quantile(&scores, 1.0 - tail) }
        })
    }

    /// Right finds, finds and true classes of each sample.
    fn decisions(&self) -> Vec<[u64; 3]> {
        let of_sample = |(row, of): (&[f32], &[usize])| {
            row.iter().enumerate().fold([0; 3], |sum, (class, &probability)| {
                let one = decision(probability, of.contains(&class));
                [0, 1, 2].map(|at| sum[at] + one[at])
            })
        };
        self.iter().map(of_sample).collect()
    }

    fn rankings(&self) -> Vec<Ranking> {
        (0..self.classes)
            .map(|class| {
                let probability = |sample: &usize| self.probabilities[sample * self.classes + class];
                let mut order: Vec<usize> = (0..self.labels.len()).collect();
                order.sort_by(|a, b| probability(b).total_cmp(&probability(a)).then(a.cmp(b)));
                let equals = order.chunk_by(|a, b| probability(a) == probability(b)).map(<[usize]>::len);
                let equals = equals.collect();
                let is_of = order.iter().map(|&sample| self.labels[sample].contains(&class)).collect();
                Ranking { order, equals, is_of }
            })
            .collect()
    }
}

/// Samples by falling probability of a class.
struct Ranking {
    order: Vec<usize>,
    /// How many stand at each probability, highest first.
    equals: Vec<usize>,
    /// Whether each is of the class, in the order.
    is_of: Vec<bool>,
}

impl Ranking {
    /// The average precision when each sample is there so many times.
    fn average_precision(&self, times: &[u32]) -> Option<f64> {
        let (mut hits, mut seen, mut sum) = (0u64, 0u64, 0.0);
        let mut ranked = self.order.iter().zip(&self.is_of);
        for &count in &self.equals {
            let before = hits;
            for (&sample, &is_of) in ranked.by_ref().take(count) {
                let times = u64::from(times[sample]);
                seen += times;
                hits += if is_of { times } else { 0 };
            }
            if hits > before {
                sum += (hits - before) as f64 * hits as f64 / seen as f64;
            }
        }
        (hits > 0).then(|| sum / hits as f64)
    }
}

/// Whether a class is found rightly, found, there.
fn decision(probability: f32, is_there: bool) -> [u64; 3] {
    let is_found = probability >= THRESHOLD;
    [is_found && is_there, is_found, is_there].map(u64::from)
}

/// F1 of right finds, finds and true classes.
fn f1([hits, found, there]: [u64; 3]) -> f64 {
    if found + there == 0 { 0.0 } else { 2.0 * hits as f64 / (found + there) as f64 }
}

/// The mean of those there are; 0 when there are none.
fn mean(scores: impl Iterator<Item = Option<f64>>) -> f64 {
    let (sum, count) = scores.flatten().fold((0.0, 0usize), |(sum, count), score| (sum + score, count + 1));
    sum / count.max(1) as f64
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    // Ties, a class that all have, a class that none has.
    const PROBABILITIES: [f32; 24] = [
        0.9, 0.2, 0.6, 0.1, 0.8, 0.2, 0.7, 0.1, 0.3, 0.9, 0.5, 0.6, 0.4, 0.9, 0.1, 0.2, 0.5, 0.3, 0.8, 0.1,
        0.5, 0.1, 0.9, 0.4,
    ];

    fn labels() -> Vec<Vec<usize>> {
        vec![vec![0, 2], vec![2], vec![1, 2], vec![0, 1, 2], vec![0, 2], vec![2]]
    }

    #[test]
    fn values_equal_scikit_learn() {
        // sklearn 1.9.1 on Y = [[1,0,1,0],[0,0,1,0],[0,1,1,0],[1,1,1,0],[1,0,1,0],[0,0,1,0]], P = PROBABILITIES.reshape(6, 4):
        // average_precision_score of columns 0 to 2, f1_score(Y, P >= 0.5, average="micro"),
        // precision_recall_fscore_support(Y, P >= 0.5).
        let labels = labels();
        let predictions = MultiLabelPredictions::new(&PROBABILITIES, &labels, 4).unwrap();
        let found = predictions.average_precision();
        for (found, expected) in found.iter().zip([Some(0.7), Some(1.0), Some(1.0), None]) {
            assert_eq!(found.is_some(), expected.is_some());
            assert!((found.unwrap_or(0.0) - expected.unwrap_or(0.0)).abs() < 1e-9, "{found:?} {expected:?}");
        }
        let scores = predictions.scores();
        assert!((scores.micro_f1 - 0.782608695652).abs() < 1e-9, "{scores:?}");
        assert!((scores.map - 0.9).abs() < 1e-9, "{scores:?}");
        for (found, (samples, precision, recall)) in predictions.per_class().iter().zip([
            (3, 0.5, 0.666666666667),
            (2, 1.0, 1.0),
            (6, 1.0, 0.833333333333),
            (0, 0.0, 0.0),
        ]) {
            assert_eq!(found.samples, samples);
            assert!(
                (found.precision - precision).abs() < 1e-9 && (found.recall - recall).abs() < 1e-9,
                "{found:?}"
            );
        }
    }

    #[test]
    fn intervals_hold_the_scores_and_repeat() {
        let mut stream = Stream::new(4, &["intervals".into()]);
        let (mut probabilities, mut labels) = (Vec::new(), Vec::new());
        for _ in 0..300 {
            let of: Vec<usize> = (0..3).filter(|_| stream.below(3) == 0).collect();
            for class in 0..3 {
                let centre = if of.contains(&class) { 0.6 } else { 0.4 };
                probabilities.push((centre + 0.15 * stream.normal()).clamp(0.0, 1.0) as f32);
            }
            labels.push(of);
        }
        let predictions = MultiLabelPredictions::new(&probabilities, &labels, 3).unwrap();
        let found = predictions.intervals(Bootstrap::default());
        let scores = predictions.scores();
        for (interval, score) in found.iter().zip([scores.map, scores.micro_f1]) {
            assert!(interval.low < score && score < interval.high, "{interval:?} {score}");
            assert!((0.02..0.2).contains(&(interval.high - interval.low)), "{interval:?}");
        }
        assert_eq!(found, predictions.intervals(Bootstrap::default()));
        assert_ne!(found, predictions.intervals(Bootstrap { seed: 1, ..Bootstrap::default() }));
    }

    #[test]
    fn what_does_not_fit_is_an_error_and_nothing_is_zero() {
        assert!(MultiLabelPredictions::new(&[0.5], &[vec![0]], 2).is_err());
        assert!(MultiLabelPredictions::new(&[0.5, 0.5], &[vec![2]], 2).is_err());
        assert!(MultiLabelPredictions::new(&[0.5, f32::NAN], &[vec![]], 2).is_err());
        let none = MultiLabelPredictions::new(&[], &[], 2).unwrap();
        assert_eq!(none.scores(), MultiLabelScores { map: 0.0, micro_f1: 0.0 });
        assert_eq!(none.intervals(Bootstrap::default())[0], Interval { low: 0.0, high: 0.0 });
    }
}
