//! Average pooling to a fixed size: bin `i` of `n` over `length` positions is `⌊i·length/n⌋ .. ⌈(i + 1)·length/n⌉`, as in PyTorch.

use std::ops::Range;

use crate::cpu::Machine;

use super::super::accumulate::Accumulate;

/// An image batch and the size it is averaged to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AdaptiveShape {
    /// Samples.
    pub batch: usize,
    /// Rows of an image.
    pub height: usize,
    /// Columns of an image.
    pub width: usize,
    /// Channels.
    pub channels: usize,
    /// Height, width of the result; may be more than the image's.
    pub size: [usize; 2],
}

impl AdaptiveShape {
    fn check(&self, input: usize, output: usize) {
        let Self { batch, height, width, channels, size } = *self;
        assert!(
            height * width * channels * size[0] * size[1] > 0,
            "adaptive pooling: an empty axis in {self:?}"
        );
        assert_eq!(
            input,
            batch * height * width * channels,
            "adaptive pooling: size of the input for {self:?}"
        );
        assert_eq!(
            output,
            batch * size[0] * size[1] * channels,
            "adaptive pooling: size of the result for {self:?}"
        );
    }
}

/// The positions of a bin.
fn bin(index: usize, bins: usize, length: usize) -> Range<usize> {
    index * length / bins..((index + 1) * length).div_ceil(bins)
}

/// The bins that see a position.
fn bins_of(position: usize, bins: usize, length: usize) -> Range<usize> {
    position * bins / length..((position + 1) * bins).div_ceil(length)
}

/// The mean of each bin; `x`: `[batch, height, width, channels]`, `y`: `[batch, size.., channels]`.
///
/// # Panics
/// When sizes do not fit.
pub fn forward(machine: &Machine, shape: &AdaptiveShape, x: &[f32], y: &mut [f32]) {
    shape.check(x.len(), y.len());
    let AdaptiveShape { height, width, channels, size, .. } = *shape;
    machine.pool.for_each_chunk(y, size[1] * channels, |index, y| {
        let (image, rows) = (index / size[0], bin(index % size[0], size[0], height));
        for (out_column, y) in y.chunks_exact_mut(channels).enumerate() {
            let columns = bin(out_column, size[1], width);
            let factor = 1.0 / (rows.len() * columns.len()) as f32;
            machine.isa.vectorize(
                #[inline(always)]
                || {
                    y.fill(0.0);
                    for row in rows.clone() {
                        let start = ((image * height + row) * width + columns.start) * channels;
                        for x in x[start..][..columns.len() * channels].chunks_exact(channels) {
                            y.iter_mut().zip(x).for_each(|(y, x)| *y += x);
                        }
                    }
                    y.iter_mut().for_each(|y| *y *= factor);
                },
            );
        }
    });
}

/// `dx (+)=` the gradient of each bin, shared evenly by its pixels; shapes as in [`forward`].
///
/// # Panics
/// When sizes do not fit.
pub fn backward(
    machine: &Machine,
    shape: &AdaptiveShape,
    dy: &[f32],
    dx: &mut [f32],
    accumulate: Accumulate,
) {
    shape.check(dx.len(), dy.len());
    let AdaptiveShape { height, width, channels, size, .. } = *shape;
    machine.pool.for_each_chunk(dx, width * channels, |index, dx| {
        accumulate.prepare(dx);
        let (image, in_row) = (index / height, index % height);
        for out_row in bins_of(in_row, size[0], height) {
            let rows = bin(out_row, size[0], height).len();
            for (in_column, dx) in dx.chunks_exact_mut(channels).enumerate() {
                for out_column in bins_of(in_column, size[1], width) {
                    let factor = 1.0 / (rows * bin(out_column, size[1], width).len()) as f32;
                    let dy =
                        &dy[((image * size[0] + out_row) * size[1] + out_column) * channels..][..channels];
                    machine.isa.vectorize(
                        #[inline(always)]
                        || dx.iter_mut().zip(dy).for_each(|(dx, dy)| *dx += dy * factor),
                    );
                }
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{assert_close, machines, numbers, widen};
    use super::*;

    #[test]
    fn positions_and_bins_are_inverse() {
        for (bins, length) in (1..12).flat_map(|bins| (1..12).map(move |length| (bins, length))) {
            for (index, position) in
                (0..bins).flat_map(|index| (0..length).map(move |position| (index, position)))
            {
                let sees = bin(index, bins, length).contains(&position);
                assert_eq!(
                    sees,
                    bins_of(position, bins, length).contains(&index),
                    "{bins} bins of {length}: {index} {position}"
                );
            }
        }
    }

    #[test]
    fn agrees_with_the_definition() {
        for machine in machines() {
            for (batch, height, width, channels, size) in [
                (1, 7, 7, 17, [1, 1]),
                (2, 13, 9, 5, [7, 4]),
                (3, 5, 8, 3, [7, 7]),
                (1, 1, 1, 1, [3, 2]),
                (2, 14, 14, 64, [7, 7]),
            ] {
                let shape = AdaptiveShape { batch, height, width, channels, size };
                let x = numbers(9, batch * height * width * channels);
                let dy = numbers(10, batch * size[0] * size[1] * channels);
                let (mut expected, mut gradient) = (vec![0f64; dy.len()], vec![0f64; x.len()]);
                for output in 0..dy.len() {
                    let (channel, pixel) = (output % channels, output / channels);
                    let (column, row, image) =
                        (pixel % size[1], pixel / size[1] % size[0], pixel / size[1] / size[0]);
                    // PyTorch's borders, in floating point.
                    let border = |index: usize, bins: usize, length: usize| {
                        let step = length as f64 / bins as f64;
                        (index as f64 * step + 1e-9) as usize
                            ..((index + 1) as f64 * step - 1e-9).ceil() as usize
                    };
                    let (rows, columns) = (border(row, size[0], height), border(column, size[1], width));
                    let weight = 1.0 / (rows.len() * columns.len()) as f64;
                    for (y, x_) in rows.flat_map(|y| columns.clone().map(move |x_| (y, x_))) {
                        let input = ((image * height + y) * width + x_) * channels + channel;
                        expected[output] += weight * f64::from(x[input]);
                        gradient[input] += weight * f64::from(dy[output]);
                    }
                }
                let (mut y, mut dx) = (vec![f32::NAN; dy.len()], vec![f32::NAN; x.len()]);
                forward(&machine, &shape, &x, &mut y);
                assert_close(&y, &expected, 1e-6, &format!("{shape:?}"));
                backward(&machine, &shape, &dy, &mut dx, Accumulate::Overwrite);
                assert_close(&dx, &gradient, 1e-6, &format!("{shape:?}"));
                let mut sum = x.clone();
                backward(&machine, &shape, &dy, &mut sum, Accumulate::Add);
                let added: Vec<f64> = widen(&x).iter().zip(&gradient).map(|(x, dx)| x + dx).collect();
                assert_close(&sum, &added, 2e-6, &format!("{shape:?}"));
            }
        }
    }
}
