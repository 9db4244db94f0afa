//! A strip: some rows of output of one image, from the input to the output.

use std::ops::Range;

use super::{Block, Layer};
use crate::cpu::kernels::conv::{ConvShape, PackedWeights};
use crate::cpu::kernels::depthwise::{PanelRows, Ring, source_rows};
use crate::cpu::kernels::micro::{Finish, LINE, Microkernels, Vector};
use crate::cpu::kernels::scratch::{Workspace, with_workspace};

/// Computes rows of output of one image.
///
/// # Safety
/// The processor has the instruction set; the block's sizes were checked; nobody else has these rows of output.
pub(super) unsafe fn compute<K: Microkernels>(
    block: &Block<'_>,
    weights: &[f32],
    input: &[f32],
    image: usize,
    rows: Range<usize>,
    output: *mut f32,
) {
    with_workspace(|workspace| {
        let layout = Layout::new::<K>(block, rows.len());
        let Workspace { pointers, offsets, rows: memory, .. } = workspace;
        let (ring, filtered) = memory.floats(layout.floats()).split_at_mut(layout.ring.floats());
        layout.ring.pad(ring);
        let mut strip = Strip { block, layout, weights, input, image, ring, filtered, pointers, offsets };
        let mut widened = 0;
        for start in rows.clone().step_by(strip.layout.rows_each) {
            let rows = start..(start + strip.layout.rows_each).min(rows.end);
            let needed = source_rows(&block.shape.depthwise, &rows);
            let new = needed.start.max(widened)..needed.end.max(widened);
            widened = new.end;
            // SAFETY: the caller's promise.
            unsafe {
                strip.widen::<K>(new);
                strip.filter::<K>(&rows);
                strip.narrow::<K>(&rows, output);
            }
        }
    });
}

/// How a strip's memory is laid out.
struct Layout {
    /// Rows of output that are computed at a time.
    rows_each: usize,
    /// The widened rows.
    ring: Ring,
    /// Floats from one filtered pixel to the next, and filtered pixels.
    apart: usize,
    pixels: usize,
}

impl Layout {
    /// Filtered rows are gathered until there are so many tiles to multiply.
    const TILES: usize = 2;

    fn new<K: Microkernels>(block: &Block<'_>, rows: usize) -> Self {
        let shape = &block.shape.depthwise;
        let columns = shape.out_width();
        let rows_each = (Self::TILES * K::ROWS).div_ceil(columns).min(rows);
        // Rows a multiple of 4 KiB apart would evict each other from the first-level cache.
        let collide = (shape.out_channels * size_of::<f32>()).is_multiple_of(4096);
        Self {
            rows_each,
            ring: Ring::new(shape, rows_each, K::COLUMNS),
            apart: shape.out_channels + if collide { LINE } else { 0 },
            pixels: rows_each * columns,
        }
    }

    /// Floats of ring and filtered pixels.
    fn floats(&self) -> usize {
        self.ring.floats() + self.pixels * self.apart
    }
}

/// A strip at work.
struct Strip<'a> {
    block: &'a Block<'a>,
    layout: Layout,
    /// Depthwise weights, `[tap][channel]`.
    weights: &'a [f32],
    input: &'a [f32],
    image: usize,
    /// Wide rows, as the layout's ring has them.
    ring: &'a mut [f32],
    /// Filtered pixels, `[pixel][channel]`.
    filtered: &'a mut [f32],
    pointers: &'a mut Vec<*const f32>,
    offsets: &'a mut Vec<usize>,
}

