//! The gradient of the weights and of the bias.
//!
//! The gradient of one tap is a sum over pixels of outer products, output gradient × input. Pixels are cut into groups, and
//! taps × input channels × output channels into blocks; each task sums its block over its group, in registers and then in its
//! own partial result, which a second pass adds up in order and writes in the published layout.

use std::ops::Range;

use super::ConvShape;
use super::geometry::{Geometry, Run, is_folded};
use crate::cpu::Machine;
use crate::cpu::kernels::accumulate::Accumulate;
use crate::cpu::kernels::micro::{Microkernels, with_microkernels};
use crate::cpu::kernels::scratch::{Scratch, with_workspace};
use crate::cpu::pool::SharedPointer;

/// The gradient of the weights, `[out, in, kernel height, kernel width]`.
///
/// # Panics
/// When sizes differ.
pub fn backward_weights(
    machine: &Machine,
    shape: &ConvShape,
    input: &[f32],
    output_gradient: &[f32],
    weight_gradient: &mut [f32],
    accumulate: Accumulate,
    scratch: &mut Scratch,
) {
    shape.check_activations(input, output_gradient);
    assert_eq!(weight_gradient.len(), shape.weight_len(), "weight gradient of {shape:?}");
    let geometry = Geometry::forward(shape, is_folded(shape));
    with_microkernels!(machine.isa, Kernels => {
        let sums = Sums::<'_, Kernels>::new(shape, &geometry, input, output_gradient);
        let partials = scratch.floats(sums.groups * sums.partial_len());
        sums.compute(machine, partials);
        sums.reduce(machine, partials, weight_gradient, accumulate);
    });
}

/// The gradient of the bias, `[channels]`: the output's gradient, `[…, channels]`, summed over pixels.
///
/// # Panics
/// When the output's gradient is not whole pixels.
pub fn backward_bias(
    machine: &Machine,
    output_gradient: &[f32],
    bias_gradient: &mut [f32],
    accumulate: Accumulate,
) {
    let channels = bias_gradient.len();
    assert!(
        channels > 0 && output_gradient.len().is_multiple_of(channels),
        "gradients have the same channels"
    );
    let floats_each = (output_gradient.len() / channels).div_ceil(TASKS).max(64) * channels;
    let mut partials = vec![0.0; output_gradient.len().div_ceil(floats_each) * channels];
    machine.pool.for_each_chunk(&mut partials, channels, |task, sums| {
        let start = task * floats_each;
        let end = (start + floats_each).min(output_gradient.len());
        machine.isa.vectorize(|| {
            for pixel in output_gradient[start..end].chunks_exact(channels) {
                sums.iter_mut().zip(pixel).for_each(|(sum, value)| *sum += value);
            }
        });
    });
    accumulate.prepare(bias_gradient);
    for part in partials.chunks_exact(channels) {
        bias_gradient.iter_mut().zip(part).for_each(|(sum, value)| *sum += value);
    }
}

/// How a gradient is cut. A *unit* is one tap and one panel of its source channels; a *strip* is a tile's worth of output
/// channels. Partial results are `[group][unit][strip][row][column]`.
struct Sums<'a, K> {
    shape: &'a ConvShape,
    geometry: &'a Geometry,
    input: &'a [f32],
    output_gradient: &'a [f32],
    /// Floats that one tap reads of a source row.
    depth: usize,
    /// Panels of one tap.
    panels: usize,
    strips: usize,
    strip_rows: usize,
    groups: usize,
    /// Units and strips of one task.
    units_each: usize,
    strips_each: usize,
    kernels: std::marker::PhantomData<fn() -> K>,
}

/// Pixels whose outer products are summed in registers before the partial result is touched.
const PIXELS: usize = 256;
/// A group sums at least so many pixels.
const GROUP_PIXELS: usize = 512;
/// Partial results that a task may keep returning to.
const RESIDENT_FLOATS: usize = 128 << 10;
/// Output channels that a task packs at most.
const PACKED_CHANNELS: usize = 512;
/// Tasks worth having, for balance.
const TASKS: usize = 16;

