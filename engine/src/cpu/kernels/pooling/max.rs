//! Max pooling. Where the maximum stood is kept as one byte per output.

use crate::cpu::Machine;

use super::super::accumulate::Accumulate;
use super::super::chunks;
use super::PoolShape;

/// The maximum of each window, and its place: `x`: `[batch, height, width, channels]`; `y`, `places`: the result's shape. A place is
/// `row · kernel width + column` within the window. Padding never wins, the first of equal values does, NaN does over any number;
/// all as in PyTorch.
///
/// # Panics
/// When sizes do not fit or the window has more than 256 taps.
pub fn forward(machine: &Machine, shape: &PoolShape, x: &[f32], y: &mut [f32], places: &mut [u8]) {
    shape.check(x.len(), y.len());
    assert_eq!(places.len(), y.len(), "max-pool: sizes of y and places");
    assert!(shape.kernel[0] * shape.kernel[1] <= 256, "max-pool: a window of more than 256 taps");
    let (vertical, horizontal, channels) = (shape.vertical(), shape.horizontal(), shape.channels);
    let (out_height, row) = (shape.out_height(), shape.out_width() * channels);
    let rows = y.chunks_mut(row).zip(places.chunks_mut(row));
    chunks::map(&machine.pool, rows, |index, (y, places)| {
        let (image, out_row) = (index / out_height, index % out_height);
        let windows = y.chunks_exact_mut(channels).zip(places.chunks_exact_mut(channels));
        for (out_column, (y, places)) in windows.enumerate() {
            let mut first = true;
            for in_row in vertical.positions(out_row) {
                for in_column in horizontal.positions(out_column) {
                    let pixel = (image * shape.height + in_row) * shape.width + in_column;
                    let x = &x[pixel * channels..][..channels];
                    let place = vertical.tap(out_row, in_row) * shape.kernel[1]
                        + horizontal.tap(out_column, in_column);
                    if first {
                        y.copy_from_slice(x);
                        places.fill(place as u8);
                        first = false;
                    } else {
                        machine.isa.vectorize(
                            #[inline(always)]
                            || keep_greater(x, place as u8, y, places),
                        );
                    }
                }
            }
        }
    });
}

/// Where `x` is greater than `y`, replaces it and its place. The condition does not short-circuit: a branch would cost the loop half
/// its speed on AVX2.
#[inline(always)]
fn keep_greater(x: &[f32], place: u8, y: &mut [f32], places: &mut [u8]) {
    for ((&x, y), kept) in x.iter().zip(y).zip(places) {
        let wins = (x > *y) | x.is_nan();
        *y = if wins { x } else { *y };
        *kept = if wins { place } else { *kept };
    }
}

/// `dx (+)=` the gradient of each window, given whole to the place of its maximum.
///
/// # Panics
/// When sizes do not fit.
pub fn backward(
    machine: &Machine,
    shape: &PoolShape,
    places: &[u8],
    dy: &[f32],
    dx: &mut [f32],
    accumulate: Accumulate,
) {
    shape.check(dx.len(), dy.len());
    assert_eq!(places.len(), dy.len(), "max-pool: sizes of dy and places");
    let (vertical, horizontal, channels) = (shape.vertical(), shape.horizontal(), shape.channels);
    let (out_height, out_width) = (shape.out_height(), shape.out_width());
    machine.pool.for_each_chunk(dx, shape.width * channels, |index, dx| {
        accumulate.prepare(dx);
        let (image, in_row) = (index / shape.height, index % shape.height);
        for out_row in vertical.windows_of(in_row) {
            let row_of_window = vertical.tap(out_row, in_row) * shape.kernel[1];
            for (in_column, dx) in dx.chunks_exact_mut(channels).enumerate() {
                for out_column in horizontal.windows_of(in_column) {
                    let place = (row_of_window + horizontal.tap(out_column, in_column)) as u8;
                    let start = ((image * out_height + out_row) * out_width + out_column) * channels;
                    let (dy, places) = (&dy[start..][..channels], &places[start..][..channels]);
                    machine.isa.vectorize(
                        #[inline(always)]
                        || {
                            for ((dx, &dy), &kept) in dx.iter_mut().zip(dy).zip(places) {
                                *dx += if kept == place { dy } else { 0.0 };
                            }
                        },
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

    /// The definition, in f64: value and pixel of the first maximum of each window.
    fn oracle(shape: &PoolShape, x: &[f64]) -> Vec<(f64, usize)> {
        let mut result = Vec::new();
        let [top, _, left, _] = shape.padding;
        for image in 0..shape.batch {
            for (row, column) in (0..shape.out_height())
                .flat_map(|row| (0..shape.out_width()).map(move |column| (row, column)))
            {
                for channel in 0..shape.channels {
                    let mut best = (f64::NEG_INFINITY, usize::MAX);
                    for (down, right) in (0..shape.kernel[0])
                        .flat_map(|down| (0..shape.kernel[1]).map(move |right| (down, right)))
                    {
                        let (y, x_) = (row * shape.stride[0] + down, column * shape.stride[1] + right);
                        if y < top || x_ < left || y - top >= shape.height || x_ - left >= shape.width {
                            continue;
                        }
                        let at = ((image * shape.height + y - top) * shape.width + x_ - left)
                            * shape.channels
                            + channel;
                        if best.1 == usize::MAX || x[at] > best.0 {
                            best = (x[at], at);
                        }
                    }
                    result.push(best);
                }
            }
        }
        result
    }

    #[test]
    fn agrees_with_the_definition() {
        for machine in machines() {
            for shape in shapes() {
                // Few different values, so that there are ties.
                let x: Vec<f32> = numbers(3, shape.input_len()).iter().map(|x| (x * 2.0).round()).collect();
                let dy = numbers(4, shape.output_len());
                let expected = oracle(&shape, &widen(&x));
                let (mut y, mut places) = (vec![f32::NAN; dy.len()], vec![255; dy.len()]);
                forward(&machine, &shape, &x, &mut y, &mut places);
                let values: Vec<f64> = expected.iter().map(|&(value, _)| value).collect();
                assert_close(&y, &values, 0.0, &format!("{shape:?}"));

                let mut gradient = vec![0f64; x.len()];
                expected.iter().zip(&dy).for_each(|(&(_, at), &dy)| gradient[at] += f64::from(dy));
                let mut dx = vec![f32::NAN; x.len()];
                backward(&machine, &shape, &places, &dy, &mut dx, Accumulate::Overwrite);
                assert_close(&dx, &gradient, 1e-6, &format!("{shape:?}"));
                backward(&machine, &shape, &places, &dy, &mut dx, Accumulate::Add);
                let twice: Vec<f64> = gradient.iter().map(|gradient| 2.0 * gradient).collect();
                assert_close(&dx, &twice, 1e-6, &format!("{shape:?} twice"));
            }
        }
    }

    #[test]
    fn nan_wins_and_minus_infinity_has_a_place() {
        let shape = PoolShape {
            batch: 1,
            height: 2,
            width: 2,
            channels: 2,
            kernel: [2, 2],
            stride: [2, 2],
            padding: [0; 4],
            rounding: Rounding::Floor,
        };
        let low = f32::NEG_INFINITY;
        let x = [1.0, low, f32::NAN, low, 3.0, low, 2.0, low];
        for machine in machines() {
            let (mut y, mut places) = ([0.0; 2], [9; 2]);
            forward(&machine, &shape, &x, &mut y, &mut places);
            assert!(y[0].is_nan());
            assert_eq!((y[1], places), (low, [1, 0]));
        }
    }
}
