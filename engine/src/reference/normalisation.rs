//! Batch-norm, layer-norm, group-norm and softmax.

use candle_core::{D, Result, Tensor, bail};

/// `x` with each channel shifted and scaled: `(x - mean) / √(variance + ε) · weight + bias`; `[weight, bias, mean, variance]` are `[channels]`.
pub(super) fn batch_norm(x: &Tensor, parameters: [&Tensor; 4], epsilon: f64) -> Result<Tensor> {
    let [weight, bias, mean, variance] = parameters;
    let deviation = (variance + epsilon)?.sqrt()?;
    x.broadcast_sub(mean)?.broadcast_div(&deviation)?.broadcast_mul(weight)?.broadcast_add(bias)
}

/// Mean and biased variance of each channel over all other axes.
pub(super) fn batch_statistics(x: &Tensor) -> Result<(Tensor, Tensor)> {
    let channels = x.dim(D::Minus1)?;
    let rows = x.reshape(((), channels))?;
    if rows.dim(0)? < 2 {
        bail!("batch statistics need more than one value per channel, found {:?}", x.dims());
    }
    let mean = rows.mean(0)?;
    let variance = rows.broadcast_sub(&mean)?.sqr()?.mean(0)?;
    Ok((mean, variance))
}

/// A running statistic after a batch: `(1 - momentum)·old + momentum·new`.
pub(super) fn follow(running: &Tensor, batch: &Tensor, momentum: f64) -> Result<Tensor> {
    (running * (1.0 - momentum))? + (batch * momentum)?
}

/// `x` normalised over the last axis.
pub(super) fn layer_norm(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, epsilon: f64) -> Result<Tensor> {
    let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
    let deviation = (centred.sqr()?.mean_keepdim(D::Minus1)? + epsilon)?.sqrt()?;
    let scaled = centred.broadcast_div(&deviation)?.broadcast_mul(weight)?;
    match bias {
        Some(bias) => scaled.broadcast_add(bias),
        None => Ok(scaled),
    }
}

/// Each group of channels of each sample normalised over all axes between the first and the last.
pub(super) fn group_norm(
    x: &Tensor,
    [weight, bias]: [&Tensor; 2],
    groups: usize,
    epsilon: f64,
) -> Result<Tensor> {
    let (samples, channels) = (x.dim(0)?, x.dim(D::Minus1)?);
    let rows = x.reshape((samples, (), groups, channels / groups))?;
    let mean = |rows: &Tensor| rows.mean_keepdim(3)?.mean_keepdim(1);
    let centred = rows.broadcast_sub(&mean(&rows)?)?;
    let deviation = (mean(&centred.sqr()?)? + epsilon)?.sqrt()?;
    let normal = centred.broadcast_div(&deviation)?.reshape(x.shape())?;
    normal.broadcast_mul(weight)?.broadcast_add(bias)
}

/// Softmax over the last axis.
pub(super) fn softmax(x: &Tensor) -> Result<Tensor> {
    // The shift cancels, so it carries no gradient.
    let largest = x.max_keepdim(D::Minus1)?.detach();
    let powers = x.broadcast_sub(&largest)?.exp()?;
    powers.broadcast_div(&powers.sum_keepdim(D::Minus1)?)
}
