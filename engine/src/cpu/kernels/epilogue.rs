//! What a kernel does to its result before writing it.

use super::activation::{Activation, Clamp};
use super::narrow::Numbers;

/// What is done to a sum on its way out: `curve(clamp(sum + bias + residual))`.
#[derive(Clone, Copy, Debug)]
pub struct Epilogue<'a> {
    /// One number for each output channel.
    pub bias: Option<&'a [f32]>,
    /// As large as the output; floats, but for full convolutions and linear layers in fewer bits.
    pub residual: Option<Numbers<'a>>,
    /// Applied next.
    pub clamp: Clamp,
    /// Applied last.
    pub curve: Option<Activation>,
}

impl Epilogue<'_> {
    /// Nothing is done.
    pub const NONE: Self = Self { bias: None, residual: None, clamp: Clamp::None, curve: None };

    /// Panics unless the slices fit an output of `length` numbers in `channels` channels.
    pub(crate) fn check(&self, channels: usize, length: usize) {
        if let Some(bias) = self.bias {
            assert_eq!(bias.len(), channels, "the bias has one number for each output channel");
        }
        if let Some(residual) = self.residual {
            let words = residual.storage.words(length);
            assert_eq!(residual.words.len(), words, "the residual is as large as the output");
        }
    }
}
