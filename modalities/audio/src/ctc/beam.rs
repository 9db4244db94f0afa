//! The likeliest texts: a search over prefixes, where all ways that spell one prefix count together (Hannun et al. 2014,
//! arXiv 1408.2873).

use std::collections::BTreeMap;

/// A text that frames may spell.
#[derive(Clone, Debug, PartialEq)]
pub struct Hypothesis {
    /// Its symbols.
    pub symbols: Vec<u32>,
    /// The logarithm of the probability of all ways that were followed and spell it.
    pub log_probability: f64,
}

/// The logarithms of the probabilities of ways that end in a blank, and in the prefix's last symbol.
#[derive(Clone, Copy)]
struct Ends {
    blank: f64,
    symbol: f64,
}

impl Default for Ends {
    fn default() -> Self {
        Self { blank: f64::NEG_INFINITY, symbol: f64::NEG_INFINITY }
    }
}

impl Ends {
    fn total(self) -> f64 {
        log_add(self.blank, self.symbol)
    }
}

/// The likeliest texts of frames of log-probabilities, `[frames, vocabulary]`, best first; after each frame the `width` best prefixes
/// are kept. With a width no smaller than the number of prefixes it is exact. Equally likely texts come in the order of their symbols.
///
/// A last row that is not whole is ignored, and so is everything where the vocabulary is empty. NaN counts as impossible.
pub fn beam(log_probabilities: &[f32], vocabulary: usize, blank: u32, width: usize) -> Vec<Hypothesis> {
    let mut kept = vec![(Vec::new(), Ends { blank: 0.0, symbol: f64::NEG_INFINITY })];
    for row in log_probabilities.chunks_exact(vocabulary.max(1)).filter(|_| vocabulary > 0) {
        let mut next: BTreeMap<Vec<u32>, Ends> = BTreeMap::new();
        for (prefix, ends) in &kept {
            for (symbol, &score) in row.iter().enumerate() {
                let (symbol, score) = (symbol as u32, f64::from(score));
                if score.is_nan() || score == f64::NEG_INFINITY {
                    continue;
                }
                if symbol == blank {
                    let same = next.entry(prefix.clone()).or_default();
                    same.blank = log_add(same.blank, ends.total() + score);
                    continue;
                }
                // A repeated symbol is the same one, unless a blank stands between.
                let repeats = prefix.last() == Some(&symbol);
                if repeats {
                    let same = next.entry(prefix.clone()).or_default();
                    same.symbol = log_add(same.symbol, ends.symbol + score);
                }
                let before = if repeats { ends.blank } else { ends.total() };
                if before > f64::NEG_INFINITY {
                    let mut longer = prefix.clone();
                    longer.push(symbol);
                    let longer = next.entry(longer).or_default();
                    longer.symbol = log_add(longer.symbol, before + score);
                }
            }
        }
        kept = next.into_iter().collect();
        kept.sort_by(|(_, a), (_, b)| b.total().total_cmp(&a.total()));
        kept.truncate(width.max(1));
    }
    kept.into_iter().map(|(symbols, ends)| Hypothesis { symbols, log_probability: ends.total() }).collect()
}

/// `log(eᵃ + eᵇ)`, of minus infinities too.
fn log_add(a: f64, b: f64) -> f64 {
    let (greater, smaller) = if a > b { (a, b) } else { (b, a) };
    if greater == f64::NEG_INFINITY { greater } else { greater + (smaller - greater).exp().ln_1p() }
}

#[cfg(test)]
mod tests {
    use tk_engine::testing::signed;

    use super::*;

    /// The probability of every text, by the definition: over all ways.
    fn all(probabilities: &[f64], vocabulary: usize, blank: u32) -> BTreeMap<Vec<u32>, f64> {
        let frames = probabilities.len() / vocabulary;
        let mut texts = BTreeMap::new();
        for way in 0..vocabulary.pow(frames as u32) {
            let mut symbols: Vec<u32> =
                (0..frames).map(|frame| (way / vocabulary.pow(frame as u32) % vocabulary) as u32).collect();
            let rows = symbols.iter().zip(probabilities.chunks(vocabulary));
            let probability: f64 = rows.map(|(&symbol, row)| row[symbol as usize]).product();
            symbols.dedup();
            symbols.retain(|&symbol| symbol != blank);
            *texts.entry(symbols).or_insert(0.0) += probability;
        }
        texts
    }

    #[test]
    fn a_wide_beam_is_the_sum_over_all_ways() {
        for (case, (frames, vocabulary, blank)) in
            [(1, 2, 0), (4, 3, 0), (5, 3, 2), (6, 3, 1), (5, 4, 0)].into_iter().enumerate()
        {
            let mut scores: Vec<f64> = signed(&format!("beam.{case}"), frames * vocabulary);
            for row in scores.chunks_mut(vocabulary) {
                let sum: f64 = row.iter().map(|score| (3.0 * score).exp()).sum();
                row.iter_mut().for_each(|score| *score = 3.0 * *score - sum.ln());
            }
            let rounded: Vec<f32> = scores.iter().map(|&score| score as f32).collect();
            let exact: Vec<f64> = rounded.iter().map(|&score| f64::from(score).exp()).collect();
            let expected = all(&exact, vocabulary, blank);
            let found = beam(&rounded, vocabulary, blank, usize::MAX);
            assert!(found.windows(2).all(|pair| pair[0].log_probability >= pair[1].log_probability));
            assert_eq!(found.len(), expected.iter().filter(|(_, probability)| **probability > 0.0).count());
            for hypothesis in &found {
                let expected = expected[&hypothesis.symbols].ln();
                assert!((hypothesis.log_probability - expected).abs() < 1e-9, "{hypothesis:?}: {expected}");
            }
        }
    }

    #[test]
    fn ways_count_together() {
        // Greedily nothing is said, at 0.6² = 0.36; but `1` has all the rest.
        let row = [0.6f32.ln(), 0.4f32.ln()];
        let best = beam(&[row, row].concat(), 2, 0, 4).remove(0);
        assert_eq!(best.symbols, [1]);
        assert!((best.log_probability.exp() - 0.64).abs() < 1e-6);
        assert_eq!(super::super::greedy(&[row, row].concat(), 2, 0), []);
    }

    #[test]
    fn widths_bound_what_is_kept_and_nothing_is_something() {
        let scores: Vec<f32> = signed("beam.widths", 12).iter().map(|&score| score as f32 - 1.5).collect();
        assert_eq!(beam(&scores, 3, 0, 2).len(), 2);
        assert_eq!(beam(&scores, 3, 0, 0).len(), 1);
        let nothing = [Hypothesis { symbols: vec![], log_probability: 0.0 }];
        assert_eq!(beam(&[], 3, 0, 2), nothing);
        assert_eq!(beam(&[], 0, 0, 2), nothing);
        assert_eq!(beam(&[f32::NAN, f32::NEG_INFINITY], 2, 0, 2), []);
    }
}
