//! Activations, element by element, with their derivatives.

use std::f64::consts;

use crate::cpu::isa::vectorize_fused;
use crate::cpu::{Isa, Machine};

use super::accumulate::Accumulate;
use super::chunks::CHUNK;
use super::elementary::{limit, normal, normal_f64, sigmoid, sigmoid_and_rest, tanh};

/// A function applied to every element.
///
/// Where a function has a corner its derivative there is PyTorch's: 0 for the rectifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Activation {
    /// max(x, 0)
    Relu,
    /// min(max(x, 0), 6) (arXiv 1704.04861)
    Relu6,
    /// x·Φ(x) with the normal distribution function (arXiv 1606.08415), exact.
    Gelu,
    /// The same with the approximation by a hyperbolic tangent.
    GeluTanh,
    /// x·σ(x), also called swish (arXiv 1702.03118).
    Silu,
    /// x·relu6(x + 3)/6 (arXiv 1905.02244)
    HardSwish,
    /// relu6(x + 3)/6
    HardSigmoid,
    /// σ(x) = 1 / (1 + e⁻ˣ)
    Sigmoid,
    /// The hyperbolic tangent.
    Tanh,
}

/// The part of an activation that other kernels apply to their result as they write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Clamp {
    /// The result as it is.
    None,
    /// max(x, 0)
    Relu,
    /// min(max(x, 0), 6)
    Relu6,
}

impl Clamp {
    /// The least and the greatest result.
    #[inline(always)]
    pub fn limits(self) -> (f32, f32) {
        match self {
            Self::None => (f32::NEG_INFINITY, f32::INFINITY),
            Self::Relu => (0.0, f32::INFINITY),
            Self::Relu6 => (0.0, 6.0),
        }
    }

    /// The clamp that is the same function as an activation, if there is one.
    pub fn of(activation: Activation) -> Option<Self> {
        match activation {
            Activation::Relu => Some(Self::Relu),
            Activation::Relu6 => Some(Self::Relu6),
            _ => None,
        }
    }
}

/// Where a clamped result lets its gradient through: strictly between the limits.
///
/// Adding zero changes nothing (but −0 to 0). Without it LLVM sees that a gradient masked in place is either kept or zeroed,
/// and stores zeros through a mask, which is slow on AVX2.
#[inline(always)]
pub(super) fn masked(gradient: f32, result: f32, (low, high): (f32, f32)) -> f32 {
    if (result <= low) | (result >= high) { 0.0 } else { gradient + 0.0 }
}

/// The approximation by a hyperbolic tangent is `x·σ(2√(2/π)·(x + 0.044715 x³))`: here 2√(2/π), below the cubic term.
const TANH_SLOPE: f64 = 2.0 * consts::FRAC_2_SQRT_PI * consts::FRAC_1_SQRT_2;
const TANH_CUBIC: f64 = 0.044_715;

impl Activation {
    /// Every activation.
    pub const ALL: [Self; 9] = [
        Self::Relu,
        Self::Relu6,
        Self::Gelu,
        Self::GeluTanh,
        Self::Silu,
        Self::HardSwish,
        Self::HardSigmoid,
        Self::Sigmoid,
        Self::Tanh,
    ];

    /// The value at `x`. Relative error below 10⁻⁶ (GeluTanh: 10⁻⁵ where the result is below 10⁻³ in size).
    #[inline(always)]
    pub fn apply<const FUSED: bool>(self, x: f32) -> f32 {
        match self {
            Self::Relu => limit(x, 0.0, f32::INFINITY),
            Self::Relu6 => limit(x, 0.0, 6.0),
            Self::Gelu => x * normal::<FUSED>(x).0,
            Self::GeluTanh => x * sigmoid::<FUSED>(TANH_SLOPE as f32 * x * (1.0 + TANH_CUBIC as f32 * x * x)),
            Self::Silu => x * sigmoid::<FUSED>(x),
            Self::HardSwish => x * limit(x + 3.0, 0.0, 6.0) * (1.0 / 6.0),
            Self::HardSigmoid => limit(x + 3.0, 0.0, 6.0) * (1.0 / 6.0),
            Self::Sigmoid => sigmoid::<FUSED>(x),
            Self::Tanh => tanh::<FUSED>(x),
        }
    }

    /// The derivative at `x`. Error below 10⁻⁶ of max(1, its size).
    #[inline(always)]
    pub fn derivative<const FUSED: bool>(self, x: f32) -> f32 {
        match self {
            Self::Relu => masked(1.0, x, (0.0, f32::INFINITY)),
            Self::Relu6 => masked(1.0, x, (0.0, 6.0)),
            Self::Gelu => {
                let (distribution, density) = normal::<FUSED>(x);
                distribution + x * density
            }
            Self::GeluTanh => {
                let (slope, cubic) = (TANH_SLOPE as f32, TANH_CUBIC as f32);
                let (gate, rest) = sigmoid_and_rest::<FUSED>(slope * x * (1.0 + cubic * x * x));
                gate + x * gate * rest * slope * (1.0 + 3.0 * cubic * x * x)
            }
            Self::Silu => {
                let (gate, rest) = sigmoid_and_rest::<FUSED>(x);
                gate + x * gate * rest
            }
            Self::HardSwish => {
                let middle = x * (1.0 / 3.0) + 0.5;
                let left = if x <= -3.0 { 0.0 } else { middle };
                if x >= 3.0 { 1.0 } else { left }
            }
            Self::HardSigmoid => masked(1.0 / 6.0, x, (-3.0, 3.0)),
            Self::Sigmoid => {
                let (gate, rest) = sigmoid_and_rest::<FUSED>(x);
                gate * rest
            }
            Self::Tanh => {
                let value = tanh::<FUSED>(x);
                1.0 - value * value
            }
        }
    }

