//! Where the tiles of a convolution lie.

use super::points::{AXIS, SIDE};
use crate::cpu::kernels::conv::ConvShape;

/// The tiles of the results of a batch, image by image and row by row; the last ones reach beyond the image.
///
/// A tile's pixels lie as far apart as the kernel's: a dilated convolution is as many plain ones, on maps of every so many pixels.
pub(super) struct Tiles<'a> {
    shape: &'a ConvShape,
    /// The first result pixels of tiles, down and across.
    firsts: [Vec<usize>; 2],
    /// A pixel of the padding.
    zeros: Vec<f32>,
}

/// Where each pixel of a square begins, row by row.
pub(super) type Pixels<const EXTENT: usize> = [[*const f32; EXTENT]; EXTENT];

impl<'a> Tiles<'a> {
    pub fn new(shape: &'a ConvShape) -> Self {
        let zeros = vec![0.0; shape.in_channels.max(shape.out_channels)];
        Self { shape, firsts: firsts(shape), zeros }
    }

    pub fn count(&self) -> usize {
        self.shape.batch * self.firsts[0].len() * self.firsts[1].len()
    }

    /// Image, and the first row and column of a tile's result pixels.
    pub fn place(&self, tile: usize) -> (usize, usize, usize) {
        let [rows, columns] = &self.firsts;
        let (row, column) = (tile / columns.len(), tile % columns.len());
        (row / rows.len(), rows[row % rows.len()], columns[column])
    }

    /// The pixels of `input` that a tile reads, zeros in the padding.
    pub fn source(&self, tile: usize, input: &[f32]) -> Pixels<AXIS> {
        let (image, y, x) = self.place(tile);
        let ConvShape { height, width, in_channels, padding: [top, _, left, _], .. } = *self.shape;
        let first = [y.wrapping_sub(top), x.wrapping_sub(left)];
        self.pixels(input, [image, height, width, in_channels], first)
    }

    /// The pixels of `output` that are a tile's, zeros beyond the image.
    pub fn result(&self, tile: usize, output: &[f32]) -> Pixels<SIDE> {
        let (image, y, x) = self.place(tile);
        let (height, width) = (self.shape.out_height(), self.shape.out_width());
        self.pixels(output, [image, height, width, self.shape.out_channels], [y, x])
    }

    /// A square of pixels of an image in `data`, whose first row and column may lie before the image (below zero, wrapped).
    fn pixels<const EXTENT: usize>(
        &self,
        data: &[f32],
        [image, height, width, channels]: [usize; 4],
        [first_row, first_column]: [usize; 2],
    ) -> Pixels<EXTENT> {
        let [down, across] = self.shape.dilation;
        std::array::from_fn(|y| {
            let row = first_row.wrapping_add(y * down);
            std::array::from_fn(|x| {
                let column = first_column.wrapping_add(x * across);
                match row < height && column < width {
                    true => data[((image * height + row) * width + column) * channels..][..channels].as_ptr(),
                    false => self.zeros.as_ptr(),
                }
            })
        })
    }
}

/// The first result pixels of a convolution's tiles, down and across.
pub(super) fn firsts(shape: &ConvShape) -> [Vec<usize>; 2] {
    let sizes = [shape.out_height(), shape.out_width()];
    std::array::from_fn(|axis| {
        let (size, apart) = (sizes[axis], shape.dilation[axis]);
        (0..apart.min(size)).flat_map(|first| (first..size).step_by(apart * SIDE)).collect()
    })
}
