//! The forward pass and the gradient of the input: the same sum over taps, of other pixels.

use super::line::{Line, Tap, rows_each};
use crate::cpu::Machine;
use crate::cpu::kernels::accumulate::Accumulate;
use crate::cpu::kernels::conv::{ConvShape, Geometry, phases};
use crate::cpu::kernels::micro::{Microkernels, Vector, with_microkernels};
use crate::cpu::kernels::{Clamp, Epilogue};
use crate::cpu::pool::SharedPointer;

/// `output = activation(depthwise convolution(input) + bias + residual)`.
///
/// # Panics
/// When sizes differ or the convolution has not as many output as input channels.
pub fn forward(
    machine: &Machine,
    shape: &ConvShape,
    input: &[f32],
    weights: &[f32],
    epilogue: Epilogue<'_>,
    output: &mut [f32],
) {
    check(shape, input, weights, output);
    epilogue.check(shape.out_channels, output.len());
    let geometry = Geometry::forward(shape, false);
    let taps: Vec<usize> = (0..shape.taps()).collect();
    let pass = Pass {
        channels: shape.in_channels,
        source: input,
        bias: epilogue.bias,
        residual: epilogue.residual.map(<[f32]>::as_ptr),
        limits: epilogue.activation.limits(),
        output: SharedPointer(output.as_mut_ptr()),
    };
    pass.run(machine, &[(geometry, by_tap(weights, shape.taps(), &taps))]);
}

/// The gradient of the input from that of the output.
///
/// # Panics
/// When sizes differ or the convolution has not as many output as input channels.
pub fn backward_input(
    machine: &Machine,
    shape: &ConvShape,
    output_gradient: &[f32],
    weights: &[f32],
    input_gradient: &mut [f32],
    accumulate: Accumulate,
) {
    check(shape, input_gradient, weights, output_gradient);
    let grids: Vec<_> = phases(shape)
        .iter()
        .map(|phase| (Geometry::backward(shape, phase), by_tap(weights, shape.taps(), &phase.taps)))
        .collect();
    let pass = Pass {
        channels: shape.in_channels,
        source: output_gradient,
        bias: None,
        residual: (accumulate == Accumulate::Add).then_some(input_gradient.as_ptr()),
        limits: Clamp::None.limits(),
        output: SharedPointer(input_gradient.as_mut_ptr()),
    };
    pass.run(machine, &grids);
}

/// Panics unless the slices are those of a depthwise convolution.
pub(super) fn check(shape: &ConvShape, input: &[f32], weights: &[f32], output: &[f32]) {
    assert_eq!(shape.in_channels, shape.out_channels, "a depthwise convolution keeps its channels");
    shape.check_activations(input, output);
    assert_eq!(weights.len(), shape.depthwise_weight_len(), "depthwise weights of {shape:?}");
}

/// Some taps of the weights as `[tap][channel]`.
fn by_tap(weights: &[f32], all_taps: usize, taps: &[usize]) -> Vec<f32> {
    taps.iter().flat_map(|&tap| weights.iter().skip(tap).step_by(all_taps)).copied().collect()
}

/// What is read and written.
struct Pass<'a> {
    channels: usize,
    source: &'a [f32],
    bias: Option<&'a [f32]>,
    residual: Option<*const f32>,
    limits: (f32, f32),
    output: SharedPointer<f32>,
}

// SAFETY: the residual is only read, by the task that writes the same element of the output.
unsafe impl Sync for Pass<'_> {}

