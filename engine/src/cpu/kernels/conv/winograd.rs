//! 3 × 3 convolutions with a quarter of the multiplications: Winograd's F(4 × 4, 3 × 3) (Lavin and Gray 2015, arXiv:1509.09308).
//!
//! A tile of 6 × 6 source pixels and the kernel are both evaluated at 36 pairs of points, multiplied there, and a tile of 4 × 4
//! result pixels is interpolated. Summing over channels happens between, as 36 matrix products. The points are 0, ±3/4, ±3/2 and ∞
//! instead of the usual 0, ±1, ±2 and ∞: every constant is exact in binary, and the largest error is a quarter.
//!
//! Tiles are worked on in chunks that stay in the last cache: first all tiles of a chunk are evaluated, then each task multiplies
//! some of them with one panel of weights and interpolates.

#![expect(
    clippy::needless_range_loop,
    reason = "counted loops over constant bounds unroll; iterators are not certain to"
)]

use super::ConvShape;
use super::weights::PackedWeights;
use crate::cpu::kernels::Clamp;
use crate::cpu::kernels::activation::{self, Activation};
use crate::cpu::kernels::micro::{LINE, Loop, Microkernels, Vector, with_microkernels};
use crate::cpu::kernels::scratch::{Workspace, with_shared_scratch, with_workspace};
use crate::cpu::pool::SharedPointer;
use crate::cpu::{Isa, Machine};

/// Pairs of points.
pub(super) const POINTS: usize = 36;
/// Points of one axis.
const AXIS: usize = 6;
/// Result pixels of a tile's side.
const SIDE: usize = 4;

/// The finite points beside 0 are ±NEAR and ±FAR.
const NEAR: f32 = 0.75;
const FAR: f32 = 1.5;
const NEAR_2: f32 = NEAR * NEAR;
const FAR_2: f32 = FAR * FAR;

/// Images with fewer result pixels on a side waste too much of the last tiles.
const LEAST_SIDE: usize = 12;
/// With fewer channels, evaluating and interpolating cost more than is saved.
const LEAST_CHANNELS: usize = 32;
/// Channels come in whole registers of every instruction set.
const CHANNEL_STEP: usize = 16;

/// Evaluated tiles of a chunk take at most so many floats.
const CHUNK: usize = 3 << 20;
/// Tiles that a task multiplies with a panel.
const TASK_TILES: usize = 56;

/// Whether the algorithm applies, and pays.
pub fn suits(shape: &ConvShape) -> bool {
    let channels = |count: usize| count >= LEAST_CHANNELS && count.is_multiple_of(CHANNEL_STEP);
    shape.kernel == [3, 3]
        && shape.stride == [1, 1]
        && shape.dilation == [1, 1]
        && channels(shape.in_channels)
        && channels(shape.out_channels)
        && shape.out_height() >= LEAST_SIDE
        && shape.out_width() >= LEAST_SIDE
}

/// The convolution of the output's gradient that gives the input's, with kernels turned around; if the algorithm applies, and pays.
pub fn transposed(shape: &ConvShape) -> Option<ConvShape> {
    let padding = shape.padding.map(|padding| 2usize.checked_sub(padding));
    let [Some(top), Some(bottom), Some(left), Some(right)] = padding else { return None };
    let transposed = ConvShape {
        height: shape.out_height(),
        width: shape.out_width(),
        in_channels: shape.out_channels,
        out_channels: shape.in_channels,
        padding: [top, bottom, left, right],
        ..*shape
    };
    (shape.stride == [1, 1] && suits(&transposed)).then_some(transposed)
}

/// Kernels that are evaluated side by side.
pub(super) const KERNELS: usize = 8;

/// Kernels, `[3 · 3][kernel]`, at all pairs of points.
pub(super) fn evaluate_kernels(kernels: &[[f32; KERNELS]; 9]) -> [[f32; KERNELS]; POINTS] {
    let mut columns = [[[0.0; KERNELS]; 3]; AXIS];
    for x in 0..3 {
        let points = kernel_at_points([kernels[x], kernels[3 + x], kernels[6 + x]]);
        for y in 0..AXIS {
            columns[y][x] = points[y];
        }
    }
    let mut points = [[0.0; KERNELS]; POINTS];
    for (row, points) in columns.into_iter().zip(points.as_chunks_mut::<AXIS>().0) {
        *points = kernel_at_points(row);
    }
    points
}

/// One axis of kernels at all points.
fn kernel_at_points([x, y, z]: [[f32; KERNELS]; 3]) -> [[f32; KERNELS]; AXIS] {
    let near = 1.0 / (2.0 * NEAR_2 * (NEAR_2 - FAR_2));
    let far = 1.0 / (2.0 * FAR_2 * (FAR_2 - NEAR_2));
    let mut points = [[0.0; KERNELS]; AXIS];
    for lane in 0..KERNELS {
        let (x, y, z) = (x[lane], y[lane], z[lane]);
        points[0][lane] = x * (1.0 / (NEAR_2 * FAR_2));
        points[1][lane] = (x + NEAR * y + NEAR_2 * z) * near;
        points[2][lane] = (x - NEAR * y + NEAR_2 * z) * near;
        points[3][lane] = (x + FAR * y + FAR_2 * z) * far;
        points[4][lane] = (x - FAR * y + FAR_2 * z) * far;
        points[5][lane] = z;
    }
    points
}

