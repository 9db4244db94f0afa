//! The innermost loops where every tap lies in memory: rows of one panel of channels, padded with zeros.

#![expect(
    clippy::needless_range_loop,
    reason = "counted loops over constant bounds unroll; iterators are not certain to"
)]

use crate::cpu::kernels::micro::{Loop, Vector};

/// Output pixels that are computed side by side, so that a source pixel is loaded once for all of them.
const SIDE_BY_SIDE: usize = 4;

/// A few rows of output of one panel of channels, for square kernels of 3, 5 or 7 and strides of 1 or 2.
///
/// To run it: source rows hold `apart` floats for each column that a tap reads; weights and bias hold `channels` floats (a tap);
/// the output has room for `columns` pixels a row and belongs to nobody else.
pub(in crate::cpu::kernels) struct PanelRows<'a> {
    /// Extent of the kernel, and source pixels from one output pixel to the next.
    pub kernel: usize,
    pub stride: usize,
    /// For each row of output the `kernel` source rows that it reads, at the column of its first tap.
    pub sources: &'a [*const f32],
    /// Floats from one source pixel to the next: whole registers.
    pub apart: usize,
    /// Weights `[tap][channel]` at the panel's first channel, and the floats from one tap to the next.
    pub weights: (*const f32, usize),
    /// At the panel's first channel; null adds nothing.
    pub bias: *const f32,
    /// At the output's place in what is added to it, which lies as the output does; null adds nothing.
    pub residual: *const f32,
    /// Bounds of the activation.
    pub limits: (f32, f32),
    /// Channels of the panel.
    pub channels: usize,
    /// Pixels of a row of output.
    pub columns: usize,
    /// The first pixel's first channel, and the floats from one pixel to the next.
    pub output: (*mut f32, usize),
}

impl Loop for PanelRows<'_> {
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        // SAFETY: the caller's promise.
        unsafe {
            match (self.kernel, self.stride) {
                (3, 1) => self.registers::<V, 3, 1>(),
                (3, 2) => self.registers::<V, 3, 2>(),
                (5, 1) => self.registers::<V, 5, 1>(),
                (5, 2) => self.registers::<V, 5, 2>(),
                (7, 1) => self.registers::<V, 7, 1>(),
                (7, 2) => self.registers::<V, 7, 2>(),
                other => unsupported(other),
            }
        }
    }
}

impl PanelRows<'_> {
    /// The rows, a register of channels at a time.
    #[inline(always)]
    unsafe fn registers<V: Vector, const KERNEL: usize, const STRIDE: usize>(&self) {
        for channel in (0..self.channels).step_by(V::LANES) {
            let lanes = (self.channels - channel).min(V::LANES);
            // SAFETY: the caller's promise.
            unsafe {
                let mut weights = [[V::splat(0.0); KERNEL]; KERNEL];
                for row in 0..KERNEL {
                    for column in 0..KERNEL {
                        let place = (row * KERNEL + column) * self.weights.1 + channel;
                        weights[row][column] = V::load_first(self.weights.0.add(place), lanes);
                    }
                }
                let bias = match self.bias.is_null() {
                    true => V::splat(0.0),
                    false => V::load_first(self.bias.add(channel), lanes),
                };
                let limits = (V::splat(self.limits.0), V::splat(self.limits.1));
                for (row, sources) in self.sources.as_chunks::<KERNEL>().0.iter().enumerate() {
                    let place = row * self.columns * self.output.1 + channel;
                    let output = self.output.0.add(place);
                    let residual = match self.residual.is_null() {
                        true => std::ptr::null(),
                        false => self.residual.add(place),
                    };
                    let pixels = Pixels::<V, KERNEL, STRIDE> {
                        sources: sources.map(|source| source.add(channel)),
                        apart: self.apart,
                        weights,
                        bias,
                        limits,
                        output: (output, self.output.1),
                        residual,
                        lanes,
                    };
                    let mut column = 0;
                    while column + SIDE_BY_SIDE <= self.columns {
                        pixels.compute::<SIDE_BY_SIDE>(column);
                        column += SIDE_BY_SIDE;
                    }
                    while column < self.columns {
                        pixels.compute::<1>(column);
                        column += 1;
                    }
                }
            }
        }
    }
}

/// One row of one register of channels.
struct Pixels<V, const KERNEL: usize, const STRIDE: usize> {
    sources: [*const f32; KERNEL],
    apart: usize,
    weights: [[V; KERNEL]; KERNEL],
    bias: V,
    limits: (V, V),
    output: (*mut f32, usize),
    residual: *const f32,
    lanes: usize,
}

impl<V: Vector, const KERNEL: usize, const STRIDE: usize> Pixels<V, KERNEL, STRIDE> {
    /// `COUNT` pixels from a column on.
    #[inline(always)]
    unsafe fn compute<const COUNT: usize>(&self, column: usize) {
        let mut sums = [self.bias; COUNT];
        for row in 0..KERNEL {
            for place in 0..(COUNT - 1) * STRIDE + KERNEL {
                // SAFETY: the promise of `PanelRows`.
                unsafe {
                    let value = V::load(self.sources[row].add((column * STRIDE + place) * self.apart));
                    for pixel in 0..COUNT {
                        if place >= pixel * STRIDE && place - pixel * STRIDE < KERNEL {
                            let weight = self.weights[row][place - pixel * STRIDE];
                            sums[pixel] = sums[pixel].add_product(value, weight);
                        }
                    }
                }
            }
        }
        for pixel in 0..COUNT {
            // SAFETY: as above.
            unsafe {
                let place = (column + pixel) * self.output.1;
                let sum = match self.residual.is_null() {
                    true => sums[pixel],
                    false => sums[pixel].add(V::load_first(self.residual.add(place), self.lanes)),
                };
                sum.clamp(self.limits.0, self.limits.1).store_first(self.output.0.add(place), self.lanes);
            }
        }
    }
}

