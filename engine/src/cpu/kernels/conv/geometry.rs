//! Which input pixels each output pixel reads: one description for forward passes and for gradients of the input.
//!
//! A product computes a *grid* of pixels. Grid pixel (i, j) is written to target pixel `(i, j) · target_step + target_offset`
//! and reads, for each tap, source pixel `(i, j) · step + tap`. Forward: the grid is the output and the source the input. The
//! gradient of the input: the source is the output's gradient, and a stride s splits the input into s × s grids (its phases),
//! each with the taps that reach it, so that no multiplication is by an inserted zero.
//!
//! With few channels (photographs have 3) a row of the kernel is contiguous in memory and becomes one tap, a `run` of several
//! pixels.

use std::ops::Range;

use super::ConvShape;

/// Grid, source and target of one product. Extents are `[rows, columns]`.
#[derive(Clone, Debug)]
pub(crate) struct Geometry {
    pub batch: usize,
    pub grid: [usize; 2],
    pub source: [usize; 2],
    pub step: [usize; 2],
    pub taps: Vec<[isize; 2]>,
    pub run: usize,
    pub target: [usize; 2],
    pub target_step: [usize; 2],
    pub target_offset: [usize; 2],
}

/// One phase of the gradient of the input: its offset within the stride and the kernel positions that reach it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Phase {
    pub offset: [usize; 2],
    /// Positions in the kernel, row by row.
    pub taps: Vec<usize>,
}

/// Where a tap's run lies for one grid pixel, in source pixels.
pub(crate) enum Run {
    /// Wholly in the image, from this pixel on.
    Inside(usize),
    /// In part: `pixels` of the source belong at place `skip` of the run; zeros elsewhere.
    Partial { skip: usize, pixels: Range<usize> },
    /// In the padding.
    Outside,
}

impl Geometry {
    /// The forward pass. Rows of the kernel are single taps when `folded`.
    pub fn forward(shape: &ConvShape, folded: bool) -> Self {
        let [rows, columns] = shape.kernel;
        let (columns, run) = if folded { (1, columns) } else { (columns, 1) };
        let [top, _, left, _] = shape.padding;
        let taps = (0..rows * columns)
            .map(|tap| {
                [
                    (tap / columns * shape.dilation[0]) as isize - top as isize,
                    (tap % columns * shape.dilation[1]) as isize - left as isize,
                ]
            })
            .collect();
        let grid = [shape.out_height(), shape.out_width()];
        Self {
            batch: shape.batch,
            grid,
            source: [shape.height, shape.width],
            step: shape.stride,
            taps,
            run,
            target: grid,
            target_step: [1, 1],
            target_offset: [0, 0],
        }
    }

    /// One phase of the gradient of the input.
    pub fn backward(shape: &ConvShape, phase: &Phase) -> Self {
        let [top, _, left, _] = shape.padding;
        let taps = phase
            .taps
            .iter()
            .map(|&tap| {
                let distance = |axis: usize, position: usize, before: usize| {
                    let reach =
                        (phase.offset[axis] + before) as isize - (position * shape.dilation[axis]) as isize;
                    debug_assert_eq!(reach.rem_euclid(shape.stride[axis] as isize), 0);
                    reach.div_euclid(shape.stride[axis] as isize)
                };
                [distance(0, tap / shape.kernel[1], top), distance(1, tap % shape.kernel[1], left)]
            })
            .collect();
        let extent = [shape.height, shape.width];
        let grid = [0, 1]
            .map(|axis| (extent[axis] - phase.offset[axis].min(extent[axis])).div_ceil(shape.stride[axis]));
        Self {
            batch: shape.batch,
            grid,
            source: [shape.out_height(), shape.out_width()],
            step: [1, 1],
            taps,
            run: 1,
            target: extent,
            target_step: shape.stride,
            target_offset: phase.offset,
        }
    }

    /// Pixels of the grid, over all images.
    pub fn pixels(&self) -> usize {
        self.batch * self.grid[0] * self.grid[1]
    }

    /// Whether source pixel, grid pixel and target pixel have the same number: the product is a plain matrix product.
    pub fn is_pointwise(&self) -> bool {
        self.taps == [[0, 0]]
            && self.run == 1
            && self.step == [1, 1]
            && self.grid == self.source
            && self.grid == self.target
            && self.target_step == [1, 1]
    }

    /// Whether some tap of some grid pixel lies in the padding.
    pub fn is_padded(&self) -> bool {
        self.taps.iter().any(|tap| {
            [0, 1].into_iter().any(|axis| {
                let last = (self.grid[axis].max(1) - 1) * self.step[axis];
                let run = if axis == 1 { self.run } else { 1 };
                tap[axis] < 0 || last as isize + tap[axis] + run as isize > self.source[axis] as isize
            })
        })
    }

