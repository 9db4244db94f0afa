//! The forward pass.

use super::geometry::{Geometry, is_folded};
use super::product::Product;
use super::weights::{Direction, PackedWeights};
use super::{ConvShape, winograd};
use crate::Precision;
use crate::cpu::Machine;
use crate::cpu::kernels::Epilogue;
use crate::cpu::kernels::micro::Place;
use crate::cpu::kernels::narrow::{Numbers, NumbersMut, Quantization, Storage};

/// `output = curve(clamp(convolution(input) + bias + residual))`; the input is stored in the weights' precision. Where that is f32, so are
/// the residual and the output.
///
/// # Panics
/// When sizes differ, or the weights are packed for something else.
pub fn forward(
    machine: &Machine,
    shape: &ConvShape,
    input: Numbers<'_>,
    weights: &PackedWeights,
    epilogue: Epilogue<'_>,
    output: NumbersMut<'_>,
) {
    shape.check();
    assert_eq!(input.words.len(), input.storage.words(shape.in_len()), "input of {shape:?}");
    assert_eq!(output.words.len(), output.storage.words(shape.out_len()), "output of {shape:?}");
    epilogue.check(shape.out_channels, shape.out_len());
    let precision = weights.precision();
    assert_eq!(input.storage.precision(), precision, "the input is stored as the weights are");
    if precision == Precision::F32 {
        assert_eq!(output.storage, Storage::F32, "products of floats are stored as floats");
        epilogue.residual.map(Numbers::floats);
    }
    if weights.direction() == Direction::Winograd {
        weights.check(machine.isa, shape, Direction::Winograd);
        let added = (epilogue.bias, epilogue.residual.map(|residual| residual.words.as_ptr()));
        let bent = (epilogue.clamp, epilogue.curve);
        return winograd::convolve(machine, shape, input.words, weights, added, bent, output.words);
    }
    weights.check(machine.isa, shape, Direction::Forward);
    let integers = match input.storage {
        Storage::Int8(code) => Some(Integers::new(code, weights, epilogue.bias)),
        _ => None,
    };
    let geometry = Geometry::forward(shape, is_folded(shape));
    for (_, panels) in weights.phases() {
        Product {
            geometry: &geometry,
            source: input,
            channels: input.storage.words(shape.in_channels),
            panels,
            columns: shape.out_channels,
            scale: integers.as_ref().map(|integers| &integers.scale[..]),
            bias: integers.as_ref().map(|integers| &integers.bias[..]).or(epilogue.bias),
            residual: Place::of(epilogue.residual),
            clamp: epilogue.clamp.limits(),
            curve: epilogue.curve,
            output: Place { storage: output.storage, start: output.words.as_mut_ptr() },
        }
        .run(machine);
    }
}

/// What turns integer sums into numbers: `Σ (a − zero)·scale·w·scale_w = (Σ a·w − zero·Σ w)·scale·scale_w`.
struct Integers {
    scale: Vec<f32>,
    bias: Vec<f32>,
}

impl Integers {
    fn new(code: Quantization, weights: &PackedWeights, bias: Option<&[f32]>) -> Self {
        let scale: Vec<f32> = weights.scales.iter().map(|scale| scale * code.scale).collect();
        let bias = (scale.iter().zip(&weights.sums).enumerate())
            .map(|(channel, (scale, sum))| {
                bias.map_or(0.0, |bias| bias[channel]) - scale * sum * f32::from(code.zero_point)
            })
            .collect();
        Self { scale, bias }
    }
}
