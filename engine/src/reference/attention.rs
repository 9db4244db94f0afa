//! Attention over heads, from products of matrices, softmax and dropout.

use candle_core::{Result, Tensor};

use super::{dropout, normalisation};
use crate::StepKey;
use crate::graph::Attention;

/// Query, key and value, `[batch, length, width]`, to `[batch, query, width]`; the mask broadcasts to `[batch, heads, query, key]`.
pub(super) fn attention(
    [query, key, value]: [&Tensor; 3],
    mask: Option<&Tensor>,
    settings: Attention,
    node: &str,
    step: Option<&StepKey>,
) -> Result<Tensor> {
    let (batch, length, width) = query.dims3()?;
    let Attention { heads, dropout: rate } = settings;
    let scale = (width as f64 / heads as f64).sqrt().recip();
    let scores = by_head(query, heads)?.matmul(&by_head(key, heads)?.t()?.contiguous()?)?;
    let mut scores = (scores * scale)?;
    if let Some(mask) = mask {
        scores = scores.broadcast_add(mask)?;
    }
    let shares = normalisation::softmax(&scores)?;
    let shares = dropout::dropout(&shares, rate, node, step.filter(|_| rate > 0.0))?;
    let mixed = shares.matmul(&by_head(value, heads)?)?;
    mixed.transpose(1, 2)?.reshape((batch, length, width))
}

/// `[batch, length, width]` to `[batch, heads, length, width / heads]`.
fn by_head(x: &Tensor, heads: usize) -> Result<Tensor> {
    let (batch, length, width) = x.dims3()?;
    x.reshape((batch, length, heads, width / heads))?.transpose(1, 2)?.contiguous()
}
