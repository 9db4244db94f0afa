//! Pools: the maximum by comparing taps, averages as products with constant matrices.

use candle_core::{Result, Tensor, bail};

use super::resize::mix_map;
use super::walk::{Walk, pad};
use crate::graph::{AdaptivePool, AveragePool, Divisor, When, Window};

/// The maximum of each window. The first of equal maxima gets the whole gradient and a NaN wins, as PyTorch has it.
pub(super) fn max_pool(x: &Tensor, window: Window) -> Result<Tensor> {
    let (_, height, width, _) = x.dims4()?;
    let output = [window.output(0, height), window.output(1, width)];
    let [top, _, left, _] = window.padding;
    // Below and to the right, as far as the last window reaches; what no window reaches is cut off by not being asked for.
    let beyond = |side: usize, size: usize, before: usize| {
        ((output[side] - 1) * window.stride[side] + window.kernel[side]).saturating_sub(size + before)
    };
    let border = [top, beyond(0, height, top), left, beyond(1, width, left)];
    let padded = pad(x, border, f64::NEG_INFINITY)?;
    let walk = Walk { kernel: window.kernel, stride: window.stride, dilation: [1; 2], output };
    let mut best: Option<Tensor> = None;
    for tap in walk.taps() {
        let candidate = walk.tap(&padded, tap)?;
        best = Some(match best {
            Some(best) => {
                let better = (candidate.gt(&best)? + candidate.ne(&candidate)?)?;
                better.where_cond(&candidate, &best)?
            }
            None => candidate,
        });
    }
    match best {
        Some(best) => Ok(best),
        None => bail!("a window of {:?}", window.kernel),
    }
}

/// The mean of each window.
pub(super) fn average_pool(x: &Tensor, pool: AveragePool) -> Result<Tensor> {
    let (_, height, width, _) = x.dims4()?;
    let matrices = [(0, height), (1, width)].map(|(side, size)| window_means(&pool, side, size));
    mix_map(x, &matrices)
}

/// For each window along a side the weights of the positions that it averages.
///
/// Windows are products of sides, and so is each divisor: the count of positions inside, or inside and in the padding. What `ceil`
/// adds beyond the padding never counts.
fn window_means(pool: &AveragePool, side: usize, size: usize) -> Vec<Vec<f64>> {
    let window = &pool.window;
    let (before, after) = (window.padding[2 * side], window.padding[2 * side + 1]);
    (0..window.output(side, size))
        .map(|number| {
            // Counted from the first padding position.
            let start = number * window.stride[side];
            let end = (start + window.kernel[side]).min(size + before + after);
            let (first, last) = (start.max(before), end.min(size + before));
            let divisor = match pool.divisor {
                Divisor::Inside => last.saturating_sub(first),
                Divisor::WithPadding => end - start,
            };
            (0..size)
                .map(|at| if (first..last).contains(&(at + before)) { 1.0 / divisor as f64 } else { 0.0 })
                .collect()
        })
        .collect()
}

/// The mean over all axes but the first and the last, `[batch, channels]`.
pub(super) fn global_average_pool(x: &Tensor) -> Result<Tensor> {
    let (batch, channels) = (x.dim(0)?, x.dim(x.rank() - 1)?);
    x.reshape((batch, (), channels))?.mean(1)
}

/// The mean of `size` bins along each side; bin `i` of `n` over `size` positions is `⌊i·size/n⌋ .. ⌈(i+1)·size/n⌉`.
pub(super) fn adaptive_average_pool(x: &Tensor, pool: AdaptivePool) -> Result<Tensor> {
    let (_, height, width, _) = x.dims4()?;
    let matrices = [(0, height), (1, width)].map(|(side, size)| {
        let bins = match pool.when {
            When::Always => pool.size[side],
            When::Smaller => pool.size[side].max(size),
        };
        bin_means(size, bins)
    });
    mix_map(x, &matrices)
}

fn bin_means(size: usize, bins: usize) -> Vec<Vec<f64>> {
    (0..bins)
        .map(|bin| {
            let (start, end) = (bin * size / bins, ((bin + 1) * size).div_ceil(bins));
            (0..size)
                .map(|at| if (start..end).contains(&at) { 1.0 / (end - start) as f64 } else { 0.0 })
                .collect()
        })
        .collect()
}
