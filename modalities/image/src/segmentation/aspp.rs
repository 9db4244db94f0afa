//! DeepLabV3 (Chen et al. 2017, arXiv 1706.05587): the coarsest map seen at several dilations and as a whole.

use tk_engine::Value;
use tk_engine::graph::{Conv2d, GraphBuilder, Interpolation, Op, Reduction};

use super::{logits, unit};

/// Channels of every branch, as published.
const WIDTH: usize = 256;

/// Dilations of the three branches, as torchvision has them for a map of stride 8.
const DILATIONS: [usize; 3] = [12, 24, 36];

/// The probability with which training drops a number of the joined branches.
const DROPOUT: f64 = 0.5;

/// `[batch, height, width, channels]` to `[batch, height, width, classes]`.
pub(super) fn deeplab(b: &mut GraphBuilder, x: Value, classes: usize) -> Value {
    let same = |kernel| Conv2d::same(WIDTH, kernel);
    let mut branches = vec![unit(b, "classifier.0.convs.0", 0, x, same(1))];
    for (number, dilation) in (1..).zip(DILATIONS) {
        branches.push(unit(b, &format!("classifier.0.convs.{number}"), 0, x, same(3).dilation(dilation)));
    }
    let whole = Op::Reduce { reduction: Reduction::Mean, axes: vec![1, 2] };
    let mean = b.add("classifier.0.convs.4.0", whole, &[x]);
    let mean = unit(b, "classifier.0.convs.4", 1, mean, same(1));
    let spread = Op::ResizeLike(Interpolation::Bilinear);
    branches.push(b.add("classifier.0.convs.4.spread", spread, &[mean, x]));
    let joined = b.add("classifier.0.joined", Op::Concat { axis: 3 }, &branches);
    let x = unit(b, "classifier.0.project", 0, joined, same(1));
    let x = b.add("classifier.0.project.3", Op::Dropout { rate: DROPOUT }, &[x]);
    let x = unit(b, "classifier", 1, x, same(3));
    logits(b, "classifier.4", x, classes)
}
