//! The operands of outer products: pieces of activations, copied so that the inner loop reads them in a straight line. In bf16, the
//! copies of two pixels are put together into words.

use std::ops::Range;

use super::backward_weights::{PIXELS, Sums};
use super::geometry::Run;
use crate::Precision;
use crate::cpu::kernels::micro::{Loop, Microkernels, Vector};

impl<K: Microkernels> Sums<'_, K> {
    /// Copies strips of the output's gradient: `[strip][PIXELS][LEFT]`.
    pub(super) fn pack_gradient(&self, strips: &Range<usize>, pixels: &Range<usize>, to: &mut [f32]) {
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
        if self.precision == Precision::Bf16 {
            to.chunks_mut(PIXELS * K::LEFT).for_each(|strip| pair_up::<K>(strip, pixels.len(), K::LEFT));
        }
    }

    /// Copies a unit of the input: `[pixel][width]`, zeros in the padding and beyond the last channel.
    pub(super) fn pack_input(&self, unit: usize, width: usize, pixels: &Range<usize>, to: &mut [f32]) {
        self.copy_input(unit, width, pixels, to);
        if self.precision == Precision::Bf16 {
            pair_up::<K>(to, pixels.len(), width);
        }
    }

    fn copy_input(&self, unit: usize, width: usize, pixels: &Range<usize>, to: &mut [f32]) {
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
}

/// Puts each two of `count` rows of `width` floats together into one of bf16 pairs; zeros beside an odd last one.
fn pair_up<K: Microkernels>(rows: &mut [f32], count: usize, width: usize) {
    let rows = &mut rows[..count.next_multiple_of(2) * width];
    rows[count * width..].fill(0.0);
    // SAFETY: the machine has the instruction set, and rows are whole registers.
    unsafe { K::run(PairUp { rows, width }) };
}

/// Pairs of rows, `width` apart, become one row each, at the front.
///
/// To run it: `width` is whole registers, and the rows come in pairs.
struct PairUp<'a> {
    rows: &'a mut [f32],
    width: usize,
}

impl Loop for PairUp<'_> {
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let start = self.rows.as_mut_ptr();
        for pair in 0..self.rows.len() / (2 * self.width) {
            let mut column = 0;
            while column < self.width {
                // SAFETY: the caller's promises; what is written was read in this round or before.
                unsafe {
                    let from = start.add(2 * pair * self.width + column);
                    let words = V::pair(V::load(from), V::load(from.add(self.width)));
                    words.store(start.add(pair * self.width + column));
                }
                column += V::LANES;
            }
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
