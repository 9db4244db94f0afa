//! Average pooling.

use crate::cpu::Machine;

use super::super::accumulate::Accumulate;
use super::{Axis, PoolShape};

/// What an average divides by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Divisor {
    /// The pixels of the window that lie in the image.
    Inside,
    /// Those that lie in the image or its padding (PyTorch's default, `count_include_pad`).
    WithPadding,
}

impl Divisor {
    /// The factor of a window.
    fn factor(self, [vertical, horizontal]: [&Axis; 2], [row, column]: [usize; 2]) -> f32 {
        let count = match self {
            Self::Inside => vertical.positions(row).len() * horizontal.positions(column).len(),
            Self::WithPadding => vertical.padded_size(row) * horizontal.padded_size(column),
        };
        1.0 / count as f32
    }
}

/// The mean of each window; `x`: `[batch, height, width, channels]`, `y`: the result's shape.
///
/// # Panics
/// When sizes do not fit.
pub fn forward(machine: &Machine, shape: &PoolShape, divisor: Divisor, x: &[f32], y: &mut [f32]) {
    shape.check(x.len(), y.len());
    let (vertical, horizontal, channels) = (shape.vertical(), shape.horizontal(), shape.channels);
    let out_height = shape.out_height();
    machine.pool.for_each_chunk(y, shape.out_width() * channels, |index, y| {
        let (image, out_row) = (index / out_height, index % out_height);
        for (out_column, y) in y.chunks_exact_mut(channels).enumerate() {
            let factor = divisor.factor([&vertical, &horizontal], [out_row, out_column]);
            let columns = horizontal.positions(out_column);
            machine.isa.vectorize(
                #[inline(always)]
                || {
                    y.fill(0.0);
                    for in_row in vertical.positions(out_row) {
                        let start =
                            ((image * shape.height + in_row) * shape.width + columns.start) * channels;
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

/// `dx (+)=` the gradient of each window, shared evenly by its pixels.
///
/// # Panics
/// When sizes do not fit.
pub fn backward(
    machine: &Machine,
    shape: &PoolShape,
    divisor: Divisor,
    dy: &[f32],
    dx: &mut [f32],
    accumulate: Accumulate,
) {
    shape.check(dx.len(), dy.len());
    let (vertical, horizontal, channels) = (shape.vertical(), shape.horizontal(), shape.channels);
    let (out_height, out_width) = (shape.out_height(), shape.out_width());
    machine.pool.for_each_chunk(dx, shape.width * channels, |index, dx| {
        accumulate.prepare(dx);
        let (image, in_row) = (index / shape.height, index % shape.height);
        for out_row in vertical.windows_of(in_row) {
            for (in_column, dx) in dx.chunks_exact_mut(channels).enumerate() {
                for out_column in horizontal.windows_of(in_column) {
                    let factor = divisor.factor([&vertical, &horizontal], [out_row, out_column]);
                    let dy = &dy[((image * out_height + out_row) * out_width + out_column) * channels..]
                        [..channels];
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
    use super::super::Rounding;
    use super::super::tests_shapes::shapes;
    use super::*;

    /// The definition: every pair of an output, an input it averages, and the weight.
    fn weights(shape: &PoolShape, divisor: Divisor) -> Vec<(usize, usize, f64)> {
        let [top, bottom, left, right] = shape.padding;
        let mut result = Vec::new();
        let mut output = 0;
        for image in 0..shape.batch {
            for row in 0..shape.out_height() {
                for column in 0..shape.out_width() {
                    let (mut inside, mut padded) = (Vec::new(), 0);
                    for y in row * shape.stride[0]..row * shape.stride[0] + shape.kernel[0] {
                        for x in column * shape.stride[1]..column * shape.stride[1] + shape.kernel[1] {
                            if y < shape.height + top + bottom && x < shape.width + left + right {
                                padded += 1;
                            }
                            if (top..top + shape.height).contains(&y)
                                && (left..left + shape.width).contains(&x)
                            {
                                inside.push((image * shape.height + y - top) * shape.width + x - left);
                            }
                        }
                    }
                    let count = if divisor == Divisor::Inside { inside.len() } else { padded };
                    for channel in 0..shape.channels {
                        let weigh = |&pixel| (output, pixel * shape.channels + channel, 1.0 / count as f64);
                        result.extend(inside.iter().map(weigh));
                        output += 1;
                    }
                }
            }
        }
        result
    }

    #[test]
    fn agrees_with_the_definition() {
        for machine in machines() {
            for (shape, divisor) in shapes()
                .into_iter()
                .flat_map(|shape| [(shape, Divisor::Inside), (shape, Divisor::WithPadding)])
            {
                let (x, dy) = (numbers(5, shape.input_len()), numbers(6, shape.output_len()));
                let (mut expected, mut gradient) = (vec![0f64; dy.len()], widen(&x));
                for (output, input, weight) in weights(&shape, divisor) {
                    expected[output] += weight * f64::from(x[input]);
                    gradient[input] += weight * f64::from(dy[output]);
                }
                let (mut y, mut dx) = (vec![f32::NAN; dy.len()], x.clone());
                let context = format!("{divisor:?} {shape:?}");
                forward(&machine, &shape, divisor, &x, &mut y);
                assert_close(&y, &expected, 1e-6, &context);
                backward(&machine, &shape, divisor, &dy, &mut dx, Accumulate::Add);
                assert_close(&dx, &gradient, 2e-6, &context);
                let mut fresh = vec![f32::NAN; x.len()];
                backward(&machine, &shape, divisor, &dy, &mut fresh, Accumulate::Overwrite);
                let fresh_expected: Vec<f64> =
                    gradient.iter().zip(&x).map(|(sum, &x)| sum - f64::from(x)).collect();
                assert_close(&fresh, &fresh_expected, 2e-6, &context);
            }
        }
    }

    #[test]
    fn divisors_are_pytorchs() {
        // torch.nn.functional.avg_pool2d(torch.ones(1, 1, 4, 4), 3, 2, 1, ceil_mode=True, count_include_pad=True)[0, 0]
        let expected =
            [4.0 / 9.0, 6.0 / 9.0, 2.0 / 6.0, 6.0 / 9.0, 1.0, 3.0 / 6.0, 2.0 / 6.0, 3.0 / 6.0, 1.0 / 4.0];
        let shape = PoolShape {
            batch: 1,
            height: 4,
            width: 4,
            channels: 1,
            kernel: [3, 3],
            stride: [2, 2],
            padding: [1; 4],
            rounding: Rounding::Ceil,
        };
        let mut y = [0.0; 9];
        forward(&Machine::new(1), &shape, Divisor::WithPadding, &[1.0; 16], &mut y);
        assert_close(&y, &expected, 1e-6, "ceil mode with padding");
    }
}
