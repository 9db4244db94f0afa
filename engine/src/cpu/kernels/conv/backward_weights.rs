//! The gradient of the weights.
//!
//! The gradient of one tap is a sum over pixels of outer products, output gradient × input. Pixels are cut into groups, and
//! taps × input channels × output channels into blocks; each task sums its block over its group, in registers and then in its
//! own partial result, which a second pass adds up in order and writes in the published layout. In bf16, pixels go in pairs.

use std::ops::Range;

use super::geometry::{Geometry, Run, is_folded};
use super::{ConvShape, winograd};
use crate::Precision;
use crate::cpu::Machine;
use crate::cpu::kernels::accumulate::Accumulate;
use crate::cpu::kernels::micro::{Ahead, LINE, Microkernels, Outer, Pair, with_microkernels};
use crate::cpu::kernels::scratch::{Scratch, with_workspace};
use crate::cpu::pool::SharedPointer;

/// The gradient of the weights, `[out, in, kernel height, kernel width]`, from the input and the gradient of the output, which are
/// rounded to a precision; but in f32 where Winograd's algorithm pays.
///
/// # Panics
/// When sizes differ, or the precision is int8.
pub fn backward_weights(
    machine: &Machine,
    shape: &ConvShape,
    precision: Precision,
    operands: [&[f32]; 2],
    weight_gradient: &mut [f32],
    accumulate: Accumulate,
    scratch: &mut Scratch,
) {
    let [input, output_gradient] = operands;
    shape.check_activations(input, output_gradient);
    assert_eq!(weight_gradient.len(), shape.weight_len(), "weight gradient of {shape:?}");
    if winograd::pays_for_weights(shape) {
        return winograd::backward_weights(machine, shape, operands, weight_gradient, accumulate, scratch);
    }
    let geometry = Geometry::forward(shape, is_folded(shape));
    assert!(precision != Precision::Int8, "gradients do not fit into bytes");
    with_microkernels!(machine.isa.multiplying(precision), Kernels => {
        let sums = Sums::<'_, Kernels>::new(shape, precision, &geometry, input, output_gradient);
        let partials = scratch.floats(sums.groups * sums.partial_len());
        sums.compute(machine, partials);
        sums.reduce(machine, partials, weight_gradient, accumulate);
    });
}

/// How a gradient is cut. A *unit* is one tap and one panel of its source channels; a *strip* is a tile's worth of output
/// channels. Partial results are `[group][unit][strip][row][column]`.
pub(super) struct Sums<'a, K> {
    pub(super) shape: &'a ConvShape,
    pub(super) precision: Precision,
    pub(super) geometry: &'a Geometry,
    pub(super) input: &'a [f32],
    pub(super) output_gradient: &'a [f32],
    /// Floats that one tap reads of a source row.
    pub(super) depth: usize,
    /// Panels of one tap.
    pub(super) panels: usize,
    strips: usize,
    pub(super) strip_rows: usize,
    groups: usize,
    /// Units and strips of one task.
    units_each: usize,
    strips_each: usize,
    kernels: std::marker::PhantomData<fn() -> K>,
}

/// Pixels whose outer products are summed in registers before the partial result is touched.
pub(super) const PIXELS: usize = 144;
/// Units and output channels of one task, at most: its partial result and its packed operands stay in a second-level cache.
const BLOCK_UNITS: usize = 8;
const BLOCK_CHANNELS: usize = 512;
/// Strips of one task, at least, where there are others: the input is copied for each block of strips.
const LEAST_STRIPS: usize = 8;
/// Tasks worth having, for balance, as long as each sums a few times `PIXELS`.
const TASKS: usize = 16;

