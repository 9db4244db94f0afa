//! How weights come into the order of their panels.

use std::ops::Range;

use super::weights::{Direction, PackedWeights};
use super::{ConvShape, winograd};
use crate::Precision;
use crate::cpu::kernels::micro::{Microkernels, with_microkernels};
use crate::cpu::kernels::narrow::{pair, quad, to_signed_byte};
use crate::cpu::kernels::scratch::with_workspace;
use crate::cpu::pool::SharedPointer;
use crate::cpu::{Isa, Machine};

/// Source channels that one task packs.
const DEPTH_BLOCK: usize = 64;
/// Numbers that are transposed at a time.
const BLOCK: usize = 16;
/// Channels of the widest panel.
const MAX_COLUMNS: usize = 32;

/// Packs weights `[out, in, kernel height, kernel width]` for the machine's instruction set, into memory that is reused.
///
/// # Panics
/// When sizes differ or `into` was made for another instruction set or convolution.
pub fn pack(machine: &Machine, shape: &ConvShape, weights: &[f32], into: &mut PackedWeights) {
    into.check(machine.isa, shape, into.direction);
    assert_eq!(weights.len(), shape.weight_len(), "weights of {shape:?}");
    if into.precision == Precision::Int8 {
        measure(machine, weights, into);
    }
    with_microkernels!(into.isa, Kernels => pack_with::<Kernels>(machine, weights, into));
}

/// Finds what the bytes of each result channel are worth, and their sum.
fn measure(machine: &Machine, weights: &[f32], into: &mut PackedWeights) {
    let each = weights.len() / into.scales.len();
    let sums = SharedPointer(into.sums.as_mut_ptr());
    machine.pool.for_each_chunk(&mut into.scales, 1, |column, scale| {
        let row = &weights[column * each..][..each];
        let most = row.iter().fold(0f32, |most, weight| most.max(weight.abs()));
        scale[0] = if most > 0.0 && most.is_finite() { most / 127.0 } else { 1.0 };
        let inverse = 1.0 / scale[0];
        let sum: i64 = row.iter().map(|weight| i64::from(to_signed_byte(weight * inverse))).sum();
        // SAFETY: each task writes its own column's sum.
        unsafe { *sums.get().add(column) = sum as f32 };
    });
}

fn pack_with<K: Microkernels>(machine: &Machine, weights: &[f32], into: &mut PackedWeights) {
    let (depth, columns, words) = (into.depth(), into.columns(), into.words());
    let (direction, precision, isa, shape) = (into.direction, into.precision, into.isa, into.shape);
    let numbers = words * into.padded_columns();
    let scales = &into.scales[..];
    let mut rest = &mut into.buffer[..];
    for phase in &into.phases {
        let taps = &phase.taps[..];
        let (panels, after) = rest.split_at_mut(numbers * taps.len());
        rest = after;
        let panels = SharedPointer(panels.as_mut_ptr());
        let blocks = depth.div_ceil(DEPTH_BLOCK);
        machine.pool.for_each(columns.div_ceil(K::COLUMNS) * blocks, |task| {
            let first = task / blocks * K::COLUMNS;
            let width = K::panel_width(first, columns);
            let start = task % blocks * DEPTH_BLOCK;
            let block = Block {
                weights,
                shape: &shape,
                taps,
                sources: start..(start + DEPTH_BLOCK).min(depth),
                first,
                used: width.min(columns - first),
            };
            // SAFETY: tasks write different panels, or different source channels of one.
            let panel = unsafe { panels.get().add(first * words * taps.len()) };
            if precision == Precision::F32 {
                return block.write(direction, &Lines { start: panel, begin: 0, of_tap: depth, width });
            }
            with_workspace(|workspace| {
                let memory = workspace.rows.floats(taps.len() * block.sources.len() * width);
                let lines =
                    Lines { start: memory.as_mut_ptr(), begin: start, of_tap: block.sources.len(), width };
                block.write(direction, &lines);
                let words = Lines { start: panel, begin: 0, of_tap: words, width };
                block.narrow(isa, precision, scales, &lines, &words);
            });
        });
    }
}

/// Where lines of `width` numbers lie, one for each tap and each source channel (or word of them).
struct Lines {
    start: *mut f32,
    /// The source channel of the first line.
    begin: usize,
    /// Lines of a tap.
    of_tap: usize,
    width: usize,
}

impl Lines {
    /// A tap's line of a source channel.
    #[expect(
        clippy::mut_from_ref,
        reason = "lines are different memory; each is written by one task, and one at a time"
    )]
    fn line(&self, tap: usize, source: usize) -> &mut [f32] {
        let place = (tap * self.of_tap + source - self.begin) * self.width;
        // SAFETY: `pack_with` makes lines of memory that holds all of them, and gives each to one task.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(place), self.width) }
    }
}

