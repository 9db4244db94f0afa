//! Pooling over channels-last images: windows ([`max`], [`average`]), the whole image ([`global`]) and bins ([`adaptive`]).
//!
//! Gradients are gathered: a row of `dx` looks up the windows that saw it. Rows are independent tasks, and sums have one order.

pub mod adaptive;
pub mod average;
pub mod global;
pub mod max;

use std::ops::Range;

/// How an output size is made whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rounding {
    /// Windows that stick out of the padding are dropped.
    Floor,
    /// They count, unless they begin beyond the image and its leading padding (PyTorch's `ceil_mode`).
    Ceil,
}

/// The output size of a pooling axis, equal to PyTorch's.
///
/// # Panics
/// When `kernel` or `stride` is 0, or the kernel is larger than the padded axis.
pub fn pool_output(
    length: usize,
    kernel: usize,
    stride: usize,
    [before, after]: [usize; 2],
    rounding: Rounding,
) -> usize {
    assert!(kernel > 0 && stride > 0, "pooling: a kernel of {kernel} with a stride of {stride}");
    let padded = length + before + after;
    assert!(kernel <= padded, "pooling: a kernel of {kernel} over {padded} padded positions");
    match rounding {
        Rounding::Floor => (padded - kernel) / stride + 1,
        Rounding::Ceil => {
            let windows = (padded - kernel).div_ceil(stride) + 1;
            if (windows - 1) * stride >= length + before { windows - 1 } else { windows }
        }
    }
}

/// An image batch and the windows over it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PoolShape {
    /// Samples.
    pub batch: usize,
    /// Rows of an image.
    pub height: usize,
    /// Columns of an image.
    pub width: usize,
    /// Channels.
    pub channels: usize,
    /// Height, width.
    pub kernel: [usize; 2],
    /// Vertical, horizontal.
    pub stride: [usize; 2],
    /// Top, bottom, left, right; each less than the kernel.
    pub padding: [usize; 4],
    /// How output sizes are made whole.
    pub rounding: Rounding,
}

impl PoolShape {
    /// Rows of the result.
    pub fn out_height(&self) -> usize {
        self.vertical().windows()
    }

    /// Columns of the result.
    pub fn out_width(&self) -> usize {
        self.horizontal().windows()
    }

    /// Elements of the input, `[batch, height, width, channels]`.
    pub fn input_len(&self) -> usize {
        self.batch * self.height * self.width * self.channels
    }

    /// Elements of the result, `[batch, out_height, out_width, channels]`.
    pub fn output_len(&self) -> usize {
        self.batch * self.out_height() * self.out_width() * self.channels
    }

    fn vertical(&self) -> Axis {
        self.axis(self.height, 0)
    }

    fn horizontal(&self) -> Axis {
        self.axis(self.width, 1)
    }

    fn axis(&self, length: usize, side: usize) -> Axis {
        let padding = [self.padding[2 * side], self.padding[2 * side + 1]];
        let kernel = self.kernel[side];
        assert!(
            padding.iter().all(|&pad| pad < kernel),
            "pooling: padding {padding:?} with a kernel of {kernel}"
        );
        Axis { length, kernel, stride: self.stride[side], padding, rounding: self.rounding }
    }

    /// Asserts the sizes of an input and a result (or of their gradients).
    fn check(&self, input: usize, output: usize) {
        assert!(self.channels > 0, "pooling: no channels");
        assert_eq!(input, self.input_len(), "pooling: size of the input for {self:?}");
        assert_eq!(output, self.output_len(), "pooling: size of the result for {self:?}");
    }
}

/// One axis of a pooling.
#[derive(Clone, Copy)]
struct Axis {
    length: usize,
    kernel: usize,
    stride: usize,
    padding: [usize; 2],
    rounding: Rounding,
}

impl Axis {
    fn windows(&self) -> usize {
        pool_output(self.length, self.kernel, self.stride, self.padding, self.rounding)
    }

