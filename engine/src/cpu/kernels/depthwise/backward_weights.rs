//! The gradient of the weights.

use super::line::{Line, rows_each};
use super::passes::{check, pixel};
use super::strips;
use crate::cpu::Machine;
use crate::cpu::kernels::accumulate::Accumulate;
use crate::cpu::kernels::conv::{ConvShape, Geometry};
use crate::cpu::kernels::micro::{Loop, Microkernels, Vector, with_microkernels};
use crate::cpu::kernels::scratch::Scratch;

/// Taps whose sums are kept in registers at once.
const REGISTER_TAPS: usize = 9;

/// The gradient of the weights, `[channels, 1, kernel height, kernel width]`.
///
/// # Panics
/// When sizes differ or the convolution has not as many output as input channels.
pub fn backward_weights(
    machine: &Machine,
    shape: &ConvShape,
    input: &[f32],
    output_gradient: &[f32],
    weight_gradient: &mut [f32],
    accumulate: Accumulate,
    scratch: &mut Scratch,
) {
    check(shape, input, weight_gradient, output_gradient);
    let parts = match strips::suits(shape) {
        true => strips::gradients(machine, shape, input, output_gradient, scratch),
        false => any_kernel(machine, shape, input, output_gradient, scratch),
    };
    // Partial results `[part][tap][channel]`, added up in order.
    let channels = shape.in_channels;
    let partials = scratch.floats(parts * shape.taps() * channels);
    let (sums, others) = partials.split_at_mut((shape.taps() * channels).min(partials.len()));
    for other in others.chunks_exact(sums.len().max(1)) {
        sums.iter_mut().zip(other).for_each(|(sum, value)| *sum += value);
    }
    for (channel, kernel) in weight_gradient.chunks_exact_mut(shape.taps()).enumerate() {
        for (tap, slot) in kernel.iter_mut().enumerate() {
            accumulate.store(slot, sums.get(tap * channels + channel).copied().unwrap_or(0.0));
        }
    }
}

/// The gradient by parts, `[part][tap][channel]` in scratch, and the count of parts.
fn any_kernel(
    machine: &Machine,
    shape: &ConvShape,
    input: &[f32],
    output_gradient: &[f32],
    scratch: &mut Scratch,
) -> usize {
    let geometry = Geometry::forward(shape, false);
    let channels = shape.in_channels;
    let [rows, columns] = geometry.grid;
    let rows_each = rows_each(rows, columns * channels);
    let tasks = rows.div_ceil(rows_each);
    let partials = scratch.floats(shape.batch * tasks * shape.taps() * channels);
    machine.pool.for_each_chunk(partials, shape.taps() * channels, |task, sums| {
        sums.fill(0.0);
        let (image, start) = (task / tasks, task % tasks * rows_each);
        let mut line = Line::new(&geometry);
        for row in start..(start + rows_each).min(rows) {
            line.move_to(&geometry, channels, image, row);
            let gradient =
                &output_gradient[(image * rows + row) * columns * channels..][..columns * channels];
            let row = AddRow { line: &line, channels, input, gradient, sums };
            // SAFETY: the machine has the instruction set; the line and the gradient are those of the row.
            with_microkernels!(machine.isa, Kernels => unsafe { Kernels::run(row) });
        }
    });
    shape.batch * tasks
}

/// Adds a row's products to the sums, `[tap][channel]`.
///
/// To run it: taps of the line lie in the input for the columns that they are read at, `gradient` is the line's row, and sums
/// hold every tap.
struct AddRow<'a> {
    line: &'a Line,
    channels: usize,
    input: &'a [f32],
    gradient: &'a [f32],
    sums: &'a mut [f32],
}

impl Loop for AddRow<'_> {
    #[inline(always)]
    unsafe fn run<V: Vector>(mut self) {
        let taps = self.line.taps.len();
        for first in (0..taps).step_by(REGISTER_TAPS) {
            // SAFETY: the caller's promise.
            unsafe {
                match taps - first {
                    9.. => self.add::<V, 9>(first),
                    6 => self.add::<V, 6>(first),
                    3 => self.add::<V, 3>(first),
                    rest => {
                        for tap in first..first + rest {
                            self.add::<V, 1>(tap);
                        }
                    }
                }
            }
        }
    }
}

impl AddRow<'_> {
    /// The products of `TAPS` taps of the line from the `first` on.
    #[inline(always)]
    unsafe fn add<V: Vector, const TAPS: usize>(&mut self, first: usize) {
        let Self { line, channels, input, gradient, ref mut sums } = *self;
        let taps = &line.taps[first..first + TAPS];
        let mut channel = 0;
        while channel < channels {
            let lanes = (channels - channel).min(V::LANES);
            // SAFETY: the caller's promise; `channel..channel + lanes` are channels of every pixel.
            unsafe {
                let source = input.as_ptr().wrapping_add(channel);
                let gradient = gradient.as_ptr().add(channel);
                let sums = sums.as_mut_ptr().add(channel);
                let mut totals = [V::splat(0.0); TAPS];
                for (total, tap) in totals.iter_mut().zip(taps) {
                    *total = V::load_first(sums.add(tap.index * channels), lanes);
                }
                let whole = lanes == V::LANES;
                let inside = if whole { line.inside.clone() } else { 0..0 };
                for column in (0..inside.start).chain(inside.end..line.columns) {
                    let value = V::load_first(gradient.add(column * channels), lanes);
                    for (total, tap) in totals.iter_mut().zip(taps) {
                        if line.reaches(tap, column) {
                            let pixel = pixel(source, tap, column * line.step, channels);
                            *total = total.add_product(value, V::load_first(pixel, lanes));
                        }
                    }
                }
                let mut starts = [source; TAPS];
                for (start, tap) in starts.iter_mut().zip(taps) {
                    *start = pixel(source, tap, 0, channels);
                }
                for column in inside {
                    let value = V::load(gradient.add(column * channels));
                    for tap in 0..TAPS {
                        let pixel = starts[tap].wrapping_add(column * line.step * channels);
                        totals[tap] = totals[tap].add_product(value, V::load(pixel));
                    }
                }
                for (total, tap) in totals.into_iter().zip(taps) {
                    total.store_first(sums.add(tap.index * channels), lanes);
                }
            }
            channel += V::LANES;
        }
    }
}
