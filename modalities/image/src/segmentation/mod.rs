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
use tk_engine::graph::{Activation, Conv2d, GraphBuilder, Init};

/// How kernels of heads begin: as PyTorch has them unless told otherwise, which torchvision's heads leave so. What suits convolutions on the
/// way to ReLU, 1 for two classes, would begin with large and wrong logits.
const KERNELS: Init = Init::UniformFanIn;

/// A convolution, a batch-norm and ReLU, named by three numbers in a row, as `nn.Sequential` numbers them.
fn unit(b: &mut GraphBuilder, name: &str, first: usize, x: Value, conv: Conv2d) -> Value {
    let of = |part: usize| format!("{name}.{}", first + part);
    let x = conv_norm(b, [&of(0), &of(1)], x, conv.init(KERNELS));
    b.activation(&of(2), x, Activation::Relu)
}

/// The last convolution of a head: a logit of each class for every place.
fn logits(b: &mut GraphBuilder, name: &str, x: Value, classes: usize) -> Value {
    b.conv2d(name, x, Conv2d::same(classes, 1).with_bias().init(KERNELS))
}
