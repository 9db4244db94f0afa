//! The products: forward passes and gradients of the input.
//!
//! Tiles are worked on in chunks that stay in the last cache: first all tiles of a chunk are evaluated, then each task multiplies
//! some of them with one panel of weights and interpolates.

use super::points::{Evaluate, Interpolate, POINTS, SIDE};
use super::suits;
use super::tiles::Tiles;
use crate::cpu::kernels::Clamp;
use crate::cpu::kernels::activation::{self, Activation};
use crate::cpu::kernels::conv::ConvShape;
use crate::cpu::kernels::conv::weights::PackedWeights;
use crate::cpu::kernels::micro::{LINE, Microkernels, with_microkernels};
use crate::cpu::kernels::scratch::{Workspace, with_shared_scratch, with_workspace};
use crate::cpu::pool::SharedPointer;
use crate::cpu::{Isa, Machine};

/// Evaluated tiles of a chunk take at most so many floats.
const CHUNK: usize = 1 << 19;
/// Tiles that a task multiplies with a panel.
const TASK_TILES: usize = 56;
/// Floats of evaluated tiles that stay in a second-level cache, beside their products with one panel.
const RESIDENT: usize = 160 << 10;
/// Tiles of a block that stays there, at most.
const BLOCK_TILES: usize = 28;

/// `output = curve(clamp(convolution(input) + bias + residual))`; the caller checks sizes and weights. The residual may be the output.
pub(in super::super) fn convolve(
    machine: &Machine,
    shape: &ConvShape,
    input: &[f32],
    weights: &PackedWeights,
    (bias, residual): (Option<&[f32]>, Option<*const f32>),
    (clamp, curve): (Clamp, Option<Activation>),
    output: &mut [f32],
) {
    assert!(suits(shape), "Winograd's algorithm does not suit {shape:?}");
    let pass = Pass {
        shape,
        tiles: Tiles::new(shape),
        input,
        panels: weights.panels(),
        bias,
        residual,
        clamp,
        curve,
        output: SharedPointer(output.as_mut_ptr()),
        stride: shape.in_channels + LINE,
    };
    with_microkernels!(machine.isa, Kernels => pass.run::<Kernels>(machine));
}

struct Pass<'a> {
    shape: &'a ConvShape,
    tiles: Tiles<'a>,
    input: &'a [f32],
    panels: &'a [f32],
    bias: Option<&'a [f32]>,
    residual: Option<*const f32>,
    clamp: Clamp,
    curve: Option<Activation>,
    output: SharedPointer<f32>,
    /// Floats from one evaluated tile to the next; not a power of two, so that a cache holds rows of several tiles.
    stride: usize,
}

// SAFETY: the residual is only read, by the task that writes the same element of the output.
unsafe impl Sync for Pass<'_> {}

