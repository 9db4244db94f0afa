//! The product behind forward passes and gradients of the input: tiles of pixels times panels of weights, without unfolding
//! images first. A tile knows its source rows by pointers, so any kernel, stride, padding or dilation costs the same.

use std::ops::Range;

use super::geometry::{Geometry, Run};
use crate::cpu::kernels::activation::{self, Activation};
use crate::cpu::kernels::micro::{Finish, LINE, Microkernels, Vector, with_microkernels};
use crate::cpu::kernels::scratch::{Workspace, with_workspace};
use crate::cpu::pool::SharedPointer;
use crate::cpu::{Isa, Machine};

/// One product. The slices' sizes are the caller's promise, asserted at the public functions.
pub(super) struct Product<'a> {
    pub geometry: &'a Geometry,
    /// Activations that are read, `channels` to a pixel.
    pub source: &'a [f32],
    pub channels: usize,
    /// Packed weights, and the channels of the result.
    pub panels: &'a [f32],
    pub columns: usize,
    pub bias: Option<&'a [f32]>,
    pub residual: Option<*const f32>,
    pub clamp: (f32, f32),
    /// Applied to finished tiles while they are in the cache.
    pub curve: Option<Activation>,
    /// The result; only target pixels of the grid are written.
    pub output: SharedPointer<f32>,
}

// SAFETY: the residual is only read, by the task that writes the same element of the output.
unsafe impl Sync for Product<'_> {}

impl Product<'_> {
    /// Computes the product on the machine's threads.
    pub fn run(&self, machine: &Machine) {
        with_microkernels!(machine.isa, Kernels => self.run_with::<Kernels>(machine));
    }

    /// Floats that one tap reads of a row.
    fn depth(&self) -> usize {
        self.geometry.run * self.channels
    }

    fn run_with<K: Microkernels>(&self, machine: &Machine) {
        let pixels = self.geometry.pixels();
        if pixels == 0 {
            return;
        }
        let zeros = vec![0.0; if self.geometry.is_padded() { self.depth() } else { 0 }];
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
        pointers.resize(tiles * taps * K::ROWS, std::ptr::null());
        offsets.clear();
        offsets.reserve(pixels.len());
        let collide = rows_collide(channels * geometry.step[1]);
        if geometry.is_pointwise() && !collide {
            for (index, pixel) in pixels.enumerate() {
                pointers[index] = self.source[pixel * channels..].as_ptr();
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
                    Run::Inside(pixel) if collide => copy(0, &self.source[pixel * channels..][..depth]),
                    Run::Inside(pixel) => self.source[pixel * channels..].as_ptr(),
                    Run::Outside => zeros.as_ptr(),
                    Run::Partial { skip, pixels } => {
                        copy(skip * channels, &self.source[pixels.start * channels..pixels.end * channels])
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
        let null = std::ptr::null();
        let finish = Finish {
            bias: self.bias.map_or(null, |bias| bias[first..].as_ptr()),
            // SAFETY: the residual is as large as the output.
            residual: self.residual.map_or(null, |residual| unsafe { residual.add(first) }),
            clamp: self.clamp,
            // SAFETY: `first` is a channel of the output's first pixel.
            output: unsafe { self.output.get().add(first) },
            columns: width.min(self.columns - first),
        };
        let mut tile = Tile([0.0; 14 * 32]);
        debug_assert!(K::ROWS * K::COLUMNS <= tile.0.len());
        for (index, offsets) in table.offsets.chunks(K::ROWS).enumerate() {
            let rows = &table.pointers[index * taps * K::ROWS..][..taps * K::ROWS];
            let next = table.pointers.get((index + 1) * taps * K::ROWS).filter(|_| is_first);
            let ahead = next.or(rows.first()).map_or(null, |&row| row);
            // SAFETY: the machine has the instruction set. The table's pointers are to rows of `depth` floats (of the source,
            // of zeros or of copies), the panel's size was just checked, and the tile is large enough. Offsets are those of
            // target pixels, each written by one task for each panel.
            unsafe {
                for &offset in offsets {
                    for line in (0..finish.columns).step_by(LINE) {
                        K::Register::prefetch_write(finish.output.wrapping_add(offset + line));
                    }
                }
                K::multiply(
                    (taps, depth),
                    rows.as_ptr(),
                    offsets.len(),
                    weights.as_ptr(),
                    width,
                    tile.0.as_mut_ptr(),
                    ahead,
                );
                K::finish(tile.0.as_ptr(), width, offsets, &finish);
            }
            if let Some(curve) = self.curve {
                // SAFETY: the elements just written, which are this task's.
                unsafe { activation::bend(isa, curve, finish.output, offsets, finish.columns) };
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

/// A finished tile, aligned for whole registers.
#[repr(align(64))]
struct Tile([f32; 14 * 32]);

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
