//! Single nodes on the engine's own f32 tensors, for executors that have no kernel for an operator.
//!
//! A backward call runs the node again: a fallback keeps nothing between forward and backward but its inputs, which the caller has.

use candle_core::{DType, Device};

use super::node::{Behaviour, Record, forward_node};
use super::values::{from_candle, in_node, to_candle};
use crate::graph::{Node, Op};
use crate::{EngineError, Result, Tensor};

/// The value of a node, f32, from those of its inputs in order, as it behaves in training or, by default, in inference.
///
/// # Errors
/// When the inputs do not fit the node, or the node needs more than its inputs (see [`backward`]).
pub fn forward(node: &Node, inputs: &[Tensor], behaviour: Behaviour<'_>) -> Result<Tensor> {
    stateless(node)?;
    let inputs = inputs.iter().map(candle).collect::<candle_core::Result<Vec<_>>>();
    let value = inputs.and_then(|inputs| forward_node(node, &inputs, behaviour));
    from_candle(&value.map_err(in_node(node))?)
}

/// The gradients of a node's inputs, f32, for the gradient of its value; `None` where none is wanted, or none flows, as to indices.
///
/// # Errors
/// When inputs or gradient do not fit the node. Nodes that need more than their inputs are refused: graph inputs and parameters,
/// batch-norm (its running statistics), dropout and drop-path. Attention needs the step that it was run with, if any.
pub fn backward(
    node: &Node,
    inputs: &[Tensor],
    gradient: &Tensor,
    wanted: &[bool],
    behaviour: Behaviour<'_>,
) -> Result<Vec<Option<Tensor>>> {
    stateless(node)?;
    let run = || {
        let inputs = inputs.iter().map(candle).collect::<candle_core::Result<Vec<_>>>()?;
        Record::new(node, &inputs, wanted, behaviour)?.backward(&candle(gradient)?)
    };
    run()
        .map_err(in_node(node))?
        .iter()
        .map(|gradient| gradient.as_ref().map(from_candle).transpose())
        .collect()
}

fn candle(tensor: &Tensor) -> candle_core::Result<candle_core::Tensor> {
    to_candle(tensor, DType::F32, &Device::Cpu)
}

fn stateless(node: &Node) -> Result<()> {
    match node.op {
        Op::Input(_) | Op::Parameter(_) | Op::BatchNorm { .. } | Op::Dropout { .. } | Op::DropPath { .. } => {
            Err(EngineError::Unsupported {
                what: format!("the reference form of {} node `{}` by itself", node.op.name(), node.name),
                why: "it needs more than its inputs; run the whole graph with `Reference`".into(),
            })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn node(op: Op) -> Node {
        Node { name: "node".into(), op, inputs: vec![], stage: 0 }
    }

    #[test]
    fn a_product_gives_each_factor_the_other() {
        let (a, b) = (Tensor::new(&[2], vec![2.0, 3.0]).unwrap(), Tensor::new(&[1], vec![5.0]).unwrap());
        let multiply = node(Op::Multiply);
        assert_eq!(
            forward(&multiply, &[a.clone(), b.clone()], Behaviour::default()).unwrap().to_f32(),
            [10.0, 15.0]
        );
        let gradient = Tensor::new(&[2], vec![1.0, 10.0]).unwrap();
        let inputs = [a, b];
        let gradients = backward(&multiply, &inputs, &gradient, &[true, true], Behaviour::default()).unwrap();
        assert_eq!(gradients[0].as_ref().unwrap().to_f32(), [5.0, 50.0]);
        assert_eq!(gradients[1].as_ref().unwrap().to_f32(), [32.0]);
        let gradients =
            backward(&multiply, &inputs, &gradient, &[false, true], Behaviour::default()).unwrap();
        assert!(gradients[0].is_none() && gradients[1].is_some());
    }

    #[test]
    fn nodes_with_a_state_are_refused() {
        let x = Tensor::zeros(&[1, 2]);
        let error = forward(&node(Op::Dropout { rate: 0.5 }), &[x], Behaviour::default()).unwrap_err();
        assert!(error.to_string().contains("needs more than its inputs"), "{error}");
    }
}
