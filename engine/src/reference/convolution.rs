//! Convolution over one or two axes: gathered windows times the weight, in groups; depthwise as one product per tap.

use candle_core::{Result, Tensor};

use super::walk::{Walk, pad};
use crate::graph::Convolution;

/// `x`, `[batch, height, width, in]` with `weight`, `[out, in / groups, kh, kw]`, or `[batch, length, in]` with `[out, in / groups, k]`.
pub(super) fn convolution(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    settings: Convolution,
) -> Result<Tensor> {
    let y = match x.rank() {
        3 => {
            // A single axis is a map of height one; the vertical settings, which it does not use, may be anything.
            let Convolution { stride, padding, dilation, groups } = settings;
            let settings = Convolution {
                stride: [1, stride[1]],
                padding: [0, 0, padding[2], padding[3]],
                dilation: [1, dilation[1]],
                groups,
            };
            over_map(&x.unsqueeze(1)?, &weight.unsqueeze(2)?, settings)?.squeeze(1)?
        }
        _ => over_map(x, weight, settings)?,
    };
    match bias {
        Some(bias) => y.broadcast_add(bias),
        None => Ok(y),
    }
}

fn over_map(x: &Tensor, weight: &Tensor, settings: Convolution) -> Result<Tensor> {
    let Convolution { stride, padding, dilation, groups } = settings;
    let padded = pad(x, padding, 0.0)?;
    let (_, height, width, _) = padded.dims4()?;
    let (_, group_in, kernel_height, kernel_width) = weight.dims4()?;
    let count = |size: usize, kernel: usize, side: usize| {
        (size - (dilation[side] * (kernel - 1) + 1)) / stride[side] + 1
    };
    let walk = Walk {
        kernel: [kernel_height, kernel_width],
        stride,
        dilation,
        output: [count(height, kernel_height, 0), count(width, kernel_width, 1)],
    };
    match group_in {
        1 if groups > 1 => depthwise(&padded, weight, &walk),
        _ => in_groups(&padded, weight, &walk, groups),
    }
}

/// Each group is a matrix of windows, one a row, times a matrix of weights.
fn in_groups(padded: &Tensor, weight: &Tensor, walk: &Walk, groups: usize) -> Result<Tensor> {
    let (batch, _, _, channels) = padded.dims4()?;
    let (out, group_in, kernel_height, kernel_width) = weight.dims4()?;
    let [height, width] = walk.output;
    let (rows, inner, columns) =
        (batch * height * width, kernel_height * kernel_width * group_in, out / groups);

    let windows = walk.windows(padded)?;
    let windows = windows
        .reshape(vec![batch, kernel_height, height, kernel_width, width, groups, channels / groups])?
        .permute(vec![5, 0, 2, 4, 1, 3, 6])?
        .reshape((groups, rows, inner))?;
    let weights = weight
        .reshape((groups, columns, group_in, kernel_height, kernel_width))?
        .permute(vec![0, 3, 4, 2, 1])?
        .reshape((groups, inner, columns))?;
    let products = windows.contiguous()?.matmul(&weights.contiguous()?)?;
    products.permute((1, 0, 2))?.reshape((batch, height, width, out))
}

/// Every input channel has its own `out / in` output channels: the sum over taps of a map times a number for each channel.
fn depthwise(padded: &Tensor, weight: &Tensor, walk: &Walk) -> Result<Tensor> {
    let (batch, _, _, channels) = padded.dims4()?;
    let (out, _, _, _) = weight.dims4()?;
    let [height, width] = walk.output;
    let mut sum: Option<Tensor> = None;
    for tap in walk.taps() {
        let pixels = walk.tap(padded, tap)?.unsqueeze(4)?;
        let weights =
            weight.narrow(2, tap[0], 1)?.narrow(3, tap[1], 1)?.reshape((channels, out / channels))?;
        let product = pixels.broadcast_mul(&weights)?;
        sum = Some(match sum {
            Some(sum) => (sum + product)?,
            None => product,
        });
    }
    match sum {
        Some(sum) => sum.reshape((batch, height, width, out)),
        None => Tensor::zeros((batch, height, width, out), padded.dtype(), padded.device()),
    }
}
