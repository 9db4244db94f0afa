//! What the tests of kernels share: machines to run on and numbers to run with.

use crate::cpu::{Isa, Machine, Pool};
use crate::random::{Label, Stream};

/// One thread on every instruction set of this processor, and three threads on the best.
pub(super) fn machines() -> Vec<Machine> {
    let mut machines: Vec<Machine> = Isa::ALL
        .into_iter()
        .filter(|isa| isa.is_available())
        .map(|isa| Machine { isa, pool: Pool::new(1) })
        .collect();
    machines.push(Machine { isa: Isa::best(), pool: Pool::new(3) });
    machines
}

/// Standard normal numbers.
pub(super) fn numbers(seed: u64, length: usize) -> Vec<f32> {
    let mut stream = Stream::new(seed, &[Label::Text("kernel tests")]);
    (0..length).map(|_| stream.normal() as f32).collect()
}

/// The same numbers in f64.
pub(super) fn widen(numbers: &[f32]) -> Vec<f64> {
    numbers.iter().map(|&number| f64::from(number)).collect()
}

/// Asserts that each number is within `tolerance` of its oracle, relative to the greatest of 1 and the oracle's size.
pub(super) fn assert_close(found: &[f32], expected: &[f64], tolerance: f64, context: &str) {
    assert_eq!(found.len(), expected.len(), "{context}: sizes");
    for (index, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        let error = (f64::from(found) - expected).abs();
        assert!(
            error <= tolerance * expected.abs().max(1.0),
            "{context}, element {index}: {found}, expected {expected}"
        );
    }
}
