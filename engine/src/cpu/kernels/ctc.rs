//! Connectionist temporal classification (Graves et al., ICML 2006): value and gradient for frames of logits and a text without times.

use crate::cpu::Machine;

use super::chunks;

/// The loss `−log p(target | logits)`, summed over all ways in which frames spell the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ctc {
    /// The symbol that spells nothing.
    pub blank: u32,
    /// Whether samples whose frames cannot spell their target leave zeros as gradient instead of NaN.
    pub zero_infinity: bool,
}

/// What one sample's frames should have said.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spelling<'a> {
    /// How many of its frames count; the others are padding.
    pub frames: usize,
    /// The symbols, without blanks.
    pub target: &'a [u32],
    /// What its gradient is multiplied by.
    pub weight: f64,
}

/// How losses of a batch become one, as PyTorch's `ctc_loss` and transformers' `ctc_loss_reduction` name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CtcReduction {
    /// The sum over samples.
    Sum,
    /// The mean over samples of each loss divided by its target's length (of 1 where that is 0).
    Mean,
}

impl CtcReduction {
    /// The weight of a sample with a target of this length, in a batch, or several that make one step, of so many samples.
    pub fn weight(self, target: usize, samples: usize) -> f64 {
        match self {
            Self::Sum => 1.0,
            Self::Mean => 1.0 / (target.max(1) * samples.max(1)) as f64,
        }
    }
}

impl Ctc {
    /// The loss of each sample of `logits`, `[batch, frames, vocabulary]`, without its weight; the gradient of their weighted sum is
    /// written to `gradient`. Logits are not normalised before.
    ///
    /// A sample whose frames cannot spell its target has an infinite loss, whether or not `zero_infinity` is set: whoever sums
    /// them up decides. NaN among a sample's logits, or a frame without a finite one, makes its loss and gradient NaN.
    ///
    /// # Panics
    /// When sizes do not fit, a sample has more frames than there are, or a symbol is blank or not in the vocabulary.
    pub fn evaluate(
        &self,
        machine: &Machine,
        logits: &[f32],
        [frames, vocabulary]: [usize; 2],
        samples: &[Spelling<'_>],
        gradient: &mut [f32],
    ) -> Vec<f64> {
        let size = frames * vocabulary;
        assert!((self.blank as usize) < vocabulary, "CTC: blank {} is not below {vocabulary}", self.blank);
        assert_eq!(logits.len(), samples.len() * size, "CTC: logits are not [batch, {frames}, {vocabulary}]");
        assert_eq!(logits.len(), gradient.len(), "CTC: sizes of logits and gradient");
        for sample in samples {
            assert!(sample.frames <= frames, "CTC: {} frames of {frames}", sample.frames);
            let fits = |&symbol: &u32| (symbol as usize) < vocabulary && symbol != self.blank;
            assert!(sample.target.iter().all(fits), "CTC: a symbol is blank or not below {vocabulary}");
        }
        if size == 0 {
            return samples.iter().map(|sample| impossible_unless(sample.target.is_empty())).collect();
        }
        chunks::map(&machine.pool, gradient.chunks_mut(size), |index, gradient| {
            self.sample(&logits[index * size..][..size], vocabulary, &samples[index], gradient)
        })
    }

    /// Loss and gradient of one sample, whose logits are `[frames, vocabulary]`.
    fn sample(&self, logits: &[f32], vocabulary: usize, sample: &Spelling<'_>, gradient: &mut [f32]) -> f64 {
        gradient.fill(0.0);
        let size = sample.frames * vocabulary;
        let (logits, gradient) = (&logits[..size], &mut gradient[..size]);
        if sample.frames == 0 {
            return impossible_unless(sample.target.is_empty());
        }
        let lattice = Lattice::new(logits, vocabulary, sample.target, self.blank);
        let forward = lattice.forward();
        let loss = -lattice.total(&forward);
        if loss.is_nan() || (loss == f64::INFINITY && !self.zero_infinity) {
            gradient.fill(f32::NAN);
        } else if loss.is_finite() {
            lattice.gradient(&forward, loss, sample.weight, gradient);
        }
        loss
    }
}

/// The loss of no frames: they spell nothing, and only that.
fn impossible_unless(is_empty: bool) -> f64 {
    if is_empty { 0.0 } else { f64::INFINITY }
}

/// The states that frames pass through: the target's symbols with a blank before, between and after them.
struct Lattice {
    /// The symbol of each state.
    states: Vec<usize>,
    /// Whether a state can be reached past the blank before it: its symbol is not the one before.
    skips: Vec<bool>,
    /// Logarithms of probabilities, `[frames, vocabulary]`.
    log_probabilities: Vec<f64>,
    vocabulary: usize,
}

impl Lattice {
    fn new(logits: &[f32], vocabulary: usize, target: &[u32], blank: u32) -> Self {
        let mut states = vec![blank as usize];
        let mut skips = vec![false];
        for (position, &symbol) in target.iter().enumerate() {
            states.extend([symbol as usize, blank as usize]);
            skips.extend([position > 0 && target[position - 1] != symbol, false]);
        }
        let mut log_probabilities: Vec<f64> = logits.iter().map(|&logit| f64::from(logit)).collect();
        for row in log_probabilities.chunks_exact_mut(vocabulary) {
            let greatest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let normaliser = greatest + row.iter().map(|logit| (logit - greatest).exp()).sum::<f64>().ln();
            row.iter_mut().for_each(|logit| *logit -= normaliser);
        }
        Self { states, skips, log_probabilities, vocabulary }
    }