/// `output = curve(clamp(convolution(input) + bias + residual))`; the caller checks sizes and weights. The residual may be the output.
pub(super) fn convolve(
    machine: &Machine,
    shape: &ConvShape,
    input: &[f32],
    weights: &PackedWeights,
    (bias, residual): (Option<&[f32]>, Option<*const f32>),
    (clamp, curve): (Clamp, Option<Activation>),
    output: &mut [f32],
) {
    assert!(suits(shape), "Winograd's algorithm does not suit {shape:?}");
    let [rows, columns] = [shape.out_height(), shape.out_width()].map(|size| size.div_ceil(SIDE));
    let pass = Pass {
        shape,
        tiles: [rows, columns],
        input,
        panels: weights.panels(),
        bias,
        residual,
        clamp,
        curve,
        output: SharedPointer(output.as_mut_ptr()),
        zeros: vec![0.0; shape.in_channels],
        stride: shape.in_channels + LINE,
    };
    with_microkernels!(machine.isa, Kernels => pass.run::<Kernels>(machine));
}

struct Pass<'a> {
    shape: &'a ConvShape,
    /// Rows and columns of tiles in an image.
    tiles: [usize; 2],
    input: &'a [f32],
    panels: &'a [f32],
    bias: Option<&'a [f32]>,
    residual: Option<*const f32>,
    clamp: Clamp,
    curve: Option<Activation>,
    output: SharedPointer<f32>,
    /// A pixel of the padding.
    zeros: Vec<f32>,
    /// Floats from one evaluated tile to the next; not a power of two, so that a cache holds rows of several tiles.
    stride: usize,
}

// SAFETY: the residual is only read, by the task that writes the same element of the output.
unsafe impl Sync for Pass<'_> {}

impl Pass<'_> {
    fn run<K: Microkernels>(&self, machine: &Machine) {
        let total = self.shape.batch * self.tiles[0] * self.tiles[1];
        let each = (CHUNK / (POINTS * self.stride)).next_multiple_of(TASK_TILES).min(total);
        let panels = self.shape.out_channels.div_ceil(K::COLUMNS);
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

    /// Image, and the first row and column of a tile's result pixels.
    fn place(&self, tile: usize) -> (usize, usize, usize) {
        let [rows, columns] = self.tiles;
        (tile / (rows * columns), tile / columns % rows * SIDE, tile % columns * SIDE)
    }

    /// Evaluates a tile of the source; point `p` goes to `to + p · tiles · stride`.
    ///
    /// # Safety
    /// The processor has the instruction set, and those places are the caller's to write.
    unsafe fn evaluate<K: Microkernels>(&self, tile: usize, to: *mut f32, tiles: usize) {
        let (image, y, x) = self.place(tile);
        let ConvShape { height, width, in_channels, padding: [top, _, left, _], .. } = *self.shape;
        let pixels: [*const f32; POINTS] = std::array::from_fn(|place| {
            let row = (y + place / AXIS).wrapping_sub(top);
            let column = (x + place % AXIS).wrapping_sub(left);
            match row < height && column < width {
                true => self.input[((image * height + row) * width + column) * in_channels..].as_ptr(),
                false => self.zeros.as_ptr(),
            }
        });
        let stride = tiles * self.stride;
        // SAFETY: pixels have `in_channels` floats, the places are the caller's promise.
        unsafe { K::run(Evaluate { pixels: &pixels, channels: in_channels, to, stride }) };
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
        let (image, y, x) = self.place(tile);
        let (height, columns, channels) =
            (self.shape.out_height(), self.shape.out_width(), self.shape.out_channels);
        let rows = SIDE.min(height - y);
        let places: [usize; SIDE] = std::array::from_fn(|row| {
            ((image * height + (y + row).min(height - 1)) * columns + x) * channels
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
                columns: SIDE.min(columns - x),
                pixel: channels,
                channels: used,
                bias: self.bias.map_or(null, |bias| bias[first..].as_ptr()),
                residual: self.residual.map_or(null, |residual| residual.add(first)),
                clamp: self.clamp,
                output,
            });
            if let Some(curve) = self.curve {
                let pixels = SIDE.min(columns - x);
                offsets.clear();
                offsets.extend(
                    places[..rows].iter().flat_map(|place| (0..pixels).map(move |at| place + at * channels)),
                );
                activation::bend(isa, curve, output, offsets, used);
            }
        }
    }
}

