//! Weights in the order that microkernels read them.
//!
//! A *panel* holds the weights of one or two registers of result channels: for each tap, for each channel of the source, one
//! number for each result channel. Panels follow each other, and so do the phases of a strided gradient of the input.

use super::geometry::{Phase, phases};
use super::{ConvShape, winograd};
use crate::cpu::kernels::micro::{Microkernels, with_microkernels};
use crate::cpu::pool::SharedPointer;
use crate::cpu::{Buffer, Isa, Machine};

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
    isa: Isa,
    direction: Direction,
    shape: ConvShape,
    phases: Vec<Phase>,
    buffer: Buffer,
}

impl PackedWeights {
    /// Room for the weights of a convolution; zeros until [`pack`] fills it.
    pub fn new(isa: Isa, shape: &ConvShape, direction: Direction) -> Self {
        shape.check();
        let phases = match direction {
            Direction::Forward => vec![Phase { offset: [0, 0], taps: (0..shape.taps()).collect() }],
            Direction::Winograd | Direction::WinogradInput => {
                vec![Phase { offset: [0, 0], taps: (0..winograd::POINTS).collect() }]
            }
            Direction::Input => phases(shape),
        };
        let taps: usize = phases.iter().map(|phase| phase.taps.len()).sum();
        let mut packed =
            Self { isa, direction, shape: without_images(shape), phases, buffer: Buffer::zeros(0) };
        packed.buffer = Buffer::zeros(packed.depth() * packed.padded_columns() * taps);
        packed
    }

    /// What they are for.
    pub(super) fn direction(&self) -> Direction {
        self.direction
    }

    /// All panels.
    pub fn panels(&self) -> &[f32] {
        &self.buffer
    }

    /// Phases with their panels, in order.
    pub(super) fn phases(&self) -> impl Iterator<Item = (&Phase, &[f32])> {
        let floats = self.depth() * self.padded_columns();
        let mut rest = &self.buffer[..];
        self.phases.iter().map(move |phase| {
            let (panels, after) = rest.split_at(floats * phase.taps.len());
            rest = after;
            (phase, panels)
        })
    }

    /// Panics unless the weights were packed for this use.
    pub(super) fn check(&self, isa: Isa, shape: &ConvShape, direction: Direction) {
        assert_eq!(self.isa, isa, "weights are packed for another instruction set");
        assert_eq!(self.direction, direction, "weights are packed for another direction");
        assert_eq!(self.shape, without_images(shape), "weights are packed for another convolution");
    }

    /// Channels that are summed over.
    fn depth(&self) -> usize {
        match self.direction {
            Direction::Forward | Direction::Winograd => self.shape.in_channels,
            Direction::Input | Direction::WinogradInput => self.shape.out_channels,
        }
    }

    /// Channels of the result.
    fn columns(&self) -> usize {
        match self.direction {
            Direction::Forward | Direction::Winograd => self.shape.out_channels,
            Direction::Input | Direction::WinogradInput => self.shape.in_channels,
        }
    }

    fn padded_columns(&self) -> usize {
        with_microkernels!(self.isa, Kernels => Kernels::padded(self.columns()))
    }
}

/// The shape with image sizes blanked, for comparison.
fn without_images(shape: &ConvShape) -> ConvShape {
    ConvShape { batch: 0, height: 0, width: 0, ..*shape }
}

/// Packs weights `[out, in, kernel height, kernel width]` for the machine's instruction set, into memory that is reused.
///
/// # Panics
/// When sizes differ or `into` was made for another instruction set or convolution.
pub fn pack(machine: &Machine, shape: &ConvShape, weights: &[f32], into: &mut PackedWeights) {
    into.check(machine.isa, shape, into.direction);
    assert_eq!(weights.len(), shape.weight_len(), "weights of {shape:?}");
    with_microkernels!(machine.isa, Kernels => pack_with::<Kernels>(machine, weights, into));
}

/// Source channels that one task packs.
const DEPTH_BLOCK: usize = 64;
/// Numbers that are transposed at a time.
const BLOCK: usize = 16;

