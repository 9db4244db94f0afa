//! Inverted residuals (arXiv 1801.04381): widen by a 1 × 1 convolution, filter each channel, narrow by a 1 × 1 convolution. In
//! inference only.
//!
//! Wide activations are several times as large as what comes in and goes out, so they are not written to memory: strips of the
//! image are computed from top to bottom, a few rows at a time, and the wide rows that the next filter still needs stay in a ring
//! in the second-level cache. Sums are those of the three convolutions one after the other, in the same order.

mod strip;

#[cfg(test)]
mod tests;

use super::Clamp;
use super::conv::{ConvShape, Direction, PackedWeights};
use super::micro::with_microkernels;
use crate::cpu::Machine;
use crate::cpu::pool::SharedPointer;

/// The sizes of an inverted residual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockShape {
    /// Channels of the input.
    pub in_channels: usize,
    /// The convolution of each wide channel.
    pub depthwise: ConvShape,
    /// Channels of the output.
    pub out_channels: usize,
}

/// What one of its convolutions adds and how it bounds its result.
#[derive(Clone, Copy, Debug)]
pub struct Layer<'a, W> {
    /// The weights.
    pub weights: W,
    /// One number for each output channel.
    pub bias: Option<&'a [f32]>,
    /// Applied last.
    pub clamp: Clamp,
}

/// An inverted residual with its weights.
#[derive(Clone, Copy, Debug)]
pub struct Block<'a> {
    /// The sizes.
    pub shape: BlockShape,
    /// The widening convolution; without one the input is as wide as it gets.
    pub expand: Option<Layer<'a, &'a PackedWeights>>,
    /// The convolution of each channel, weights `[channels, 1, kernel, kernel]`.
    pub depthwise: Layer<'a, &'a [f32]>,
    /// The narrowing convolution.
    pub project: Layer<'a, &'a PackedWeights>,
    /// Added before the last clamp; as large as the output.
    pub residual: Option<&'a [f32]>,
}

/// Weights of the 1 × 1 convolutions that stay in the second-level cache while rows pass by.
const RESIDENT_WEIGHTS: usize = 640 << 10;
/// Tasks worth having, for balance.
const TASKS: usize = 16;
/// With fewer tasks most threads have nothing to do.
const LEAST_TASKS: usize = 4;
/// A strip widens rows again that the strip before it has widened: at most one row in so many.
const ROWS_PER_REPEATED: usize = 8;

impl BlockShape {
    /// Whether [`forward`] can compute it: square kernels of 3 or 5, the same stride of 1 or 2 in both directions.
    pub fn is_supported(&self) -> bool {
        let ConvShape { kernel, stride, dilation, padding, .. } = self.depthwise;
        matches!(kernel, [3, 3] | [5, 5])
            && matches!(stride, [1, 1] | [2, 2])
            && dilation == [1, 1]
            && padding.iter().all(|&zeros| zeros < kernel[0])
    }

    /// Whether one pass is faster than three: the weights stay in the cache, and there is work for several threads.
    pub fn pays(&self) -> bool {
        let wide = self.depthwise.in_channels;
        let weights = wide * (self.in_channels + self.out_channels) * size_of::<f32>();
        weights <= RESIDENT_WEIGHTS && self.depthwise.batch * self.strips() >= LEAST_TASKS
    }

    /// Strips into which an image is cut.
    fn strips(&self) -> usize {
        let shape = &self.depthwise;
        let repeated = shape.kernel[0] - shape.stride[0].min(shape.kernel[0]);
        let most = 1 + shape.height / (ROWS_PER_REPEATED * repeated).max(1);
        TASKS.div_ceil(shape.batch.max(1)).clamp(1, most).min(shape.out_height().max(1))
    }

    /// The widening convolution.
    pub fn expand(&self) -> ConvShape {
        let pixels = self.depthwise.batch * self.depthwise.height * self.depthwise.width;
        ConvShape::linear(pixels, self.in_channels, self.depthwise.in_channels)
    }

    /// The narrowing convolution.
    pub fn project(&self) -> ConvShape {
        ConvShape::linear(self.depthwise.out_pixels(), self.depthwise.out_channels, self.out_channels)
    }
}

/// `output = clamp(project(clamp(depthwise(clamp(expand(input))))) + residual)`, each with its bias.
///
/// # Panics
/// When the shape is not supported, sizes differ, or the weights are packed for something else.
pub fn forward(machine: &Machine, block: &Block<'_>, input: &[f32], output: &mut [f32]) {
    block.check(machine, input, output);
    let (batch, rows) = (block.shape.depthwise.batch, block.shape.depthwise.out_height());
    if output.is_empty() {
        return;
    }
    let strips = block.shape.strips();
    let rows_each = rows.div_ceil(strips);
    let strips = rows.div_ceil(rows_each);
    let weights = block.weights_by_tap();
    let output = SharedPointer(output.as_mut_ptr());
    machine.pool.for_each(batch * strips, |task| {
        let (image, start) = (task / strips, task % strips * rows_each);
        let rows = start..(start + rows_each).min(rows);
        with_microkernels!(machine.isa, Kernels => {
            // SAFETY: the machine has the instruction set, sizes were checked, and strips do not share rows of output.
            unsafe { strip::compute::<Kernels>(block, &weights, input, image, rows, output.get()) }
        });
    });
}

impl Block<'_> {
    fn check(&self, machine: &Machine, input: &[f32], output: &[f32]) {
        let shape = &self.shape;
        assert!(shape.is_supported(), "{shape:?}");
        assert_eq!(shape.depthwise.in_channels, shape.depthwise.out_channels, "{shape:?}");
        let (expand, project) = (shape.expand(), shape.project());
        assert_eq!(input.len(), expand.in_len(), "input of {shape:?}");
        assert_eq!(output.len(), project.out_len(), "output of {shape:?}");
        match &self.expand {
            Some(layer) => {
                layer.weights.check(machine.isa, &expand, Direction::Forward);
                check_bias(layer.bias, expand.out_channels);
            }
            None => assert_eq!(shape.in_channels, shape.depthwise.in_channels, "{shape:?}"),
        }
        assert_eq!(self.depthwise.weights.len(), shape.depthwise.depthwise_weight_len(), "{shape:?}");
        check_bias(self.depthwise.bias, shape.depthwise.out_channels);
        self.project.weights.check(machine.isa, &project, Direction::Forward);
        check_bias(self.project.bias, project.out_channels);
        if let Some(residual) = self.residual {
            assert_eq!(residual.len(), output.len(), "the residual is as large as the output");
        }
    }

    /// The depthwise weights as `[tap][channel]`.
    fn weights_by_tap(&self) -> Vec<f32> {
        let taps: Vec<usize> = (0..self.shape.depthwise.taps()).collect();
        super::depthwise::by_tap(self.depthwise.weights, taps.len(), &taps)
    }
}

fn check_bias(bias: Option<&[f32]>, channels: usize) {
    if let Some(bias) = bias {
        assert_eq!(bias.len(), channels, "a bias has one number for each output channel");
    }
}
