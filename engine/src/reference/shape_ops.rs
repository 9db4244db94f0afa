//! Products of matrices, look-ups, reductions, and what only moves numbers.

use candle_core::{DType, Result, Tensor, bail};

use crate::graph::{Dimension, Reduction, SliceRange};

/// `x`, `[…, in]`, times `weight`, `[out, in]`, plus `bias`.
pub(super) fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let (out, inner) = weight.dims2()?;
    let mut shape = x.dims().to_vec();
    shape.pop();
    shape.push(out);
    let y = x.reshape(((), inner))?.matmul(&weight.t()?.contiguous()?)?.reshape(shape)?;
    match bias {
        Some(bias) => y.broadcast_add(bias),
        None => Ok(y),
    }
}

/// The matrix product over the last two axes.
pub(super) fn matmul(a: &Tensor, b: &Tensor, transpose_right: bool) -> Result<Tensor> {
    let b = if transpose_right { b.t()? } else { b.clone() };
    a.contiguous()?.matmul(&b.contiguous()?)
}

/// Rows of `table`, `[rows, width]`, by whole numbers. No gradient flows to these.
pub(super) fn gather(indices: &Tensor, table: &Tensor) -> Result<Tensor> {
    let (rows, width) = table.dims2()?;
    let mut numbers = Vec::with_capacity(indices.elem_count());
    for index in indices.flatten_all()?.to_dtype(DType::F64)?.to_vec1::<f64>()? {
        // Candle reads index 2³² - 1 as a row of zeros and would round fractions down.
        if index.fract() != 0.0 || !(0.0..rows as f64).contains(&index) {
            bail!("index {index} names no row of a table of {rows}");
        }
        numbers.push(index as u32);
    }
    let mut shape = indices.dims().to_vec();
    shape.push(width);
    table.contiguous()?.index_select(&Tensor::new(numbers, table.device())?, 0)?.reshape(shape)
}

/// The sum or the mean over axes that stay with size 1.
pub(super) fn reduce(x: &Tensor, reduction: Reduction, axes: &[usize]) -> Result<Tensor> {
    match reduction {
        Reduction::Sum => x.sum_keepdim(axes),
        Reduction::Mean => x.mean_keepdim(axes),
    }
}

/// Values joined along an axis.
pub(super) fn concat(parts: &[Tensor], axis: usize) -> Result<Tensor> {
    let parts = parts.iter().map(Tensor::contiguous).collect::<Result<Vec<_>>>()?;
    Tensor::cat(&parts, axis)
}

/// A range of an axis.
pub(super) fn slice(x: &Tensor, like: Option<&Tensor>, axis: usize, range: SliceRange) -> Result<Tensor> {
    let (start, length) = match (range, like) {
        (SliceRange::Fixed { start, length }, _) => (start, length),
        (SliceRange::Like { axis }, Some(like)) => (0, like.dim(axis)?),
        (SliceRange::Like { .. }, None) => bail!("a slice needs the value whose size it takes"),
    };
    x.narrow(axis, start, length)?.contiguous()
}

/// `x`, whose axis has size 1, repeated as often as `like` is long there.
pub(super) fn expand(x: &Tensor, like: &Tensor, axis: usize) -> Result<Tensor> {
    let mut shape = x.dims().to_vec();
    shape[axis] = like.dim(axis)?;
    x.broadcast_as(shape)?.contiguous()
}

/// The same numbers under another shape.
pub(super) fn reshape(x: &Tensor, dimensions: &[Dimension]) -> Result<Tensor> {
    let known = |dimension: &Dimension| match dimension {
        Dimension::Same(axis) => x.dim(*axis),
        Dimension::Size(size) => Ok(*size),
        Dimension::Rest => Ok(1),
    };
    let mut shape = dimensions.iter().map(known).collect::<Result<Vec<_>>>()?;
    let product: usize = shape.iter().product();
    if let Some(rest) = dimensions.iter().position(|dimension| *dimension == Dimension::Rest) {
        shape[rest] = x.elem_count() / product.max(1);
    }
    x.reshape(shape)
}
