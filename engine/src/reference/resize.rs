//! Resampling to another height and width, and the product with a matrix along an axis that it is made of.

use candle_core::{Result, Tensor};

use crate::graph::Interpolation;

/// `x` at the height and width of `like`; no gradient flows to `like`.
pub(super) fn resize_like(x: &Tensor, like: &Tensor, interpolation: Interpolation) -> Result<Tensor> {
    let ((_, height, width, _), (_, new_height, new_width, _)) = (x.dims4()?, like.dims4()?);
    match interpolation {
        Interpolation::Nearest => {
            let rows = x.contiguous()?.index_select(&nearest(x, height, new_height)?, 1)?;
            rows.index_select(&nearest(x, width, new_width)?, 2)
        }
        Interpolation::Bilinear => {
            mix_map(x, &[linear_weights(height, new_height), linear_weights(width, new_width)])
        }
    }
}

/// In whole numbers. PyTorch multiplies by a ratio rounded to f32, which for one pair of sizes in a hundred (2 to 82) lands a pixel off
/// at some place.
fn nearest(x: &Tensor, size: usize, new_size: usize) -> Result<Tensor> {
    let positions: Vec<u32> = (0..new_size).map(|at| (at * size / new_size) as u32).collect();
    Tensor::new(positions, x.device())
}

/// For each new position the weights of the old ones. Centres of pixels lie at halves; the border is repeated.
fn linear_weights(size: usize, new_size: usize) -> Vec<Vec<f64>> {
    (0..new_size)
        .map(|at| {
            let centre = (at as f64 + 0.5) * size as f64 / new_size as f64 - 0.5;
            let position = centre.max(0.0);
            let (first, share) = (position.floor() as usize, position.fract());
            let mut weights = vec![0.0; size];
            weights[first.min(size - 1)] += 1.0 - share;
            weights[(first + 1).min(size - 1)] += share;
            weights
        })
        .collect()
}

/// A map `[batch, height, width, channels]` with its rows and then its columns mixed by constant matrices, given as new by old.
pub(super) fn mix_map(x: &Tensor, matrices: &[Vec<Vec<f64>>; 2]) -> Result<Tensor> {
    mix_axis(&mix_axis(x, 1, &matrices[0])?, 2, &matrices[1])
}

fn mix_axis(x: &Tensor, axis: usize, matrix: &[Vec<f64>]) -> Result<Tensor> {
    let (old, new) = (x.dim(axis)?, matrix.len());
    let mut shape = x.dims().to_vec();
    let (before, after) =
        (shape[..axis].iter().product::<usize>(), shape[axis + 1..].iter().product::<usize>());
    shape[axis] = new;
    let weights = Tensor::from_vec(matrix.concat(), (new, old), x.device())?.to_dtype(x.dtype())?;
    let rows =
        x.reshape((before, old, after))?.transpose(1, 2)?.contiguous()?.reshape((before * after, old))?;
    let mixed = rows.matmul(&weights.t()?.contiguous()?)?;
    mixed.reshape((before, after, new))?.transpose(1, 2)?.contiguous()?.reshape(shape)
}
