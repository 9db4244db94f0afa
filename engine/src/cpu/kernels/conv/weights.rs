//! Weights in the order that microkernels read them.
//!
//! A *panel* holds the weights of one or two registers of result channels: for each tap, for each channel of the source, one
//! number for each result channel. Panels follow each other, and so do the phases of a strided gradient of the input.
//!
//! In fewer bits, a number becomes a word of two or four, of consecutive channels of the source.

use super::geometry::{Phase, is_folded, phases};
use super::{ConvShape, winograd};
use crate::Precision;
use crate::cpu::kernels::micro::{Microkernels, with_microkernels};
use crate::cpu::{Buffer, Isa};

/// What packed weights are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// [`super::forward`].
    Forward,
    /// [`super::forward`] by Winograd's algorithm, where it suits.
    Winograd,
    /// [`super::backward_input`].
    Input,
    /// [`super::backward_input`] by Winograd's algorithm, where it suits.
    WinogradInput,
}

/// Weights packed for one convolution, one direction and one instruction set. Image sizes and batch do not matter, so one
/// packing serves them all.
#[derive(Debug)]
pub struct PackedWeights {
    pub(super) isa: Isa,
    pub(super) direction: Direction,
    pub(super) precision: Precision,
    pub(super) shape: ConvShape,
    pub(super) phases: Vec<Phase>,
    pub(super) buffer: Buffer,
    /// Of bytes: for each result channel what a byte is worth, and the sum of all its bytes.
    pub(super) scales: Vec<f32>,
    pub(super) sums: Vec<f32>,
}

impl PackedWeights {
    /// Room for the weights of a convolution; zeros until [`super::pack`] fills it.
    ///
    /// # Panics
    /// When the precision does not suit the convolution ([`PackedWeights::suits`]).
    pub fn new(isa: Isa, shape: &ConvShape, direction: Direction, precision: Precision) -> Self {
        shape.check();
        let phases = match direction {
            Direction::Forward => vec![Phase { offset: [0, 0], taps: (0..shape.taps()).collect() }],
            Direction::Winograd | Direction::WinogradInput => {
                vec![Phase { offset: [0, 0], taps: (0..winograd::POINTS).collect() }]
            }
            Direction::Input => phases(shape),
        };
        assert!(
            Self::suits(shape, direction, precision),
            "{precision} does not suit {direction:?} of {shape:?}"
        );
        let taps: usize = phases.iter().map(|phase| phase.taps.len()).sum();
        let columns = if precision == Precision::Int8 { shape.out_channels } else { 0 };
        let mut packed = Self {
            isa: isa.multiplying(precision),
            direction,
            precision,
            shape: without_images(shape),
            phases,
            buffer: Buffer::zeros(0),
            scales: vec![0.0; columns],
            sums: vec![0.0; columns],
        };
        packed.buffer = Buffer::zeros(packed.words() * packed.padded_columns() * taps);
        packed
    }

    /// Whether a convolution can be computed in a precision: channels fill words, and, in fewer than 32 bits, neither rows of the kernel are
    /// folded nor kernels evaluated at points; bytes are for forward passes alone.
    pub fn suits(shape: &ConvShape, direction: Direction, precision: Precision) -> bool {
        let fills = |channels: usize| channels.is_multiple_of(precision.per_word());
        match (precision, direction) {
            (Precision::F32, _) => true,
            (_, Direction::Forward) => fills(shape.in_channels) && !is_folded(shape),
            (Precision::Bf16, Direction::Input) => fills(shape.out_channels),
            _ => false,
        }
    }

    /// In how many bits they are.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// What they are for.
    pub(super) fn direction(&self) -> Direction {
        self.direction
    }

    /// All panels.
    pub fn panels(&self) -> &[f32] {
        &self.buffer
    }

    /// Everything that results depend on: all panels, and of bytes what they are worth and their sums.
    pub fn numbers(&self) -> [&[f32]; 3] {
        [&self.buffer, &self.scales, &self.sums]
    }

    /// Phases with their panels, in order.
    pub(super) fn phases(&self) -> impl Iterator<Item = (&Phase, &[f32])> {
        let floats = self.words() * self.padded_columns();
        let mut rest = &self.buffer[..];
        self.phases.iter().map(move |phase| {
            let (panels, after) = rest.split_at(floats * phase.taps.len());
            rest = after;
            (phase, panels)
        })
    }

    /// Panics unless the weights were packed for this use.
    pub(in crate::cpu::kernels) fn check(&self, isa: Isa, shape: &ConvShape, direction: Direction) {
        let isa = isa.multiplying(self.precision);
        assert_eq!(self.isa, isa, "weights are packed for another instruction set");
        assert_eq!(self.direction, direction, "weights are packed for another direction");
        assert_eq!(self.shape, without_images(shape), "weights are packed for another convolution");
    }

    /// Channels that are summed over.
    pub(super) fn depth(&self) -> usize {
        match self.direction {
            Direction::Forward | Direction::Winograd => self.shape.in_channels,
            Direction::Input | Direction::WinogradInput => self.shape.out_channels,
        }
    }

    /// Words of those channels.
    pub(super) fn words(&self) -> usize {
        self.depth() / self.precision.per_word()
    }

    /// Channels of the result.
    pub(super) fn columns(&self) -> usize {
        match self.direction {
            Direction::Forward | Direction::Winograd => self.shape.out_channels,
            Direction::Input | Direction::WinogradInput => self.shape.in_channels,
        }
    }

    pub(super) fn padded_columns(&self) -> usize {
        with_microkernels!(self.isa, Kernels => Kernels::padded(self.columns()))
    }
}

/// The shape with image sizes blanked, for comparison.
fn without_images(shape: &ConvShape) -> ConvShape {
    ConvShape { batch: 0, height: 0, width: 0, ..*shape }
}
