//! One row of grid pixels of a depthwise convolution: which taps reach it and where its borders are.

use std::ops::Range;

use crate::cpu::kernels::conv::Geometry;

/// A tap that reaches a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tap {
    /// Its number in the geometry.
    pub index: usize,
    /// The float of the source that grid column 0 reads; before the image's row when the tap starts in the padding.
    pub start: isize,
    /// The source column that grid column 0 reads.
    pub column: isize,
}

/// A row of grid pixels.
pub(super) struct Line {
    /// The taps whose source row lies in the image, at most as many as the kernel has.
    pub taps: Vec<Tap>,
    /// Grid columns for which all taps lie in the image.
    pub inside: Range<usize>,
    /// Grid columns.
    pub columns: usize,
    /// Source columns, and how many of them pass from one grid column to the next.
    pub width: usize,
    pub step: usize,
}

impl Line {
    /// A line with room for a geometry's taps.
    pub fn new(geometry: &Geometry) -> Self {
        let taps = Vec::with_capacity(geometry.taps.len());
        Self {
            taps,
            inside: 0..0,
            columns: geometry.grid[1],
            width: geometry.source[1],
            step: geometry.step[1],
        }
    }

    /// Moves to a row of an image.
    pub fn move_to(&mut self, geometry: &Geometry, channels: usize, image: usize, row: usize) {
        self.taps.clear();
        let (mut first, mut last) = (0isize, self.columns as isize);
        let step = self.step as isize;
        for (index, &[down, right]) in geometry.taps.iter().enumerate() {
            let y = (row * geometry.step[0]) as isize + down;
            if y < 0 || y >= geometry.source[0] as isize {
                continue;
            }
            let pixel = (image * geometry.source[0] + y as usize) * self.width;
            self.taps.push(Tap { index, start: (pixel as isize + right) * channels as isize, column: right });
            // Columns with 0 ≤ column · step + right < width.
            first = first.max((-right + step - 1).div_euclid(step));
            last = last.min((self.width as isize - right + step - 1).div_euclid(step));
        }
        let last = last.max(0) as usize;
        self.inside = (first as usize).min(last)..last;
    }

    /// Whether a tap lies in the image for a grid column.
    #[inline(always)]
    pub fn reaches(&self, tap: &Tap, column: usize) -> bool {
        let source = (column * self.step) as isize + tap.column;
        source >= 0 && source < self.width as isize
    }
}

/// Rows of grid pixels that a task takes, for rows of `floats` floats.
pub(super) fn rows_each(rows: usize, floats: usize) -> usize {
    const TASK_FLOATS: usize = 64 << 10;
    rows.div_ceil((rows * floats).div_ceil(TASK_FLOATS).clamp(1, rows.max(1))).max(1)
}