impl Pass<'_> {
    /// Computes the target pixels of all grids, each with its weights.
    fn run(&self, machine: &Machine, grids: &[(Geometry, Vec<f32>)]) {
        let Some((first, _)) = grids.first() else { return };
        // The first phase has the most rows.
        let rows = first.grid[0];
        let floats: usize = grids.iter().map(|(geometry, _)| geometry.grid[1] * self.channels).sum();
        let rows_each = rows_each(rows, floats);
        let tasks = rows.div_ceil(rows_each);
        machine.pool.for_each(first.batch * tasks, |task| {
            let (image, start) = (task / tasks, task % tasks * rows_each);
            let mut lines: Vec<Line> = grids.iter().map(|(geometry, _)| Line::new(geometry)).collect();
            for row in start..(start + rows_each).min(rows) {
                for ((geometry, weights), line) in grids.iter().zip(&mut lines) {
                    if row < geometry.grid[0] && line.columns > 0 {
                        line.move_to(geometry, self.channels, image, row);
                        let target = [0, geometry.target_step[1]]
                            .map(|column| geometry.target_pixel([image, row, 0]) + column);
                        with_microkernels!(machine.isa, Kernels => self.row::<Kernels>(line, weights, target));
                    }
                }
            }
        });
    }

    /// Computes one row; `target` are the target pixels of its first and its second column.
    fn row<K: Microkernels>(&self, line: &Line, weights: &[f32], target: [usize; 2]) {
        // SAFETY: the machine has the instruction set. Taps of the line lie in the source for the columns that they are read
        // at, weights are `[tap][channel]`, and target pixels of different rows and grids differ.
        unsafe {
            K::run(|| match line.taps.len() {
                9 => self.columns::<K::Register, 9>(line, weights, target),
                6 => self.columns::<K::Register, 6>(line, weights, target),
                4 => self.columns::<K::Register, 4>(line, weights, target),
                3 => self.columns::<K::Register, 3>(line, weights, target),
                2 => self.columns::<K::Register, 2>(line, weights, target),
                1 => self.columns::<K::Register, 1>(line, weights, target),
                _ => self.columns::<K::Register, 0>(line, weights, target),
            });
        }
    }

    /// [`Pass::row`] for `TAPS` taps, or any number for 0.
    #[inline(always)]
    unsafe fn columns<V: Vector, const TAPS: usize>(
        &self,
        line: &Line,
        weights: &[f32],
        [target, next]: [usize; 2],
    ) {
        let (channels, step) = (self.channels, next - target);
        let mut channel = 0;
        while channel < channels {
            let lanes = (channels - channel).min(V::LANES);
            // SAFETY: `row`'s reasons; `channel..channel + lanes` are channels of every pixel.
            unsafe {
                let zero = V::splat(0.0);
                let bias = self.bias.map_or(zero, |bias| V::load_first(bias.as_ptr().add(channel), lanes));
                let weights = weights.as_ptr().add(channel);
                let source = self.source.as_ptr().wrapping_add(channel);
                let (low, high) = (V::splat(self.limits.0), V::splat(self.limits.1));
                let write = |column: usize, sum: V| {
                    let place = (target + column * step) * channels + channel;
                    let sum = match self.residual {
                        Some(residual) => sum.add(V::load_first(residual.add(place), lanes)),
                        None => sum,
                    };
                    sum.clamp(low, high).store_first(self.output.get().add(place), lanes);
                };
                let at_border = |column: usize| {
                    let mut sum = bias;
                    for tap in line.taps.iter().filter(|tap| line.reaches(tap, column)) {
                        let value = V::load_first(pixel(source, tap, column * line.step, channels), lanes);
                        sum = sum.add_product(value, V::load_first(weights.add(tap.index * channels), lanes));
                    }
                    write(column, sum);
                };
                (0..line.inside.start).for_each(at_border);
                (line.inside.end..line.columns).for_each(at_border);
                if lanes < V::LANES || TAPS == 0 {
                    line.inside.clone().for_each(at_border);
                } else {
                    let mut kernel = [zero; TAPS];
                    let mut starts = [source; TAPS];
                    for (tap, (weight, start)) in line.taps.iter().zip(kernel.iter_mut().zip(&mut starts)) {
                        *weight = V::load(weights.add(tap.index * channels));
                        *start = pixel(source, tap, 0, channels);
                    }
                    for column in line.inside.clone() {
                        let mut sum = bias;
                        for tap in 0..TAPS {
                            let value = V::load(starts[tap].wrapping_add(column * line.step * channels));
                            sum = sum.add_product(value, kernel[tap]);
                        }
                        write(column, sum);
                    }
                }
            }
            channel += V::LANES;
        }
    }
}

/// Where a tap reads, `columns` source columns after grid column 0.
#[inline(always)]
pub(super) fn pixel(source: *const f32, tap: &Tap, columns: usize, channels: usize) -> *const f32 {
    source.wrapping_offset(tap.start + (columns * channels) as isize)
}