impl Strip<'_> {
    fn shape(&self) -> &ConvShape {
        &self.block.shape.depthwise
    }

    /// Puts rows of the source into the ring, widened.
    unsafe fn widen<K: Microkernels>(&mut self, rows: Range<usize>) {
        let (height, width, channels) =
            (self.shape().height, self.shape().width, self.block.shape.in_channels);
        let first = (self.image * height + rows.start) * width;
        let source = &self.input[first * channels..][..rows.len() * width * channels];
        let Some(layer) = &self.block.expand else {
            return self.layout.ring.copy(self.ring, rows, source, channels);
        };
        self.pointers.clear();
        self.pointers.extend(source.chunks_exact(channels).map(<[f32]>::as_ptr));
        self.offsets.clear();
        for row in rows {
            let start = self.layout.ring.place(0, row);
            let left = self.layout.ring.left;
            self.offsets.extend((0..width).map(|column| start + (left + column) * K::COLUMNS));
        }
        for panel in 0..self.layout.ring.panels {
            let base = self.ring[self.layout.ring.place(panel, 0)..].as_mut_ptr();
            let product =
                Product { layer, depth: channels, columns: self.shape().in_channels, residual: None };
            // SAFETY: the caller's promise; offsets are those of source pixels in a panel of the ring.
            unsafe { product.multiply::<K>(panel, self.pointers, self.offsets, base) };
        }
    }

    /// Convolves each channel of the rows in the ring.
    unsafe fn filter<K: Microkernels>(&mut self, rows: &Range<usize>) {
        let shape = *self.shape();
        let (layer, layout) = (&self.block.depthwise, &self.layout);
        for panel in 0..layout.ring.panels {
            layout.ring.sources(self.ring, &shape, panel, rows.clone(), self.pointers);
            let first = panel * K::COLUMNS;
            let rows = PanelRows {
                kernel: shape.kernel[0],
                stride: shape.stride[0],
                sources: self.pointers,
                apart: K::COLUMNS,
                weights: (self.weights[first..].as_ptr(), shape.in_channels),
                bias: layer.bias.map_or(std::ptr::null(), |bias| bias[first..].as_ptr()),
                residual: std::ptr::null(),
                limits: layer.clamp.limits(),
                channels: K::COLUMNS.min(shape.in_channels - first),
                columns: shape.out_width(),
                output: (self.filtered[first..].as_mut_ptr(), layout.apart),
            };
            // SAFETY: the caller's promise; padded rows hold every column that a tap reads, and there is room for the
            // filtered pixels of as many rows as are computed at a time.
            unsafe { K::run(rows) };
        }
    }

    /// Writes rows of output.
    unsafe fn narrow<K: Microkernels>(&mut self, rows: &Range<usize>, output: *mut f32) {
        let (shape, channels) = (*self.shape(), self.block.shape.out_channels);
        let first = (self.image * shape.out_height() + rows.start) * shape.out_width();
        let pixels = rows.len() * shape.out_width();
        self.pointers.clear();
        self.pointers.extend(self.filtered.chunks_exact(self.layout.apart).map(<[f32]>::as_ptr).take(pixels));
        self.offsets.clear();
        self.offsets.extend((first..first + pixels).map(|pixel| pixel * channels));
        let product = Product {
            layer: &self.block.project,
            depth: shape.out_channels,
            columns: channels,
            residual: self.block.residual,
        };
        for panel in 0..channels.div_ceil(K::COLUMNS) {
            // SAFETY: the caller's promise; offsets are those of the rows' pixels.
            unsafe {
                product.multiply::<K>(panel, self.pointers, self.offsets, output.add(panel * K::COLUMNS))
            };
        }
    }
}

/// A 1 × 1 convolution of some pixels.
struct Product<'a> {
    layer: &'a Layer<'a, &'a PackedWeights>,
    depth: usize,
    columns: usize,
    residual: Option<&'a [f32]>,
}

impl Product<'_> {
    /// Multiplies rows of `depth` floats with one panel of the weights. Results go to `output` at the rows' offsets.
    unsafe fn multiply<K: Microkernels>(
        &self,
        panel: usize,
        rows: &[*const f32],
        offsets: &[usize],
        output: *mut f32,
    ) {
        let first = panel * K::COLUMNS;
        let width = K::panel_width(first, self.columns);
        let weights = &self.layer.weights.panels()[first * self.depth..][..self.depth * width];
        let finish = Finish {
            bias: self.layer.bias.map_or(std::ptr::null(), |bias| bias[first..].as_ptr()),
            residual: self.residual.map_or(std::ptr::null(), |residual| residual[first..].as_ptr()),
            clamp: self.layer.clamp.limits(),
            output,
            columns: width.min(self.columns - first),
        };
        for (rows, offsets) in rows.chunks(K::ROWS).zip(offsets.chunks(K::ROWS)) {
            // SAFETY: the caller's promise; a table of one tap is read for as many rows as there are offsets.
            unsafe {
                for &offset in offsets {
                    for line in (0..finish.columns).step_by(LINE) {
                        K::Register::prefetch_write(finish.output.wrapping_add(offset + line));
                    }
                }
                K::multiply_and_finish(
                    (1, self.depth),
                    rows.as_ptr(),
                    offsets,
                    (weights.as_ptr(), width),
                    &finish,
                    rows[0],
                );
            }
        }
    }
}
