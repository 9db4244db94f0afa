//! The gradient of the input.

use super::geometry::Geometry;
use super::product::Product;
use super::weights::{Direction, PackedWeights};
use super::{ConvShape, winograd};
use crate::cpu::Machine;
use crate::cpu::kernels::Clamp;
use crate::cpu::kernels::accumulate::Accumulate;
use crate::cpu::kernels::micro::Place;
use crate::cpu::kernels::narrow::{Numbers, Storage};

/// The gradient of the input from that of the output, which is stored in the weights' precision.
///
/// # Panics
/// When sizes differ, or the weights are packed for something else.
pub fn backward_input(
    machine: &Machine,
    shape: &ConvShape,
    output_gradient: Numbers<'_>,
    weights: &PackedWeights,
    input_gradient: &mut [f32],
    accumulate: Accumulate,
) {
    shape.check();
    assert_eq!(input_gradient.len(), shape.in_len(), "gradient of the input of {shape:?}");
    let words = output_gradient.storage.words(shape.out_len());
    assert_eq!(output_gradient.words.len(), words, "gradient of the output of {shape:?}");
    assert_eq!(output_gradient.storage.precision(), weights.precision(), "it is stored as the weights are");
    let target = Place { storage: Storage::F32, start: input_gradient.as_mut_ptr() };
    let residual = if accumulate == Accumulate::Add { target } else { Place::NONE };
    if weights.direction() == Direction::WinogradInput {
        weights.check(machine.isa, shape, Direction::WinogradInput);
        let Some(transposed) = winograd::transposed(shape) else {
            panic!("Winograd's algorithm does not suit the gradient of {shape:?}");
        };
        let residual = (accumulate == Accumulate::Add).then_some(target.start.cast_const());
        let (added, bent) = ((None, residual), (Clamp::None, None));
        return winograd::convolve(
            machine,
            &transposed,
            output_gradient.words,
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
            channels: output_gradient.storage.words(shape.out_channels),
            panels,
            columns: shape.in_channels,
            scale: None,
            bias: None,
            residual,
            clamp: Clamp::None.limits(),
            curve: None,
            output: target,
        }
        .run(machine);
    }
}
