//! Softmax over the last axis.

use super::accumulate::Accumulate;
use super::chunks::CHUNK;
use super::elementary::exp;
use super::rows::{self, LANES};
use crate::cpu::Machine;
use crate::cpu::isa::vectorize_fused;

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
        vectorize_fused!(machine.isa, FUSED => {
            for (y, x) in y.chunks_exact_mut(width).zip(x.chunks_exact(width)) {
                padded[..width].copy_from_slice(x);
                padded[width..].fill(f32::NEG_INFINITY);
                let inverse = raise::<FUSED>(&mut padded).inverse;
                y.iter_mut().zip(&padded).for_each(|(y, power)| *y = power * inverse);
            }
        });
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

/// What turns the scores of a row into shares: `share = e^(score − greatest) · inverse`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Denominator {
    /// The greatest score.
    pub greatest: f32,
    /// One over the sum of all powers.
    pub inverse: f32,
}

/// Turns a row of whole lanes into powers, which are shares but for the factor that is returned. A score of −∞ has exactly no share.
#[inline(always)]
pub(super) fn raise<const FUSED: bool>(row: &mut [f32]) -> Denominator {
    let greatest = rows::greatest(row);
    for lanes in row.as_chunks_mut::<LANES>().0 {
        for score in lanes {
            *score = power::<FUSED>(*score - greatest);
        }
    }
    let total = rows::sum(
        row,
        #[inline(always)]
        |power| power,
    );
    Denominator { greatest, inverse: 1.0 / total }
}

/// Turns a row of whole lanes into the shares that [`raise`] found.
#[inline(always)]
pub(super) fn share<const FUSED: bool>(row: &mut [f32], denominator: Denominator) {
    for lanes in row.as_chunks_mut::<LANES>().0 {
        for score in lanes {
            *score = power::<FUSED>(*score - denominator.greatest) * denominator.inverse;
        }
    }
}

#[inline(always)]
fn power<const FUSED: bool>(below: f32) -> f32 {
    let power = exp::<FUSED>(below);
    if below < NOTHING { 0.0 } else { power }
}

/// Rows of one task.
fn rows_each(width: usize, length: usize) -> usize {
    assert!(width > 0 && length.is_multiple_of(width), "softmax: {length} numbers are not rows of {width}");
    (CHUNK / 4 / width).max(1)
}
