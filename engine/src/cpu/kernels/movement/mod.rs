//! Numbers moved, repeated and summed along axes: permutations, slices, and operands of other shapes that broadcast.

mod slice;
mod walk;

pub use slice::{slice, unslice};
pub use walk::Walk;

use super::accumulate::Accumulate;
use super::chunks::CHUNK;
use crate::cpu::Machine;

/// `y (+)= x` along a walk: a permuted, or a broadcast, `x`.
///
/// # Panics
/// When sizes differ.
pub fn spread(
    machine: &Machine,
    walk: &Walk<1>,
    factor: f32,
    x: &[f32],
    y: &mut [f32],
    accumulate: Accumulate,
) {
    combine(
        machine,
        &walk.twice(),
        [x, x],
        y,
        #[inline(always)]
        |y, x, _| accumulate.store(y, factor * x),
    );
}

/// `y = a + b` along a walk.
///
/// # Panics
/// When sizes differ.
pub fn add(machine: &Machine, walk: &Walk<2>, operands: [&[f32]; 2], y: &mut [f32]) {
    combine(
        machine,
        walk,
        operands,
        y,
        #[inline(always)]
        |y, a, b| *y = a + b,
    );
}

/// `y (+)= a · b` along a walk.
///
/// # Panics
/// When sizes differ.
pub fn multiply(
    machine: &Machine,
    walk: &Walk<2>,
    operands: [&[f32]; 2],
    y: &mut [f32],
    accumulate: Accumulate,
) {
    combine(
        machine,
        walk,
        operands,
        y,
        #[inline(always)]
        |y, a, b| accumulate.store(y, a * b),
    );
}

/// `into (+)= factor · Σ x · other`, summed over all places of `x` where `into`, the first operand of the walk, is the same; `other`,
/// the second, may be missing. Summed in f64 and in order.
///
/// # Panics
/// When sizes differ.
pub fn collect(
    machine: &Machine,
    walk: &Walk<2>,
    factor: f64,
    x: &[f32],
    other: Option<&[f32]>,
    into: &mut [f32],
    accumulate: Accumulate,
) {
    walk.check(x.len(), [into.len(), other.map_or(usize::MAX, <[f32]>::len)]);
    let mut totals = vec![0f64; into.len()];
    let [step, other_step] = walk.steps;
    machine.isa.vectorize(
        #[inline(always)]
        || {
            for (row, x) in x.chunks_exact(walk.run.max(1)).enumerate() {
                let [start, other_start] = walk.start(row);
                match (other, step) {
                    (None, 1) => {
                        let totals = &mut totals[start..][..walk.run];
                        totals.iter_mut().zip(x).for_each(|(total, &x)| *total += f64::from(x));
                    }
                    (None, _) => {
                        for (index, &x) in x.iter().enumerate() {
                            totals[start + index * step] += f64::from(x);
                        }
                    }
                    (Some(other), _) => {
                        for (index, &x) in x.iter().enumerate() {
                            let other = other[other_start + index * other_step];
                            totals[start + index * step] += f64::from(x) * f64::from(other);
                        }
                    }
                }
            }
        },
    );
    into.iter_mut().zip(totals).for_each(|(slot, total)| accumulate.store(slot, (factor * total) as f32));
}

#[inline(always)]
fn combine(
    machine: &Machine,
    walk: &Walk<2>,
    [a, b]: [&[f32]; 2],
    y: &mut [f32],
    put: impl Fn(&mut f32, f32, f32) + Sync,
) {
    walk.check(y.len(), [a.len(), b.len()]);
    if y.is_empty() {
        return;
    }
    let rows = (CHUNK / walk.run).max(1);
    machine.pool.for_each_chunk(y, rows * walk.run, |index, y| {
        machine.isa.vectorize(
            #[inline(always)]
            || {
                for (row, y) in y.chunks_exact_mut(walk.run).enumerate() {
                    let [a_start, b_start] = walk.start(index * rows + row);
                    match walk.steps {
                        [1, 1] => {
                            let operands = a[a_start..][..y.len()].iter().zip(&b[b_start..][..y.len()]);
                            y.iter_mut().zip(operands).for_each(|(y, (&a, &b))| put(y, a, b));
                        }
                        [1, 0] => {
                            let b = b[b_start];
                            y.iter_mut().zip(&a[a_start..][..walk.run]).for_each(|(y, &a)| put(y, a, b));
                        }
                        [0, 1] => {
                            let a = a[a_start];
                            y.iter_mut().zip(&b[b_start..][..walk.run]).for_each(|(y, &b)| put(y, a, b));
                        }
                        [a_step, b_step] => {
                            for (place, y) in y.iter_mut().enumerate() {
                                put(y, a[a_start + place * a_step], b[b_start + place * b_step]);
                            }
                        }
                    }
                }
            },
        );
    });
}

#[cfg(test)]
mod tests {
    use super::super::testing::{machines, numbers};
    use super::*;

    #[test]
    fn a_permutation_is_undone_by_its_inverse() {
        let (shape, order) = ([2, 3, 4, 5], [2, 0, 3, 1]);
        let x = numbers(1, 120);
        for machine in machines() {
            let mut y = vec![f32::NAN; 120];
            spread(&machine, &Walk::permuted(&shape, &order), 1.0, &x, &mut y, Accumulate::Overwrite);
            // y[k][i][l][j] = x[i][j][k][l]
            assert_eq!(y[((3 * 2 + 1) * 5 + 4) * 3 + 2], x[((3 + 2) * 4 + 3) * 5 + 4]);
            let mut back = x.clone();
            let walk = Walk::permuted(&[4, 2, 5, 3], &[1, 3, 0, 2]);
            spread(&machine, &walk, 1.0, &y, &mut back, Accumulate::Add);
            assert!(back.iter().zip(&x).all(|(back, x)| *back == 2.0 * x));
        }
    }

    #[test]
    fn what_is_spread_is_collected() {
        for (full, part) in [
            (vec![2, 3, 4], vec![4]),
            (vec![2, 3, 4], vec![2, 1, 1]),
            (vec![2, 3, 4], vec![3, 1]),
            (vec![5], vec![1]),
            (vec![2, 3, 4], vec![2, 1, 4]),
        ] {
            let (count, length) = (full.iter().product::<usize>(), part.iter().product::<usize>());
            let x = numbers(1, length);
            let machine = Machine::new(2);
            let mut y = vec![f32::NAN; count];
            spread(&machine, &Walk::broadcast(&full, [&part]), 2.0, &x, &mut y, Accumulate::Overwrite);
            let mut back = vec![f32::NAN; length];
            let walk = Walk::broadcast(&full, [&part, &full]);
            let share = length as f64 / count as f64;
            collect(&machine, &walk, share, &y, None, &mut back, Accumulate::Overwrite);
            let close = back.iter().zip(&x).all(|(back, x)| (back - 2.0 * x).abs() < 1e-6 * x.abs());
            assert!(close, "{full:?}, {part:?}: {back:?}, {x:?}");
        }
    }
}
