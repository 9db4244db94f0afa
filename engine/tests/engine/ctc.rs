//! PyTorch's numbers for the CTC loss. They were computed in f64 and kept to 9 digits; gradients are written as f32.

use tk_engine::cpu::Machine;
use tk_engine::cpu::kernels::ctc::{Ctc, CtcReduction, Spelling};
use tk_engine::testing::signed;

use super::ctc_expected::CASES;

pub struct Expected {
    pub name: &'static str,
    pub frames: usize,
    pub vocabulary: usize,
    pub blank: u32,
    /// The frames and the target of each sample.
    pub samples: &'static [(usize, &'static [u32])],
    pub losses: &'static [f64],
    /// With `reduction="mean"` and `zero_infinity=True`.
    pub mean: f64,
    /// Of `mean`.
    pub gradient: &'static [f64],
}

#[test]
fn losses_and_gradients_are_pytorchs() {
    for case in CASES {
        let count = case.samples.len() * case.frames * case.vocabulary;
        let logits: Vec<f32> =
            signed(&format!("ctc.{}", case.name), count).iter().map(|&s| s as f32 * 4.0).collect();
        let weight = |target: &[u32]| CtcReduction::Mean.weight(target.len(), case.samples.len());
        let samples: Vec<Spelling<'_>> = case
            .samples
            .iter()
            .map(|&(frames, target)| Spelling { frames, target, weight: weight(target) })
            .collect();
        let ctc = Ctc { blank: case.blank, zero_infinity: true };
        let mut gradient = vec![f32::NAN; count];
        let sizes = [case.frames, case.vocabulary];
        let losses = ctc.evaluate(&Machine::new(2), &logits, sizes, &samples, &mut gradient);
        for (found, expected) in losses.iter().zip(case.losses) {
            let agrees = found == expected || (found - expected).abs() < 1e-7 * expected.abs().max(1.0);
            assert!(agrees, "{}: {found}, expected {expected}", case.name);
        }
        let finite = losses.iter().zip(&samples).filter(|(loss, _)| loss.is_finite());
        let mean: f64 = finite.map(|(loss, sample)| loss * sample.weight).sum();
        assert!((mean - case.mean).abs() < 1e-7, "{}: {mean}, expected {}", case.name, case.mean);
        assert_eq!((losses.len(), gradient.len()), (case.losses.len(), case.gradient.len()));
        for (position, (&found, expected)) in gradient.iter().zip(case.gradient).enumerate() {
            let agrees = (f64::from(found) - expected).abs() < 1e-7;
            assert!(agrees, "{}, number {position}: {found}, expected {expected}", case.name);
        }
    }
}
