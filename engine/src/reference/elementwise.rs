//! Functions of single elements. Where a function has a corner its derivative there is PyTorch's.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

use candle_core::{Result, Tensor};

use crate::graph::{Activation, Unary};

/// An activation.
pub(super) fn activation(x: &Tensor, activation: Activation) -> Result<Tensor> {
    match activation {
        Activation::Relu => relu(x),
        Activation::Relu6 => relu6(x),
        Activation::Gelu => (0.5 * x)? * ((x * FRAC_1_SQRT_2)?.erf()? + 1.0)?,
        Activation::GeluTanh => {
            let inner = ((x * (2.0 / PI).sqrt())? * (x.sqr()? * 0.044715)?.affine(1.0, 1.0)?)?;
            (0.5 * x)? * (inner.tanh()? + 1.0)?
        }
        Activation::Silu => x * sigmoid(x)?,
        Activation::HardSwish => x * hard_sigmoid(x)?,
        Activation::HardSigmoid => hard_sigmoid(x),
        Activation::Sigmoid => sigmoid(x),
        Activation::Tanh => x.tanh(),
    }
}

/// Simple arithmetic.
pub(super) fn unary(x: &Tensor, unary: Unary) -> Result<Tensor> {
    match unary {
        Unary::Square => x.sqr(),
        Unary::SquareRoot => x.sqrt(),
        Unary::Exponential => x.exp(),
    }
}

/// max(x, 0). Chosen, not multiplied, so that infinities stay clean; at zero the constant is chosen, so the derivative is 0.
fn relu(x: &Tensor) -> Result<Tensor> {
    x.le(0.0)?.where_cond(&x.zeros_like()?, x)
}

/// min(max(x, 0), 6), with derivative 0 at both corners.
fn relu6(x: &Tensor) -> Result<Tensor> {
    let six = x.zeros_like()?.affine(1.0, 6.0)?;
    relu(&x.ge(6.0)?.where_cond(&six, x)?)
}

fn hard_sigmoid(x: &Tensor) -> Result<Tensor> {
    relu6(&(x + 3.0)?)? / 6.0
}

/// By the hyperbolic tangent: `1 / (1 + e⁻ˣ)` would give a gradient of 0·∞ far below zero.
fn sigmoid(x: &Tensor) -> Result<Tensor> {
    (x * 0.5)?.tanh()?.affine(0.5, 0.5)
}