impl Pass<'_> {
    fn run<K: Microkernels>(&self, machine: &Machine) {
        let resident = (RESIDENT / (POINTS * self.stride)).min(BLOCK_TILES) / K::ROWS * K::ROWS;
        match resident {
            0 => self.run_by_chunks::<K>(machine),
            block => self.run_by_blocks::<K>(machine, block),
        }
    }

    fn panels<K: Microkernels>(&self) -> usize {
        self.shape.out_channels.div_ceil(K::COLUMNS)
    }

    /// Few channels: each task evaluates a block of tiles for itself and multiplies them with all panels.
    fn run_by_blocks<K: Microkernels>(&self, machine: &Machine, block: usize) {
        let total = self.tiles.count();
        machine.pool.for_each(total.div_ceil(block), |task| {
            let tiles = task * block..(task * block + block).min(total);
            with_shared_scratch(|scratch| {
                let evaluated = scratch.floats(POINTS * block * self.stride).as_mut_ptr();
                // SAFETY: the machine has the instruction set; the memory is the task's, and so are its tiles' pixels.
                unsafe {
                    for (index, tile) in tiles.clone().enumerate() {
                        self.evaluate::<K>(tile, evaluated.add(index * self.stride), block);
                    }
                    for panel in 0..self.panels::<K>() {
                        self.multiply::<K>(machine.isa, panel, evaluated, block, tiles.clone());
                    }
                }
            });
        });
    }

    /// Many channels: chunks of tiles are evaluated by all tasks, then multiplied, panel by panel.
    fn run_by_chunks<K: Microkernels>(&self, machine: &Machine) {
        let total = self.tiles.count();
        let each = (CHUNK / (POINTS * self.stride)).next_multiple_of(TASK_TILES).min(total);
        let panels = self.panels::<K>();
        with_shared_scratch(|scratch| {
            let evaluated = SharedPointer(scratch.floats(POINTS * each * self.stride).as_mut_ptr());
            for first in (0..total).step_by(each) {
                let count = each.min(total - first);
                machine.pool.for_each(count, |tile| {
                    // SAFETY: the machine has the instruction set; each task writes one tile's places.
                    unsafe {
                        self.evaluate::<K>(first + tile, evaluated.get().add(tile * self.stride), each)
                    };
                });
                let blocks = count.div_ceil(TASK_TILES);
                let block = count.div_ceil(blocks);
                machine.pool.for_each(panels * blocks, |task| {
                    let (panel, start) = (task / blocks, task % blocks * block);
                    let end = (start + block).min(count);
                    // SAFETY: the machine has the instruction set; the tiles were just evaluated, and nobody else interpolates
                    // these channels of them.
                    unsafe {
                        let from = evaluated.get().add(start * self.stride);
                        self.multiply::<K>(machine.isa, panel, from, each, first + start..first + end);
                    }
                });
            }
        });
    }

    /// Evaluates a tile of the source; point `p` goes to `to + p · tiles · stride`.
    ///
    /// # Safety
    /// The processor has the instruction set, and those places are the caller's to write.
    unsafe fn evaluate<K: Microkernels>(&self, tile: usize, to: *mut f32, tiles: usize) {
        let channels = self.shape.in_channels;
        let pixels = self.tiles.source(tile, self.input);
        let strides = [tiles * self.stride, 0];
        // SAFETY: pixels have `in_channels` floats, the places are the caller's promise.
        unsafe {
            K::run(Evaluate { pixels: &pixels, channels, group: channels, width: channels, to, strides })
        };
    }

    /// Multiplies evaluated tiles with a panel and interpolates the result.
    ///
    /// # Safety
    /// The processor has the instruction set, the tiles are evaluated, and their pixels and the panel's channels are the caller's.
    unsafe fn multiply<K: Microkernels>(
        &self,
        isa: Isa,
        panel: usize,
        evaluated: *const f32,
        tiles: usize,
        range: std::ops::Range<usize>,
    ) {
        let (depth, first) = (self.shape.in_channels, panel * K::COLUMNS);
        let width = K::panel_width(first, self.shape.out_channels);
        let weights = &self.panels[first * depth * POINTS..][..depth * POINTS * width];
        let count = range.len();
        with_workspace(|workspace| {
            let Workspace { pointers, offsets, packed, .. } = workspace;
            let padded = count.next_multiple_of(K::ROWS);
            let products = packed.floats(POINTS * padded * width).as_mut_ptr();
            for point in 0..POINTS {
                for start in (0..count).step_by(K::ROWS) {
                    let rows = K::ROWS.min(count - start);
                    pointers.clear();
                    // SAFETY: tiles were evaluated at every point.
                    pointers.extend((start..start + K::ROWS).map(|tile| unsafe {
                        evaluated.add((point * tiles + tile.min(count - 1)) * self.stride)
                    }));
                    let ahead = weights.as_ptr().wrapping_add((point + 1) * depth * width);
                    // SAFETY: rows have `depth` floats, the panel as many lines, and the products room for whole tiles.
                    unsafe {
                        let into = products.add((point * padded + start) * width);
                        let panel = weights.as_ptr().add(point * depth * width);
                        K::multiply((1, depth), pointers.as_ptr(), rows, panel, width, into, ahead);
                    }
                }
            }
            for (index, tile) in range.enumerate() {
                // SAFETY: the products of this tile at every point; its pixels and channels are this task's.
                unsafe {
                    let from = products.add(index * width);
                    self.interpolate::<K>(isa, tile, from, padded * width, first, width, offsets);
                }
            }
        });
    }

    /// Interpolates one tile's channels from `first` on, and writes those of its pixels that are in the image.
    ///
    /// # Safety
    /// The processor has the instruction set, the products are there, and those pixels and channels are the caller's to write.
    #[expect(clippy::too_many_arguments, reason = "a kernel's places and sizes")]
    unsafe fn interpolate<K: Microkernels>(
        &self,
        isa: Isa,
        tile: usize,
        products: *const f32,
        stride: usize,
        first: usize,
        width: usize,
        offsets: &mut Vec<usize>,
    ) {
        let (image, y, x) = self.tiles.place(tile);
        let (height, width_of_map, channels) =
            (self.shape.out_height(), self.shape.out_width(), self.shape.out_channels);
        let [down, across] = self.shape.dilation;
        let rows = SIDE.min((height - y).div_ceil(down));
        let columns = SIDE.min((width_of_map - x).div_ceil(across));
        let places: [usize; SIDE] = std::array::from_fn(|row| {
            ((image * height + (y + row * down).min(height - 1)) * width_of_map + x) * channels
        });
        let used = width.min(channels - first);
        let null = std::ptr::null();
        // SAFETY: `first` is a channel of every pixel; bias and residual are as large as their checks say.
        unsafe {
            let output = self.output.get().add(first);
            K::run(Interpolate {
                products,
                stride,
                places: &places[..rows],
                columns,
                pixel: across * channels,
                channels: used,
                bias: self.bias.map_or(null, |bias| bias[first..].as_ptr()),
                residual: self.residual.map_or(null, |residual| residual.add(first)),
                clamp: self.clamp,
                output,
            });
            if let Some(curve) = self.curve {
                offsets.clear();
                offsets.extend(
                    places[..rows]
                        .iter()
                        .flat_map(|place| (0..columns).map(move |at| place + at * across * channels)),
                );
                activation::bend(isa, curve, output, offsets, used);
            }
        }
    }
}
