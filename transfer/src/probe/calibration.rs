//! From scores to probabilities: one factor, so that the scaled scores' softmax, or the sigmoid of each where samples have several
//! classes, says how sure one may be.
//!
//! A support vector machine's scores are distances and no logits. Temperature scaling (Guo et al., arXiv 1706.04599) multiplies all
//! of them by one number. It leaves the most probable class what it was, can be found from few samples, and goes into the layer's
//! weight and bias, so that the head stays one linear layer under a softmax, which other tools open. A sigmoid for each class
//! (Platt 1999), normalised over classes, is no such layer. With two classes both are the same but for Platt's offset.

use super::loss::log_loss;
use super::minimize::{Stop, minimize};
use crate::data::{LabelKind, LabelView};

/// As near as the factor's logarithm is found; probabilities differ by less.
const PRECISE: Stop = Stop { iterations: 50, gradient: 1e-7, decrease: 1e-12 };

/// The factor under which the log-loss of scores, `[samples, classes]`, is lowest. The scores are of samples that the model did not
/// learn from, the weights, one for each sample or none, say how much they count.
///
/// Targets are Platt's: the sample's class has `(n + 1) / (n + 2)`, the others share the rest (each has `1 / (n + 2)`, where samples have
/// several classes), so that scores which divide the classes without a mistake do not ask for certainty.
pub(super) fn scale(scores: &[f32], labels: LabelView<'_>, weights: Option<&[f32]>, classes: usize) -> f64 {
    let (samples, kind) = (labels.len(), labels.kind());
    let sharers = if kind == LabelKind::Single { classes.max(2) - 1 } else { 1 };
    let missed = 1.0 / (samples as f64 + 2.0) / sharers as f64;
    let hit = 1.0 - 1.0 / (samples as f64 + 2.0);
    let weight = |sample: usize| weights.map_or(1.0, |weights| f64::from(weights[sample]));
    let total = (0..samples).map(weight).sum::<f64>().max(f64::MIN_POSITIVE);
    let mut probabilities = vec![0f32; classes];
    let found = minimize(vec![0.0], PRECISE, |point, gradient| {
        let factor = point[0].exp();
        let (mut loss, mut slope) = (0.0, 0.0);
        for (sample, (row, of)) in scores.chunks_exact(classes).zip(labels.iter()).enumerate() {
            for (logit, &score) in probabilities.iter_mut().zip(row) {
                *logit = (factor * f64::from(score)) as f32;
            }
            let mut expected = log_loss(kind, &mut probabilities, &[]);
            let mut tilt = 0.0;
            for (class, (&score, &probability)) in row.iter().zip(&probabilities).enumerate() {
                let (score, target) = (f64::from(score), if of.contains(&class) { hit } else { missed });
                expected -= target * factor * score;
                tilt += (f64::from(probability) - target) * score;
            }
            loss += weight(sample) * expected;
            slope += weight(sample) * factor * tilt;
        }
        gradient[0] = slope / total;
        loss / total
    });
    found.point[0].exp()
}

#[cfg(test)]
mod tests {
    use super::super::loss::softmax;
    use super::*;
    use tk_engine::random::Stream;

    /// Scores whose softmax after multiplication by `factor` is the truth about the labels.
    fn drawn(samples: usize, factor: f64) -> (Vec<f32>, Vec<usize>) {
        let mut stream = Stream::new(3, &["calibration".into()]);
        let (mut scores, mut labels) = (Vec::new(), Vec::new());
        for _ in 0..samples {
            let row: Vec<f32> = (0..3).map(|_| stream.normal() as f32).collect();
            let mut truth: Vec<f32> = row.iter().map(|score| (factor * f64::from(*score)) as f32).collect();
            softmax(&mut truth);
            let draw = stream.range(0.0, 1.0) as f32;
            labels.push(usize::from(draw > truth[0]) + usize::from(draw > truth[0] + truth[1]));
            scores.extend(row);
        }
        (scores, labels)
    }

    #[test]
    fn the_factor_that_made_the_labels_is_found() {
        for factor in [0.3, 1.0, 6.0] {
            let (scores, labels) = drawn(20_000, factor);
            let found = scale(&scores, (&labels).into(), None, 3);
            assert!((found / factor - 1.0).abs() < 0.05, "{factor}: {found}");
        }
    }

    #[test]
    fn scores_without_a_mistake_do_not_ask_for_certainty() {
        let (scores, labels) = ([1.0, -1.0, -1.0, 1.0].repeat(10), [0, 1].repeat(10));
        // Both sides of 20 samples: 21/22 = 1 / (1 + exp(−2·factor)).
        let found = scale(&scores, (&labels).into(), None, 2);
        assert!((found - 0.5 * 21f64.ln()).abs() < 1e-4, "{found}");
    }

    #[test]
    fn a_weight_counts_like_copies() {
        let (scores, labels) = drawn(300, 2.0);
        let weights: Vec<f32> = (0..300).map(|sample| (1 + sample % 3) as f32).collect();
        let copies: Vec<usize> = (0..300).flat_map(|sample| vec![sample; 1 + sample % 3]).collect();
        let copied: Vec<f32> = copies.iter().flat_map(|&sample| scores[sample * 3..][..3].to_vec()).collect();
        let copied_labels: Vec<usize> = copies.iter().map(|&sample| labels[sample]).collect();
        let (weighted, repeated) = (
            scale(&scores, (&labels).into(), Some(&weights), 3),
            scale(&copied, (&copied_labels).into(), None, 3),
        );
        // The targets know the count of samples, 300 against 600, which moves the factor a little.
        assert!((weighted / repeated - 1.0).abs() < 0.02, "{weighted} {repeated}");
        assert!((weighted / scale(&scores, (&labels).into(), None, 3) - 1.0).abs() > 1e-6);
    }

    #[test]
    fn several_classes_are_scaled_by_their_sigmoids() {
        let mut stream = Stream::new(4, &["several".into()]);
        let (mut scores, mut labels) = (Vec::new(), Vec::new());
        for _ in 0..20_000 {
            let row: Vec<f32> = (0..3).map(|_| stream.normal() as f32).collect();
            let is_of = |score: &f32, draw: f64| draw < 1.0 / (1.0 + (-3.0 * f64::from(*score)).exp());
            let of = (0..3).filter(|&class| is_of(&row[class], stream.range(0.0, 1.0))).collect::<Vec<_>>();
            labels.push(of);
            scores.extend(row);
        }
        let found = scale(&scores, labels[..].into(), None, 3);
        assert!((found / 3.0 - 1.0).abs() < 0.05, "{found}");
    }
}