impl<'a, K: Microkernels> Sums<'a, K> {
    fn new(
        shape: &'a ConvShape,
        geometry: &'a Geometry,
        input: &'a [f32],
        output_gradient: &'a [f32],
    ) -> Self {
        let depth = geometry.run * shape.in_channels;
        let panels = depth.div_ceil(K::COLUMNS);
        let units = geometry.taps.len() * panels;
        let strips = shape.out_channels.div_ceil(K::ROWS);
        let floats = units * strips * K::ROWS * K::COLUMNS;
        let groups =
            if floats <= RESIDENT_FLOATS { (geometry.pixels() / GROUP_PIXELS).clamp(1, TASKS) } else { 1 };
        let strips_each = strips.div_ceil((strips * K::ROWS).div_ceil(PACKED_CHANNELS));
        let blocks = TASKS
            .div_ceil(groups * strips.div_ceil(strips_each))
            .max(floats.div_ceil(groups * 4 * RESIDENT_FLOATS));
        Self {
            shape,
            geometry,
            input,
            output_gradient,
            depth,
            panels,
            strips,
            strip_rows: shape.out_channels.div_ceil(strips),
            groups,
            units_each: units.div_ceil(blocks.min(units)),
            strips_each,
            kernels: std::marker::PhantomData,
        }
    }

    fn units(&self) -> usize {
        self.geometry.taps.len() * self.panels
    }

    fn partial_len(&self) -> usize {
        self.units() * self.strips * K::ROWS * K::COLUMNS
    }

    /// Output channels of a strip.
    fn strip(&self, strip: usize) -> Range<usize> {
        let channels = self.shape.out_channels;
        (strip * self.strip_rows).min(channels)..((strip + 1) * self.strip_rows).min(channels)
    }

    fn compute(&self, machine: &Machine, partials: &mut [f32]) {
        let unit_blocks = self.units().div_ceil(self.units_each);
        let strip_blocks = self.strips.div_ceil(self.strips_each);
        let pixels = self.geometry.pixels();
        let partials = SharedPointer(partials.as_mut_ptr());
        machine.pool.for_each(self.groups * unit_blocks * strip_blocks, |task| {
            let (group, block) = (task / (unit_blocks * strip_blocks), task % (unit_blocks * strip_blocks));
            let (unit, strip) =
                (block / strip_blocks * self.units_each, block % strip_blocks * self.strips_each);
            let block = Block {
                units: unit..(unit + self.units_each).min(self.units()),
                strips: strip..(strip + self.strips_each).min(self.strips),
                pixels: group * pixels / self.groups..(group + 1) * pixels / self.groups,
            };
            // SAFETY: groups have their own partial results.
            self.sum(&block, unsafe { partials.get().add(group * self.partial_len()) });
        });
    }

    /// Sums one task's block over its pixels.
    fn sum(&self, block: &Block, partial: *mut f32) {
        with_workspace(|workspace| {
            let rows = workspace.rows.floats(PIXELS * K::COLUMNS);
            let packed = workspace.packed.floats(block.strips.len() * PIXELS * K::ROWS);
            if block.pixels.is_empty() {
                for unit in block.units.clone() {
                    for strip in block.strips.clone() {
                        // SAFETY: this task's part of the partial result.
                        unsafe { self.tile(partial, unit, strip).write_bytes(0, K::ROWS * K::COLUMNS) };
                    }
                }
            }
            for start in block.pixels.clone().step_by(PIXELS) {
                let pixels = start..(start + PIXELS).min(block.pixels.end);
                for strip in block.strips.clone() {
                    self.pack_gradient(
                        strip,
                        &pixels,
                        &mut packed[(strip - block.strips.start) * PIXELS * K::ROWS..],
                    );
                }
                for unit in block.units.clone() {
                    let width = K::panel_width(unit % self.panels * K::COLUMNS, self.depth);
                    self.pack_input(unit, width, &pixels, rows);
                    for strip in block.strips.clone() {
                        let count = self.strip(strip).len();
                        if count == 0 {
                            continue;
                        }
                        let left = &packed[(strip - block.strips.start) * PIXELS * K::ROWS..];
                        // SAFETY: the machine has the instruction set; `left` and `rows` hold `pixels` packed pixels, and
                        // this tile of the partial result is this task's.
                        unsafe {
                            K::outer(
                                pixels.len(),
                                left.as_ptr(),
                                count,
                                rows.as_ptr(),
                                width,
                                self.tile(partial, unit, strip),
                                start > block.pixels.start,
                            );
                        }
                    }
                }
            }
        });
    }

