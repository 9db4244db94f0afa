//! The gradient of the weights.
//!
//! The gradient of a kernel's value at a pair of points is a sum over tiles of outer products: output gradient at these points ×
//! input at these points. Tiles are worked on in chunks that stay in the last cache: first all tiles of a chunk are evaluated, in
//! the order in which the products read them, then each task sums one pair of points for some of the channels. In the end the
//! kernels' gradients are gathered from all pairs of points.

use super::points::{Evaluate, GatherKernels, POINTS};
use super::suits;
use super::tiles::Tiles;
use crate::cpu::Machine;
use crate::cpu::kernels::accumulate::Accumulate;
use crate::cpu::kernels::conv::ConvShape;
use crate::cpu::kernels::conv::backward_weights::write_by_channel;
use crate::cpu::kernels::micro::{Ahead, LINE, Microkernels, Outer, with_microkernels};
use crate::cpu::kernels::scratch::{Scratch, with_shared_scratch, with_workspace};
use crate::cpu::pool::SharedPointer;

/// With fewer tiles, gathering the kernels' gradients costs more than is saved.
const LEAST_TILES: usize = 48;
/// Evaluated tiles of a chunk take about so many floats, input and gradient together.
const CHUNK: usize = 1 << 19;
/// Tiles of a chunk at least, so that sums do not come and go too often.
const LEAST_CHUNK: usize = 128;
/// Panels of a task, which stay in the second-level cache while strips pass by.
const TASK_PANELS: usize = 4;
/// Positions of the kernel.
const TAPS: usize = 9;

/// Whether the algorithm applies, and pays.
pub(in super::super) fn pays(shape: &ConvShape) -> bool {
    suits(shape) && Tiles::new(shape).count() >= LEAST_TILES
}

/// The gradient of the weights, `[out, in, 3, 3]`; the caller checks sizes.
pub(in super::super) fn backward_weights(
    machine: &Machine,
    shape: &ConvShape,
    [input, output_gradient]: [&[f32]; 2],
    weight_gradient: &mut [f32],
    accumulate: Accumulate,
    scratch: &mut Scratch,
) {
    assert!(suits(shape), "Winograd's algorithm does not suit {shape:?}");
    with_microkernels!(machine.isa, Kernels => {
        let sums = Sums::new::<Kernels>(shape, input, output_gradient);
        let points = scratch.floats(sums.strips * sums.panels * sums.block::<Kernels>());
        sums.compute::<Kernels>(machine, points);
        sums.gather::<Kernels>(machine, points, weight_gradient, accumulate);
    });
}

/// How a gradient is cut. A *panel* is two registers of input channels, a *strip* a tile's worth of output channels. Evaluated
/// tiles are `[strip][point][tile][LEFT]` and `[panel][point][tile][COLUMNS]`, sums `[strip][panel][point][ROWS][COLUMNS]`.
struct Sums<'a> {
    shape: &'a ConvShape,
    input: &'a [f32],
    output_gradient: &'a [f32],
    tiles: Tiles<'a>,
    strips: usize,
    strip_rows: usize,
    panels: usize,
    /// Tiles of a chunk.
    each: usize,
}

impl<'a> Sums<'a> {
    fn new<K: Microkernels>(shape: &'a ConvShape, input: &'a [f32], output_gradient: &'a [f32]) -> Self {
        let strips = shape.out_channels.div_ceil(K::ROWS);
        let panels = shape.in_channels.div_ceil(K::COLUMNS);
        let tiles = Tiles::new(shape);
        let floats = POINTS * (strips * K::LEFT + panels * K::COLUMNS);
        // Chunks of equal size, rather than full ones and a small rest.
        let chunks = tiles.count().div_ceil((CHUNK / floats).max(LEAST_CHUNK)).max(1);
        let each = tiles.count().div_ceil(chunks);
        let strip_rows = shape.out_channels.div_ceil(strips);
        Self { shape, input, output_gradient, tiles, strips, strip_rows, panels, each }
    }

    /// Sums of a strip and a panel at all points.
    fn block<K: Microkernels>(&self) -> usize {
        POINTS * K::ROWS * K::COLUMNS
    }

    /// Floats from one point of a strip's evaluated tiles to the next; not a power of two, for the caches' sake.
    fn left<K: Microkernels>(&self) -> usize {
        self.each * K::LEFT + LINE
    }

    /// The same for a panel's.
    fn right<K: Microkernels>(&self) -> usize {
        self.each * K::COLUMNS + LINE
    }

