//! Tiles and kernels at all pairs of points, and back.
//!
//! The points are 0, ±3/4, ±3/2 and ∞ instead of the usual 0, ±1, ±2 and ∞: every constant is exact in binary, and the largest error
//! is a quarter. Everything is done axis by axis. Each function for one axis stands beside its transpose, which gradients need.

#![expect(
    clippy::needless_range_loop,
    reason = "counted loops over constant bounds unroll; iterators are not certain to"
)]

use super::tiles::Pixels;
use crate::cpu::kernels::Clamp;
use crate::cpu::kernels::micro::{Loop, Vector};

/// Pairs of points.
pub(in super::super) const POINTS: usize = 36;
/// Points of one axis, and source pixels of a tile's side.
pub(super) const AXIS: usize = 6;
/// Result pixels of a tile's side.
pub(super) const SIDE: usize = 4;

/// The finite points beside 0 are ±NEAR and ±FAR.
const NEAR: f32 = 0.75;
const FAR: f32 = 1.5;
const NEAR_2: f32 = NEAR * NEAR;
const FAR_2: f32 = FAR * FAR;

/// What a kernel's values at 0, ±NEAR and ±FAR are multiplied by, so that nothing is left to divide by afterwards.
const AT_ZERO: f32 = 1.0 / (NEAR_2 * FAR_2);
const AT_NEAR: f32 = 1.0 / (2.0 * NEAR_2 * (NEAR_2 - FAR_2));
const AT_FAR: f32 = 1.0 / (2.0 * FAR_2 * (FAR_2 - NEAR_2));

/// Kernels that are evaluated side by side.
pub(in super::super) const KERNELS: usize = 8;

/// Kernels, `[3 · 3][kernel]`, at all pairs of points.
pub(in super::super) fn evaluate_kernels(kernels: &[[f32; KERNELS]; 9]) -> [[f32; KERNELS]; POINTS] {
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
    let mut points = [[0.0; KERNELS]; AXIS];
    for lane in 0..KERNELS {
        let (x, y, z) = (x[lane], y[lane], z[lane]);
        points[0][lane] = x * AT_ZERO;
        points[1][lane] = (x + NEAR * y + NEAR_2 * z) * AT_NEAR;
        points[2][lane] = (x - NEAR * y + NEAR_2 * z) * AT_NEAR;
        points[3][lane] = (x + FAR * y + FAR_2 * z) * AT_FAR;
        points[4][lane] = (x - FAR * y + FAR_2 * z) * AT_FAR;
        points[5][lane] = z;
    }
    points
}

/// A transform of one axis.
///
/// A type and not a closure, for the reason that [`Loop`] gives.
trait Axis<const FROM: usize, const TO: usize> {
    /// # Safety
    /// As for [`Vector`].
    unsafe fn apply<V: Vector>(values: [V; FROM]) -> [V; TO];
}

/// A source tile at all points.
struct SourceAtPoints;

