//! SSD (Liu et al. 2015, arXiv 1512.02325) as torchvision's `ssd300_vgg16` and `ssdlite320_mobilenet_v3_large` build it: every place of six maps
//! says of a few default boxes what they hold, and how they are to be moved and stretched.
//!
//! The first class of the scores is the background: a network for K classes has K + 1 scores for each box.

mod answers;
mod decode;
mod default_boxes;
mod loss;
mod matching;

mod lite;
mod names;
mod plain;

#[cfg(test)]
mod testing;

pub use decode::decode;
pub use default_boxes::{DefaultBox, DefaultBoxes, LITE, PLAIN};
pub use lite::graft_lite;
pub use loss::SsdLosses;
pub use matching::assign;
pub use plain::graft_plain;

pub(super) use names::{PLAIN_RULES, lite_name, lite_rules, plain_name};
