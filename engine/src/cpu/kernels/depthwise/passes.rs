//! The forward pass and the gradient of the input: the same sum over taps, of other pixels.

use super::line::{Line, Tap, rows_each};
use super::strips;
use crate::cpu::Machine;
use crate::cpu::kernels::accumulate::Accumulate;
use crate::cpu::kernels::conv::{ConvShape, Geometry, phases};
use crate::cpu::kernels::micro::{Loop, Microkernels, Vector, with_microkernels};
use crate::cpu::kernels::{Clamp, Epilogue, activation};
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
    let taps: Vec<usize> = (0..shape.taps()).collect();
    let weights = by_tap(weights, shape.taps(), &taps);
    let residual = epilogue.residual.map(|residual| residual.floats().as_ptr());
    let limits = epilogue.clamp.limits();
    if strips::suits(shape) {
        let pass = strips::Pass {
            shape,
            source: input,
            weights: &weights,
            bias: epilogue.bias,
            residual: residual.map(|residual| SharedPointer(residual.cast_mut())),
            limits,
            curve: epilogue.curve,
            output: SharedPointer(output.as_mut_ptr()),
        };
        return pass.run(machine);
    }
    let pass = Pass {
        channels: shape.in_channels,
        source: input,
        bias: epilogue.bias,
        residual,
        limits,
        output: SharedPointer(output.as_mut_ptr()),
    };
    pass.run(machine, &[(Geometry::forward(shape, false), weights)]);
    if let Some(curve) = epilogue.curve {
        activation::apply(machine, curve, output);
    }
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
    if let Some(transposed) = transposed(shape).filter(strips::suits) {
        let taps: Vec<usize> = (0..shape.taps()).rev().collect();
        let output = SharedPointer(input_gradient.as_mut_ptr());
        let pass = strips::Pass {
            shape: &transposed,
            source: output_gradient,
            weights: &by_tap(weights, shape.taps(), &taps),
            bias: None,
            residual: (accumulate == Accumulate::Add).then_some(SharedPointer(output.get())),
            limits: Clamp::None.limits(),
            curve: None,
            output,
        };
        return pass.run(machine);
    }
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

/// The convolution of the output's gradient that gives the input's, where the kernel passes over every pixel: with the taps in
/// reverse.
fn transposed(shape: &ConvShape) -> Option<ConvShape> {
    let [kernel_height, kernel_width] = shape.kernel;
    let [top, bottom, left, right] = shape.padding;
    let padding = [
        (kernel_height - 1).checked_sub(top)?,
        (kernel_height - 1).checked_sub(bottom)?,
        (kernel_width - 1).checked_sub(left)?,
        (kernel_width - 1).checked_sub(right)?,
    ];
    let (height, width) = (shape.out_height(), shape.out_width());
    let is_plain = shape.stride == [1, 1] && shape.dilation == [1, 1] && height > 0 && width > 0;
    is_plain.then_some(ConvShape { height, width, padding, ..*shape })
}

/// Panics unless the slices are those of a depthwise convolution.
pub(super) fn check(shape: &ConvShape, input: &[f32], weights: &[f32], output: &[f32]) {
    assert_eq!(shape.in_channels, shape.out_channels, "a depthwise convolution keeps its channels");
    shape.check_activations(input, output);
    assert_eq!(weights.len(), shape.depthwise_weight_len(), "depthwise weights of {shape:?}");
}

/// Some taps of the weights as `[tap][channel]`.
pub(in crate::cpu::kernels) fn by_tap(weights: &[f32], all_taps: usize, taps: &[usize]) -> Vec<f32> {
    let channels = weights.len() / all_taps;
    let mut sorted = vec![0.0; taps.len() * channels];
    for (channel, kernel) in weights.chunks_exact(all_taps).enumerate() {
        for (index, &tap) in taps.iter().enumerate() {
            sorted[index * channels + channel] = kernel[tap];
        }
    }
    sorted
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
                        let row = Row { pass: self, line, weights, target };
                        // SAFETY: the machine has the instruction set. The line was made for this row; target pixels of
                        // different rows and grids differ.
                        with_microkernels!(machine.isa, Kernels => unsafe { Kernels::run(row) });
                    }
                }
            }
        });
    }
}

/// Computes one row.
///
/// To run it: taps of the line lie in the source for the columns that they are read at, weights are `[tap][channel]`, and
/// nobody else has the row's target pixels.
struct Row<'a> {
    pass: &'a Pass<'a>,
    line: &'a Line,
    weights: &'a [f32],
    /// The target pixels of the first and of the second column.
    target: [usize; 2],
}

impl Loop for Row<'_> {
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        // SAFETY: the caller's promise.
        unsafe {
            match self.line.taps.len() {
                9 => self.columns::<V, 9>(),
                6 => self.columns::<V, 6>(),
                4 => self.columns::<V, 4>(),
                3 => self.columns::<V, 3>(),
                2 => self.columns::<V, 2>(),
                1 => self.columns::<V, 1>(),
                _ => self.columns::<V, 0>(),
            }
        }
    }
}

