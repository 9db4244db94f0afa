//! Softmax over the last axis.

use super::accumulate::Accumulate;
use super::chunks::CHUNK;
use super::elementary::exp;
use super::rows::{self, LANES};
use crate::cpu::Machine;

/// Below this an exponential counts as nothing, so that what a mask excludes has exactly no share.
const NOTHING: f32 = -87.0;

/// `y = softmax(x)` over the last axis; `x`, `y`: `[rows, width]`.
///
/// # Panics
/// When sizes differ or are not whole rows.
pub fn forward(machine: &Machine, width: usize, x: &[f32], y: &mut [f32]) {
    assert_eq!(x.len(), y.len(), "softmax: sizes");
    let each = rows_each(width, y.len()) * width;
    machine.pool.for_each_chunk(y, each, |index, y| {
        let x = &x[index * each..][..y.len()];
        let mut padded = vec![0.0; width.next_multiple_of(LANES)];
        machine.isa.vectorize(
            #[inline(always)]
            || {
                for (y, x) in y.chunks_exact_mut(width).zip(x.chunks_exact(width)) {
                    padded[..width].copy_from_slice(x);
                    shares(&mut padded, width);
                    y.copy_from_slice(&padded[..width]);
                }
            },
        );
    });
}

/// `dx (+)= y · (dy − Σ y · dy)`, row by row; all `[rows, width]`.
///
/// # Panics
/// As [`forward`].
pub fn backward(
    machine: &Machine,
    width: usize,
    y: &[f32],
    dy: &[f32],
    dx: &mut [f32],
    accumulate: Accumulate,
) {
    assert_eq!([y.len(), dy.len()], [dx.len(); 2], "softmax: sizes");
    let each = rows_each(width, dx.len()) * width;
    machine.pool.for_each_chunk(dx, each, |index, dx| {
        let (y, dy) = (&y[index * each..][..dx.len()], &dy[index * each..][..dx.len()]);
        machine.isa.vectorize(
            #[inline(always)]
            || {
                let lines = y.chunks_exact(width).zip(dy.chunks_exact(width));
                for (dx, (y, dy)) in dx.chunks_exact_mut(width).zip(lines) {
                    let mean = rows::sum2(
                        y,
                        dy,
                        #[inline(always)]
                        |y, dy| y * dy,
                    );
                    for ((dx, &y), &dy) in dx.iter_mut().zip(y).zip(dy) {
                        accumulate.store(dx, y * (dy - mean));
                    }
                }
            },
        );
    });
}

/// Turns the first `count` scores of a row into shares that add up to 1, the rest, up to whole lanes, into zeros.
#[inline(always)]
pub(super) fn shares(row: &mut [f32], count: usize) {
    row[count..].fill(f32::NEG_INFINITY);
    let greatest = rows::greatest(row);
    for x in row.iter_mut() {
        let below = *x - greatest;
        let power = exp::<false>(below);
        *x = if below < NOTHING { 0.0 } else { power };
    }
    let total = 1.0
        / rows::sum(
            row,
            #[inline(always)]
            |x| x,
        );
    row.iter_mut().for_each(|x| *x *= total);
}

/// Rows of one task.
fn rows_each(width: usize, length: usize) -> usize {
    assert!(width > 0 && length.is_multiple_of(width), "softmax: {length} numbers are not rows of {width}");
    (CHUNK / 4 / width).max(1)
}
