//! One node: its value from its inputs' values, and the gradients of those inputs.

use candle_core::{Result, Tensor, Var, bail};

use super::{
    attention, convolution, distances, dropout, elementwise, normalisation, pooling, resize, shape_ops,
};
use crate::StepKey;
use crate::graph::{Node, Op};

/// How a node behaves when a graph trains. The default is inference.
#[derive(Clone, Copy, Debug, Default)]
pub struct Behaviour<'a> {
    /// The step whose masks dropout and drop-path draw; `None` switches them off.
    pub dropout: Option<&'a StepKey>,
    /// Whether batch-norm uses the batch's statistics instead of the running ones.
    pub batch_statistics: bool,
}

/// The value of a node, channels-last, from those of its inputs; differentiable in all of them but indices.
///
/// # Errors
/// When shapes do not fit (a bound graph's always do), an index names no row, or the node is an input or a parameter.
pub fn forward_node(node: &Node, inputs: &[Tensor], behaviour: Behaviour<'_>) -> Result<Tensor> {
    match (&node.op, inputs) {
        (Op::Convolution(walk), [x, weight]) => convolution::convolution(x, weight, None, *walk),
        (Op::Convolution(walk), [x, weight, bias]) => convolution::convolution(x, weight, Some(bias), *walk),
        (Op::Linear, [x, weight]) => shape_ops::linear(x, weight, None),
        (Op::Linear, [x, weight, bias]) => shape_ops::linear(x, weight, Some(bias)),
        (Op::BatchNorm { epsilon, .. }, [x, weight, bias, mean, variance]) => {
            let (mean, variance) = match behaviour.batch_statistics {
                true => normalisation::batch_statistics(x)?,
                false => (mean.clone(), variance.clone()),
            };
            normalisation::batch_norm(x, [weight, bias, &mean, &variance], *epsilon)
        }
        (Op::LayerNorm { epsilon }, [x, weight, bias @ ..]) => {
            normalisation::layer_norm(x, weight, bias.first(), *epsilon)
        }
        (Op::GroupNorm { groups, epsilon }, [x, weight, bias]) => {
            normalisation::group_norm(x, [weight, bias], *groups, *epsilon)
        }
        (Op::Activation(activation), [x]) => elementwise::activation(x, *activation),
        (Op::Unary(unary), [x]) => elementwise::unary(x, *unary),
        (Op::Affine { scale, shift }, [x]) => x.affine(*scale, *shift),
        (Op::Add, [a, b]) => a.broadcast_add(b),
        (Op::Multiply, [a, b]) => a.broadcast_mul(b),
        (Op::Divide, [a, b]) => a.broadcast_div(b),
        (Op::Reduce { reduction, axes }, [x]) => shape_ops::reduce(x, *reduction, axes),
        (Op::Concat { axis }, parts) => shape_ops::concat(parts, *axis),
        (Op::MaxPool(window), [x]) => pooling::max_pool(x, *window),
        (Op::AveragePool(pool), [x]) => pooling::average_pool(x, *pool),
        (Op::GlobalAveragePool, [x]) => pooling::global_average_pool(x),
        (Op::AdaptiveAveragePool(pool), [x]) => pooling::adaptive_average_pool(x, *pool),
        (Op::ResizeLike(interpolation), [x, like]) => resize::resize_like(x, like, *interpolation),
        (Op::MatMul { transpose_right }, [a, b]) => shape_ops::matmul(a, b, *transpose_right),
        (Op::Attention(settings), [query, key, value, mask @ ..]) => {
            attention::attention([query, key, value], mask.first(), *settings, &node.name, behaviour.dropout)
        }
        (Op::Softmax, [x]) => normalisation::softmax(x),
        (Op::Rotary(rotary), [x]) => distances::rotary(x, *rotary),
        (Op::ByDistance { columns }, [x]) => distances::by_distance(x, columns),
        (Op::Gather, [indices, table]) => shape_ops::gather(indices, table),
        (Op::ExpandLike { axis }, [x, like]) => shape_ops::expand(x, like, *axis),
        (Op::Slice { axis, range }, [x, like @ ..]) => shape_ops::slice(x, like.first(), *axis, *range),
        (Op::Permute(order), [x]) => x.permute(order.as_slice())?.contiguous(),
        (Op::Reshape(dimensions), [x]) => shape_ops::reshape(x, dimensions),
        (Op::Dropout { rate }, [x]) => dropout::dropout(x, *rate, &node.name, behaviour.dropout),
        (Op::DropPath { rate }, [x]) => dropout::drop_path(x, *rate, &node.name, behaviour.dropout),
        (op, inputs) => bail!("{} does not take {} inputs here", op.name(), inputs.len()),
    }
}

/// A node's value together with what its gradients need. Autograd reaches from the value to the node's own inputs and no further,
/// so the depth of a graph never becomes depth of recursion.
pub(super) struct Record {
    /// A variable for each input whose gradient is wanted.
    leaves: Vec<Option<Var>>,
    /// The value, which still remembers how it was made.
    output: Tensor,
}

impl Record {
    /// Runs a node, remembering what the gradients of the wanted inputs need.
    pub fn new(node: &Node, inputs: &[Tensor], wanted: &[bool], behaviour: Behaviour<'_>) -> Result<Self> {
        let leaves: Vec<Option<Var>> = inputs
            .iter()
            .zip(wanted)
            .map(|(input, &wanted)| wanted.then(|| Var::from_tensor(input)).transpose())
            .collect::<Result<_>>()?;
        let read: Vec<Tensor> = inputs
            .iter()
            .zip(&leaves)
            .map(|(input, leaf)| leaf.as_ref().map_or_else(|| input.clone(), |leaf| leaf.as_tensor().clone()))
            .collect();
        let output = forward_node(node, &read, behaviour)?;
        Ok(Self { leaves, output })
    }

    /// The value alone.
    pub fn value(&self) -> Tensor {
        self.output.detach()
    }

    /// The gradients of the inputs for the gradient of the value; `None` where none was wanted or none flows.
    pub fn backward(&self, gradient: &Tensor) -> Result<Vec<Option<Tensor>>> {
        // The derivative of Σ value·gradient by the value is the gradient, so one scalar starts autograd off.
        let gradients = (&self.output * gradient)?.sum_all()?.backward()?;
        Ok(self.leaves.iter().map(|leaf| gradients.get(leaf.as_ref()?.as_tensor()).cloned()).collect())
    }
}
