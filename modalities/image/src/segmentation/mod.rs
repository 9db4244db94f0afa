//! A class for every pixel: heads on a backbone's maps, and what they learn from.

mod aspp;
mod fcn;
mod lraspp;
mod unet;

mod network;
mod published;
mod task;

mod marks;
mod segmenter;

pub use network::{Segmentation, SegmentationHead};
pub use published::SEGMENTERS;
pub use segmenter::Segmenter;
pub use task::{IGNORED, SegmentationTask};
pub use unet::Unet;

use tk_engine::Value;
use tk_engine::blocks::conv_norm;
use tk_engine::graph::{Activation, Conv2d, GraphBuilder};

/// A convolution, a batch-norm and ReLU, named by three numbers in a row, as `nn.Sequential` numbers them.
fn unit(b: &mut GraphBuilder, name: &str, first: usize, x: Value, conv: Conv2d) -> Value {
    let of = |part: usize| format!("{name}.{}", first + part);
    let x = conv_norm(b, [&of(0), &of(1)], x, conv);
    b.activation(&of(2), x, Activation::Relu)
}
