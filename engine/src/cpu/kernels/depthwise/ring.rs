//! Rows of a source, padded with zeros, where [`super::PanelRows`] reads them: panel by panel, a few rows at a time.

use std::ops::Range;

use crate::cpu::kernels::conv::ConvShape;
use crate::cpu::kernels::micro::LINE;

/// How padded rows lie in memory: `[panel][slot][padded column][channel of the panel]`, then a row of zeros. Row `y` of the source is
/// in slot `y mod slots`.
pub(in crate::cpu::kernels) struct Ring {
    /// Channels of a panel, and panels.
    pub panel: usize,
    pub panels: usize,
    /// Zeros before the source's columns, and the source's columns.
    pub left: usize,
    width: usize,
    /// Rows that are held of each panel.
    slots: usize,
    /// Floats of a padded row of one panel.
    row: usize,
}

impl Ring {
    /// For a convolution of each channel whose output is computed so many rows at a time.
    pub fn new(shape: &ConvShape, rows: usize, panel: usize) -> Self {
        let (kernel, stride, left) = (shape.kernel, shape.stride, shape.padding[2]);
        let reach = shape.out_width().saturating_sub(1) * stride[1] + kernel[1];
        Self {
            panel,
            panels: shape.in_channels.div_ceil(panel),
            left,
            width: shape.width,
            slots: rows.saturating_sub(1) * stride[0] + kernel[0],
            row: (left + shape.width).max(reach) * panel,
        }
    }

    /// Floats of the memory.
    pub fn floats(&self) -> usize {
        self.zeros() + self.row
    }

    /// Where the row of zeros starts.
    fn zeros(&self) -> usize {
        self.panels * self.slots * self.row
    }

    /// Where a source row of a panel starts, at its first padded column.
    pub fn place(&self, panel: usize, row: usize) -> usize {
        (panel * self.slots + row % self.slots) * self.row
    }

    /// Puts zeros to both sides of all rows, and into the row of zeros.
    pub fn pad(&self, memory: &mut [f32]) {
        let (start, end) = (self.left * self.panel, (self.left + self.width) * self.panel);
        let (rows, zeros) = memory.split_at_mut(self.zeros());
        for row in rows.chunks_exact_mut(self.row) {
            row[..start].fill(0.0);
            row[end..].fill(0.0);
        }
        zeros[..self.row].fill(0.0);
    }

    /// Copies rows of a source of `channels` channels, `[row][column][channel]`. The rest of a last panel is left as it is.
    pub fn copy(&self, memory: &mut [f32], rows: Range<usize>, source: &[f32], channels: usize) {
        for (row, pixels) in rows.zip(source.chunks_exact(self.width * channels)) {
            for panel in 0..self.panels {
                let to =
                    memory[self.place(panel, row) + self.left * self.panel..].chunks_exact_mut(self.panel);
                let first = panel * self.panel;
                let used = self.panel.min(channels - first);
                for (to, pixel) in to.zip(pixels.chunks_exact(channels)) {
                    copy_lines(&pixel[first..][..used], &mut to[..used]);
                }
            }
        }
    }

    /// For each row of output, the source rows of a panel that it reads, from the first tap on.
    pub fn sources(
        &self,
        memory: &[f32],
        shape: &ConvShape,
        panel: usize,
        rows: Range<usize>,
        into: &mut Vec<*const f32>,
    ) {
        into.clear();
        for row in rows {
            for tap in 0..shape.kernel[0] {
                let source = (row * shape.stride[0] + tap).checked_sub(shape.padding[0]);
                let start = match source.filter(|&source| source < shape.height) {
                    Some(source) => self.place(panel, source),
                    None => self.zeros(),
                };
                into.push(memory[start..].as_ptr());
            }
        }
    }
}

/// Copies a few floats, whole lines at a time: calling a function for each pixel would cost more than copying it.
#[inline(always)]
fn copy_lines(from: &[f32], to: &mut [f32]) {
    let ((from, from_rest), (to, to_rest)) = (from.as_chunks::<LINE>(), to.as_chunks_mut::<LINE>());
    to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
    to_rest.iter_mut().zip(from_rest).for_each(|(to, from)| *to = *from);
}

/// The rows of the source that rows of output read.
pub(in crate::cpu::kernels) fn source_rows(shape: &ConvShape, rows: &Range<usize>) -> Range<usize> {
    let ConvShape { stride: [step, _], kernel: [extent, _], padding: [top, ..], height, .. } = *shape;
    let start = (rows.start * step).saturating_sub(top);
    let end = ((rows.end - 1) * step + extent).saturating_sub(top).min(height);
    start.min(end)..end
}