impl Row<'_> {
    /// The row for `TAPS` taps, or any number for 0.
    #[inline(always)]
    unsafe fn columns<V: Vector, const TAPS: usize>(&self) {
        let line = self.line;
        for channel in (0..self.pass.channels).step_by(V::LANES) {
            // SAFETY: the caller's promise; `channel..channel + lanes` are channels of every pixel.
            unsafe {
                let lane = Lane::<V>::new(self, channel);
                for column in (0..line.inside.start).chain(line.inside.end..line.columns) {
                    lane.any(column);
                }
                if lane.lanes == V::LANES && TAPS > 0 {
                    lane.inside::<TAPS>();
                } else {
                    for column in line.inside.clone() {
                        lane.any(column);
                    }
                }
            }
        }
    }
}

/// A row's walk over one register of channels.
///
/// The methods are inlined by force: compiled on their own they would lack the instruction set.
struct Lane<'a, V> {
    pass: &'a Pass<'a>,
    line: &'a Line,
    /// Weights, source and targets at the first channel.
    weights: *const f32,
    source: *const f32,
    target: usize,
    /// Floats from one target pixel to the next.
    apart: usize,
    lanes: usize,
    bias: V,
    limits: (V, V),
}

impl<'a, V: Vector> Lane<'a, V> {
    /// # Safety
    /// As for [`Row`], and so for all methods.
    #[inline(always)]
    unsafe fn new(row: &Row<'a>, channel: usize) -> Self {
        let Row { pass, line, weights, target: [target, next] } = *row;
        let lanes = (pass.channels - channel).min(V::LANES);
        // SAFETY: the caller's promise.
        unsafe {
            Self {
                pass,
                line,
                weights: weights.as_ptr().add(channel),
                source: pass.source.as_ptr().wrapping_add(channel),
                target: target * pass.channels + channel,
                apart: (next - target) * pass.channels,
                lanes,
                bias: match pass.bias {
                    Some(bias) => V::load_first(bias.as_ptr().add(channel), lanes),
                    None => V::splat(0.0),
                },
                limits: (V::splat(pass.limits.0), V::splat(pass.limits.1)),
            }
        }
    }

    /// A column near the border, or any column.
    #[inline(always)]
    unsafe fn any(&self, column: usize) {
        let channels = self.pass.channels;
        let mut sum = self.bias;
        for tap in &self.line.taps {
            if self.line.reaches(tap, column) {
                // SAFETY: the tap lies in the source.
                unsafe {
                    let from = pixel(self.source, tap, column * self.line.step, channels);
                    let weight = V::load_first(self.weights.add(tap.index * channels), self.lanes);
                    sum = sum.add_product(V::load_first(from, self.lanes), weight);
                }
            }
        }
        // SAFETY: the column is the row's.
        unsafe { self.write::<false>(column, sum) };
    }

    /// The columns that all taps reach, with whole registers and the weights kept in them.
    #[inline(always)]
    unsafe fn inside<const TAPS: usize>(&self) {
        let channels = self.pass.channels;
        // SAFETY: the line has `TAPS` taps, all of which lie in the source.
        unsafe {
            let mut weights = [self.bias; TAPS];
            let mut starts = [self.source; TAPS];
            for tap in 0..TAPS {
                weights[tap] = V::load(self.weights.add(self.line.taps[tap].index * channels));
                starts[tap] = pixel(self.source, &self.line.taps[tap], 0, channels);
            }
            for column in self.line.inside.clone() {
                let mut sum = self.bias;
                for tap in 0..TAPS {
                    let value = V::load(starts[tap].wrapping_add(column * self.line.step * channels));
                    sum = sum.add_product(value, weights[tap]);
                }
                self.write::<true>(column, sum);
            }
        }
    }

    /// Adds the residual, applies the activation and writes.
    #[inline(always)]
    unsafe fn write<const WHOLE: bool>(&self, column: usize, sum: V) {
        let place = self.target + column * self.apart;
        // SAFETY: the caller's promise.
        unsafe {
            let sum = match self.pass.residual {
                Some(residual) => sum.add(V::load_first(residual.add(place), self.lanes)),
                None => sum,
            };
            let result = sum.clamp(self.limits.0, self.limits.1);
            let to = self.pass.output.get().add(place);
            if WHOLE { result.store(to) } else { result.store_first(to, self.lanes) }
        }
    }
}

/// Where a tap reads, `columns` source columns after grid column 0.
#[inline(always)]
pub(super) fn pixel(source: *const f32, tap: &Tap, columns: usize, channels: usize) -> *const f32 {
    source.wrapping_offset(tap.start + (columns * channels) as isize)
}