    /// Where `tap` lies for grid pixel (row, column) of an image.
    #[inline(always)]
    pub fn locate(&self, tap: usize, [image, row, column]: [usize; 3]) -> Run {
        let [height, width] = self.source;
        let y = (row * self.step[0]) as isize + self.taps[tap][0];
        let x = (column * self.step[1]) as isize + self.taps[tap][1];
        if y < 0 || y >= height as isize {
            return Run::Outside;
        }
        let line = (image * height + y as usize) * width;
        if x >= 0 && x + self.run as isize <= width as isize {
            return Run::Inside(line + x as usize);
        }
        let (start, end) = (x.max(0), (x + self.run as isize).min(width as isize));
        if start >= end {
            return Run::Outside;
        }
        Run::Partial { skip: (start - x) as usize, pixels: line + start as usize..line + end as usize }
    }

    /// The source row that a tap reads for a row of the grid, unless it lies in the padding.
    #[inline(always)]
    pub fn source_row(&self, tap: usize, row: usize) -> Option<usize> {
        let source = (row * self.step[0]) as isize + self.taps[tap][0];
        (0..self.source[0] as isize).contains(&source).then_some(source as usize)
    }

    /// The columns of the grid for which a tap's run lies wholly between the source's columns.
    pub fn columns_inside(&self, tap: usize) -> Range<usize> {
        let (step, right) = (self.step[1] as isize, self.taps[tap][1]);
        let room = self.source[1] as isize - right - self.run as isize;
        let end = (room.div_euclid(step) + 1).clamp(0, self.grid[1] as isize);
        let start = (-right + step - 1).div_euclid(step).clamp(0, end);
        start as usize..end as usize
    }

    /// Image, row and column of a grid pixel.
    #[inline]
    pub fn position(&self, pixel: usize) -> [usize; 3] {
        let [rows, columns] = self.grid;
        [pixel / (rows * columns), pixel / columns % rows, pixel % columns]
    }

    /// The position after `position`.
    #[inline(always)]
    pub fn next(&self, [image, row, column]: [usize; 3]) -> [usize; 3] {
        if column + 1 < self.grid[1] {
            [image, row, column + 1]
        } else if row + 1 < self.grid[0] {
            [image, row + 1, 0]
        } else {
            [image + 1, 0, 0]
        }
    }

    /// The number of the target pixel that a position is written to.
    #[inline(always)]
    pub fn target_pixel(&self, [image, row, column]: [usize; 3]) -> usize {
        let y = row * self.target_step[0] + self.target_offset[0];
        let x = column * self.target_step[1] + self.target_offset[1];
        (image * self.target[0] + y) * self.target[1] + x
    }
}

/// Whether rows of the kernel are folded into single taps: few channels, several columns, no holes.
pub(crate) fn is_folded(shape: &ConvShape) -> bool {
    shape.in_channels < 16 && shape.kernel[1] > 1 && shape.dilation[1] == 1
}

/// The phases of the gradient of the input, in order of offset.
pub(crate) fn phases(shape: &ConvShape) -> Vec<Phase> {
    let reaches = |axis: usize, offset: usize, position: usize, before: usize| {
        let reach = (offset + before) as isize - (position * shape.dilation[axis]) as isize;
        reach.rem_euclid(shape.stride[axis] as isize) == 0
    };
    let mut phases = Vec::with_capacity(shape.stride[0] * shape.stride[1]);
    for row in 0..shape.stride[0] {
        for column in 0..shape.stride[1] {
            let taps = (0..shape.taps())
                .filter(|tap| {
                    reaches(0, row, tap / shape.kernel[1], shape.padding[0])
                        && reaches(1, column, tap % shape.kernel[1], shape.padding[2])
                })
                .collect();
            phases.push(Phase { offset: [row, column], taps });
        }
    }
    phases
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tap_belongs_to_one_phase() {
        for (kernel, stride, dilation) in [
            ([3, 3], [2, 2], [1, 1]),
            ([1, 1], [2, 2], [1, 1]),
            ([5, 3], [2, 1], [1, 2]),
            ([7, 7], [3, 2], [2, 2]),
        ] {
            let shape = ConvShape {
                kernel,
                stride,
                dilation,
                padding: [1, 2, 2, 1],
                height: 20,
                width: 20,
                ..ConvShape::linear(1, 4, 4)
            };
            let mut taps: Vec<usize> = phases(&shape).into_iter().flat_map(|phase| phase.taps).collect();
            taps.sort_unstable();
            assert_eq!(taps, (0..shape.taps()).collect::<Vec<_>>(), "{shape:?}");
        }
    }
}