impl Axis<AXIS, AXIS> for SourceAtPoints {
    #[inline(always)]
    unsafe fn apply<V: Vector>(d: [V; AXIS]) -> [V; AXIS] {
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
}

/// A result tile from its values at all points.
struct ResultFromPoints;

impl Axis<AXIS, SIDE> for ResultFromPoints {
    #[inline(always)]
    unsafe fn apply<V: Vector>(m: [V; AXIS]) -> [V; SIDE] {
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
}

/// The transpose of [`ResultFromPoints`]: a result's gradient at all points.
struct ResultAtPoints;

impl Axis<SIDE, AXIS> for ResultAtPoints {
    #[inline(always)]
    unsafe fn apply<V: Vector>(g: [V; SIDE]) -> [V; AXIS] {
        // SAFETY: as for `Vector`.
        unsafe {
            let times = |value: V, factor: f32, sum: V| sum.add_product(value, V::splat(factor));
            let zero = V::splat(0.0);
            let (near_even, far_even) = (times(g[2], NEAR_2, g[0]), times(g[2], FAR_2, g[0]));
            let near_odd = times(g[3], NEAR * NEAR_2, times(g[1], NEAR, zero));
            let far_odd = times(g[3], FAR * FAR_2, times(g[1], FAR, zero));
            [
                g[0],
                near_even.add(near_odd),
                times(near_odd, -1.0, near_even),
                far_even.add(far_odd),
                times(far_odd, -1.0, far_even),
                g[3],
            ]
        }
    }
}

/// The transpose of [`kernel_at_points`]: a kernel's gradient from that of its values at all points.
struct KernelFromPoints;

impl Axis<AXIS, 3> for KernelFromPoints {
    #[inline(always)]
    unsafe fn apply<V: Vector>(m: [V; AXIS]) -> [V; 3] {
        // SAFETY: as for `Vector`.
        unsafe {
            let times = |value: V, factor: f32, sum: V| sum.add_product(value, V::splat(factor));
            let zero = V::splat(0.0);
            let (near_sum, near_rest) = (m[1].add(m[2]), times(m[2], -1.0, m[1]));
            let (far_sum, far_rest) = (m[3].add(m[4]), times(m[4], -1.0, m[3]));
            [
                times(m[0], AT_ZERO, times(near_sum, AT_NEAR, times(far_sum, AT_FAR, zero))),
                times(near_rest, NEAR * AT_NEAR, times(far_rest, FAR * AT_FAR, zero)),
                times(near_sum, NEAR_2 * AT_NEAR, times(far_sum, FAR_2 * AT_FAR, m[5])),
            ]
        }
    }
}

/// Transforms the columns of a square and then its rows, which are handed on as they come.
///
/// # Safety
/// As for [`Vector`].
#[inline(always)]
unsafe fn both_axes<V: Vector, A: Axis<FROM, TO>, const FROM: usize, const TO: usize>(
    load: impl Fn(usize, usize) -> V,
    keep: impl Fn(usize, [V; TO]),
) {
    // SAFETY: as for `Vector`.
    let zero = unsafe { V::splat(0.0) };
    let mut columns = [[zero; TO]; FROM];
    for x in 0..FROM {
        let mut column = [zero; FROM];
        for y in 0..FROM {
            column[y] = load(y, x);
        }
        // SAFETY: as for `Vector`.
        columns[x] = unsafe { A::apply(column) };
    }
    for y in 0..TO {
        let mut row = [zero; FROM];
        for x in 0..FROM {
            row[x] = columns[x][y];
        }
        // SAFETY: as for `Vector`.
        keep(y, unsafe { A::apply(row) });
    }
}

/// Evaluates a tile, register by register of channels.
pub(super) struct Evaluate<'a, const EXTENT: usize> {
    pub pixels: &'a Pixels<EXTENT>,
    /// Channels, in groups of so many, which are each filled up with zeros to `width`, whole registers.
    pub channels: usize,
    pub group: usize,
    pub width: usize,
    /// Where the first group goes at the first point, and floats from point to point and from group to group.
    pub to: *mut f32,
    pub strides: [usize; 2],
}

impl<const EXTENT: usize> Evaluate<'_, EXTENT> {
    /// Evaluates with the transform of one axis.
    ///
    /// # Safety
    /// As for [`Vector`]; pixels have `channels` floats, and there is room for `width` floats of each group at each point.
    #[inline(always)]
    unsafe fn with<V: Vector, A: Axis<EXTENT, AXIS>>(self) {
        for (index, first) in (0..self.channels).step_by(self.group).enumerate() {
            let used = self.group.min(self.channels - first);
            for channel in (0..self.width).step_by(V::LANES) {
                let (lanes, at) = (used.saturating_sub(channel), first + channel);
                // SAFETY: the caller's promises; at most `used` channels are read.
                unsafe {
                    let to = self.to.add(index * self.strides[1] + channel);
                    if lanes >= V::LANES {
                        self.register::<V, A>(
                            #[inline(always)]
                            |pixel| V::load(pixel.add(at)),
                            to,
                        );
                    } else {
                        self.register::<V, A>(
                            #[inline(always)]
                            |pixel| V::load_first(pixel.wrapping_add(at), lanes),
                            to,
                        );
                    }
                }
            }
        }
    }

