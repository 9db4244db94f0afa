//! Depthwise convolutions with square kernels of 3, 5 or 7: strips of an image, whose rows are copied to where every tap finds a number.
//!
//! Copying costs little beside the taps of a large kernel. After it borders need no care, and each source pixel is loaded once for
//! several pixels of output.

use std::ops::Range;

use super::panel::{PanelGradients, PanelRows};
use super::ring::{Ring, source_rows};
use crate::cpu::Isa;
use crate::cpu::Machine;
use crate::cpu::kernels::activation::{Activation, bend};
use crate::cpu::kernels::conv::ConvShape;
use crate::cpu::kernels::micro::{LINE, Microkernels, with_microkernels};
use crate::cpu::kernels::scratch::{Scratch, Workspace, with_workspace};
use crate::cpu::pool::SharedPointer;

/// Channels of a panel: a line of memory, which is whole registers of every instruction set.
const PANEL: usize = LINE;
/// Pixels of output that are computed before more of the source is copied, so that weights are loaded for many of them.
const PIXELS: usize = 64;
/// Tasks worth having, for balance.
const TASKS: usize = 16;
/// A strip copies rows again that the strip before it has copied: at most one row in so many.
const ROWS_PER_REPEATED: usize = 4;

/// Whether kernels of this module compute it.
pub(super) fn suits(shape: &ConvShape) -> bool {
    let ConvShape { kernel, stride, dilation, padding, .. } = *shape;
    matches!(kernel, [3, 3] | [5, 5] | [7, 7])
        && matches!(stride, [1, 1] | [2, 2])
        && dilation == [1, 1]
        && padding.iter().all(|&zeros| zeros < kernel[0])
        && shape.in_channels > 0
}

/// Strips into which each image is cut, and the rows of output of each.
fn strips(shape: &ConvShape) -> (usize, usize) {
    let rows = shape.out_height();
    let repeated = shape.kernel[0] - shape.stride[0].min(shape.kernel[0]);
    let most = 1 + rows / (ROWS_PER_REPEATED * repeated).max(1);
    let each = rows.div_ceil(TASKS.div_ceil(shape.batch.max(1)).clamp(1, most)).max(1);
    (rows.div_ceil(each), each)
}

/// Calls `task` with the number of each strip, its image and its rows of output.
fn for_each_strip(machine: &Machine, shape: &ConvShape, task: impl Fn(usize, usize, Range<usize>) + Sync) {
    let (strips, each) = strips(shape);
    machine.pool.for_each(shape.batch * strips, |number| {
        let (image, start) = (number / strips, number % strips * each);
        task(number, image, start..(start + each).min(shape.out_height()));
    });
}

/// What is convolved with what, and what becomes of the result.
pub(super) struct Pass<'a> {
    pub shape: &'a ConvShape,
    pub source: &'a [f32],
    /// `[tap][channel]`
    pub weights: &'a [f32],
    pub bias: Option<&'a [f32]>,
    /// Added to the result; as large.
    pub residual: Option<SharedPointer<f32>>,
    pub limits: (f32, f32),
    pub curve: Option<Activation>,
    pub output: SharedPointer<f32>,
}

