//! 3 × 3 convolutions with a quarter of the multiplications: Winograd's F(4 × 4, 3 × 3) (Lavin and Gray 2015, arXiv:1509.09308).
//!
//! A tile of 6 × 6 source pixels and the kernel are both evaluated at 36 pairs of points, multiplied there, and a tile of 4 × 4
//! result pixels is interpolated (`points`). Summing over channels happens between, as 36 matrix products (`convolve`). The gradient
//! of the kernel goes the same way backwards (`backward_weights`).

mod backward_weights;
mod convolve;
mod points;
mod tiles;

use super::ConvShape;

pub(super) use backward_weights::{backward_weights, pays as pays_for_weights};
pub(super) use convolve::convolve;
pub(super) use points::{KERNELS, POINTS, evaluate_kernels};

/// Images with fewer result pixels on a side waste too much of the last tiles.
const LEAST_SIDE: usize = 12;
/// Where a smaller share of the tiles' pixels are the image's, as with large dilations, as much is wasted.
const LEAST_USE: f64 = 0.4;
/// With fewer channels, evaluating and interpolating cost more than is saved.
const LEAST_CHANNELS: usize = 32;
/// Channels come in whole registers of every instruction set.
const CHANNEL_STEP: usize = 16;

/// Whether the algorithm applies, and pays.
pub fn suits(shape: &ConvShape) -> bool {
    let channels = |count: usize| count >= LEAST_CHANNELS && count.is_multiple_of(CHANNEL_STEP);
    shape.kernel == [3, 3]
        && shape.stride == [1, 1]
        && channels(shape.in_channels)
        && channels(shape.out_channels)
        && shape.out_height() >= LEAST_SIDE
        && shape.out_width() >= LEAST_SIDE
        && use_of_tiles(shape) >= LEAST_USE
}

/// The share of the tiles' pixels that are the image's.
fn use_of_tiles(shape: &ConvShape) -> f64 {
    let [rows, columns] = tiles::firsts(shape).map(|firsts| firsts.len() * points::SIDE);
    (shape.out_height() * shape.out_width()) as f64 / (rows * columns) as f64
}

/// The convolution of the output's gradient that gives the input's, with kernels turned around; if the algorithm applies, and pays.
pub fn transposed(shape: &ConvShape) -> Option<ConvShape> {
    let [down, across] = shape.dilation.map(|dilation| 2 * dilation);
    let [top, bottom, left, right] = shape.padding;
    let padding = [(down, top), (down, bottom), (across, left), (across, right)]
        .map(|(reach, padding)| reach.checked_sub(padding));
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
