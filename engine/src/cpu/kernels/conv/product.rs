//! The product behind forward passes and gradients of the input: tiles of pixels times panels of weights, without unfolding
//! images first. A tile knows its source rows by pointers, so any kernel, stride, padding or dilation costs the same.

use std::ops::Range;
use std::ptr::null;

use super::geometry::{Geometry, Run};
use crate::Precision;
use crate::cpu::kernels::activation::{self, Activation};
use crate::cpu::kernels::micro::{
    Finish, FinishNarrow, LINE, Microkernels, Pair, Place, Quad, Tile, Vector, with_microkernels,
};
use crate::cpu::kernels::narrow::Numbers;
use crate::cpu::kernels::scratch::{Workspace, with_workspace};
use crate::cpu::{Isa, Machine};

/// One product. The slices' sizes are the caller's promise, asserted at the public functions.
pub(super) struct Product<'a> {
    pub geometry: &'a Geometry,
    /// Activations that are read, and the words of a pixel. A tap in the padding reads the storage's zero.
    pub source: Numbers<'a>,
    pub channels: usize,
    /// Packed weights, and the channels of the result.
    pub panels: &'a [f32],
    pub columns: usize,
    /// Of integer sums: what each result channel is multiplied by.
    pub scale: Option<&'a [f32]>,
    pub bias: Option<&'a [f32]>,
    /// As large as the output, which it may be.
    pub residual: Place,
    pub clamp: (f32, f32),
    /// Applied to finished tiles while they are in the cache.
    pub curve: Option<Activation>,
    /// The result; only target pixels of the grid are written.
    pub output: Place,
}

// SAFETY: the residual is only read, by the task that writes the same element of the output; tasks write different elements.
unsafe impl Sync for Product<'_> {}

