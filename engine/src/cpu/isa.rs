//! Instruction sets, detected at run time.

use crate::Precision;

/// An instruction set that kernels are written for, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Isa {
    /// Plain Rust, for any processor.
    Portable,
    /// AVX2 with FMA: 16 registers of 8 floats.
    Avx2,
    /// AVX-512 F, BW, DQ and VL: 32 registers of 16 floats.
    Avx512,
}

impl Isa {
    /// Every instruction set, weakest first.
    pub const ALL: [Self; 3] = [Self::Portable, Self::Avx2, Self::Avx512];

    /// The strongest instruction set of this processor.
    pub fn best() -> Self {
        Self::ALL.into_iter().rev().find(|isa| isa.is_available()).unwrap_or(Self::Portable)
    }

    /// Whether this processor has the instruction set.
    pub fn is_available(self) -> bool {
        match self {
            Self::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("fma")
            }
            #[cfg(not(target_arch = "x86_64"))]
            _ => false,
        }
    }

    /// Whether the processor has instructions that multiply operands of a precision faster than f32.
    pub fn has(self, precision: Precision) -> bool {
        match (self, precision) {
            #[cfg(target_arch = "x86_64")]
            (Self::Avx512, Precision::Bf16) => is_x86_feature_detected!("avx512bf16"),
            #[cfg(target_arch = "x86_64")]
            (Self::Avx512, Precision::Int8) => is_x86_feature_detected!("avx512vnni"),
            _ => precision == Precision::F32,
        }
    }

    /// The instruction set whose microkernels multiply operands of a precision: where AVX-512 lacks the instructions, those of AVX2, which
    /// make do with others.
    pub fn multiplying(self, precision: Precision) -> Self {
        match self {
            Self::Avx512 if !self.has(precision) => Self::Avx2,
            isa => isa,
        }
    }

    /// The name used on the command line and in cache keys.
    pub fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }

    /// Runs a loop compiled for this instruction set: the closure is inlined into a function that enables it, so that the
    /// compiler vectorises it accordingly. Keep the closure small and free of calls that are not `#[inline(always)]`.
    #[inline]
    pub fn vectorize<R>(self, body: impl FnOnce() -> R) -> R {
        match self {
            Self::Portable => body(),
            // SAFETY: an `Isa` other than `Portable` is only made for a processor that has it (`best`, `Machine::with_isa`).
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { avx2(body) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => unsafe { avx512(body) },
            #[cfg(not(target_arch = "x86_64"))]
            _ => body(),
        }
    }
}

/// As [`Isa::vectorize`], with a constant in scope that says whether the instruction set has fused products.
macro_rules! vectorize_fused {
    ($isa:expr, $fused:ident => $body:expr) => {
        match $isa {
            $crate::cpu::Isa::Portable => {
                const $fused: bool = false;
                $crate::cpu::Isa::Portable.vectorize(
                    #[inline(always)]
                    || $body,
                )
            }
            isa => {
                const $fused: bool = true;
                isa.vectorize(
                    #[inline(always)]
                    || $body,
                )
            }
        }
    };
}
pub(crate) use vectorize_fused;

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
#[inline]
fn avx2<R>(body: impl FnOnce() -> R) -> R {
    body()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
#[inline]
fn avx512<R>(body: impl FnOnce() -> R) -> R {
    body()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectorised_loops_compute_the_same() {
        let input: Vec<f32> = (0..1000).map(|index| index as f32 * 0.5).collect();
        for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
            let doubled: Vec<f32> = isa.vectorize(|| input.iter().map(|value| value * 2.0).collect());
            assert!(doubled.iter().enumerate().all(|(index, &value)| value == index as f32), "{isa:?}");
        }
    }
}
