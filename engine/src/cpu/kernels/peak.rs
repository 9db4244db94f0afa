//! The most that a processor can compute, for benchmarks to compare with.

use crate::cpu::Isa;
use crate::cpu::kernels::micro::{Loop, Microkernels, Vector, with_microkernels};

/// Independent sums: enough to hide the latency of a multiply-add.
const SUMS: usize = 10;

/// Multiplies and adds in registers, without touching memory, and returns the floating-point operations done.
///
/// # Panics
/// When the processor lacks the instruction set.
pub fn multiply_adds(isa: Isa, rounds: usize) -> usize {
    assert!(isa.is_available(), "this processor lacks {isa:?}");
    with_microkernels!(isa, Kernels => {
        // SAFETY: the processor has the instruction set.
        unsafe { Kernels::run(Sums { rounds }) };
        2 * rounds * SUMS * <Kernels as Microkernels>::Register::LANES
    })
}

struct Sums {
    rounds: usize,
}

impl Loop for Sums {
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let (left, right) = std::hint::black_box((0.999, 1e-3));
        // SAFETY: the caller's promise; the last store has room for a register.
        unsafe {
            let (left, right) = (V::splat(left), V::splat(right));
            let mut sums = [V::splat(0.0); SUMS];
            for _ in 0..self.rounds {
                for sum in &mut sums {
                    *sum = right.add_product(*sum, left);
                }
            }
            let mut total = sums[0];
            for &sum in &sums[1..] {
                total = total.add(sum);
            }
            let mut lanes = [0.0; 16];
            total.store(lanes.as_mut_ptr());
            std::hint::black_box(lanes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_counted() {
        for (isa, lanes) in [(Isa::Portable, 4), (Isa::Avx2, 8), (Isa::Avx512, 16)] {
            if isa.is_available() {
                assert_eq!(multiply_adds(isa, 100), 2 * 100 * SUMS * lanes, "{isa:?}");
            }
        }
    }
}
