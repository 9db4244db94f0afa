//! Between the engine's tensors and candle's.

use candle_core::{DType, Device, bail};

use crate::graph::Node;
use crate::{EngineError, Result, Tensor};

/// A candle tensor of the given precision. Widening is free; f64 numbers are not rounded to f32 behind anybody's back.
pub(super) fn to_candle(
    tensor: &Tensor,
    dtype: DType,
    device: &Device,
) -> candle_core::Result<candle_core::Tensor> {
    match (dtype, tensor.as_f32()) {
        (DType::F32, Ok(numbers)) => candle_core::Tensor::from_slice(numbers, tensor.shape(), device),
        (DType::F64, _) => candle_core::Tensor::from_vec(tensor.to_f64(), tensor.shape(), device),
        (_, _) => bail!("expected a tensor of {}, found f64", dtype.as_str()),
    }
}

/// The numbers of a candle tensor, f32 or f64 as it is.
pub(super) fn from_candle(tensor: &candle_core::Tensor) -> Result<Tensor> {
    let numbers = || {
        let flat = tensor.flatten_all()?;
        match tensor.dtype() {
            DType::F64 => Ok(Tensor::new_f64(tensor.dims(), flat.to_vec1()?)),
            _ => Ok(Tensor::new(tensor.dims(), flat.to_vec1()?)),
        }
    };
    numbers().map_err(in_place("a result"))?
}

/// The numbers of a candle tensor as f64.
pub(super) fn numbers(tensor: &candle_core::Tensor) -> candle_core::Result<Vec<f64>> {
    tensor.flatten_all()?.to_dtype(DType::F64)?.to_vec1()
}

/// Says at which node candle failed.
pub(super) fn in_node(node: &Node) -> impl Fn(candle_core::Error) -> EngineError + use<'_> {
    in_place(&node.name)
}

/// Says at which node or parameter candle failed.
pub(super) fn in_place(name: &str) -> impl Fn(candle_core::Error) -> EngineError + use<'_> {
    move |source| EngineError::Candle { node: name.to_owned(), source }
}

/// Checks a shape.
pub(super) fn check_shape(what: &str, tensor: &Tensor, shape: &[usize]) -> Result<()> {
    if tensor.shape() == shape {
        return Ok(());
    }
    Err(EngineError::Tensor {
        what: what.to_owned(),
        expected: format!("shape {shape:?}"),
        found: format!("{:?}", tensor.shape()),
    })
}