    fn compute<K: Microkernels>(&self, machine: &Machine, points: &mut [f32]) {
        let points = SharedPointer(points.as_mut_ptr());
        let blocks = self.panels.div_ceil(TASK_PANELS);
        with_shared_scratch(|scratch| {
            let left = POINTS * self.strips * self.left::<K>();
            let evaluated = scratch.floats(left + POINTS * self.panels * self.right::<K>());
            let (left, right) = evaluated.split_at_mut(left);
            let evaluated = [left, right].map(|side| SharedPointer(side.as_mut_ptr()));
            for first in (0..self.tiles.count()).step_by(self.each.max(1)) {
                let count = self.each.min(self.tiles.count() - first);
                let [left, right] = &evaluated;
                machine.pool.for_each(count, |tile| {
                    // SAFETY: the machine has the instruction set; each task writes one tile's places.
                    unsafe { self.evaluate::<K>(first + tile, tile, [left.get(), right.get()]) };
                });
                machine.pool.for_each(POINTS * blocks, |task| {
                    let (point, panel) = (task / blocks, task % blocks * TASK_PANELS);
                    let panels = panel..(panel + TASK_PANELS).min(self.panels);
                    for strip in 0..self.strips {
                        for panel in panels.clone() {
                            let place = [strip, panel, point];
                            // SAFETY: the machine has the instruction set, the tiles were just evaluated, and each task has its
                            // points and panels.
                            unsafe {
                                let sums = points.get();
                                self.add::<K>(place, count, [left.get(), right.get()], sums, first > 0);
                            }
                        }
                    }
                });
            }
        });
    }

    /// Evaluates a tile of the gradient and of the input, to the place `at` of the chunk's.
    ///
    /// # Safety
    /// The processor has the instruction set, `left` and `right` have room for a chunk, and the tile's places are the caller's.
    unsafe fn evaluate<K: Microkernels>(&self, tile: usize, at: usize, [left, right]: [*mut f32; 2]) {
        let gradient = self.tiles.result(tile, self.output_gradient);
        let input = self.tiles.source(tile, self.input);
        // SAFETY: pixels have as many channels as their convolution says, the rest is the caller's promise.
        unsafe {
            K::run(Evaluate {
                pixels: &gradient,
                channels: self.shape.out_channels,
                group: self.strip_rows,
                width: K::LEFT,
                to: left.add(at * K::LEFT),
                strides: [self.left::<K>(), POINTS * self.left::<K>()],
            });
            K::run(Evaluate {
                pixels: &input,
                channels: self.shape.in_channels,
                group: K::COLUMNS,
                width: K::COLUMNS,
                to: right.add(at * K::COLUMNS),
                strides: [self.right::<K>(), POINTS * self.right::<K>()],
            });
        }
    }

    /// Adds the outer products of `count` tiles to the sums at one place, or begins them.
    ///
    /// # Safety
    /// The processor has the instruction set, so many tiles are evaluated, and the sums of that place are the caller's.
    unsafe fn add<K: Microkernels>(
        &self,
        [strip, panel, point]: [usize; 3],
        count: usize,
        [left, right]: [*const f32; 2],
        sums: *mut f32,
        add: bool,
    ) {
        let rows = self.strip_rows.min(self.shape.out_channels - strip * self.strip_rows);
        // SAFETY: the caller's promises.
        unsafe {
            let left = left.add((strip * POINTS + point) * self.left::<K>());
            let right = right.add((panel * POINTS + point) * self.right::<K>());
            let next = Ahead { next: left.wrapping_add(POINTS * self.left::<K>()), stride: K::LEFT };
            let operands = Outer {
                pixels: count,
                left,
                left_stride: K::LEFT,
                right,
                ahead: [next, Ahead { next: right, stride: 0 }],
            };
            let block = sums.add((strip * self.panels + panel) * self.block::<K>());
            K::outer(&operands, rows, K::COLUMNS, block.add(point * K::ROWS * K::COLUMNS), add);
        }
    }

    /// Gathers the kernels' gradients and writes the published layout.
    fn gather<K: Microkernels>(
        &self,
        machine: &Machine,
        points: &[f32],
        weight_gradient: &mut [f32],
        accumulate: Accumulate,
    ) {
        let channels = self.shape.in_channels;
        machine.pool.for_each_chunk(weight_gradient, self.strip_rows * channels * TAPS, |strip, gradient| {
            let blocks =
                &points[strip * self.panels * self.block::<K>()..][..self.panels * self.block::<K>()];
            with_workspace(|workspace| {
                let taps = workspace.rows.floats(self.strip_rows * TAPS * channels);
                for (panel, block) in blocks.chunks_exact(self.block::<K>()).enumerate() {
                    let first = panel * K::COLUMNS;
                    for (row, taps) in taps.chunks_exact_mut(TAPS * channels).enumerate() {
                        // SAFETY: the machine has the instruction set; rows of a block and of the taps have so many channels.
                        unsafe {
                            K::run(GatherKernels {
                                points: block.as_ptr().add(row * K::COLUMNS),
                                strides: [K::ROWS * K::COLUMNS, channels],
                                channels: K::COLUMNS.min(channels - first),
                                taps: taps.as_mut_ptr().add(first),
                            });
                        }
                    }
                }
                let rows = gradient.as_chunks_mut::<TAPS>().0.chunks_exact_mut(channels);
                for (taps, row) in taps.chunks_exact(TAPS * channels).zip(rows) {
                    write_by_channel(taps, row, accumulate);
                }
            });
        });
    }
}