    /// The positions of the input that a window sees. Never empty, since padding is less than the kernel.
    fn positions(&self, window: usize) -> Range<usize> {
        let start = window * self.stride;
        start.saturating_sub(self.padding[0])..(start + self.kernel - self.padding[0]).min(self.length)
    }

    /// How many positions of input and padding a window covers.
    fn padded_size(&self, window: usize) -> usize {
        let start = window * self.stride;
        (start + self.kernel).min(self.length + self.padding[0] + self.padding[1]) - start
    }

    /// The windows that see a position.
    fn windows_of(&self, position: usize) -> Range<usize> {
        let padded = position + self.padding[0];
        let first = (padded + 1).saturating_sub(self.kernel).div_ceil(self.stride);
        first..(padded / self.stride + 1).min(self.windows())
    }

    /// Where in a window a position lies.
    fn tap(&self, window: usize, position: usize) -> usize {
        position + self.padding[0] - window * self.stride
    }
}

/// Odd windows over odd images, for the tests of every window kernel.
#[cfg(test)]
mod tests_shapes {
    use super::{PoolShape, Rounding};

    pub fn shapes() -> Vec<PoolShape> {
        let windows = [
            ([3, 3], [2, 2], [1; 4]),
            ([2, 2], [2, 2], [0; 4]),
            ([3, 2], [1, 2], [2, 0, 1, 1]),
            ([1, 1], [2, 3], [0; 4]),
            ([5, 5], [1, 1], [2; 4]),
            ([3, 3], [3, 1], [0, 1, 2, 0]),
        ];
        let images = [(1, 7, 9, 1), (2, 8, 5, 3), (1, 11, 6, 5), (3, 5, 5, 17), (1, 6, 7, 33), (2, 9, 8, 64)];
        let mut shapes = Vec::new();
        for ((kernel, stride, padding), (batch, height, width, channels)) in
            windows.iter().flat_map(|window| images.iter().map(move |image| (*window, *image)))
        {
            for rounding in [Rounding::Floor, Rounding::Ceil] {
                shapes.push(PoolShape { batch, height, width, channels, kernel, stride, padding, rounding });
            }
        }
        shapes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_sizes_are_pytorchs() {
        // length, kernel, stride, padding, floor, ceil; torch.nn.functional.max_pool1d(torch.zeros(1, 1, length), …).shape[-1]
        for (length, kernel, stride, padding, floor, ceil) in [
            (112, 3, 2, 1, 56, 57),
            (7, 3, 2, 1, 4, 4),
            (8, 3, 2, 0, 3, 4),
            (5, 2, 2, 1, 3, 3),
            (4, 2, 3, 1, 2, 2),
            (3, 2, 2, 1, 2, 2),
            (10, 3, 3, 0, 3, 4),
            (1, 1, 1, 0, 1, 1),
            (6, 2, 4, 1, 2, 2),
            (13, 5, 7, 2, 2, 3),
        ] {
            let found = [Rounding::Floor, Rounding::Ceil]
                .map(|rounding| pool_output(length, kernel, stride, [padding; 2], rounding));
            assert_eq!(
                found,
                [floor, ceil],
                "{length} positions, kernel {kernel}, stride {stride}, padding {padding}"
            );
        }
    }

    #[test]
    fn positions_and_windows_are_inverse() {
        for (length, kernel, stride, padding) in
            [(7, 3, 2, [1, 1]), (8, 2, 3, [1, 0]), (5, 5, 1, [2, 4]), (1, 3, 2, [2, 2])]
        {
            for rounding in [Rounding::Floor, Rounding::Ceil] {
                let axis = Axis { length, kernel, stride, padding, rounding };
                for window in 0..axis.windows() {
                    assert!(!axis.positions(window).is_empty());
                    assert!(axis.padded_size(window) >= axis.positions(window).len());
                    for position in 0..length {
                        let sees = axis.positions(window).contains(&position);
                        assert_eq!(sees, axis.windows_of(position).contains(&window), "{window} {position}");
                        assert!(!sees || axis.tap(window, position) < kernel);
                    }
                }
            }
        }
    }
}