    /// The value at `x` in f64, for oracles.
    pub fn apply_f64(self, x: f64) -> f64 {
        match self {
            Self::Relu => x.max(0.0),
            Self::Relu6 => x.clamp(0.0, 6.0),
            Self::Gelu => x * normal_f64(x).0,
            Self::GeluTanh => x * sigmoid_f64(TANH_SLOPE * (x + TANH_CUBIC * x.powi(3))),
            Self::Silu => x * sigmoid_f64(x),
            Self::HardSwish => x * (x + 3.0).clamp(0.0, 6.0) / 6.0,
            Self::HardSigmoid => (x + 3.0).clamp(0.0, 6.0) / 6.0,
            Self::Sigmoid => sigmoid_f64(x),
            Self::Tanh => x.tanh(),
        }
    }

    /// The derivative at `x` in f64, for oracles.
    pub fn derivative_f64(self, x: f64) -> f64 {
        let inside = |low: f64, high: f64| if x > low && x < high { 1.0 } else { 0.0 };
        match self {
            Self::Relu => inside(0.0, f64::INFINITY),
            Self::Relu6 => inside(0.0, 6.0),
            Self::Gelu => {
                let (distribution, density) = normal_f64(x);
                distribution + x * density
            }
            Self::GeluTanh => {
                let gate = sigmoid_f64(TANH_SLOPE * (x + TANH_CUBIC * x.powi(3)));
                gate + x * gate * (1.0 - gate) * TANH_SLOPE * (1.0 + 3.0 * TANH_CUBIC * x * x)
            }
            Self::Silu => sigmoid_f64(x) * (1.0 + x * sigmoid_f64(-x)),
            Self::HardSwish if x >= 3.0 => 1.0,
            Self::HardSwish => inside(-3.0, 3.0) * (x / 3.0 + 0.5),
            Self::HardSigmoid => inside(-3.0, 3.0) / 6.0,
            Self::Sigmoid => sigmoid_f64(x) * sigmoid_f64(-x),
            Self::Tanh => 1.0 - x.tanh().powi(2),
        }
    }

    /// Calls `body` with this activation as a constant, so that a loop in it is compiled for each one.
    #[inline(always)]
    fn specialise(self, body: impl FnOnce(Self)) {
        match self {
            Self::Relu => body(Self::Relu),
            Self::Relu6 => body(Self::Relu6),
            Self::Gelu => body(Self::Gelu),
            Self::GeluTanh => body(Self::GeluTanh),
            Self::Silu => body(Self::Silu),
            Self::HardSwish => body(Self::HardSwish),
            Self::HardSigmoid => body(Self::HardSigmoid),
            Self::Sigmoid => body(Self::Sigmoid),
            Self::Tanh => body(Self::Tanh),
        }
    }
}

