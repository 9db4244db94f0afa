//! What crosses the modality's modules: files, data sets, architectures beside timm and torchvision.
#![expect(clippy::unwrap_used, reason = "tests")]

mod annotations;
mod architectures;
mod dataset;
mod decoding;
mod dense_parity;
mod masks;
mod parity;
mod pillow_resize;
mod presets;
mod segments;
mod ssd;
