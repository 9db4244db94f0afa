//! The operators. They store no sizes of batch, height, width or length: those exist only at bind.

pub use crate::cpu::kernels::activation::Activation;
pub use crate::cpu::kernels::pooling::average::Divisor;

use super::Rotary;

/// What a node computes. Shapes are channels-last; the inputs of each are given in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// An input of the graph, by position.
    Input(usize),
    /// A parameter or buffer, by position. A node, so that sharing and re-parametrisation need no special case.
    Parameter(usize),
    /// `x, weight[, bias]`: `[batch, height, width, in]` with `[out, in / groups, kh, kw]`, or `[batch, length, in]` with
    /// `[out, in / groups, k]`; the kernel's size is the weight's.
    Convolution(Convolution),
    /// `x, weight[, bias]`: `[…, in]` with `[out, in]` to `[…, out]`.
    Linear,
    /// `x, weight, bias, running mean, running variance`, each of the last axis's size.
    BatchNorm {
        /// Added to the variance.
        epsilon: f64,
        /// The share of the new statistic in the running one.
        momentum: f64,
    },
    /// `x, weight[, bias]`: normalised over the last axis.
    LayerNorm {
        /// Added to the variance.
        epsilon: f64,
    },
    /// `x, weight, bias`: each group of neighbouring channels of each sample normalised over them and all axes between the first and the last
    /// (arXiv 1803.08494). With as many groups as channels it is instance-norm (arXiv 1607.08022).
    GroupNorm {
        /// How many groups, which divide the channels.
        groups: usize,
        /// Added to the variance.
        epsilon: f64,
    },
    /// `x`, element by element.
    Activation(Activation),
    /// `x`, element by element: simple arithmetic that re-parametrisations are made of.
    Unary(Unary),
    /// `x·scale + shift`.
    Affine {
        /// The factor.
        scale: f64,
        /// What is added.
        shift: f64,
    },
    /// `a + b`, broadcast as NumPy does.
    Add,
    /// `a · b`, broadcast as NumPy does.
    Multiply,
    /// `a / b`, broadcast as NumPy does.
    Divide,
    /// `x` summed or averaged over axes that stay with size 1.
    Reduce {
        /// Sum or mean.
        reduction: Reduction,
        /// The axes.
        axes: Vec<usize>,
    },
    /// Two or more values joined along an axis.
    Concat {
        /// The axis.
        axis: usize,
    },
    /// `x`: the maximum of each window; padding never wins.
    MaxPool(Window),
    /// `x`: the mean of each window.
    AveragePool(AveragePool),
    /// `x`: the mean over all axes but the first and the last, `[batch, channels]`.
    GlobalAveragePool,
    /// `x`: the mean of `size` bins, whose borders are those of PyTorch's adaptive pooling.
    AdaptiveAveragePool(AdaptivePool),
    /// `x, like`: `x` resampled to the height and width of `like`.
    ResizeLike(Interpolation),
    /// `a, b`: matrix product over the last two axes, earlier axes equal.
    MatMul {
        /// Whether `b` is given transposed, `[…, columns, inner]`.
        transpose_right: bool,
    },
    /// `x`: over the last axis.
    Softmax,
    /// `query, key, value[, mask]`: `[batch, query, width]` and twice `[batch, key, width]` to `[batch, query, width]`. The mask is
    /// added to the scores, `[batch, heads, query, key]`; each of its first three axes may be 1 instead.
    Attention(Attention),
    /// `x`, `[batch, length, width]`: each head's share of the width turned by angles that grow with the position, so that products of
    /// what was turned depend on distances alone (arXiv 2104.09864).
    Rotary(Rotary),
    /// `x`, `[…, length, columns]`, to `[…, length, length]`: for each row and each of as many others, the number of the row in the
    /// column that stands for their distance, other − row.
    ByDistance {
        /// An odd count, the columns of the distances from −r to r; farther ones are as these two.
        columns: Vec<usize>,
    },
    /// `indices, table`: rows of `[rows, width]`, `[…]` to `[…, width]`.
    Gather,
    /// `x[, like]`: a range of an axis.
    Slice {
        /// The axis.
        axis: usize,
        /// Which part of it.
        range: SliceRange,
    },
    /// `x, like`: `x`, whose axis has size 1, repeated along it as often as `like` is long there.
    ExpandLike {
        /// The axis, the same of both.
        axis: usize,
    },
    /// `x`: axes in another order.
    Permute(Vec<usize>),
    /// `x`: the same numbers under another shape.
    Reshape(Vec<Dimension>),
    /// `x`: each element zeroed with this probability when training, the rest scaled up.
    Dropout {
        /// The probability, below 1.
        rate: f64,
    },
    /// `x`: each sample zeroed with this probability when training, the rest scaled up (arXiv 1603.09382).
    DropPath {
        /// The probability, below 1.
        rate: f64,
    },
}

