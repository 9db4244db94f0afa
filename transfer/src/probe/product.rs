//! The one product that probes need: `out += A · B`, where A may be transposed and B's rows are contiguous.
//!
//! Logits are `features · weightᵀ` with the small transposed weight as B; the weight's gradient is `gradientᵀ · features` with the
//! features as B. Neither packs the features, which are most of the memory. Written for blocks of rows that fit a cache: who calls
//! cuts the samples into blocks of fixed size, so that sums do not depend on threads.

use tk_engine::cpu::{Isa, Machine};

/// The left matrix of a product, `[rows, depth]`.
#[derive(Clone, Copy)]
pub(super) struct Left<'a> {
    values: &'a [f32],
    rows: usize,
    depth: usize,
    row_stride: usize,
    depth_stride: usize,
}

impl<'a> Left<'a> {
    /// Stored `[rows, depth]`.
    pub fn plain(values: &'a [f32], rows: usize) -> Self {
        let depth = values.len().checked_div(rows).unwrap_or(0);
        assert_eq!(values.len(), rows * depth, "a left matrix of {rows} rows");
        Self { values, rows, depth, row_stride: depth, depth_stride: 1 }
    }

    /// Stored `[depth, rows]`.
    pub fn transposed(values: &'a [f32], rows: usize) -> Self {
        let depth = values.len().checked_div(rows).unwrap_or(0);
        assert_eq!(values.len(), rows * depth, "a transposed left matrix of {rows} rows");
        Self { values, rows, depth, row_stride: 1, depth_stride: rows }
    }

    /// Some of the rows.
    fn some(&self, start: usize, rows: usize) -> Self {
        Self { values: &self.values[start * self.row_stride..], rows, ..*self }
    }
}

/// `out += left · right` with right `[depth, columns]` and out `[rows, columns]`, in f32.
///
/// # Panics
/// When sizes differ.
pub(super) fn add_product(isa: Isa, left: Left<'_>, right: &[f32], out: &mut [f32]) {
    if left.rows == 0 || left.depth == 0 || out.is_empty() {
        return;
    }
    let columns = right.len() / left.depth;
    assert_eq!(right.len(), left.depth * columns, "the right matrix has {} rows", left.depth);
    assert_eq!(out.len(), left.rows * columns, "the product has {} rows of {columns}", left.rows);
    match isa {
        Isa::Avx512 => isa.vectorize(
            #[inline(always)]
            || walk::<16, 2, true>(left, right, out, columns),
        ),
        Isa::Avx2 => isa.vectorize(
            #[inline(always)]
            || walk::<8, 2, true>(left, right, out, columns),
        ),
        Isa::Portable => walk::<4, 2, false>(left, right, out, columns),
    }
}

/// The number of columns, at least `columns`, that are whole vectors: columns beyond them are computed one by one.
pub(super) fn padded(isa: Isa, columns: usize) -> usize {
    columns.next_multiple_of(if isa == Isa::Avx512 { 16 } else { 8 })
}

/// `[rows, width]` as `[width, columns]`, with zeros in the columns past the rows.
pub(super) fn transposed_padded(values: &[f32], width: usize, columns: usize) -> Vec<f32> {
    let mut turned = vec![0f32; width * columns];
    for (column, row) in values.chunks_exact(width).enumerate() {
        row.iter().zip(turned.chunks_exact_mut(columns)).for_each(|(&value, line)| line[column] = value);
    }
    turned
}

/// [`add_product`] with the rows of the product dealt to threads.
pub(super) fn add_product_threaded(machine: &Machine, left: Left<'_>, right: &[f32], out: &mut [f32]) {
    /// Rows of a task; six divides it.
    const ROWS: usize = 24;
    if left.rows == 0 || left.depth == 0 || out.is_empty() {
        return;
    }
    let columns = right.len() / left.depth;
    machine.pool.for_each_chunk(out, ROWS * columns, |task, out| {
        add_product(machine.isa, left.some(task * ROWS, out.len() / columns), right, out);
    });
}

/// Strips of `V` vectors of `L` columns, then of one vector, then single columns.
#[inline(always)]
fn walk<const L: usize, const V: usize, const FUSED: bool>(
    left: Left<'_>,
    right: &[f32],
    out: &mut [f32],
    columns: usize,
) {
    let mut column = 0;
    while column + L * V <= columns {
        strip::<L, V, FUSED>(left, right, out, [columns, column]);
        column += L * V;
    }
    while column + L <= columns {
        strip::<L, 1, FUSED>(left, right, out, [columns, column]);
        column += L;
    }
    while column < columns {
        strip::<1, 1, FUSED>(left, right, out, [columns, column]);
        column += 1;
    }
}

