//! The forward pass.

use super::geometry::{Geometry, is_folded};
use super::product::Product;
use super::weights::{Direction, PackedWeights};
use super::{ConvShape, winograd};
use crate::cpu::Machine;
use crate::cpu::kernels::Epilogue;
use crate::cpu::pool::SharedPointer;

/// `output = curve(clamp(convolution(input) + bias + residual))`.
///
/// # Panics
/// When sizes differ, or the weights are packed for something else.
pub fn forward(
    machine: &Machine,
    shape: &ConvShape,
    input: &[f32],
    weights: &PackedWeights,
    epilogue: Epilogue<'_>,
    output: &mut [f32],
) {
    shape.check_activations(input, output);
    epilogue.check(shape.out_channels, output.len());
    if weights.direction() == Direction::Winograd {
        weights.check(machine.isa, shape, Direction::Winograd);
        let added = (epilogue.bias, epilogue.residual.map(<[f32]>::as_ptr));
        let bent = (epilogue.clamp, epilogue.curve);
        return winograd::convolve(machine, shape, input, weights, added, bent, output);
    }
    weights.check(machine.isa, shape, Direction::Forward);
    let geometry = Geometry::forward(shape, is_folded(shape));
    for (_, panels) in weights.phases() {
        Product {
            geometry: &geometry,
            source: input,
            channels: shape.in_channels,
            panels,
            columns: shape.out_channels,
            bias: epilogue.bias,
            residual: epilogue.residual.map(<[f32]>::as_ptr),
            clamp: epilogue.clamp.limits(),
            curve: epilogue.curve,
            output: SharedPointer(output.as_mut_ptr()),
        }
        .run(machine);
    }
}