impl Pass<'_> {
    /// Computes the output. Sizes were checked.
    pub fn run(&self, machine: &Machine) {
        for_each_strip(machine, self.shape, |_, image, rows| {
            // SAFETY: the machine has the instruction set; strips do not share rows of output.
            with_microkernels!(machine.isa, Kernels => unsafe { self.strip::<Kernels>(machine.isa, image, rows) });
        });
    }

    unsafe fn strip<K: Microkernels>(&self, isa: Isa, image: usize, rows: Range<usize>) {
        let shape = self.shape;
        let (channels, columns) = (shape.in_channels, shape.out_width());
        walk(shape, self.source, image, rows, |ring, memory, pointers, rows| {
            let first = (image * shape.out_height() + rows.start) * columns * channels;
            for panel in 0..ring.panels {
                ring.sources(memory, shape, panel, rows.clone(), pointers);
                let channel = panel * PANEL;
                // SAFETY: these are the panel's first channels in the output and in what is as large.
                let at = |pointer: &SharedPointer<f32>| unsafe { pointer.get().add(first + channel) };
                let panel = PanelRows {
                    kernel: shape.kernel[0],
                    stride: shape.stride[0],
                    sources: pointers,
                    apart: PANEL,
                    weights: (self.weights[channel..].as_ptr(), channels),
                    bias: self.bias.map_or(std::ptr::null(), |bias| bias[channel..].as_ptr()),
                    residual: self
                        .residual
                        .as_ref()
                        .map_or(std::ptr::null(), |residual| at(residual).cast_const()),
                    limits: self.limits,
                    channels: PANEL.min(channels - channel),
                    columns,
                    output: (at(&self.output), channels),
                };
                // SAFETY: the caller's promise; padded rows hold every column that a tap reads.
                unsafe { K::run(panel) };
            }
            if let Some(curve) = self.curve {
                // SAFETY: the rows are this task's.
                unsafe { bend(isa, curve, self.output.get(), &[first], rows.len() * columns * channels) };
            }
        });
    }
}

/// Adds the gradient of the weights of each strip to its part of `partials`, `[strip][tap][channel]`, and returns the count of strips.
pub(super) fn gradients(
    machine: &Machine,
    shape: &ConvShape,
    input: &[f32],
    output_gradient: &[f32],
    scratch: &mut Scratch,
) -> usize {
    let (strips, _) = strips(shape);
    let sums = shape.taps() * shape.in_channels;
    let tasks = shape.batch * strips;
    let partials = scratch.floats(tasks * sums);
    partials.fill(0.0);
    let partials = SharedPointer(partials.as_mut_ptr());
    for_each_strip(machine, shape, |number, image, rows| {
        let (channels, columns) = (shape.in_channels, shape.out_width());
        walk(shape, input, image, rows, |ring, memory, pointers, rows| {
            let first = (image * shape.out_height() + rows.start) * columns * channels;
            for panel in 0..ring.panels {
                ring.sources(memory, shape, panel, rows.clone(), pointers);
                let channel = panel * PANEL;
                let panel = PanelGradients {
                    kernel: shape.kernel[0],
                    stride: shape.stride[0],
                    sources: pointers,
                    apart: PANEL,
                    gradient: (output_gradient[first + channel..].as_ptr(), channels),
                    channels: PANEL.min(channels - channel),
                    columns,
                    // SAFETY: the strip's own part, at the panel's first channel.
                    sums: (unsafe { partials.get().add(number * sums + channel) }, channels),
                };
                // SAFETY: the machine has the instruction set; padded rows hold every column that a tap reads.
                with_microkernels!(machine.isa, Kernels => unsafe { Kernels::run(panel) });
            }
        });
    });
    tasks
}

/// Copies the source of a strip a few rows at a time and calls `each` with the ring, its memory, room for pointers, and the rows of
/// output whose source is there.
fn walk(
    shape: &ConvShape,
    source: &[f32],
    image: usize,
    rows: Range<usize>,
    mut each: impl FnMut(&Ring, &[f32], &mut Vec<*const f32>, Range<usize>),
) {
    let channels = shape.in_channels;
    let rows_each = PIXELS.div_ceil(shape.out_width().max(1)).clamp(1, rows.len().max(1));
    let ring = Ring::new(shape, rows_each, PANEL);
    with_workspace(|workspace| {
        let Workspace { pointers, rows: memory, .. } = workspace;
        let memory = memory.floats(ring.floats());
        ring.pad(memory);
        let mut copied = 0;
        for start in rows.clone().step_by(rows_each) {
            let rows = start..(start + rows_each).min(rows.end);
            let needed = source_rows(shape, &rows);
            let new = needed.start.max(copied)..needed.end.max(copied);
            let first = (image * shape.height + new.start) * shape.width * channels;
            let pixels = &source[first..][..new.len() * shape.width * channels];
            copied = new.end;
            ring.copy(memory, new, pixels, channels);
            each(&ring, memory, pointers, rows);
        }
    });
}