fn pack_with<K: Microkernels>(machine: &Machine, weights: &[f32], into: &mut PackedWeights) {
    let (depth, columns, direction) = (into.depth(), into.columns(), into.direction);
    let (all_taps, in_channels) = (into.shape.taps(), into.shape.in_channels);
    let floats = depth * into.padded_columns();
    let mut rest = &mut into.buffer[..];
    for phase in &into.phases {
        let taps = &phase.taps[..];
        let (panels, after) = rest.split_at_mut(floats * taps.len());
        rest = after;
        let panels = SharedPointer(panels.as_mut_ptr());
        let blocks = depth.div_ceil(DEPTH_BLOCK);
        machine.pool.for_each(columns.div_ceil(K::COLUMNS) * blocks, |task| {
            let first = task / blocks * K::COLUMNS;
            let width = K::panel_width(first, columns);
            let used = width.min(columns - first);
            let start = task % blocks * DEPTH_BLOCK;
            let sources = start..(start + DEPTH_BLOCK).min(depth);
            let line = |tap: usize, source: usize| {
                let place = first * depth * taps.len() + (tap * depth + source) * width;
                // SAFETY: tasks write different panels or source channels; lines of `width` lie inside the phase's panels.
                unsafe { std::slice::from_raw_parts_mut(panels.get().add(place), width) }
            };
            match direction {
                // All taps, in order: a row of the weights is `[source][tap]`, and a block of such rows is transposed.
                Direction::Forward => {
                    let ends = sources.end * all_taps;
                    for from in (sources.start * all_taps..ends).step_by(BLOCK) {
                        let length = BLOCK.min(ends - from);
                        let mut rows = [[0.0; BLOCK]; MAX_COLUMNS];
                        for (column, row) in rows.iter_mut().enumerate().take(used) {
                            let start = (first + column) * in_channels * all_taps + from;
                            row[..length].copy_from_slice(&weights[start..start + length]);
                        }
                        for (index, place) in (from..from + length).enumerate() {
                            let line = line(place % all_taps, place / all_taps);
                            line.iter_mut().zip(&rows).for_each(|(value, row)| *value = row[index]);
                        }
                    }
                }
                Direction::Winograd | Direction::WinogradInput => {
                    let kernels = weights.as_chunks::<9>().0;
                    for source in sources {
                        // Channels come in whole registers, and those in eights.
                        for column in (0..used).step_by(winograd::KERNELS) {
                            let mut lanes = [[0.0; winograd::KERNELS]; 9];
                            for lane in 0..winograd::KERNELS {
                                let result = first + column + lane;
                                for (tap, lanes) in lanes.iter_mut().enumerate() {
                                    lanes[lane] = match direction {
                                        Direction::Winograd => kernels[result * in_channels + source][tap],
                                        // The gradient reads kernels turned around.
                                        _ => kernels[source * in_channels + result][8 - tap],
                                    };
                                }
                            }
                            for (point, values) in winograd::evaluate_kernels(&lanes).iter().enumerate() {
                                line(point, source)[column..][..winograd::KERNELS].copy_from_slice(values);
                            }
                        }
                    }
                }
                Direction::Input => {
                    for source in sources {
                        let from = &weights[(source * in_channels + first) * all_taps..][..used * all_taps];
                        for (index, &tap) in taps.iter().enumerate() {
                            let line = line(index, source);
                            match all_taps {
                                1 => line[..used].copy_from_slice(from),
                                9 => pick::<9>(from, tap, line),
                                _ => line
                                    .iter_mut()
                                    .zip(from[tap..].iter().step_by(all_taps))
                                    .for_each(|(to, &from)| *to = from),
                            }
                            line[used..].fill(0.0);
                        }
                    }
                }
            }
        });
    }
}

/// Channels of the widest panel.
const MAX_COLUMNS: usize = 32;

/// Copies one tap of kernels of `TAPS`.
fn pick<const TAPS: usize>(kernels: &[f32], tap: usize, to: &mut [f32]) {
    assert!(tap < TAPS);
    for (value, kernel) in to.iter_mut().zip(kernels.as_chunks::<TAPS>().0) {
        *value = kernel[tap];
    }
}
