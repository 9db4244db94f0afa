//! What a training forward pass leaves, and the backward pass over it.

use candle_core::{DType, Device, Tensor as Candle};

use super::node::Record;
use super::values::{check_shape, in_node, in_place, to_candle};
use crate::graph::{Graph, Op};
use crate::{EngineError, Result, Tensor};

/// The values through which gradients flow.
pub(super) struct Recording {
    /// By node; `None` where no gradient is wanted.
    pub nodes: Vec<Option<Record>>,
    /// The shape of each output.
    pub outputs: Vec<Vec<usize>>,
}

impl Recording {
    /// The gradients of parameters, by position, given those of the outputs. Drops each record as soon as it is done.
    ///
    /// # Errors
    /// When the gradients do not fit the outputs.
    pub fn backward(
        self,
        graph: &Graph,
        gradients: &[Tensor],
        dtype: DType,
        device: &Device,
    ) -> Result<Vec<(usize, Candle)>> {
        if gradients.len() != self.outputs.len() {
            return Err(EngineError::Tensor {
                what: "gradients of the outputs".into(),
                expected: format!("{}", self.outputs.len()),
                found: format!("{}", gradients.len()),
            });
        }
        let mut pending: Vec<Option<Candle>> = vec![None; graph.nodes().len()];
        for (((name, value), shape), gradient) in graph.outputs().iter().zip(&self.outputs).zip(gradients) {
            check_shape(&format!("the gradient of output `{name}`"), gradient, shape)?;
            let gradient = to_candle(gradient, dtype, device).map_err(in_place(name))?;
            add(&mut pending[value.index()], gradient).map_err(in_place(name))?;
        }
        let mut of_parameters = Vec::new();
        for ((position, node), record) in graph.nodes().iter().enumerate().zip(self.nodes).rev() {
            let Some(gradient) = pending[position].take() else { continue };
            if let Op::Parameter(index) = node.op {
                of_parameters.push((index, gradient));
            } else if let Some(record) = record {
                let shares = record.backward(&gradient).map_err(in_node(node))?;
                for (input, share) in node.inputs.iter().zip(shares) {
                    if let Some(share) = share {
                        add(&mut pending[input.index()], share).map_err(in_node(node))?;
                    }
                }
            }
        }
        Ok(of_parameters)
    }
}

/// Adds to a sum that may not have begun.
pub(super) fn add(sum: &mut Option<Candle>, share: Candle) -> candle_core::Result<()> {
    *sum = Some(match sum.take() {
        Some(sum) => (sum + share)?,
        None => share,
    });
    Ok(())
}
