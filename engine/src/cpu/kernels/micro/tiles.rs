//! The two products that convolutions are made of, and what is done to a finished tile.
//!
//! Sums stay in registers for the whole inner loop. That holds only while every index into them is a constant after unrolling:
//! one index known only at run time and the compiler moves them all to the stack, at a third of the speed. So tiles of which
//! only some columns are wanted leave through memory, and what has a run-time size works on that copy.

#![expect(
    clippy::needless_range_loop,
    reason = "counted loops over constant bounds unroll; iterators are not certain to"
)]

use super::vector::Vector;
use super::word::{Single, Word};
use crate::cpu::kernels::narrow::{Numbers, Storage};

/// A tile of `ROWS` pixels by `VECTORS` registers of channels:
/// `tile[r][c] = Σ over taps t and depth k of rows[t][r][k] · panel[t][k][c]`, in words of `W`.
///
/// `rows` points to `taps` groups of `table_rows` row pointers, of which the first `ROWS` are read. Meanwhile cache lines from
/// `ahead` on are asked for, one for each step of the sum.
///
/// # Safety
/// As for [`Vector`]; every row read holds `depth` floats, `panel` holds `taps · depth · VECTORS · LANES` and `tile` has room
/// for `ROWS · VECTORS · LANES`.
#[inline(always)]
pub(super) unsafe fn multiply<V: Vector, W: Word, const ROWS: usize, const VECTORS: usize>(
    sizes: (usize, usize),
    rows: *const *const f32,
    table_rows: usize,
    panel: *const f32,
    tile: *mut f32,
    ahead: *const f32,
) {
    // SAFETY: the caller's promises.
    unsafe {
        let sums = product::<V, W, ROWS, VECTORS>(sizes, rows, table_rows, panel, ahead);
        for row in 0..ROWS {
            for vector in 0..VECTORS {
                sums[row][vector].store(tile.add((row * VECTORS + vector) * V::LANES));
            }
        }
    }
}

/// [`multiply`] and [`finish`] in one, for a panel of which all columns are written: sums go from registers to their place.
///
/// # Safety
/// As for both; `offsets` points to `ROWS` offsets.
#[inline(always)]
pub(super) unsafe fn multiply_whole<V: Vector, const ROWS: usize, const VECTORS: usize>(
    sizes: (usize, usize),
    rows: *const *const f32,
    table_rows: usize,
    panel: *const f32,
    offsets: *const usize,
    finish: &Finish,
    ahead: *const f32,
) {
    // SAFETY: the caller's promises.
    unsafe {
        let mut sums = product::<V, Single, ROWS, VECTORS>(sizes, rows, table_rows, panel, ahead);
        if !finish.bias.is_null() {
            for vector in 0..VECTORS {
                let bias = V::load(finish.bias.add(vector * V::LANES));
                for row in 0..ROWS {
                    sums[row][vector] = sums[row][vector].add(bias);
                }
            }
        }
        if !finish.residual.is_null() {
            for row in 0..ROWS {
                for vector in 0..VECTORS {
                    let residual = finish.residual.add(*offsets.add(row) + vector * V::LANES);
                    sums[row][vector] = sums[row][vector].add(V::load(residual));
                }
            }
        }
        let (low, high) = (V::splat(finish.clamp.0), V::splat(finish.clamp.1));
        for row in 0..ROWS {
            for vector in 0..VECTORS {
                let place = finish.output.add(*offsets.add(row) + vector * V::LANES);
                sums[row][vector].clamp(low, high).store(place);
            }
        }
    }
}

/// The sums of [`multiply`].
///
/// # Safety
/// As there.
#[inline(always)]
unsafe fn product<V: Vector, W: Word, const ROWS: usize, const VECTORS: usize>(
    (taps, depth): (usize, usize),
    rows: *const *const f32,
    table_rows: usize,
    panel: *const f32,
    ahead: *const f32,
) -> [[V; VECTORS]; ROWS] {
    // SAFETY: the caller's promises; indices stay below the sizes named above.
    unsafe {
        let mut sums = [[V::splat(0.0); VECTORS]; ROWS];
        let (mut panel, mut ahead) = (panel, ahead);
        for tap in 0..taps {
            let sources: [*const f32; ROWS] = rows.add(tap * table_rows).cast::<[*const f32; ROWS]>().read();
            for k in 0..depth {
                let mut weights = [V::splat(0.0); VECTORS];
                for (vector, weight) in weights.iter_mut().enumerate() {
                    *weight = V::load(panel.add(vector * V::LANES));
                }
                for row in 0..ROWS {
                    let value = V::splat(*sources[row].add(k));
                    for vector in 0..VECTORS {
                        sums[row][vector] = W::add_products(sums[row][vector], value, weights[vector]);
                    }
                }
                panel = panel.add(VECTORS * V::LANES);
                V::prefetch(ahead);
                ahead = ahead.wrapping_add(LINE);
            }
        }
        sums
    }
}