impl Product<'_> {
    /// Computes the product on the machine's threads.
    pub fn run(&self, machine: &Machine) {
        let isa = machine.isa.multiplying(self.precision());
        with_microkernels!(isa, Kernels => self.run_with::<Kernels>(machine));
    }

    /// The precision of the operands.
    fn precision(&self) -> Precision {
        self.source.storage.precision()
    }

    /// Words that one tap reads of a row.
    fn depth(&self) -> usize {
        self.geometry.run * self.channels
    }

    fn run_with<K: Microkernels>(&self, machine: &Machine) {
        let pixels = self.geometry.pixels();
        if pixels == 0 {
            return;
        }
        let zeros = if self.geometry.is_padded() { self.depth() } else { 0 };
        let zeros = vec![self.source.storage.zero(); zeros];
        let blocks = Blocks::choose::<K>(self, pixels);
        machine.pool.for_each(blocks.count(), |task| {
            let (tiles, panels) = blocks.of(task);
            with_workspace(|workspace| {
                let table = self.point_at_rows::<K>(
                    workspace,
                    &zeros,
                    tiles.start * K::ROWS..pixels.min(tiles.end * K::ROWS),
                );
                for (index, panel) in panels.enumerate() {
                    self.multiply_panel::<K>(machine.isa, &table, panel, index == 0);
                }
            });
        });
    }

    /// Fills the workspace with row pointers and output offsets of a range of grid pixels.
    fn point_at_rows<'w, K: Microkernels>(
        &self,
        workspace: &'w mut Workspace,
        zeros: &[f32],
        pixels: Range<usize>,
    ) -> Table<'w> {
        let Workspace { pointers, offsets, rows, .. } = workspace;
        let (geometry, taps, depth, channels) =
            (self.geometry, self.geometry.taps.len(), self.depth(), self.channels);
        let tiles = pixels.len().div_ceil(K::ROWS);
        pointers.clear();
        pointers.resize(tiles * taps * K::ROWS, null());
        offsets.clear();
        offsets.reserve(pixels.len());
        let collide = rows_collide(channels * geometry.step[1]);
        if geometry.is_pointwise() && !collide {
            for (index, pixel) in pixels.enumerate() {
                pointers[index] = self.source.words[pixel * channels..].as_ptr();
                offsets.push(pixel * self.columns);
            }
            return Table { pointers, offsets };
        }
        let copied = depth + LINE;
        let room = if collide || geometry.run > 1 { pixels.len() * taps * copied } else { 0 };
        let mut copies = rows.floats(room).chunks_exact_mut(copied);
        let mut copy = |skip: usize, values: &[f32]| match copies.next() {
            Some(row) => {
                row[..skip].fill(0.0);
                row[skip..][..values.len()].copy_from_slice(values);
                row[skip + values.len()..].fill(0.0);
                row.as_ptr()
            }
            None => unreachable!("there is room to copy every tap of every pixel"),
        };
        let mut position = geometry.position(pixels.start);
        for index in 0..pixels.len() {
            let place = index / K::ROWS * taps * K::ROWS + index % K::ROWS;
            for tap in 0..taps {
                pointers[place + tap * K::ROWS] = match geometry.locate(tap, position) {
                    Run::Inside(pixel) if collide => copy(0, &self.source.words[pixel * channels..][..depth]),
                    Run::Inside(pixel) => self.source.words[pixel * channels..].as_ptr(),
                    Run::Outside => zeros.as_ptr(),
                    Run::Partial { skip, pixels } => {
                        let pixels = pixels.start * channels..pixels.end * channels;
                        copy(skip * channels, &self.source.words[pixels])
                    }
                };
            }
            offsets.push(geometry.target_pixel(position) * self.columns);
            position = geometry.next(position);
        }
        Table { pointers, offsets }
    }

    /// Multiplies all tiles of a table with one panel. The first to do so finds source rows outside the caches, and asks for
    /// them ahead.
    fn multiply_panel<K: Microkernels>(&self, isa: Isa, table: &Table<'_>, panel: usize, is_first: bool) {
        let (taps, depth) = (self.geometry.taps.len(), self.depth());
        let first = panel * K::COLUMNS;
        let width = K::panel_width(first, self.columns);
        let weights = &self.panels[first * taps * depth..][..taps * depth * width];
        let columns = width.min(self.columns - first);
        let sizes = (taps, depth);
        for (index, offsets) in table.offsets.chunks(K::ROWS).enumerate() {
            let rows = &table.pointers[index * taps * K::ROWS..][..taps * K::ROWS];
            let next = table.pointers.get((index + 1) * taps * K::ROWS).filter(|_| is_first);
            let ahead = next.or(rows.first()).map_or(null(), |&row| row);
            let (rows, panel) = (rows.as_ptr(), (weights.as_ptr(), width));
            // SAFETY: the machine has the instruction set. The table's pointers are to rows of `depth` words (of the source,
            // of zeros or of copies), and the panel's size was just checked. Offsets are those of target pixels, each written
            // by one task for each panel.
            unsafe {
                self.expect_write::<K>(offsets, first, columns);
                match self.precision() {
                    Precision::F32 => {
                        let finish = self.finish(first, columns);
                        K::multiply_and_finish(sizes, rows, offsets, panel, &finish, ahead);
                        if let Some(curve) = self.curve {
                            activation::bend(isa, curve, finish.output, offsets, columns);
                        }
                    }
                    precision => {
                        let mut tile = Tile::new();
                        let ((panel, width), count, sums) = (panel, offsets.len(), tile.start());
                        match precision {
                            Precision::Int8 => {
                                K::multiply_narrow::<Quad>(sizes, rows, count, panel, width, sums, ahead);
                            }
                            _ => K::multiply_narrow::<Pair>(sizes, rows, count, panel, width, sums, ahead),
                        }
                        self.finish_narrow::<K>(isa, sums, width, offsets, (first, columns));
                    }
                }
            }
        }
    }

    /// Asks for the cache lines that a tile will be written to.
    ///
    /// # Safety
    /// The processor has the instruction set.
    unsafe fn expect_write<K: Microkernels>(&self, offsets: &[usize], first: usize, columns: usize) {
        let per_word = self.output.storage.precision().per_word();
        for &offset in offsets {
            for line in (0..columns).step_by(LINE * per_word) {
                let place = (offset + first + line) / per_word;
                // SAFETY: the caller's promise.
                unsafe { K::Register::prefetch_write(self.output.start.wrapping_add(place)) };
            }
        }
    }

    /// How `columns` channels of a tile are finished, from channel `first` on.
    ///
    /// # Safety
    /// `first` is a channel of the output.
    unsafe fn finish(&self, first: usize, columns: usize) -> Finish {
        let residual = self.residual.start;
        // SAFETY: `first` is a channel of the first pixel of the output, and of the residual, which is as large.
        unsafe {
            Finish {
                bias: self.bias.map_or(null(), |bias| bias[first..].as_ptr()),
                residual: if residual.is_null() { null() } else { residual.add(first) },
                clamp: self.clamp,
                output: self.output.start.add(first),
                columns,
            }
        }
    }

    /// Writes `columns` channels of a tile of sums of narrow products, from channel `first` on.
    ///
    /// # Safety
    /// The processor has the instruction set, and the tile's pixels and channels are the caller's to write.
    unsafe fn finish_narrow<K: Microkernels>(
        &self,
        isa: Isa,
        tile: *mut f32,
        width: usize,
        offsets: &[usize],
        (first, columns): (usize, usize),
    ) {
        let finish = FinishNarrow {
            scale: self.scale.map_or(null(), |scale| scale[first..].as_ptr()),
            bias: self.bias.map_or(null(), |bias| bias[first..].as_ptr()),
            residual: self.residual,
            clamp: self.clamp,
            output: self.output,
            first,
            columns,
        };
        // SAFETY: as for `finish`; rows of the tile are `width` apart.
        unsafe {
            K::finish_narrow(tile, width, offsets, &finish, self.curve.is_some());
            if let Some(curve) = self.curve {
                let rows: [usize; 14] = std::array::from_fn(|row| row * width);
                activation::bend(isa, curve, tile, &rows[..offsets.len()], columns);
                let (scale, bias, residual) = (null(), null(), Place::NONE);
                let clamp = (f32::NEG_INFINITY, f32::INFINITY);
                let write = FinishNarrow { scale, bias, residual, clamp, ..finish };
                K::finish_narrow(tile, width, offsets, &write, false);
            }
        }
    }
}