    /// The logarithm of the probability of all ways into each state, `[frames, states]`, the frame itself included.
    fn forward(&self) -> Vec<f64> {
        let count = self.states.len();
        let mut forward = vec![f64::NEG_INFINITY; self.log_probabilities.len() / self.vocabulary * count];
        for (frame, row) in self.log_probabilities.chunks_exact(self.vocabulary).enumerate() {
            let (earlier, rest) = forward.split_at_mut(frame * count);
            let Some(before) = earlier.chunks_exact(count).next_back() else {
                (0..count.min(2)).for_each(|state| rest[state] = row[self.states[state]]);
                continue;
            };
            for state in 0..count {
                let one = if state >= 1 { before[state - 1] } else { f64::NEG_INFINITY };
                let two = if self.skips[state] { before[state - 2] } else { f64::NEG_INFINITY };
                rest[state] = log_sum([before[state], one, two]) + row[self.states[state]];
            }
        }
        forward
    }

    /// The logarithm of the probability of all ways that end in the last symbol or in the blank after it; NaN where a logit is none.
    fn total(&self, forward: &[f64]) -> f64 {
        if self.log_probabilities.iter().any(|value| value.is_nan()) {
            return f64::NAN;
        }
        let last = &forward[forward.len() - self.states.len()..];
        let before = if last.len() > 1 { last[last.len() - 2] } else { f64::NEG_INFINITY };
        log_sum([last[last.len() - 1], before, f64::NEG_INFINITY])
    }