/// Floats in a cache line.
pub(crate) const LINE: usize = 16;

/// Memory that will be needed soon: an address, which need not be valid, and how far it moves each time.
#[derive(Clone, Copy)]
pub(crate) struct Ahead {
    pub next: *const f32,
    pub stride: usize,
}

/// What outer products are summed of.
#[derive(Clone, Copy)]
pub(crate) struct Outer {
    pub pixels: usize,
    /// Rows `left_stride` floats apart.
    pub left: *const f32,
    pub left_stride: usize,
    /// `[pixel][width]`.
    pub right: *const f32,
    /// Cache lines that are asked for meanwhile, one of each for each pixel.
    pub ahead: [Ahead; 2],
}

/// A sum of outer products over pixels: `sums[r][c] (+)= Σ over p of left[p][r] · right[p][c]`, in words of `W`.
///
/// `right` advances by `VECTORS · LANES` floats a pixel.
///
/// # Safety
/// As for [`Vector`]; `left` and `right` are readable for `pixels` pixels, `sums` holds `ROWS · VECTORS · LANES` floats.
#[inline(always)]
pub(super) unsafe fn outer<V: Vector, W: Word, const ROWS: usize, const VECTORS: usize>(
    operands: &Outer,
    sums: *mut f32,
    add: bool,
) {
    let Outer { pixels, mut left, left_stride, mut right, mut ahead } = *operands;
    // SAFETY: the caller's promises.
    unsafe {
        let mut totals = [[V::splat(0.0); VECTORS]; ROWS];
        if add {
            for row in 0..ROWS {
                for vector in 0..VECTORS {
                    totals[row][vector] = V::load(sums.add((row * VECTORS + vector) * V::LANES));
                }
            }
        }
        for _ in 0..pixels {
            let mut channels = [V::splat(0.0); VECTORS];
            for (vector, channel) in channels.iter_mut().enumerate() {
                *channel = V::load(right.add(vector * V::LANES));
            }
            for row in 0..ROWS {
                let value = V::splat(*left.add(row));
                for vector in 0..VECTORS {
                    totals[row][vector] = W::add_products(totals[row][vector], value, channels[vector]);
                }
            }
            left = left.add(left_stride);
            right = right.add(VECTORS * V::LANES);
            for ahead in &mut ahead {
                V::prefetch(ahead.next);
                ahead.next = ahead.next.wrapping_add(ahead.stride);
            }
        }
        for row in 0..ROWS {
            for vector in 0..VECTORS {
                totals[row][vector].store(sums.add((row * VECTORS + vector) * V::LANES));
            }
        }
    }
}

/// Where a finished tile goes and what is added on the way. Null pointers add nothing.
#[derive(Clone, Copy)]
pub(crate) struct Finish {
    /// The first output channel's bias.
    pub bias: *const f32,
    /// Start of the residual, at the first output channel.
    pub residual: *const f32,
    /// Bounds of the activation.
    pub clamp: (f32, f32),
    /// Start of the output, at the first output channel.
    pub output: *mut f32,
    /// Channels to write.
    pub columns: usize,
}

/// Writes a tile: row `r` goes to `output + offsets[r]`, with bias, residual (same offset) and activation applied.
///
/// # Safety
/// As for [`Vector`]; `tile` holds `offsets.len()` rows of `width ≥ finish.columns` floats (`width` a multiple of `LANES`);
/// output and residual are valid for `finish.columns` floats at each offset, the bias for that many.
#[inline(always)]
pub(super) unsafe fn finish<V: Vector>(tile: *const f32, width: usize, offsets: &[usize], finish: &Finish) {
    // SAFETY: the caller's promises.
    unsafe {
        let (low, high) = (V::splat(finish.clamp.0), V::splat(finish.clamp.1));
        let mut column = 0;
        while column < finish.columns {
            let lanes = (finish.columns - column).min(V::LANES);
            let bias = if finish.bias.is_null() {
                V::splat(0.0)
            } else {
                V::load_first(finish.bias.add(column), lanes)
            };
            for (row, &offset) in offsets.iter().enumerate() {
                let mut value = V::load(tile.add(row * width + column)).add(bias);
                if !finish.residual.is_null() {
                    value = value.add(V::load_first(finish.residual.add(offset + column), lanes));
                }
                value.clamp(low, high).store_first(finish.output.add(offset + column), lanes);
            }
            column += V::LANES;
        }
    }
}

