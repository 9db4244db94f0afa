//! A fully convolutional head (Long et al. 2014, arXiv 1411.4038), as torchvision builds it: also what teaches a backbone's middle.

use tk_engine::Value;
use tk_engine::graph::{Conv2d, GraphBuilder, Op};

use super::{logits, unit};

/// The probability with which training drops a number.
const DROPOUT: f64 = 0.1;

/// `[batch, height, width, channels]` to `[batch, height, width, classes]`, under a name.
pub(super) fn fcn(b: &mut GraphBuilder, name: &str, x: Value, classes: usize) -> Value {
    let width = (b.channels(x) / 4).max(1);
    let x = unit(b, name, 0, x, Conv2d::same(width, 3));
    let x = b.add(&format!("{name}.3"), Op::Dropout { rate: DROPOUT }, &[x]);
    logits(b, &format!("{name}.4"), x, classes)
}
