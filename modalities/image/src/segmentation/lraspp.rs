//! LR-ASPP (Howard et al. 2019, arXiv 1905.02244, section 6.3): a coarse map, weighed by its mean, beside a fine one; small and fast.

use tk_engine::Value;
use tk_engine::blocks::conv_norm;
use tk_engine::graph::{Activation, Conv2d, GraphBuilder, Interpolation, Op, Reduction};

use super::{KERNELS, logits};

/// Channels of the coarse map's branch, as published.
const WIDTH: usize = 128;

/// Two maps, fine and coarse, to `[batch, height, width, classes]` of the fine one.
pub(super) fn lraspp(b: &mut GraphBuilder, [low, high]: [Value; 2], classes: usize) -> Value {
    let of = |name: &str| format!("classifier.{name}");
    let x = conv_norm(b, [&of("cbr.0"), &of("cbr.1")], high, Conv2d::same(WIDTH, 1).init(KERNELS));
    let x = b.activation(&of("cbr.2"), x, Activation::Relu);
    let mean = b.add(&of("scale.0"), Op::Reduce { reduction: Reduction::Mean, axes: vec![1, 2] }, &[high]);
    let scale = b.conv2d(&of("scale.1"), mean, Conv2d::same(WIDTH, 1).init(KERNELS));
    let scale = b.activation(&of("scale.2"), scale, Activation::Sigmoid);
    let x = b.add(&of("scaled"), Op::Multiply, &[x, scale]);
    let x = b.add(&of("up"), Op::ResizeLike(Interpolation::Bilinear), &[x, low]);
    let fine = logits(b, &of("low_classifier"), low, classes);
    let coarse = logits(b, &of("high_classifier"), x, classes);
    b.add(&of("sum"), Op::Add, &[fine, coarse])
}
