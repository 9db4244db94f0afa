//! How far a score measured on few samples can be off.

use serde::{Deserialize, Serialize};
use tk_engine::random::Stream;

use super::{Confusion, MetricsError};

/// A range that holds the true value with the stated confidence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// Wilson's score interval of a proportion (Wilson 1927), as statsmodels' `proportion_confint(method="wilson")`. Unlike the
/// normal approximation it stays inside 0 to 1 and is right for few samples and for proportions near 0 and 1. The whole range
/// without trials. `confidence` lies between 0 and 1, usually 0.95.
pub fn wilson_interval(successes: u64, trials: u64, confidence: f64) -> Interval {
    if trials == 0 {
        return Interval { low: 0.0, high: 1.0 };
    }
    let n = trials as f64;
    let proportion = successes.min(trials) as f64 / n;
    let z = normal_quantile(0.5 + confidence.clamp(0.0, 1.0 - 1e-12) / 2.0);
    let scale = 1.0 + z * z / n;
    let centre = (proportion + z * z / (2.0 * n)) / scale;
    let half = z / scale * (proportion * (1.0 - proportion) / n + z * z / (4.0 * n * n)).sqrt();
    Interval { low: (centre - half).max(0.0), high: (centre + half).min(1.0) }
}

/// How a bootstrap is done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bootstrap {
    /// How many times samples are drawn anew.
    pub draws: usize,
    /// The confidence, between 0 and 1.
    pub confidence: f64,
    /// The seed of the draws.
    pub seed: u64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self { draws: 1000, confidence: 0.95, seed: 0 }
    }
}

/// The percentile bootstrap interval of any score of some samples (Efron 1979): it is computed of positions that are drawn with replacement, and
/// the ends are quantiles of the scores.
pub fn bootstrap_score(samples: usize, bootstrap: Bootstrap, score: impl Fn(&[usize]) -> f64) -> Interval {
    if samples == 0 || bootstrap.draws == 0 {
        return Interval { low: 0.0, high: 1.0 };
    }
    let mut scores: Vec<f64> = (0..bootstrap.draws)
        .map(|draw| {
            let mut stream = Stream::new(bootstrap.seed, &["bootstrap".into(), draw.into()]);
            score(&(0..samples).map(|_| stream.below(samples)).collect::<Vec<_>>())
        })
        .collect();
    scores.sort_by(f64::total_cmp);
    let tail = (1.0 - bootstrap.confidence.clamp(0.0, 1.0)) / 2.0;
    Interval { low: quantile(&scores, tail), high: quantile(&scores, 1.0 - tail) }
}

/// The percentile bootstrap interval of macro-F1 (Efron 1979): samples are drawn with replacement, and the ends are quantiles of
/// the scores. A draw that lacks a class is scored over the classes it has.
///
/// # Errors
/// When the lists have different lengths or an index is not a class.
pub fn bootstrap_macro_f1(
    classes: usize,
    labels: &[usize],
    predicted: &[usize],
    bootstrap: Bootstrap,
) -> Result<Interval, MetricsError> {
    let whole = Confusion::of(classes, labels, predicted)?;
    if labels.is_empty() || bootstrap.draws == 0 {
        let score = whole.macro_f1();
        return Ok(Interval { low: score, high: score });
    }
    let mut scores: Vec<f64> = (0..bootstrap.draws)
        .map(|draw| {
            let mut stream = Stream::new(bootstrap.seed, &["bootstrap".into(), draw.into()]);
            let mut confusion = Confusion::new(classes);
            for _ in labels {
                let sample = stream.below(labels.len());
                confusion.add(labels[sample], predicted[sample]);
            }
            confusion.macro_f1()
        })
        .collect();
    scores.sort_by(f64::total_cmp);
    let tail = (1.0 - bootstrap.confidence.clamp(0.0, 1.0)) / 2.0;
    Ok(Interval { low: quantile(&scores, tail), high: quantile(&scores, 1.0 - tail) })
}

