//! Convolutions by their definition, in f64: what the kernels' tests compare with.

use super::ConvShape;
use crate::random::{Label, Stream};

/// Uniform numbers in [-1, 1), named by what they are for.
pub(crate) fn numbers(name: &str, length: usize) -> Vec<f32> {
    let mut stream = Stream::new(1, &[Label::Text(name)]);
    (0..length).map(|_| stream.range(-1.0, 1.0) as f32).collect()
}

/// The largest difference, relative to the root mean square of what is expected.
pub(crate) fn error(found: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let square = expected.iter().map(|value| value * value).sum::<f64>() / expected.len().max(1) as f64;
    let worst = found.iter().zip(expected).map(|(&found, expected)| (f64::from(found) - expected).abs());
    // `max` would swallow NaN.
    worst.fold(0.0, |worst, value| if value > worst || value.is_nan() { value } else { worst })
        / square.sqrt().max(1e-30)
}

/// Whether each output channel sees all input channels or only its own.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Full,
    Depthwise,
}

/// Calls `visit` with the numbers of input, weight and output of every multiply-add.
pub(crate) fn for_each_product(shape: &ConvShape, kind: Kind, mut visit: impl FnMut(usize, usize, usize)) {
    let (out_height, out_width) = (shape.out_height(), shape.out_width());
    let [rows, columns] = shape.kernel;
    for output in 0..shape.out_len() {
        let (pixel, out) = (output / shape.out_channels, output % shape.out_channels);
        let (image, y, x) =
            (pixel / (out_height * out_width), pixel / out_width % out_height, pixel % out_width);
        for tap in 0..rows * columns {
            let row =
                (y * shape.stride[0] + tap / columns * shape.dilation[0]).wrapping_sub(shape.padding[0]);
            let column =
                (x * shape.stride[1] + tap % columns * shape.dilation[1]).wrapping_sub(shape.padding[2]);
            if row >= shape.height || column >= shape.width {
                continue;
            }
            let place = ((image * shape.height + row) * shape.width + column) * shape.in_channels;
            match kind {
                Kind::Full => {
                    for channel in 0..shape.in_channels {
                        visit(
                            place + channel,
                            (out * shape.in_channels + channel) * rows * columns + tap,
                            output,
                        );
                    }
                }
                Kind::Depthwise => visit(place + out, out * rows * columns + tap, output),
            }
        }
    }
}