    /// Evaluates one register of channels.
    ///
    /// # Safety
    /// As for [`Vector`]; every pixel can be loaded, and there is room for a register at each point from `to` on.
    #[inline(always)]
    unsafe fn register<V: Vector, A: Axis<EXTENT, AXIS>>(
        &self,
        load: impl Fn(*const f32) -> V,
        to: *mut f32,
    ) {
        // SAFETY: the caller's promises.
        unsafe {
            both_axes::<V, A, EXTENT, AXIS>(
                #[inline(always)]
                |y, x| load(self.pixels[y][x]),
                #[inline(always)]
                |y, points| {
                    for x in 0..AXIS {
                        points[x].store(to.add((y * AXIS + x) * self.strides[0]));
                    }
                },
            );
        }
    }
}

/// A source tile. To run it: as [`Evaluate::with`].
impl Loop for Evaluate<'_, AXIS> {
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        // SAFETY: the caller's promises.
        unsafe {
            self.with::<V, SourceAtPoints>();
        }
    }
}

/// A tile of the result's gradient. To run it: as [`Evaluate::with`].
impl Loop for Evaluate<'_, SIDE> {
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        // SAFETY: the caller's promises.
        unsafe {
            self.with::<V, ResultAtPoints>();
        }
    }
}

/// Interpolates a tile, register by register of channels, and finishes it.
pub(super) struct Interpolate<'a> {
    pub products: *const f32,
    /// Floats from point to point.
    pub stride: usize,
    /// Where each row of result pixels begins.
    pub places: &'a [usize],
    /// Result pixels in a row.
    pub columns: usize,
    /// Floats from pixel to pixel.
    pub pixel: usize,
    pub channels: usize,
    pub bias: *const f32,
    pub residual: *const f32,
    pub clamp: Clamp,
    pub output: *mut f32,
}

impl Loop for Interpolate<'_> {
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        // SAFETY: the caller's promises.
        unsafe {
            let (low, high) = self.clamp.limits();
            let (low, high) = (V::splat(low), V::splat(high));
            for channel in (0..self.channels).step_by(V::LANES) {
                let bias = if self.bias.is_null() { V::splat(0.0) } else { V::load(self.bias.add(channel)) };
                both_axes::<V, ResultFromPoints, AXIS, SIDE>(
                    #[inline(always)]
                    |y, x| V::load(self.products.add((y * AXIS + x) * self.stride + channel)),
                    #[inline(always)]
                    |y, pixels| {
                        let Some(&place) = self.places.get(y) else { return };
                        for (x, &value) in pixels.iter().enumerate().take(self.columns) {
                            let at = place + x * self.pixel + channel;
                            let mut value = value.add(bias);
                            if !self.residual.is_null() {
                                value = value.add(V::load(self.residual.add(at)));
                            }
                            value.clamp(low, high).store(self.output.add(at));
                        }
                    },
                );
            }
        }
    }
}

/// The gradients of kernels, `[tap][channel]`, from those of their values at all points, register by register of channels.
///
/// To run it: `points` are readable and `taps` writable, `channels` (whole registers) at each.
pub(super) struct GatherKernels {
    pub points: *const f32,
    /// Floats from point to point, and from tap to tap.
    pub strides: [usize; 2],
    pub channels: usize,
    pub taps: *mut f32,
}

impl Loop for GatherKernels {
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        for channel in (0..self.channels).step_by(V::LANES) {
            // SAFETY: the caller's promises.
            unsafe {
                both_axes::<V, KernelFromPoints, AXIS, 3>(
                    #[inline(always)]
                    |y, x| V::load(self.points.add((y * AXIS + x) * self.strides[0] + channel)),
                    #[inline(always)]
                    |y, taps| {
                        for x in 0..3 {
                            taps[x].store(self.taps.add((y * 3 + x) * self.strides[1] + channel));
                        }
                    },
                );
            }
        }
    }
}
