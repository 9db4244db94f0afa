//! Products of small matrices, each computed by one task: what attention and batched products are made of.
//!
//! The left operand is read where it lies, row by row. The right one is packed into panels first, as the weights of a
//! convolution are.

use super::accumulate::Accumulate;
use super::micro::{Finish, Microkernels, with_microkernels};
use super::scratch::with_workspace;
use crate::cpu::pool::SharedPointer;
use crate::cpu::{Isa, Machine};

/// Numbers that are transposed at a time.
const BLOCK: usize = 16;

/// How an operand of [`product`] is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// As it is read.
    Plain,
    /// With its two axes exchanged.
    Transposed,
}

/// `output (+)= left · right` for each of `batch` pairs: `[batch, rows, depth]` and `[batch, depth, columns]` to
/// `[batch, rows, columns]`; `sizes` are rows, depth, columns.
///
/// # Panics
/// When sizes differ.
pub fn product(
    machine: &Machine,
    sizes: [usize; 3],
    (left, left_stored): (&[f32], Stored),
    (right, right_stored): (&[f32], Stored),
    output: &mut [f32],
    accumulate: Accumulate,
) {
    let [rows, depth, columns] = sizes;
    if output.is_empty() {
        return;
    }
    assert!(output.len().is_multiple_of(rows * columns), "matrix product: size of the output");
    let batch = output.len() / (rows * columns);
    assert_eq!(left.len(), batch * rows * depth, "matrix product: size of the left operand");
    assert_eq!(right.len(), batch * depth * columns, "matrix product: size of the right operand");
    with_microkernels!(machine.isa, Kernels => {
        machine.pool.for_each_chunk(output, rows * columns, |index, output| {
            let left = &left[index * rows * depth..][..rows * depth];
            let right = &right[index * depth * columns..][..depth * columns];
            with_workspace(|workspace| {
                let packed = workspace.packed.floats(packed_len::<Kernels>(depth, columns));
                match right_stored {
                    Stored::Plain => {
                        pack::<Kernels>(Rows { data: right, stride: columns }, [depth, columns], packed);
                    }
                    Stored::Transposed => {
                        let right = Rows { data: right, stride: depth };
                        pack_transposed::<Kernels>(machine.isa, right, [depth, columns], packed);
                    }
                }
                let left = match left_stored {
                    Stored::Plain => left,
                    Stored::Transposed => {
                        let turned = workspace.rows.floats(rows * depth);
                        transpose(machine.isa, Rows { data: left, stride: rows }, [depth, rows], turned, depth);
                        &*turned
                    }
                };
                let target = Target { output: SharedPointer(output.as_mut_ptr()), stride: columns, accumulate };
                // SAFETY: the machine has the instruction set, and the output is this task's own.
                unsafe { multiply::<Kernels>(Rows { data: left, stride: depth }, sizes, packed, &target) };
            });
        });
    });
}

/// A matrix in memory: rows of contiguous numbers, `stride` apart.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub data: &'a [f32],
    pub stride: usize,
}

impl Rows<'_> {
    fn check(&self, rows: usize, columns: usize) {
        let needed = if rows == 0 { 0 } else { (rows - 1) * self.stride + columns };
        assert!(self.data.len() >= needed, "matrix: {} numbers, {needed} needed", self.data.len());
    }
}

/// Where a product goes: rows `stride` apart.
pub(super) struct Target {
    pub output: SharedPointer<f32>,
    pub stride: usize,
    pub accumulate: Accumulate,
}

/// The floats of a packed right operand, `[depth, columns]`.
pub(super) fn packed_len<K: Microkernels>(depth: usize, columns: usize) -> usize {
    depth * K::padded(columns)
}

/// Packs a right operand: `[panel][depth][width]`, zeros beyond the last column.
pub(super) fn pack<K: Microkernels>(right: Rows<'_>, [depth, columns]: [usize; 2], into: &mut [f32]) {
    right.check(depth, columns);
    let mut rest = into;
    for first in (0..columns).step_by(K::COLUMNS) {
        let width = K::panel_width(first, columns);
        let used = width.min(columns - first);
        let (panel, after) = std::mem::take(&mut rest).split_at_mut(depth * width);
        rest = after;
        for (row, line) in panel.chunks_exact_mut(width).enumerate() {
            line[..used].copy_from_slice(&right.data[row * right.stride + first..][..used]);
            line[used..].fill(0.0);
        }
    }
}

/// The same, of a right operand that is stored transposed, `[columns, depth]`.
pub(super) fn pack_transposed<K: Microkernels>(
    isa: Isa,
    right: Rows<'_>,
    [depth, columns]: [usize; 2],
    into: &mut [f32],
) {
    right.check(columns, depth);
    let mut rest = into;
    for first in (0..columns).step_by(K::COLUMNS) {
        let width = K::panel_width(first, columns);
        let used = width.min(columns - first);
        let (panel, after) = std::mem::take(&mut rest).split_at_mut(depth * width);
        rest = after;
        let part = Rows { data: &right.data[first * right.stride..], stride: right.stride };
        transpose(isa, part, [used, depth], panel, width);
        if used < width {
            panel.chunks_exact_mut(width).for_each(|line| line[used..].fill(0.0));
        }
    }
}