/// Whether rows that are so many floats apart fall into the same few sets of a first-level cache (which repeat
/// every 4 KiB), so that the rows of a tile would evict each other.
fn rows_collide(apart: usize) -> bool {
    (apart * size_of::<f32>()).is_multiple_of(4096)
}

/// Row pointers `[tile][tap][row]` and output offsets `[pixel]` of a range of grid pixels.
struct Table<'w> {
    pointers: &'w [*const f32],
    offsets: &'w [usize],
}

/// How a product is cut into tasks: blocks of tiles times blocks of panels. Depends on the sizes alone.
struct Blocks {
    tiles: usize,
    tiles_each: usize,
    panels: usize,
    panels_each: usize,
}

impl Blocks {
    /// Weights that stay in the second-level cache while a block of pixels passes by.
    const RESIDENT_WEIGHTS: usize = 640 << 10;
    /// Source rows that stay in the second-level cache while panels pass by.
    const RESIDENT_ROWS: usize = 160 << 10;
    /// The same when panels are too large to stay beside them.
    const STREAMED_ROWS: usize = 768 << 10;
    /// Tasks worth having, for balance.
    const TASKS: usize = 16;

    fn choose<K: Microkernels>(product: &Product<'_>, pixels: usize) -> Self {
        let geometry = product.geometry;
        let tiles = pixels.div_ceil(K::ROWS);
        let panels = product.columns.div_ceil(K::COLUMNS);
        let weights = size_of_val(product.panels);
        let row = product.channels * geometry.step[0] * geometry.step[1] * size_of::<f32>();
        let (tiles_each, panels_each) = if weights <= Self::RESIDENT_WEIGHTS {
            let fitting = (Self::RESIDENT_ROWS / (K::ROWS * row)).clamp(1, 64);
            (fitting.min(tiles.div_ceil(Self::TASKS)), panels)
        } else {
            let fitting = (Self::STREAMED_ROWS / (K::ROWS * row)).clamp(4, 512).min(tiles);
            let blocks = tiles.div_ceil(fitting);
            (fitting, (panels * blocks).div_ceil(Self::TASKS).min(panels))
        };
        // Blocks of equal size rather than full ones and a small rest.
        let tiles_each = tiles.div_ceil(tiles.div_ceil(tiles_each));
        let panels_each = panels.div_ceil(panels.div_ceil(panels_each));
        Self { tiles, tiles_each, panels, panels_each }
    }

    fn count(&self) -> usize {
        self.tiles.div_ceil(self.tiles_each) * self.panels.div_ceil(self.panels_each)
    }

    /// Tiles and panels of a task; tasks that share tiles follow each other.
    fn of(&self, task: usize) -> (Range<usize>, Range<usize>) {
        let columns = self.panels.div_ceil(self.panels_each);
        let (row, column) = (task / columns, task % columns);
        (
            row * self.tiles_each..((row + 1) * self.tiles_each).min(self.tiles),
            column * self.panels_each..((column + 1) * self.panels_each).min(self.panels),
        )
    }
}