/// One axis of a tile at all points.
///
/// # Safety
/// As for [`Vector`].
#[inline(always)]
unsafe fn at_points<V: Vector>(d: [V; AXIS]) -> [V; AXIS] {
    // SAFETY: as for `Vector`.
    unsafe {
        let times = |value: V, factor: f32, sum: V| sum.add_product(value, V::splat(factor));
        let (sum, product) = (NEAR_2 + FAR_2, NEAR_2 * FAR_2);
        let (near_even, near_odd) = (times(d[2], -FAR_2, d[4]), times(d[1], -FAR_2, d[3]));
        let (far_even, far_odd) = (times(d[2], -NEAR_2, d[4]), times(d[1], -NEAR_2, d[3]));
        [
            times(d[0], product, times(d[2], -sum, d[4])),
            times(near_odd, NEAR, near_even),
            times(near_odd, -NEAR, near_even),
            times(far_odd, FAR, far_even),
            times(far_odd, -FAR, far_even),
            times(d[1], product, times(d[3], -sum, d[5])),
        ]
    }
}

/// One axis of a result from its values at all points.
///
/// # Safety
/// As for [`Vector`].
#[inline(always)]
unsafe fn from_points<V: Vector>(m: [V; AXIS]) -> [V; SIDE] {
    // SAFETY: as for `Vector`.
    unsafe {
        let times = |value: V, factor: f32, sum: V| sum.add_product(value, V::splat(factor));
        let zero = V::splat(0.0);
        let (near_sum, near_rest) = (m[1].add(m[2]), times(m[2], -1.0, m[1]));
        let (far_sum, far_rest) = (m[3].add(m[4]), times(m[4], -1.0, m[3]));
        [
            m[0].add(near_sum).add(far_sum),
            times(near_rest, NEAR, times(far_rest, FAR, zero)),
            times(near_sum, NEAR_2, times(far_sum, FAR_2, zero)),
            times(near_rest, NEAR * NEAR_2, times(far_rest, FAR * FAR_2, m[5])),
        ]
    }
}

/// Evaluates a tile, register by register of channels.
struct Evaluate<'a> {
    pixels: &'a [*const f32; POINTS],
    channels: usize,
    to: *mut f32,
    stride: usize,
}

impl Loop for Evaluate<'_> {
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        // SAFETY: the caller's promises.
        unsafe {
            let mut channel = 0;
            while channel < self.channels {
                let mut columns = [[V::splat(0.0); AXIS]; AXIS];
                for x in 0..AXIS {
                    let mut column = [V::splat(0.0); AXIS];
                    for y in 0..AXIS {
                        column[y] = V::load(self.pixels[y * AXIS + x].add(channel));
                    }
                    columns[x] = at_points(column);
                }
                for y in 0..AXIS {
                    let mut row = [V::splat(0.0); AXIS];
                    for x in 0..AXIS {
                        row[x] = columns[x][y];
                    }
                    let points = at_points(row);
                    for x in 0..AXIS {
                        points[x].store(self.to.add((y * AXIS + x) * self.stride + channel));
                    }
                }
                channel += V::LANES;
            }
        }
    }
}

/// Interpolates a tile, register by register of channels, and finishes it.
struct Interpolate<'a> {
    products: *const f32,
    /// Floats from point to point.
    stride: usize,
    /// Where each row of result pixels begins.
    places: &'a [usize],
    /// Result pixels in a row.
    columns: usize,
    /// Floats from pixel to pixel.
    pixel: usize,
    channels: usize,
    bias: *const f32,
    residual: *const f32,
    clamp: Clamp,
    output: *mut f32,
}

impl Loop for Interpolate<'_> {
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        // SAFETY: the caller's promises.
        unsafe {
            let (low, high) = self.clamp.limits();
            let (low, high) = (V::splat(low), V::splat(high));
            let mut channel = 0;
            while channel < self.channels {
                let bias = if self.bias.is_null() { V::splat(0.0) } else { V::load(self.bias.add(channel)) };
                let mut columns = [[V::splat(0.0); SIDE]; AXIS];
                for x in 0..AXIS {
                    let mut column = [V::splat(0.0); AXIS];
                    for y in 0..AXIS {
                        column[y] = V::load(self.products.add((y * AXIS + x) * self.stride + channel));
                    }
                    columns[x] = from_points(column);
                }
                for (y, &place) in self.places.iter().enumerate() {
                    let mut row = [V::splat(0.0); AXIS];
                    for x in 0..AXIS {
                        row[x] = columns[x][y];
                    }
                    let pixels = from_points(row);
                    for (x, &value) in pixels.iter().enumerate().take(self.columns) {
                        let at = place + x * self.pixel + channel;
                        let mut value = value.add(bias);
                        if !self.residual.is_null() {
                            value = value.add(V::load(self.residual.add(at)));
                        }
                        value.clamp(low, high).store(self.output.add(at));
                    }
                }
                channel += V::LANES;
            }
        }
    }
}