/// All rows of one strip, six at a time: six rows of two vectors are twelve accumulators, which every instruction set can hold.
#[inline(always)]
fn strip<const L: usize, const V: usize, const FUSED: bool>(
    left: Left<'_>,
    right: &[f32],
    out: &mut [f32],
    place: [usize; 2],
) {
    let mut row = 0;
    while row < left.rows {
        row += match left.rows - row {
            6.. => tile::<L, V, 6, FUSED>(left, right, out, place, row),
            4.. => tile::<L, V, 4, FUSED>(left, right, out, place, row),
            2.. => tile::<L, V, 2, FUSED>(left, right, out, place, row),
            _ => tile::<L, V, 1, FUSED>(left, right, out, place, row),
        };
    }
}

/// `R` rows of a strip; returns `R`. Needs full optimisation: only when every loop over a constant is unrolled do the sums stay in
/// registers (with `opt-level = 2` this is fifteen times slower).
#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "constant bounds keep the sums in registers")]
fn tile<const L: usize, const V: usize, const R: usize, const FUSED: bool>(
    left: Left<'_>,
    right: &[f32],
    out: &mut [f32],
    [columns, column]: [usize; 2],
    row: usize,
) -> usize {
    let mut sums = [[[0f32; L]; V]; R];
    let mut factors: [&[f32]; R] = [&[]; R];
    for r in 0..R {
        factors[r] = &left.values[(row + r) * left.row_stride..];
    }
    for (depth, line) in right.chunks_exact(columns).enumerate() {
        let line = &line[column..column + L * V];
        let mut vectors = [[0f32; L]; V];
        for v in 0..V {
            vectors[v].copy_from_slice(&line[v * L..(v + 1) * L]);
        }
        for r in 0..R {
            let factor = factors[r][depth * left.depth_stride];
            for v in 0..V {
                for l in 0..L {
                    let (sum, value) = (sums[r][v][l], vectors[v][l]);
                    sums[r][v][l] = if FUSED { factor.mul_add(value, sum) } else { factor * value + sum };
                }
            }
        }
    }
    for r in 0..R {
        let start = (row + r) * columns + column;
        for (out, sum) in out[start..start + L * V].iter_mut().zip(sums[r].as_flattened()) {
            *out += sum;
        }
    }
    R
}

#[cfg(test)]
mod tests {
    use super::*;
    use tk_engine::random::Stream;

    #[test]
    fn every_instruction_set_and_remainder_gives_the_product() {
        let mut stream = Stream::new(1, &["product".into()]);
        let mut fill = |count: usize| (0..count).map(|_| stream.range(-1.0, 1.0) as f32).collect::<Vec<_>>();
        for (rows, depth, columns) in
            [(1, 1, 1), (6, 3, 16), (13, 7, 77), (10, 120, 130), (23, 50, 5), (0, 3, 4), (3, 0, 4)]
        {
            let (left, right, start) = (fill(rows * depth), fill(depth * columns), fill(rows * columns));
            let transposed: Vec<f32> =
                (0..depth * rows).map(|i| left[(i % rows.max(1)) * depth + i / rows.max(1)]).collect();
            let expected: Vec<f64> = (0..rows * columns)
                .map(|i| {
                    let (row, column) = (i / columns, i % columns);
                    let terms = (0..depth)
                        .map(|d| f64::from(left[row * depth + d]) * f64::from(right[d * columns + column]));
                    f64::from(start[i]) + terms.sum::<f64>()
                })
                .collect();
            for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
                for left in [Left::plain(&left, rows), Left::transposed(&transposed, rows)] {
                    let mut out = start.clone();
                    add_product(isa, left, &right, &mut out);
                    let mut threaded = start.clone();
                    add_product_threaded(&Machine::new(2).with_isa(isa), left, &right, &mut threaded);
                    assert_eq!(out, threaded);
                    for (found, expected) in out.iter().zip(&expected) {
                        // Terms are at most 1; 120 of them lose at most 120 half units in the last place of 120.
                        assert!(
                            (f64::from(*found) - expected).abs() < 1e-4,
                            "{isa:?} {rows}x{depth}x{columns}"
                        );
                    }
                }
            }
        }
    }
}