/// What one task packs: some source channels of one panel.
struct Block<'a> {
    weights: &'a [f32],
    shape: &'a ConvShape,
    taps: &'a [usize],
    sources: Range<usize>,
    /// The first result channel, and how many there are.
    first: usize,
    used: usize,
}

impl Block<'_> {
    /// Writes the block as floats.
    fn write(&self, direction: Direction, lines: &Lines) {
        match direction {
            Direction::Forward => self.write_rows(lines),
            Direction::Input => self.write_taps(lines),
            Direction::Winograd | Direction::WinogradInput => self.write_points(direction, lines),
        }
    }

    /// All taps, in order: a row of the weights is `[source][tap]`, and a block of such rows is transposed.
    fn write_rows(&self, lines: &Lines) {
        let (taps, in_channels) = (self.shape.taps(), self.shape.in_channels);
        let end = self.sources.end * taps;
        for from in (self.sources.start * taps..end).step_by(BLOCK) {
            let length = BLOCK.min(end - from);
            let mut rows = [[0.0; BLOCK]; MAX_COLUMNS];
            for (column, row) in rows.iter_mut().enumerate().take(self.used) {
                let start = (self.first + column) * in_channels * taps + from;
                row[..length].copy_from_slice(&self.weights[start..start + length]);
            }
            for (index, place) in (from..from + length).enumerate() {
                let line = lines.line(place % taps, place / taps);
                line.iter_mut().zip(&rows).for_each(|(value, row)| *value = row[index]);
            }
        }
    }

    /// The taps of a phase, for the gradient of the input.
    fn write_taps(&self, lines: &Lines) {
        let (all_taps, in_channels) = (self.shape.taps(), self.shape.in_channels);
        for source in self.sources.clone() {
            let from =
                &self.weights[(source * in_channels + self.first) * all_taps..][..self.used * all_taps];
            for (index, &tap) in self.taps.iter().enumerate() {
                let line = lines.line(index, source);
                match all_taps {
                    1 => line[..self.used].copy_from_slice(from),
                    9 => pick::<9>(from, tap, line),
                    _ => line
                        .iter_mut()
                        .zip(from[tap..].iter().step_by(all_taps))
                        .for_each(|(to, &from)| *to = from),
                }
                line[self.used..].fill(0.0);
            }
        }
    }

    /// Kernels evaluated at Winograd's points.
    fn write_points(&self, direction: Direction, lines: &Lines) {
        let (kernels, in_channels) = (self.weights.as_chunks::<9>().0, self.shape.in_channels);
        for source in self.sources.clone() {
            // Channels come in whole registers, and those in eights.
            for column in (0..self.used).step_by(winograd::KERNELS) {
                let mut lanes = [[0.0; winograd::KERNELS]; 9];
                for lane in 0..winograd::KERNELS {
                    let result = self.first + column + lane;
                    for (tap, lanes) in lanes.iter_mut().enumerate() {
                        lanes[lane] = match direction {
                            // The gradient reads kernels turned around.
                            Direction::WinogradInput => kernels[source * in_channels + result][8 - tap],
                            _ => kernels[result * in_channels + source][tap],
                        };
                    }
                }
                for (point, values) in winograd::evaluate_kernels(&lanes).iter().enumerate() {
                    lines.line(point, source)[column..][..winograd::KERNELS].copy_from_slice(values);
                }
            }
        }
    }

    /// Puts the numbers of consecutive source channels together into words.
    fn narrow(&self, isa: Isa, precision: Precision, scales: &[f32], lines: &Lines, words: &Lines) {
        let mut inverse = [0.0; MAX_COLUMNS];
        for (inverse, scale) in inverse.iter_mut().zip(scales.iter().skip(self.first)).take(self.used) {
            *inverse = 1.0 / scale;
        }
        for tap in 0..self.taps.len() {
            for source in self.sources.clone().step_by(precision.per_word()) {
                let line = |number: usize| &*lines.line(tap, source + number);
                let to = words.line(tap, source / precision.per_word());
                match precision {
                    Precision::F32 => to.copy_from_slice(line(0)),
                    Precision::Bf16 => isa.vectorize(
                        #[inline(always)]
                        || {
                            for ((to, &low), &high) in to.iter_mut().zip(line(0)).zip(line(1)) {
                                *to = pair(low, high);
                            }
                        },
                    ),
                    Precision::Int8 => {
                        let four = [0, 1, 2, 3].map(line);
                        for (column, (to, inverse)) in to.iter_mut().zip(inverse).enumerate() {
                            *to = quad(four.map(|line| to_signed_byte(line[column] * inverse) as u8));
                        }
                    }
                }
            }
        }
    }
}

/// Copies one tap of kernels of `TAPS`.
fn pick<const TAPS: usize>(kernels: &[f32], tap: usize, to: &mut [f32]) {
    assert!(tap < TAPS);
    for (value, kernel) in to.iter_mut().zip(kernels.as_chunks::<TAPS>().0) {
        *value = kernel[tap];
    }
}
