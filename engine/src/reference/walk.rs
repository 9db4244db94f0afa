//! Windows that walk over a feature map: what convolution and max-pool have in common.

use candle_core::{Result, Tensor};

/// How a window walks over a padded map, `[batch, height, width, channels]`. Pairs are vertical, horizontal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Walk {
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    pub dilation: [usize; 2],
    /// How many windows there are along each side.
    pub output: [usize; 2],
}

impl Walk {
    /// The positions of a window, row by row.
    pub fn taps(&self) -> impl Iterator<Item = [usize; 2]> + use<> {
        let [height, width] = self.kernel;
        (0..height).flat_map(move |row| (0..width).map(move |column| [row, column]))
    }

    /// What every window has at one of its positions, `[batch, output height, output width, channels]`.
    pub fn tap(&self, padded: &Tensor, tap: [usize; 2]) -> Result<Tensor> {
        let rows = padded.index_select(&self.positions(padded, 0, tap[0]..tap[0] + 1)?, 1)?;
        rows.index_select(&self.positions(padded, 1, tap[1]..tap[1] + 1)?, 2)
    }

    /// All windows, `[batch, kernel height, output height, kernel width, output width, channels]`.
    pub fn windows(&self, padded: &Tensor) -> Result<Tensor> {
        let (batch, _, _, channels) = padded.dims4()?;
        let rows = padded.index_select(&self.positions(padded, 0, 0..self.kernel[0])?, 1)?;
        let windows = rows.index_select(&self.positions(padded, 1, 0..self.kernel[1])?, 2)?;
        windows.reshape(vec![batch, self.kernel[0], self.output[0], self.kernel[1], self.output[1], channels])
    }

    /// For each of some positions of a window, where all windows have it along a side.
    fn positions(&self, padded: &Tensor, side: usize, taps: std::ops::Range<usize>) -> Result<Tensor> {
        let positions: Vec<u32> = taps
            .flat_map(|tap| (0..self.output[side]).map(move |window| (tap, window)))
            .map(|(tap, window)| (window * self.stride[side] + tap * self.dilation[side]) as u32)
            .collect();
        Tensor::new(positions, padded.device())
    }
}

/// A map with a border of one value: so many rows and columns on top, at the bottom, left and right.
pub(super) fn pad(x: &Tensor, border: [usize; 4], value: f64) -> Result<Tensor> {
    let mut padded = x.contiguous()?;
    for (axis, [before, after]) in [(1, [border[0], border[1]]), (2, [border[2], border[3]])] {
        let strip = |size: usize| {
            let mut shape = padded.dims().to_vec();
            shape[axis] = size;
            Tensor::full(value, shape, x.device())?.to_dtype(x.dtype())
        };
        padded = match (before, after) {
            (0, 0) => continue,
            (0, after) => Tensor::cat(&[&padded, &strip(after)?], axis)?,
            (before, 0) => Tensor::cat(&[&strip(before)?, &padded], axis)?,
            (before, after) => Tensor::cat(&[&strip(before)?, &padded, &strip(after)?], axis)?,
        };
    }
    Ok(padded)
}