/// Numbers that may be stored in fewer bits, by the place of their first word. Null when there are none.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub storage: Storage,
    pub start: *mut f32,
}

impl Place {
    /// Nothing.
    pub const NONE: Self = Self { storage: Storage::F32, start: std::ptr::null_mut() };

    /// Where numbers are, to be read.
    pub fn of(numbers: Option<Numbers<'_>>) -> Self {
        numbers.map_or(Self::NONE, |Numbers { storage, words }| Self {
            storage,
            start: words.as_ptr().cast_mut(),
        })
    }

    /// Reads the first `count` ≤ `LANES` numbers from number `index` on.
    ///
    /// # Safety
    /// As for [`Vector`]; the numbers are there.
    #[inline(always)]
    unsafe fn load<V: Vector>(self, index: usize, count: usize) -> V {
        // SAFETY: the caller's promises.
        unsafe {
            match self.storage {
                Storage::F32 => V::load_first(self.start.add(index), count),
                Storage::Bf16 => V::load_bf16(self.start.cast::<u16>().add(index), count),
                Storage::Int8(code) => {
                    let scale = V::splat(code.scale);
                    let zero = V::splat(-code.scale * f32::from(code.zero_point));
                    zero.add_product(V::load_bytes(self.start.cast::<u8>().add(index), count), scale)
                }
            }
        }
    }

    /// Writes the first `count` ≤ `LANES` numbers from number `index` on.
    ///
    /// # Safety
    /// As for [`Vector`]; there is room.
    #[inline(always)]
    unsafe fn store<V: Vector>(self, value: V, index: usize, count: usize) {
        // SAFETY: the caller's promises.
        unsafe {
            match self.storage {
                Storage::F32 => value.store_first(self.start.add(index), count),
                Storage::Bf16 => value.store_bf16(self.start.cast::<u16>().add(index), count),
                Storage::Int8(code) => {
                    let zero = V::splat(f32::from(code.zero_point));
                    let scaled = zero.add_product(value, V::splat(1.0 / code.scale));
                    scaled.store_bytes(self.start.cast::<u8>().add(index), count);
                }
            }
        }
    }
}

/// Where a finished tile goes, and what is done on the way, when operands or results have fewer bits.
#[derive(Clone, Copy)]
pub(crate) struct FinishNarrow {
    /// For each output channel what an integer sum is multiplied by, from the first channel on; null when sums are floats.
    pub scale: *const f32,
    /// For each output channel what is added, from the first channel on; may be null.
    pub bias: *const f32,
    pub residual: Place,
    /// Bounds of the activation.
    pub clamp: (f32, f32),
    pub output: Place,
    /// The first output channel: number `offsets[r] + first` is a row's first.
    pub first: usize,
    /// Channels to write.
    pub columns: usize,
}

/// Writes a tile as [`finish`] does, with numbers that are stored in any way. When `within`, rows go back to where they are in the tile.
///
/// # Safety
/// As for [`finish`].
#[inline(always)]
pub(super) unsafe fn finish_narrow<V: Vector>(
    tile: *mut f32,
    width: usize,
    offsets: &[usize],
    finish: &FinishNarrow,
    within: bool,
) {
    // SAFETY: the caller's promises.
    unsafe {
        let (low, high) = (V::splat(finish.clamp.0), V::splat(finish.clamp.1));
        let mut column = 0;
        while column < finish.columns {
            let lanes = (finish.columns - column).min(V::LANES);
            let bias = match finish.bias.is_null() {
                true => V::splat(0.0),
                false => V::load_first(finish.bias.add(column), lanes),
            };
            let scale = match finish.scale.is_null() {
                true => V::splat(1.0),
                false => V::load_first(finish.scale.add(column), lanes),
            };
            for (row, &offset) in offsets.iter().enumerate() {
                let place = tile.add(row * width + column);
                let sum = V::load(place);
                let mut value = match finish.scale.is_null() {
                    true => sum.add(bias),
                    false => bias.add_product(sum.integers_as_floats(), scale),
                };
                let index = offset + finish.first + column;
                if !finish.residual.start.is_null() {
                    value = value.add(finish.residual.load::<V>(index, lanes));
                }
                let value = value.clamp(low, high);
                match within {
                    true => value.store(place),
                    false => finish.output.store(value, index, lanes),
                }
            }
            column += V::LANES;
        }
    }
}
