//! Microkernels: the innermost loops of convolutions, written once over a vector type and compiled for each instruction set.
//!
//! Everything here is unsafe and unchecked. The modules that call it assert sizes before they start.

mod dispatch;
mod tiles;
mod vector;
mod word;
#[cfg(target_arch = "x86_64")]
mod x86;

pub(crate) use dispatch::{Ahead, Finish, Loop, Microkernels, Outer, Portable, Tile, with_microkernels};
#[cfg(target_arch = "x86_64")]
pub(crate) use dispatch::{Avx2, Avx512};
pub(crate) use tiles::{FinishNarrow, LINE, Place};
pub(crate) use vector::Vector;
pub(crate) use word::{Pair, Quad};