fn sigmoid_f64(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// `y = activation(x)`, any shape.
///
/// # Panics
/// When sizes differ.
pub fn forward(machine: &Machine, activation: Activation, x: &[f32], y: &mut [f32]) {
    assert_eq!(x.len(), y.len(), "activation: sizes of x and y");
    machine.pool.for_each_chunk(y, CHUNK, |index, y| {
        let x = &x[index * CHUNK..][..y.len()];
        vectorize_fused!(machine.isa, FUSED => {
                        activation.specialise(
                            #[inline(always)]
                            |activation| {
                                for (y, &x) in y.iter_mut().zip(x) {
                                    *y = activation.apply::<FUSED>(x);
                                }
                            },
                        );
        });
    });
}

/// `y = activation(y)`, any shape.
pub(super) fn apply(machine: &Machine, activation: Activation, y: &mut [f32]) {
    machine.pool.for_each_chunk(y, CHUNK, |_, y| {
        let columns = y.len();
        // SAFETY: the chunk is this task's.
        unsafe { bend(machine.isa, activation, y.as_mut_ptr(), &[0], columns) };
    });
}

/// The floats of the widest register.
const REGISTER: usize = 16;

/// Applies an activation in place to `columns` elements at each of some offsets from `start`.
///
/// # Safety
/// The elements are the caller's to write.
pub(super) unsafe fn bend(
    isa: Isa,
    activation: Activation,
    start: *mut f32,
    offsets: &[usize],
    columns: usize,
) {
    vectorize_fused!(isa, FUSED => {
                activation.specialise(
                    #[inline(always)]
                    |activation| {
                        for &offset in offsets {
                            // SAFETY: the caller's promise.
                            let row = unsafe { std::slice::from_raw_parts_mut(start.add(offset), columns) };
                            // Rows are short: whole registers instead of the long loop that the compiler would prepare for.
                            let (registers, rest) = row.as_chunks_mut::<REGISTER>();
                            for register in registers {
                                for value in register {
                                    *value = activation.apply::<FUSED>(*value);
                                }
                            }
                            for value in rest {
                                *value = activation.apply::<FUSED>(*value);
                            }
                        }
                    },
                );
    });
}

/// `dx (+)= dy · activation'(x)`, any shape.
///
/// # Panics
/// When sizes differ.
pub fn backward(
    machine: &Machine,
    activation: Activation,
    x: &[f32],
    dy: &[f32],
    dx: &mut [f32],
    accumulate: Accumulate,
) {
    assert_eq!(x.len(), dx.len(), "activation: sizes of x and dx");
    assert_eq!(dy.len(), dx.len(), "activation: sizes of dy and dx");
    machine.pool.for_each_chunk(dx, CHUNK, |index, dx| {
        let x = &x[index * CHUNK..][..dx.len()];
        let dy = &dy[index * CHUNK..][..dx.len()];
        vectorize_fused!(machine.isa, FUSED => {
                        activation.specialise(
                            #[inline(always)]
                            |activation| {
                                for ((dx, &x), &dy) in dx.iter_mut().zip(x).zip(dy) {
                                    accumulate.store(dx, dy * activation.derivative::<FUSED>(x));
                                }
                            },
                        );
        });
    });
}

#[cfg(test)]
mod tests {
    use super::super::testing::{machines, numbers};
    use super::*;

    #[test]
    fn agrees_with_f64_on_every_instruction_set() {
        for machine in machines() {
            for activation in Activation::ALL {
                for length in [1, 17, 1001, CHUNK + 3] {
                    let x: Vec<f32> = numbers(1, length).iter().map(|x| x * 6.0).collect();
                    let dy = numbers(2, length);
                    let (mut y, mut dx) = (vec![f32::NAN; length], vec![f32::NAN; length]);
                    forward(&machine, activation, &x, &mut y);
                    backward(&machine, activation, &x, &dy, &mut dx, Accumulate::Overwrite);
                    let mut twice = dx.clone();
                    backward(&machine, activation, &x, &dy, &mut twice, Accumulate::Add);
                    for index in 0..length {
                        let at = f64::from(x[index]);
                        let (value, slope) =
                            (activation.apply_f64(at), f64::from(dy[index]) * activation.derivative_f64(at));
                        let context = || format!("{activation:?} at {at} on {:?}", machine.isa);
                        // Far left of GeluTanh the exponent itself, about 30, is rounded.
                        let bound = 1e-6 * value.abs()
                            + if activation == Activation::GeluTanh { 1e-8 } else { 1e-30 };
                        assert!((f64::from(y[index]) - value).abs() <= bound, "{}", context());
                        let steepness = f64::from(dy[index]).abs().max(1.0);
                        assert!((f64::from(dx[index]) - slope).abs() <= 1e-6 * steepness, "{}", context());
                        assert_eq!(twice[index], dx[index] + dx[index], "{}", context());
                    }
                }
            }
        }
    }

    #[test]
    fn the_oracle_derivative_is_the_slope_of_the_oracle() {
        for activation in Activation::ALL {
            for step in -60..=60 {
                // Off the corners at −3, 0, 3 and 6.
                let (x, h) = (f64::from(step) * 0.125 + 0.01, 1e-5);
                let slope = (activation.apply_f64(x + h) - activation.apply_f64(x - h)) / (2.0 * h);
                let derivative = activation.derivative_f64(x);
                assert!((slope - derivative).abs() < 1e-8, "{activation:?} at {x}: {slope}, {derivative}");
            }
        }
    }

    #[test]
    fn corners_are_pytorchs_and_nan_is_kept() {
        for (activation, x, slope) in [
            (Activation::Relu, 0.0, 0.0),
            (Activation::Relu6, 0.0, 0.0),
            (Activation::Relu6, 6.0, 0.0),
            (Activation::HardSwish, -3.0, 0.0),
            (Activation::HardSwish, 3.0, 1.0),
            (Activation::HardSigmoid, -3.0, 0.0),
            (Activation::HardSigmoid, 3.0, 0.0),
        ] {
            assert_eq!(activation.derivative::<false>(x), slope, "{activation:?} at {x}");
            assert_eq!(activation.derivative::<true>(x), slope, "{activation:?} at {x}, fused");
            assert_eq!(activation.derivative_f64(f64::from(x)), f64::from(slope), "{activation:?} at {x}");
        }
        for activation in Activation::ALL {
            assert!(activation.apply::<false>(f32::NAN).is_nan(), "{activation:?}");
            assert!(activation.apply::<true>(f32::NAN).is_nan(), "{activation:?}, fused");
        }
    }
}
