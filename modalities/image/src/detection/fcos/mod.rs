//! FCOS (Tian et al. 2019, arXiv 1904.01355) on a feature pyramid (Lin et al. 2016, arXiv 1612.03144), as torchvision's `fcos_resnet50_fpn`
//! builds it: every place of every level says what it is part of, how far that reaches, and how central the place is.

mod decode;
mod loss;
mod matching;
mod network;

pub use decode::decode;
pub use loss::FcosLosses;
pub use matching::{Level, assign};
pub use network::{FPN_STRIDES, Fcos};