    /// `weight · (probability − share of all ways that have this symbol here)` for each frame and symbol.
    fn gradient(&self, forward: &[f64], loss: f64, weight: f64, gradient: &mut [f32]) {
        let count = self.states.len();
        // All ways from each state to the end, the frame itself excluded; and the same of the next frame, that one included.
        let mut backward = vec![f64::NEG_INFINITY; count];
        let mut next = vec![f64::NEG_INFINITY; count];
        backward[count - count.min(2)..].fill(0.0);
        let mut shares = vec![0.0; self.vocabulary];
        let rows = self.log_probabilities.chunks_exact(self.vocabulary);
        let frames = rows.zip(forward.chunks_exact(count)).zip(gradient.chunks_exact_mut(self.vocabulary));
        for (number, ((row, forward), gradient)) in frames.rev().enumerate() {
            if number > 0 {
                for state in 0..count {
                    let one = if state + 1 < count { next[state + 1] } else { f64::NEG_INFINITY };
                    let skips = state + 2 < count && self.skips[state + 2];
                    let two = if skips { next[state + 2] } else { f64::NEG_INFINITY };
                    backward[state] = log_sum([next[state], one, two]);
                }
            }
            shares.fill(0.0);
            for (state, &symbol) in self.states.iter().enumerate() {
                shares[symbol] += (forward[state] + backward[state] + loss).exp();
                next[state] = backward[state] + row[symbol];
            }
            for ((gradient, share), log_probability) in gradient.iter_mut().zip(&shares).zip(row) {
                *gradient = (weight * (log_probability.exp() - share)) as f32;
            }
        }
    }
}

/// `log Σ exp`, of minus infinities too.
fn log_sum(values: [f64; 3]) -> f64 {
    let greatest = values.into_iter().fold(f64::NEG_INFINITY, f64::max);
    if greatest == f64::NEG_INFINITY {
        return greatest;
    }
    greatest + values.into_iter().map(|value| (value - greatest).exp()).sum::<f64>().ln()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_close, machines, numbers};
    use super::*;

    /// The definition in f64: the probability of every sequence of symbols that spells the target, summed.
    fn oracle(logits: &[f64], vocabulary: usize, target: &[u32], blank: u32) -> f64 {
        let frames = logits.len() / vocabulary;
        let mut sum = 0.0;
        for way in 0..vocabulary.pow(frames as u32) {
            let mut symbols: Vec<u32> =
                (0..frames).map(|frame| (way / vocabulary.pow(frame as u32) % vocabulary) as u32).collect();
            let probability: f64 = (symbols.iter().zip(logits.chunks(vocabulary)))
                .map(|(&symbol, row)| {
                    row[symbol as usize].exp() / row.iter().map(|logit| logit.exp()).sum::<f64>()
                })
                .product();
            symbols.dedup();
            symbols.retain(|&symbol| symbol != blank);
            if symbols == target {
                sum += probability;
            }
        }
        -sum.ln()
    }

    const CASES: [(usize, &[u32]); 10] = [
        (1, &[]),
        (1, &[2]),
        (3, &[]),
        (3, &[1, 1]),
        (4, &[1, 1]),
        (4, &[2, 3, 2]),
        (5, &[1, 1, 2]),
        (5, &[3]),
        (2, &[1, 1]),
        (2, &[1, 2, 3]),
    ];

    #[test]
    fn values_and_gradients_are_those_of_all_ways() {
        for machine in machines() {
            for (number, (frames, target)) in CASES.into_iter().enumerate() {
                for blank in [0, 3] {
                    let target: Vec<u32> = target.iter().map(|&s| if s == blank { 0 } else { s }).collect();
                    let logits: Vec<f32> =
                        numbers(number as u64, frames * 4).iter().map(|x| 3.0 * x).collect();
                    let exact: Vec<f64> = logits.iter().map(|&x| f64::from(x)).collect();
                    let context = format!("{frames} frames, {target:?}, blank {blank}");
                    let mut gradient = vec![f32::NAN; logits.len()];
                    let ctc = Ctc { blank, zero_infinity: true };
                    let sample = Spelling { frames, target: &target, weight: 0.5 };
                    let loss = ctc.evaluate(&machine, &logits, [frames, 4], &[sample], &mut gradient)[0];
                    let expected = oracle(&exact, 4, &target, blank);
                    if expected == f64::INFINITY {
                        assert_eq!(loss, expected, "{context}");
                        assert!(gradient.iter().all(|&slope| slope == 0.0), "{context}");
                        continue;
                    }
                    assert!((loss - expected).abs() < 1e-12, "{context}: {loss}, {expected}");
                    let slopes: Vec<f64> = (0..exact.len())
                        .map(|position| {
                            let at = |step: f64| {
                                let mut moved = exact.clone();
                                moved[position] += step;
                                0.5 * oracle(&moved, 4, &target, blank)
                            };
                            (at(1e-5) - at(-1e-5)) / 2e-5
                        })
                        .collect();
                    // Written as f32 numbers of at most 1.
                    assert_close(&gradient, &slopes, 1e-7, &context);
                }
            }
        }
    }

