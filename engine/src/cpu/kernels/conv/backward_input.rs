//! The gradient of the input.

use super::geometry::Geometry;
use super::product::Product;
use super::weights::{Direction, PackedWeights};
use super::{ConvShape, winograd};
use crate::cpu::Machine;
use crate::cpu::kernels::Clamp;
use crate::cpu::kernels::accumulate::Accumulate;
use crate::cpu::pool::SharedPointer;

/// The gradient of the input from that of the output.
///
/// # Panics
/// When sizes differ, or the weights are packed for something else.
pub fn backward_input(
    machine: &Machine,
    shape: &ConvShape,
    output_gradient: &[f32],
    weights: &PackedWeights,
    input_gradient: &mut [f32],
    accumulate: Accumulate,
) {
    shape.check_activations(input_gradient, output_gradient);
    let target = input_gradient.as_mut_ptr();
    let residual = (accumulate == Accumulate::Add).then_some(target.cast_const());
    if weights.direction() == Direction::WinogradInput {
        weights.check(machine.isa, shape, Direction::WinogradInput);
        let Some(transposed) = winograd::transposed(shape) else {
            panic!("Winograd's algorithm does not suit the gradient of {shape:?}");
        };
        let (added, bent) = ((None, residual), (Clamp::None, None));
        return winograd::convolve(
            machine,
            &transposed,
            output_gradient,
            weights,
            added,
            bent,
            input_gradient,
        );
    }
    weights.check(machine.isa, shape, Direction::Input);
    for (phase, panels) in weights.phases() {
        if phase.taps.is_empty() && accumulate == Accumulate::Add {
            continue;
        }
        Product {
            geometry: &Geometry::backward(shape, phase),
            source: output_gradient,
            channels: shape.out_channels,
            panels,
            columns: shape.in_channels,
            bias: None,
            residual,
            clamp: Clamp::None.limits(),
            curve: None,
            output: SharedPointer(target),
        }
        .run(machine);
    }
}