/// `into[column][row] = from[row][column]`, rows of the result `stride` apart.
pub(super) fn transpose(
    isa: Isa,
    from: Rows<'_>,
    [rows, columns]: [usize; 2],
    into: &mut [f32],
    stride: usize,
) {
    from.check(rows, columns);
    assert!(rows <= stride && into.len() >= columns.saturating_sub(1) * stride + rows, "transpose: sizes");
    isa.vectorize(
        #[inline(always)]
        || {
            for first in (0..rows).step_by(BLOCK) {
                let height = BLOCK.min(rows - first);
                for start in (0..columns).step_by(BLOCK) {
                    let width = BLOCK.min(columns - start);
                    let mut block = [[0.0; BLOCK]; BLOCK];
                    for (row, line) in block.iter_mut().enumerate().take(height) {
                        let source = &from.data[(first + row) * from.stride + start..];
                        match source.first_chunk::<BLOCK>() {
                            Some(whole) if width == BLOCK => *line = *whole,
                            _ => line[..width].copy_from_slice(&source[..width]),
                        }
                    }
                    for column in 0..width {
                        let line = &mut into[(start + column) * stride + first..][..height];
                        line.iter_mut().zip(&block).for_each(|(to, from)| *to = from[column]);
                    }
                }
            }
        },
    );
}

/// `target (+)= left · right` for a packed right operand; `sizes` are rows, depth, columns.
///
/// # Safety
/// The processor has the instruction set, and nobody else uses the target, which has room for the product.
pub(super) unsafe fn multiply<K: Microkernels>(
    left: Rows<'_>,
    [rows, depth, columns]: [usize; 3],
    packed: &[f32],
    target: &Target,
) {
    left.check(rows, depth);
    assert!(packed.len() >= packed_len::<K>(depth, columns), "matrix: size of the packed operand");
    for start in (0..rows).step_by(K::ROWS) {
        let count = K::ROWS.min(rows - start);
        let (mut sources, mut offsets) = ([std::ptr::null(); MOST_ROWS], [0; MOST_ROWS]);
        for row in 0..count {
            sources[row] = left.data[(start + row) * left.stride..].as_ptr();
            offsets[row] = (start + row) * target.stride;
        }
        for first in (0..columns).step_by(K::COLUMNS) {
            let width = K::panel_width(first, columns);
            let panel = &packed[first * depth..][..depth * width];
            let output = target.output.get().wrapping_add(first);
            let add = target.accumulate == Accumulate::Add;
            let finish = Finish {
                bias: std::ptr::null(),
                residual: if add { output.cast_const() } else { std::ptr::null() },
                clamp: (f32::NEG_INFINITY, f32::INFINITY),
                output,
                columns: width.min(columns - first),
            };
            // SAFETY: the caller's promises; every row holds `depth` numbers and the panel was just cut to its size.
            unsafe {
                let (rows, offsets, ahead) = (sources.as_ptr(), &offsets[..count], panel.as_ptr());
                K::multiply_and_finish((1, depth), rows, offsets, (panel.as_ptr(), width), &finish, ahead);
            }
        }
    }
}

/// Rows of the tallest tile.
const MOST_ROWS: usize = 14;

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_close, machines, numbers};
    use super::*;

    #[test]
    fn products_agree_with_f64() {
        // batch, rows, depth, columns
        for sizes in [[1, 1, 1, 1], [2, 3, 5, 7], [3, 26, 32, 26], [1, 15, 40, 33], [2, 35, 17, 64]] {
            let [batch, rows, depth, columns] = sizes;
            let (a, b) = (numbers(1, batch * rows * depth), numbers(2, batch * depth * columns));
            let old = numbers(3, batch * rows * columns);
            for machine in machines() {
                for (left, right) in [
                    (Stored::Plain, Stored::Plain),
                    (Stored::Transposed, Stored::Plain),
                    (Stored::Plain, Stored::Transposed),
                    (Stored::Transposed, Stored::Transposed),
                ] {
                    let expected: Vec<f64> = (0..old.len())
                        .map(|index| {
                            let (pair, row) = (index / (rows * columns), index / columns % rows);
                            let column = index % columns;
                            let sum: f64 = (0..depth)
                                .map(|k| {
                                    let a_at = match left {
                                        Stored::Plain => row * depth + k,
                                        Stored::Transposed => k * rows + row,
                                    };
                                    let b_at = match right {
                                        Stored::Plain => k * columns + column,
                                        Stored::Transposed => column * depth + k,
                                    };
                                    f64::from(a[pair * rows * depth + a_at])
                                        * f64::from(b[pair * depth * columns + b_at])
                                })
                                .sum();
                            f64::from(old[index]) + sum
                        })
                        .collect();
                    let mut found = old.clone();
                    let sizes_of_one = [rows, depth, columns];
                    product(&machine, sizes_of_one, (&a, left), (&b, right), &mut found, Accumulate::Add);
                    let context = format!("{sizes:?}, {left:?}, {right:?}, {:?}", machine.isa);
                    assert_close(&found, &expected, 1e-5, &context);
                }
            }
        }
    }
}