    #[test]
    fn samples_are_their_own_and_padding_is_zero() {
        let (frames, vocabulary) = (9, 5);
        let logits = numbers(1, 3 * frames * vocabulary);
        let samples = [
            Spelling { frames: 9, target: &[1, 2, 2], weight: 1.0 },
            Spelling { frames: 4, target: &[3], weight: 0.25 },
            Spelling { frames: 0, target: &[], weight: 1.0 },
        ];
        let ctc = Ctc { blank: 0, zero_infinity: false };
        let run = |threads: usize| {
            let mut gradient = vec![f32::NAN; logits.len()];
            let losses =
                ctc.evaluate(&Machine::new(threads), &logits, [frames, vocabulary], &samples, &mut gradient);
            (losses, gradient)
        };
        let (losses, gradient) = run(1);
        assert_eq!((losses.clone(), gradient.clone()), run(3), "one thread and three");
        assert_eq!(losses[2], 0.0);
        let size = frames * vocabulary;
        assert!(gradient[size + 4 * vocabulary..].iter().all(|&slope| slope == 0.0), "padding");
        let mut alone = vec![f32::NAN; 4 * vocabulary];
        let short = &logits[size..][..4 * vocabulary];
        let loss = ctc.evaluate(&Machine::new(1), short, [4, vocabulary], &samples[1..2], &mut alone);
        assert_eq!((loss[0], &alone[..]), (losses[1], &gradient[size..][..4 * vocabulary]));
    }

    #[test]
    fn what_is_no_number_is_not_hidden() {
        let evaluate = |logits: &[f32], zero_infinity| {
            let mut gradient = vec![0.0; logits.len()];
            let ctc = Ctc { blank: 0, zero_infinity };
            let sample = Spelling { frames: 2, target: &[1], weight: 1.0 };
            let loss = ctc.evaluate(&Machine::new(1), logits, [2, 2], &[sample], &mut gradient)[0];
            (loss, gradient)
        };
        const LEAST: f32 = f32::NEG_INFINITY;
        for logits in [[0.0, f32::NAN, 0.0, 0.0], [0.0, 0.0, f32::INFINITY, 0.0], [LEAST, LEAST, 0.0, 0.0]] {
            let (loss, gradient) = evaluate(&logits, true);
            assert!(loss.is_nan() && gradient.iter().all(|slope| slope.is_nan()), "{logits:?}: {loss}");
        }
        // The symbol has no probability anywhere.
        let (loss, gradient) = evaluate(&[0.0, LEAST, 0.0, LEAST], false);
        assert!(loss == f64::INFINITY && gradient.iter().all(|slope| slope.is_nan()));
        assert_eq!(evaluate(&[0.0, LEAST, 0.0, LEAST], true), (f64::INFINITY, vec![0.0; 4]));
        let (loss, gradient) = evaluate(&[-1e30, 1e30, 0.0, LEAST], false);
        assert!(
            loss.abs() < 1e-12 && gradient.iter().all(|slope| slope.abs() < 1e-12),
            "{loss} {gradient:?}"
        );
    }

    #[test]
    fn reductions_weigh_as_pytorch_does() {
        assert_eq!([0, 1, 4].map(|length| CtcReduction::Mean.weight(length, 2)), [0.5, 0.5, 0.125]);
        assert_eq!(CtcReduction::Sum.weight(4, 2), 1.0);
    }
}
