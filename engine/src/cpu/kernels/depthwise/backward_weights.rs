//! The gradient of the weights.

use super::line::{Line, rows_each};
use super::passes::{check, pixel};
use crate::cpu::Machine;
use crate::cpu::kernels::accumulate::Accumulate;
use crate::cpu::kernels::conv::{ConvShape, Geometry};
use crate::cpu::kernels::micro::{Microkernels, Vector, with_microkernels};
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
    let geometry = Geometry::forward(shape, false);
    let channels = shape.in_channels;
    let [rows, columns] = geometry.grid;
    let rows_each = rows_each(rows, columns * channels);
    let tasks = rows.div_ceil(rows_each);
    // Partial results `[task][tap][channel]`, added up in order.
    let partials = scratch.floats(shape.batch * tasks * shape.taps() * channels);
    machine.pool.for_each_chunk(partials, shape.taps() * channels, |task, sums| {
        sums.fill(0.0);
        let (image, start) = (task / tasks, task % tasks * rows_each);
        let mut line = Line::new(&geometry);
        for row in start..(start + rows_each).min(rows) {
            line.move_to(&geometry, channels, image, row);
            let gradient = &output_gradient[(image * rows + row) * columns * channels..][..columns * channels];
            with_microkernels!(machine.isa, Kernels => add_row::<Kernels>(&line, channels, input, gradient, sums));
        }
    });
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

/// Adds a row's products to the sums, `[tap][channel]`.
fn add_row<K: Microkernels>(line: &Line, channels: usize, input: &[f32], gradient: &[f32], sums: &mut [f32]) {
    for first in (0..line.taps.len()).step_by(REGISTER_TAPS) {
        let taps = first..(first + REGISTER_TAPS).min(line.taps.len());
        // SAFETY: the machine has the instruction set. Taps of the line lie in the input for the columns that they are read at;
        // `gradient` is the row of the line, and sums hold every tap.
        unsafe {
            K::run(|| match taps.len() {
                9 => add_taps::<K::Register, 9>(line, first, channels, input, gradient, sums),
                6 => add_taps::<K::Register, 6>(line, first, channels, input, gradient, sums),
                3 => add_taps::<K::Register, 3>(line, first, channels, input, gradient, sums),
                _ => taps
                    .for_each(|tap| add_taps::<K::Register, 1>(line, tap, channels, input, gradient, sums)),
            });
        }
    }
}

/// [`add_row`] for `TAPS` taps of the line from the `first` on.
#[inline(always)]
unsafe fn add_taps<V: Vector, const TAPS: usize>(
    line: &Line,
    first: usize,
    channels: usize,
    input: &[f32],
    gradient: &[f32],
    sums: &mut [f32],
) {
    let taps = &line.taps[first..first + TAPS];
    let mut channel = 0;
    while channel < channels {
        let lanes = (channels - channel).min(V::LANES);
        // SAFETY: `add_row`'s reasons; `channel..channel + lanes` are channels of every pixel.
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
