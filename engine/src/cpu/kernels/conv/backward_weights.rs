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
use crate::cpu::kernels::micro::{Ahead, LINE, Loop, Microkernels, Outer, Vector, with_microkernels};
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
const PIXELS: usize = 144;
/// Units and output channels of one task, at most: its partial result and its packed operands stay in a second-level cache.
const BLOCK_UNITS: usize = 8;
const BLOCK_CHANNELS: usize = 512;
/// Tasks worth having, for balance, as long as each sums a few times `PIXELS`.
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
        let unit_blocks = units.div_ceil(BLOCK_UNITS);
        let strip_blocks = shape.out_channels.div_ceil(BLOCK_CHANNELS).min(strips);
        let groups = TASKS.div_ceil(unit_blocks * strip_blocks).min(geometry.pixels() / (2 * PIXELS)).max(1);
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
    fn strip(&self, strip: usize) -> Range<usize> {
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
                            pixels: pixels.len(),
                            left: left.as_ptr(),
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
                            K::outer(&operands, count, width, self.tile(partial, unit, strip), index > 0)
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

    /// Copies strips of the output's gradient: `[strip][PIXELS][LEFT]`.
    fn pack_gradient(&self, strips: &Range<usize>, pixels: &Range<usize>, to: &mut [f32]) {
        let channels = self.shape.out_channels;
        assert!(to.len() >= strips.len() * PIXELS * K::LEFT && pixels.len() <= PIXELS);
        let from = &self.output_gradient[pixels.start * channels..pixels.end * channels];
        let strips = CopyStrips {
            from,
            channels,
            range: strips.start * self.strip_rows..(strips.end * self.strip_rows).min(channels),
            rows: self.strip_rows,
            to: to.as_mut_ptr(),
            stride: K::LEFT,
        };
        // SAFETY: the machine has the instruction set; strips are channels of every pixel, and `to` has room for all.
        unsafe { K::run(strips) };
    }

    /// Copies a unit of the input: `[pixel][width]`, zeros in the padding and beyond the last channel.
    fn pack_input(&self, unit: usize, width: usize, pixels: &Range<usize>, to: &mut [f32]) {
        let (channels, geometry) = (self.shape.in_channels, self.geometry);
        let (tap, first) = (unit / self.panels, unit % self.panels * K::COLUMNS);
        let used = width.min(self.depth - first);
        assert!(to.len() >= pixels.len() * width);
        let copy = |source: usize, step: usize, to: &mut [f32]| {
            let count = to.len() / width;
            let from = &self.input[source * channels + first..];
            assert!(count == 0 || from.len() >= (count - 1) * step * channels + used);
            // SAFETY: the machine has the instruction set, and the ranges were just checked.
            unsafe { K::run(CopyRows { from: from.as_ptr(), stride: step * channels, used, width, to }) };
        };
        if geometry.is_pointwise() {
            return copy(pixels.start, 1, &mut to[..pixels.len() * width]);
        }
        let columns = geometry.grid[1];
        let inside = geometry.columns_inside(tap);
        let (mut pixel, mut rest) = (pixels.start, to);
        while pixel < pixels.end {
            // The rest of a row of the grid, or of the pixels: border, inside, border.
            let [image, row, start] = geometry.position(pixel);
            let end = columns.min(start + pixels.end - pixel);
            let (line, after) = std::mem::take(&mut rest).split_at_mut((end - start) * width);
            (pixel, rest) = (pixel + end - start, after);
            let Some(source_row) = geometry.source_row(tap, row) else {
                line.fill(0.0);
                continue;
            };
            let (left, right) = (inside.start.clamp(start, end), inside.end.clamp(start, end));
            if left < right {
                let column = (left * geometry.step[1]) as isize + geometry.taps[tap][1];
                let source = (image * geometry.source[0] + source_row) * geometry.source[1] + column as usize;
                copy(source, geometry.step[1], &mut line[(left - start) * width..(right - start) * width]);
            }
            for column in (start..left).chain(right..end) {
                let to = &mut line[(column - start) * width..][..width];
                to.fill(0.0);
                if let Run::Partial { skip, pixels } = geometry.locate(tap, [image, row, column]) {
                    let inside = &self.input[pixels.start * channels..pixels.end * channels];
                    for (place, &value) in (skip * channels..).zip(inside) {
                        if (first..first + used).contains(&place) {
                            to[place - first] = value;
                        }
                    }
                }
            }
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
fn write_by_channel<const TAPS: usize>(sums: &[f32], gradient: &mut [[f32; TAPS]], accumulate: Accumulate) {
    let channels = gradient.len();
    let taps: [&[f32]; TAPS] = std::array::from_fn(|tap| &sums[tap * channels..][..channels]);
    for (channel, kernel) in gradient.iter_mut().enumerate() {
        for (slot, tap) in kernel.iter_mut().zip(&taps) {
            accumulate.store(slot, tap[channel]);
        }
    }
}

/// Copies each strip of channels of all pixels: `[strip][PIXELS][stride]`.
///
/// To run it: `to` has room, and `rows` ≤ `stride`.
struct CopyStrips<'a> {
    from: &'a [f32],
    channels: usize,
    /// The channels of all strips, and how many make one.
    range: Range<usize>,
    rows: usize,
    to: *mut f32,
    stride: usize,
}

impl Loop for CopyStrips<'_> {
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        for (pixel, line) in self.from.chunks_exact(self.channels).enumerate() {
            let mut start = self.range.start;
            let mut place = pixel * self.stride;
            while start < self.range.end {
                let used = self.rows.min(self.range.end - start);
                // SAFETY: the caller's promises.
                unsafe { copy_row::<V>(line.as_ptr().add(start), used, self.to.add(place), self.stride) };
                start += self.rows;
                place += PIXELS * self.stride;
            }
        }
    }
}

/// Copies rows of `used` floats, `stride` apart, to rows of `width`, the rest zeros.
///
/// To run it: the rows are readable, and `width` is whole registers.
struct CopyRows<'a> {
    from: *const f32,
    stride: usize,
    used: usize,
    width: usize,
    to: &'a mut [f32],
}

impl Loop for CopyRows<'_> {
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        for (row, line) in self.to.chunks_exact_mut(self.width).enumerate() {
            // SAFETY: the caller's promises.
            unsafe {
                copy_row::<V>(self.from.add(row * self.stride), self.used, line.as_mut_ptr(), self.width)
            };
        }
    }
}

/// Copies `used` floats and zeros up to `width`.
///
/// # Safety
/// As for [`Vector`]; `used` floats are readable, and `width`, whole registers, writable.
#[inline(always)]
unsafe fn copy_row<V: Vector>(from: *const f32, used: usize, to: *mut f32, width: usize) {
    let mut column = 0;
    while column < width {
        let left = used.saturating_sub(column);
        // SAFETY: the caller's promises.
        unsafe {
            let values = if left >= V::LANES {
                V::load(from.add(column))
            } else {
                V::load_first(from.wrapping_add(column), left)
            };
            values.store(to.add(column));
        }
        column += V::LANES;
    }
}

/// What one task sums.
struct Block {
    units: Range<usize>,
    strips: Range<usize>,
    pixels: Range<usize>,
}
