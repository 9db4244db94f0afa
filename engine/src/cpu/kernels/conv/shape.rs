//! The sizes of a convolution.

/// The sizes of a two-dimensional convolution. Activations are `[batch, height, width, channels]`, weights
/// `[out, in, kernel height, kernel width]`; a depthwise convolution has as many output as input channels and weights
/// `[channels, 1, kernel height, kernel width]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConvShape {
    /// Images.
    pub batch: usize,
    /// Rows of an input image.
    pub height: usize,
    /// Columns of an input image.
    pub width: usize,
    /// Channels of the input.
    pub in_channels: usize,
    /// Channels of the output.
    pub out_channels: usize,
    /// Rows and columns of the kernel.
    pub kernel: [usize; 2],
    /// Input rows and columns from one output pixel to the next.
    pub stride: [usize; 2],
    /// Zeros around the image: top, bottom, left, right.
    pub padding: [usize; 4],
    /// Input rows and columns from one tap of the kernel to the next.
    pub dilation: [usize; 2],
}

impl ConvShape {
    /// A linear layer as a convolution: `rows` pixels of `inputs` channels, weights `[outputs, inputs]`.
    pub const fn linear(rows: usize, inputs: usize, outputs: usize) -> Self {
        Self {
            batch: rows,
            height: 1,
            width: 1,
            in_channels: inputs,
            out_channels: outputs,
            kernel: [1, 1],
            stride: [1, 1],
            padding: [0; 4],
            dilation: [1, 1],
        }
    }

    /// The same convolution of another number of images.
    pub fn with_batch(self, batch: usize) -> Self {
        Self { batch, ..self }
    }

    /// Rows of the output; 0 when the kernel is larger than the padded image.
    pub fn out_height(&self) -> usize {
        let [top, bottom, _, _] = self.padding;
        out_extent(self.height + top + bottom, self.kernel[0], self.stride[0], self.dilation[0])
    }

    /// Columns of the output; 0 when the kernel is larger than the padded image.
    pub fn out_width(&self) -> usize {
        let [_, _, left, right] = self.padding;
        out_extent(self.width + left + right, self.kernel[1], self.stride[1], self.dilation[1])
    }

    /// Output pixels of the whole batch.
    pub fn out_pixels(&self) -> usize {
        self.batch * self.out_height() * self.out_width()
    }

    /// Floats of the input.
    pub fn in_len(&self) -> usize {
        self.batch * self.height * self.width * self.in_channels
    }

    /// Floats of the output.
    pub fn out_len(&self) -> usize {
        self.out_pixels() * self.out_channels
    }

    /// Positions of the kernel.
    pub fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// Floats of the weights of a full convolution.
    pub fn weight_len(&self) -> usize {
        self.out_channels * self.in_channels * self.taps()
    }

    /// Floats of the weights of a depthwise convolution.
    pub fn depthwise_weight_len(&self) -> usize {
        self.out_channels * self.taps()
    }

    /// Multiply-adds of a full convolution's forward pass, padding included.
    pub fn macs(&self) -> usize {
        self.out_pixels() * self.out_channels * self.in_channels * self.taps()
    }

    /// Panics on sizes that no convolution has.
    pub(crate) fn check(&self) {
        assert!(self.in_channels > 0 && self.out_channels > 0, "a convolution has channels: {self:?}");
        assert!(self.taps() > 0, "a kernel has taps: {self:?}");
        assert!(
            self.stride.iter().chain(&self.dilation).all(|&step| step > 0),
            "strides and dilations are positive: {self:?}"
        );
    }

    /// Panics unless the slices are of the convolution's input and output.
    pub(crate) fn check_activations(&self, input: &[f32], output: &[f32]) {
        self.check();
        assert_eq!(input.len(), self.in_len(), "input of {self:?}");
        assert_eq!(output.len(), self.out_len(), "output of {self:?}");
    }
}

fn out_extent(padded: usize, kernel: usize, stride: usize, dilation: usize) -> usize {
    match padded.checked_sub((kernel - 1) * dilation + 1) {
        Some(room) => room / stride + 1,
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_have_the_published_sizes() {
        let cases = [
            // extent, kernel, stride, padding on each side, dilation → output (PyTorch's formula).
            (224, 7, 2, 3, 1, 112),
            (56, 1, 2, 0, 1, 28),
            (7, 3, 1, 1, 1, 7),
            (15, 3, 2, 1, 2, 7),
            (3, 5, 1, 0, 1, 0),
        ];
        for (extent, kernel, stride, padding, dilation, expected) in cases {
            let shape = ConvShape {
                batch: 2,
                height: extent,
                width: extent,
                kernel: [kernel; 2],
                stride: [stride; 2],
                padding: [padding; 4],
                dilation: [dilation; 2],
                ..ConvShape::linear(1, 3, 4)
            };
            assert_eq!([shape.out_height(), shape.out_width()], [expected; 2], "{shape:?}");
            assert_eq!(shape.out_len(), 2 * expected * expected * 4);
            assert_eq!(shape.macs(), shape.out_len() * 3 * kernel * kernel);
        }
    }
}