impl Op {
    /// A short name for messages.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Input(_) => "input",
            Self::Parameter(_) => "parameter",
            Self::Convolution(_) => "convolution",
            Self::Linear => "linear",
            Self::BatchNorm { .. } => "batch-norm",
            Self::LayerNorm { .. } => "layer-norm",
            Self::GroupNorm { .. } => "group-norm",
            Self::Activation(_) => "activation",
            Self::Unary(_) => "unary",
            Self::Affine { .. } => "affine",
            Self::Add => "add",
            Self::Multiply => "multiply",
            Self::Divide => "divide",
            Self::Reduce { .. } => "reduce",
            Self::Concat { .. } => "concat",
            Self::MaxPool(_) => "max-pool",
            Self::AveragePool(_) => "average-pool",
            Self::GlobalAveragePool => "global-average-pool",
            Self::AdaptiveAveragePool(_) => "adaptive-average-pool",
            Self::ResizeLike(_) => "resize-like",
            Self::MatMul { .. } => "matmul",
            Self::Softmax => "softmax",
            Self::Attention(_) => "attention",
            Self::Rotary(_) => "rotary",
            Self::ByDistance { .. } => "by-distance",
            Self::Gather => "gather",
            Self::Slice { .. } => "slice",
            Self::ExpandLike { .. } => "expand-like",
            Self::Permute(_) => "permute",
            Self::Reshape(_) => "reshape",
            Self::Dropout { .. } => "dropout",
            Self::DropPath { .. } => "drop-path",
        }
    }
}

/// How a convolution walks; one axis uses the second number of each pair (and the last two of the padding).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Convolution {
    /// Vertical, horizontal.
    pub stride: [usize; 2],
    /// Top, bottom, left, right; zeros.
    pub padding: [usize; 4],
    /// Vertical, horizontal.
    pub dilation: [usize; 2],
    /// Channels are convolved in this many separate groups.
    pub groups: usize,
}

/// A pooling window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// Height, width.
    pub kernel: [usize; 2],
    /// Vertical, horizontal.
    pub stride: [usize; 2],
    /// Top, bottom, left, right.
    pub padding: [usize; 4],
    /// Whether a last window that is only partly inside counts (PyTorch's `ceil_mode`).
    pub ceil: bool,
}

/// An average over windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AveragePool {
    /// The window.
    pub window: Window,
    /// What the sum is divided by.
    pub divisor: Divisor,
}

/// An adaptive pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AdaptivePool {
    /// Height, width of the result.
    pub size: [usize; 2],
    /// On which inputs it acts.
    pub when: When,
}

/// On which inputs an adaptive pool acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum When {
    /// On all.
    Always,
    /// Only where an axis is smaller than the target; other axes keep their size.
    Smaller,
}

/// Scaled dot-product attention over heads (arXiv 1706.03762): each head has its share of the width, in order, and its scores are
/// products of queries and keys divided by the root of that share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attention {
    /// The count of heads, which divides the width.
    pub heads: usize,
    /// The probability, below 1, with which training zeroes a share of attention and scales the others up. Masks are drawn as
    /// [`Op::Dropout`] draws them, from the node's name and the element's position in `[heads, query, key]`.
    pub dropout: f64,
}

/// How pixels between pixels are made. Corners are not aligned, as PyTorch's default is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Interpolation {
    /// The nearest pixel, rounding down.
    Nearest,
    /// Weighted by distance in both directions.
    Bilinear,
}

/// Simple arithmetic on one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unary {
    /// `x²`
    Square,
    /// `√x`
    SquareRoot,
    /// `eˣ`
    Exponential,
}

/// How axes are reduced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reduction {
    /// The sum.
    Sum,
    /// The mean.
    Mean,
}

/// A range of an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SliceRange {
    /// `start .. start + length`.
    Fixed {
        /// The first position.
        start: usize,
        /// How many.
        length: usize,
    },
    /// From the start, as many as the second input's axis has.
    Like {
        /// The axis of the second input.
        axis: usize,
    },
}

/// A size in a reshape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dimension {
    /// The input's axis of this number.
    Same(usize),
    /// A fixed size.
    Size(usize),
    /// What is left; at most one.
    Rest,
}