impl<'a, K: Microkernels> Sums<'a, K> {
    fn new(
        shape: &'a ConvShape,
        precision: Precision,
        geometry: &'a Geometry,
        input: &'a [f32],
        output_gradient: &'a [f32],
    ) -> Self {
        let depth = geometry.run * shape.in_channels;
        let panels = depth.div_ceil(K::COLUMNS);
        let units = geometry.taps.len() * panels;
        let strips = shape.out_channels.div_ceil(K::ROWS);
        let unit_blocks = units.div_ceil(BLOCK_UNITS);
        // More blocks copy the input more often; more groups have more partial results to add up.
        let most_groups = (geometry.pixels() / (2 * PIXELS)).max(1);
        let groups_of =
            |strip_blocks: usize| TASKS.div_ceil(unit_blocks * strip_blocks).clamp(1, most_groups);
        let touched = |strip_blocks: &usize| {
            strip_blocks * geometry.taps.len() * input.len()
                + 2 * groups_of(*strip_blocks) * shape.weight_len()
        };
        let least_blocks = shape.out_channels.div_ceil(BLOCK_CHANNELS).min(strips);
        let most_blocks = TASKS.div_ceil(unit_blocks).min(strips / LEAST_STRIPS).max(least_blocks);
        let strip_blocks = (least_blocks..=most_blocks).min_by_key(touched).unwrap_or(least_blocks);
        let groups = groups_of(strip_blocks);
        Self {
            shape,
            precision,
            geometry,
            input,
            output_gradient,
            depth,
            panels,
            strips,
            strip_rows: shape.out_channels.div_ceil(strips),
            groups,
            units_each: units.div_ceil(unit_blocks),
            strips_each: strips.div_ceil(strip_blocks),
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
    pub(super) fn strip(&self, strip: usize) -> Range<usize> {
        let channels = self.shape.out_channels;
        strip * self.strip_rows..((strip + 1) * self.strip_rows).min(channels)
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
            let packed = workspace.packed.floats(block.strips.len() * PIXELS * K::LEFT);
            if block.pixels.is_empty() {
                for unit in block.units.clone() {
                    for strip in block.strips.clone() {
                        // SAFETY: this task's part of the partial result.
                        unsafe { self.tile(partial, unit, strip).write_bytes(0, K::ROWS * K::COLUMNS) };
                    }
                }
            }
            // Runs of equal length, rather than full ones and a small rest.
            let runs = block.pixels.len().div_ceil(PIXELS);
            let run = |index: usize| {
                let place = |index: usize| block.pixels.start + index * block.pixels.len() / runs;
                place(index)..place((index + 1).min(runs))
            };
            for index in 0..runs {
                let (pixels, next) = (run(index), run(index + 1));
                self.pack_gradient(&block.strips, &pixels, packed);
                for unit in block.units.clone() {
                    let width = K::panel_width(unit % self.panels * K::COLUMNS, self.depth);
                    self.pack_input(unit, width, &pixels, rows);
                    for strip in block.strips.clone() {
                        let left = &packed[(strip - block.strips.start) * PIXELS * K::LEFT..];
                        let operands = Outer {
                            pixels: pixels.len().div_ceil(self.precision.per_word()),
                            left: left.as_ptr(),
                            left_stride: K::LEFT,
                            right: rows.as_ptr(),
                            ahead: [
                                self.gradient_ahead(strip, next.start, unit == block.units.start),
                                self.input_ahead(unit, strip - block.strips.start, next.start),
                            ],
                        };
                        let count = self.strip(strip).len();
                        // SAFETY: the machine has the instruction set; `left` and `rows` hold the packed pixels, and this
                        // tile of the partial result is this task's.
                        unsafe {
                            let sums = self.tile(partial, unit, strip);
                            match self.precision {
                                Precision::F32 => K::outer(&operands, count, width, sums, index > 0),
                                _ => K::outer_narrow::<Pair>(&operands, count, width, sums, index > 0),
                            }
                        };
                    }
                }
            }
        });
    }

    /// Where a strip of the output's gradient will be read next, if it has not been asked for.
    fn gradient_ahead(&self, strip: usize, pixel: usize, is_wanted: bool) -> Ahead {
        let channels = self.shape.out_channels;
        let next = self.output_gradient.as_ptr().wrapping_add(pixel * channels + self.strip(strip).start);
        Ahead { next, stride: if is_wanted { channels } else { 0 } }
    }

    /// Where a cache line of a unit of the input will be read next, roughly: rows of the grid need not be contiguous.
    fn input_ahead(&self, unit: usize, line: usize, pixel: usize) -> Ahead {
        let (tap, first) = (unit / self.panels, unit % self.panels * K::COLUMNS);
        let start = if line * LINE < K::COLUMNS && pixel < self.geometry.pixels() {
            self.geometry.locate(tap, self.geometry.position(pixel))
        } else {
            Run::Outside
        };
        let input = self.input.as_ptr();
        match start {
            Run::Inside(source) => Ahead {
                next: input.wrapping_add(source * self.shape.in_channels + first + line * LINE),
                stride: self.geometry.step[1] * self.shape.in_channels,
            },
            Run::Partial { .. } | Run::Outside => Ahead { next: input, stride: 0 },
        }
    }

    /// Where a tile of a partial result starts.
    ///
    /// # Safety
    /// `partial` starts a partial result.
    unsafe fn tile(&self, partial: *mut f32, unit: usize, strip: usize) -> *mut f32 {
        // SAFETY: the caller's promise, and unit and strip are in range.
        unsafe { partial.add((unit * self.strips + strip) * K::ROWS * K::COLUMNS) }
    }

    /// Adds up the groups and writes the published layout.
    fn reduce(
        &self,
        machine: &Machine,
        partials: &[f32],
        weight_gradient: &mut [f32],
        accumulate: Accumulate,
    ) {
        let taps = self.geometry.taps.len() * self.geometry.run;
        let each = taps * self.shape.in_channels;
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
                match taps {
                    1 => gradient.iter_mut().zip(&*sums).for_each(|(slot, &sum)| accumulate.store(slot, sum)),
                    9 => write_by_channel(sums, gradient.as_chunks_mut::<9>().0, accumulate),
                    _ => {
                        for (index, slot) in gradient.iter_mut().enumerate() {
                            accumulate
                                .store(slot, sums[index % taps * self.shape.in_channels + index / taps]);
                        }
                    }
                }
            });
        });
    }
}

/// Turns `[tap][channel]` into `[channel][tap]`.
pub(super) fn write_by_channel<const TAPS: usize>(
    sums: &[f32],
    gradient: &mut [[f32; TAPS]],
    accumulate: Accumulate,
) {
    let channels = gradient.len();
    let taps: [&[f32]; TAPS] = std::array::from_fn(|tap| &sums[tap * channels..][..channels]);
    for (channel, kernel) in gradient.iter_mut().enumerate() {
        for (slot, tap) in kernel.iter_mut().zip(&taps) {
            accumulate.store(slot, tap[channel]);
        }
    }
}

/// What one task sums.
struct Block {
    units: Range<usize>,
    strips: Range<usize>,
    pixels: Range<usize>,
}