/// Adds to the gradient of the weights of one panel of channels what a few rows of output give, for the same kernels and strides.
///
/// To run it: source rows as for [`PanelRows`]; the gradient has `columns` pixels a row; sums hold every tap and belong to nobody else.
pub(super) struct PanelGradients<'a> {
    /// Extent of the kernel, and source pixels from one output pixel to the next.
    pub kernel: usize,
    pub stride: usize,
    /// For each row of output the `kernel` source rows that it reads, at the column of its first tap.
    pub sources: &'a [*const f32],
    /// Floats from one source pixel to the next: whole registers.
    pub apart: usize,
    /// The first pixel's first channel of the output's gradient, and the floats from one pixel to the next.
    pub gradient: (*const f32, usize),
    /// Channels of the panel.
    pub channels: usize,
    /// Pixels of a row of output.
    pub columns: usize,
    /// Sums `[tap][channel]` at the panel's first channel, and the floats from one tap to the next.
    pub sums: (*mut f32, usize),
}

impl Loop for PanelGradients<'_> {
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        // SAFETY: the caller's promise.
        unsafe {
            match (self.kernel, self.stride) {
                (3, 1) => self.registers::<V, 3, 1>(),
                (3, 2) => self.registers::<V, 3, 2>(),
                (5, 1) => self.registers::<V, 5, 1>(),
                (5, 2) => self.registers::<V, 5, 2>(),
                (7, 1) => self.registers::<V, 7, 1>(),
                (7, 2) => self.registers::<V, 7, 2>(),
                other => unsupported(other),
            }
        }
    }
}

impl PanelGradients<'_> {
    /// A register of channels and a row of the kernel at a time.
    #[inline(always)]
    unsafe fn registers<V: Vector, const KERNEL: usize, const STRIDE: usize>(&self) {
        for channel in (0..self.channels).step_by(V::LANES) {
            let lanes = (self.channels - channel).min(V::LANES);
            for tap in 0..KERNEL {
                // SAFETY: the caller's promise.
                unsafe {
                    let slots: [*mut f32; KERNEL] = std::array::from_fn(|column| {
                        self.sums.0.add((tap * KERNEL + column) * self.sums.1 + channel)
                    });
                    let mut sums = [V::splat(0.0); KERNEL];
                    for (sum, &slot) in sums.iter_mut().zip(&slots) {
                        *sum = V::load_first(slot, lanes);
                    }
                    for (row, sources) in self.sources.as_chunks::<KERNEL>().0.iter().enumerate() {
                        let gradient = self.gradient.0.add(row * self.columns * self.gradient.1 + channel);
                        let source = sources[tap].add(channel);
                        let mut column = 0;
                        while column + SIDE_BY_SIDE <= self.columns {
                            sums = self.add::<V, KERNEL, STRIDE, SIDE_BY_SIDE>(
                                sums,
                                source,
                                gradient,
                                (column, lanes),
                            );
                            column += SIDE_BY_SIDE;
                        }
                        while column < self.columns {
                            sums = self.add::<V, KERNEL, STRIDE, 1>(sums, source, gradient, (column, lanes));
                            column += 1;
                        }
                    }
                    for (sum, slot) in sums.into_iter().zip(slots) {
                        sum.store_first(slot, lanes);
                    }
                }
            }
        }
    }

    /// The sums with the products of `COUNT` pixels from a column on.
    #[inline(always)]
    unsafe fn add<V: Vector, const KERNEL: usize, const STRIDE: usize, const COUNT: usize>(
        &self,
        mut sums: [V; KERNEL],
        source: *const f32,
        gradient: *const f32,
        (column, lanes): (usize, usize),
    ) -> [V; KERNEL] {
        // SAFETY: the promise of `PanelGradients`.
        unsafe {
            let mut gradients = [V::splat(0.0); COUNT];
            for (pixel, value) in gradients.iter_mut().enumerate() {
                *value = V::load_first(gradient.add((column + pixel) * self.gradient.1), lanes);
            }
            for place in 0..(COUNT - 1) * STRIDE + KERNEL {
                let value = V::load(source.add((column * STRIDE + place) * self.apart));
                for pixel in 0..COUNT {
                    if place >= pixel * STRIDE && place - pixel * STRIDE < KERNEL {
                        let tap = place - pixel * STRIDE;
                        sums[tap] = sums[tap].add_product(value, gradients[pixel]);
                    }
                }
            }
        }
        sums
    }
}

fn unsupported(kernel_and_stride: (usize, usize)) -> ! {
    unreachable!("panels are for kernels of 3, 5 or 7 and strides of 1 or 2, not {kernel_and_stride:?}")
}
