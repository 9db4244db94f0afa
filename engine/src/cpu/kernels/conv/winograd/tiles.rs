//! Where the tiles of a convolution lie.

use super::points::{AXIS, SIDE};
use crate::cpu::kernels::conv::ConvShape;

/// The tiles of the results of a batch, image by image and row by row; the last ones reach beyond the image.
pub(super) struct Tiles<'a> {
    shape: &'a ConvShape,
    rows: usize,
    columns: usize,
    /// A pixel of the padding.
    zeros: Vec<f32>,
}

/// Where each pixel of a square begins, row by row.
pub(super) type Pixels<const EXTENT: usize> = [[*const f32; EXTENT]; EXTENT];

impl<'a> Tiles<'a> {
    pub fn new(shape: &'a ConvShape) -> Self {
        let [rows, columns] = [shape.out_height(), shape.out_width()].map(|size| size.div_ceil(SIDE));
        Self { shape, rows, columns, zeros: vec![0.0; shape.in_channels.max(shape.out_channels)] }
    }

    pub fn count(&self) -> usize {
        self.shape.batch * self.rows * self.columns
    }

    /// Image, and the first row and column of a tile's result pixels.
    pub fn place(&self, tile: usize) -> (usize, usize, usize) {
        let (rows, columns) = (self.rows, self.columns);
        (tile / (rows * columns), tile / columns % rows * SIDE, tile % columns * SIDE)
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
        std::array::from_fn(|y| {
            let row = first_row.wrapping_add(y);
            std::array::from_fn(|x| {
                let column = first_column.wrapping_add(x);
                match row < height && column < width {
                    true => data[((image * height + row) * width + column) * channels..][..channels].as_ptr(),
                    false => self.zeros.as_ptr(),
                }
            })
        })
    }
}