/// The percentile bootstrap interval of a rate such as WER: of the sum of errors over the sum of what there is, where samples of `[errors,
/// count]` are drawn with replacement. The whole range without samples.
pub fn bootstrap_rate(samples: &[[usize; 2]], bootstrap: Bootstrap) -> Interval {
    let rate = |[errors, count]: [usize; 2]| errors as f64 / count.max(1) as f64;
    let sum = |samples: &mut dyn Iterator<Item = [usize; 2]>| {
        rate(samples.fold([0, 0], |[errors, count], sample| [errors + sample[0], count + sample[1]]))
    };
    bootstrap_score(samples.len(), bootstrap, |drawn| sum(&mut drawn.iter().map(|&sample| samples[sample])))
}

/// The quantile of sorted values, linear between neighbours.
pub(super) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let position = share * (sorted.len() - 1) as f64;
    let below = position.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (sorted[above] - sorted[below]) * position.fract()
}

/// The quantile of the standard normal distribution, by bisection of its distribution function.
fn normal_quantile(share: f64) -> f64 {
    let (mut low, mut high) = (-9.0, 9.0);
    for _ in 0..80 {
        let middle = 0.5 * (low + high);
        if normal_distribution(middle) < share { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

/// The standard normal distribution function: ½ + φ(z)·(z + z³/3 + z⁵/15 + …) (Marsaglia 2004), which converges for every z and
/// is exact to rounding in the range used.
fn normal_distribution(z: f64) -> f64 {
    let (mut sum, mut term, mut odd) = (z, z, 1.0);
    while term.abs() > 1e-17 * sum.abs() {
        odd += 2.0;
        term *= z * z / odd;
        sum += term;
    }
    0.5 + sum * (-0.5 * z * z).exp() / std::f64::consts::TAU.sqrt()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn the_interval_of_a_rate_holds_it_and_narrows() {
        let samples = |count: usize| (0..count).map(|at| [usize::from(at % 5 == 0), 1]).collect::<Vec<_>>();
        let width = |count: usize| {
            let Interval { low, high } = bootstrap_rate(&samples(count), Bootstrap::default());
            assert!(low < 0.2 && high > 0.2, "{low} {high}");
            high - low
        };
        assert!(width(1000) < 0.5 * width(100));
        assert_eq!(bootstrap_rate(&[], Bootstrap::default()), Interval { low: 0.0, high: 1.0 });
    }

    #[test]
    fn wilson_equals_the_published_formula() {
        // statsmodels' formula in Python with scipy.stats.norm.ppf: (successes, trials, confidence, low, high).
        let cases = [
            (143, 153, 0.95, 0.883_876_2, 0.964_113_9),
            (0, 10, 0.95, 0.0, 0.277_532_8),
            (10, 10, 0.95, 0.722_467_2, 1.0),
            (1, 2, 0.9, 0.120_866_3, 0.879_133_7),
            (50, 100, 0.99, 0.375_279_6, 0.624_720_4),
        ];
        for (successes, trials, confidence, low, high) in cases {
            let found = wilson_interval(successes, trials, confidence);
            assert!(
                (found.low - low).abs() < 1e-6 && (found.high - high).abs() < 1e-6,
                "{successes}/{trials}: {found:?}"
            );
        }
        assert_eq!(wilson_interval(0, 0, 0.95), Interval { low: 0.0, high: 1.0 });
    }

    #[test]
    fn the_bootstrap_repeats_and_is_as_wide_as_theory_says() {
        let labels: Vec<usize> = (0..400).map(|sample| sample % 2).collect();
        let predicted: Vec<usize> =
            (0..400).map(|sample| if sample % 10 < 8 { sample % 2 } else { 1 - sample % 2 }).collect();
        let interval = bootstrap_macro_f1(2, &labels, &predicted, Bootstrap::default()).unwrap();
        assert_eq!(interval, bootstrap_macro_f1(2, &labels, &predicted, Bootstrap::default()).unwrap());
        let other = Bootstrap { seed: 1, ..Bootstrap::default() };
        assert_ne!(interval, bootstrap_macro_f1(2, &labels, &predicted, other).unwrap());
        // With equal classes macro-F1 is close to accuracy, 0.8 ± 1.96·√(0.8·0.2/400) = 0.8 ± 0.0392.
        assert!(
            (interval.low - 0.7608).abs() < 0.008 && (interval.high - 0.8392).abs() < 0.008,
            "{interval:?}"
        );
        assert!(bootstrap_macro_f1(2, &[0], &[2], Bootstrap::default()).is_err());
    }
}