    /// Where a tile of a partial result starts.
    ///
    /// # Safety
    /// `partial` starts a partial result.
    unsafe fn tile(&self, partial: *mut f32, unit: usize, strip: usize) -> *mut f32 {
        // SAFETY: the caller's promise, and unit and strip are in range.
        unsafe { partial.add((unit * self.strips + strip) * K::ROWS * K::COLUMNS) }
    }

    /// Copies a strip of the output's gradient: `[pixel][K::ROWS]`.
    fn pack_gradient(&self, strip: usize, pixels: &Range<usize>, to: &mut [f32]) {
        let channels = self.strip(strip);
        for (pixel, line) in pixels.clone().zip(to.chunks_exact_mut(K::ROWS)) {
            let from = &self.output_gradient[pixel * self.shape.out_channels..][channels.clone()];
            line[..from.len()].copy_from_slice(from);
        }
    }

    /// Copies a unit of the input: `[pixel][width]`, zeros in the padding and beyond the last channel.
    fn pack_input(&self, unit: usize, width: usize, pixels: &Range<usize>, to: &mut [f32]) {
        let channels = self.shape.in_channels;
        let (tap, first) = (unit / self.panels, unit % self.panels * K::COLUMNS);
        let used = width.min(self.depth - first);
        let mut position = self.geometry.position(pixels.start);
        for line in to.chunks_exact_mut(width).take(pixels.len()) {
            match self.geometry.locate(tap, position) {
                Run::Inside(pixel) => {
                    line[..used].copy_from_slice(&self.input[pixel * channels + first..][..used]);
                    line[used..].fill(0.0);
                }
                Run::Outside => line.fill(0.0),
                Run::Partial { skip, pixels } => {
                    line.fill(0.0);
                    let inside = &self.input[pixels.start * channels..pixels.end * channels];
                    for (place, &value) in (skip * channels..).zip(inside) {
                        if (first..first + used).contains(&place) {
                            line[place - first] = value;
                        }
                    }
                }
            }
            position = self.geometry.next(position);
        }
    }

    /// Adds up the groups and writes the published layout.
    fn reduce(
        &self,
        machine: &Machine,
        partials: &[f32],
        weight_gradient: &mut [f32],
        accumulate: Accumulate,
    ) {
        let (taps, channels) = (self.geometry.taps.len() * self.geometry.run, self.shape.in_channels);
        let each = taps * channels;
        machine.pool.for_each_chunk(weight_gradient, each, |output, gradient| {
            let (strip, row) = (output / self.strip_rows, output % self.strip_rows);
            with_workspace(|workspace| {
                // The sums of this output channel, tap by tap.
                let sums = workspace.rows.floats(each);
                for unit in 0..self.units() {
                    let (tap, first) = (unit / self.panels, unit % self.panels * K::COLUMNS);
                    let width = K::panel_width(first, self.depth);
                    let used = width.min(self.depth - first);
                    let sum = &mut sums[tap * self.depth + first..][..used];
                    let tile = (unit * self.strips + strip) * K::ROWS * K::COLUMNS + row * width;
                    sum.copy_from_slice(&partials[tile..][..used]);
                    for group in 1..self.groups {
                        let part = &partials[group * self.partial_len() + tile..][..used];
                        sum.iter_mut().zip(part).for_each(|(sum, value)| *sum += value);
                    }
                }
                write_by_channel(sums, taps, gradient, accumulate);
            });
        });
    }
}

/// Turns `[tap][channel]` into `[channel][tap]`.
fn write_by_channel(sums: &[f32], taps: usize, gradient: &mut [f32], accumulate: Accumulate) {
    let channels = sums.len() / taps;
    for (channel, kernel) in gradient.chunks_exact_mut(taps).enumerate() {
        for (tap, value) in kernel.iter_mut().enumerate() {
            let sum = sums[tap * channels + channel];
            accumulate.store(value, sum);
        }
    }
}

/// What one task sums.
struct Block {
    units: Range<usize>,
    strips: Range<usize>,
    pixels: Range<usize>,
}
