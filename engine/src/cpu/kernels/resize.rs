//! Maps brought to another height and width, and gradients brought back: both are rows of weighted sums, first down, then across.

use crate::cpu::Machine;

use super::accumulate::Accumulate;
use super::scratch::with_workspace;

/// For each position of a result, the positions it is made of with their weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Taps {
    /// The first tap of each position, and one closing entry.
    starts: Vec<usize>,
    taps: Vec<(usize, f32)>,
    /// How many positions are read.
    from: usize,
}

impl Taps {
    /// The nearest position, rounding down. Computed in whole numbers.
    pub fn nearest(from: usize, to: usize) -> Self {
        Self::of(from, (0..to).map(|at| vec![(at * from / to, 1.0)]))
    }

    /// The two positions around each, weighted by distance; centres lie at halves, and the border is repeated.
    pub fn linear(from: usize, to: usize) -> Self {
        let last = from.saturating_sub(1);
        let of = |at: usize| {
            let position = ((at as f64 + 0.5) * from as f64 / to as f64 - 0.5).max(0.0);
            let (first, share) = ((position.floor() as usize).min(last), position.fract());
            match share == 0.0 || first == last {
                true => vec![(first, 1.0)],
                false => vec![(first, (1.0 - share) as f32), (first + 1, share as f32)],
            }
        };
        Self::of(from, (0..to).map(of))
    }

    /// The other way: for each position that is read, what reads it.
    #[must_use]
    pub fn transposed(&self) -> Self {
        let mut readers = vec![Vec::new(); self.from];
        for at in 0..self.len() {
            self.at(at).iter().for_each(|&(position, weight)| readers[position].push((at, weight)));
        }
        Self::of(self.len(), readers.into_iter())
    }

    /// How many positions the result has.
    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn of(from: usize, all: impl Iterator<Item = Vec<(usize, f32)>>) -> Self {
        let (mut starts, mut taps) = (vec![0], Vec::new());
        for own in all {
            taps.extend(own);
            starts.push(taps.len());
        }
        Self { starts, taps, from }
    }

    fn at(&self, position: usize) -> &[(usize, f32)] {
        &self.taps[self.starts[position]..self.starts[position + 1]]
    }
}

/// `y (+)= down · x · acrossᵀ` for every sample and channel; `x`: `[batch, down.from, across.from, channels]`, `y`: `[batch, down.len(),
/// across.len(), channels]`.
///
/// # Panics
/// When sizes do not fit.
pub fn resize(
    machine: &Machine,
    [down, across]: [&Taps; 2],
    channels: usize,
    x: &[f32],
    y: &mut [f32],
    accumulate: Accumulate,
) {
    let (from, to) = (across.from * channels, across.len() * channels);
    assert!(to > 0 && from > 0 && y.len().is_multiple_of(to * down.len()), "resize: the result's size");
    assert_eq!(x.len(), y.len() / (to * down.len()) * from * down.from, "resize: the size of what is read");
    machine.pool.for_each_chunk(y, to, |index, y| {
        let (sample, row) = (index / down.len(), index % down.len());
        let x = &x[sample * down.from * from..][..down.from * from];
        with_workspace(|workspace| {
            let mixed = workspace.rows.floats(from);
            machine.isa.vectorize(
                #[inline(always)]
                || {
                    mixed.fill(0.0);
                    for &(at, weight) in down.at(row) {
                        add(mixed, &x[at * from..][..from], weight);
                    }
                    for (column, y) in y.chunks_exact_mut(channels).enumerate() {
                        accumulate.prepare(y);
                        for &(at, weight) in across.at(column) {
                            add(y, &mixed[at * channels..][..channels], weight);
                        }
                    }
                },
            );
        });
    });
}

#[inline(always)]
fn add(sum: &mut [f32], x: &[f32], weight: f32) {
    sum.iter_mut().zip(x).for_each(|(sum, x)| *sum += weight * x);
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_close, machines, numbers};
    use super::*;

    #[test]
    fn taps_are_those_of_pytorch() {
        // F.interpolate of [0, 1, 2] to 5 and of [0, 1, 2, 3, 4] to 2, align_corners=False.
        let values = |taps: &Taps| -> Vec<f32> {
            (0..taps.len())
                .map(|at| taps.at(at).iter().map(|&(at, weight)| at as f32 * weight).sum())
                .collect()
        };
        assert_close(&values(&Taps::linear(3, 5)), &[0.0, 0.4, 1.0, 1.6, 2.0], 1e-6, "3 to 5");
        assert_close(&values(&Taps::linear(5, 2)), &[0.75, 3.25], 1e-6, "5 to 2");
        assert_close(&values(&Taps::linear(1, 4)), &[0.0; 4], 0.0, "1 to 4");
        assert_close(&values(&Taps::nearest(3, 5)), &[0.0, 0.0, 1.0, 1.0, 2.0], 0.0, "nearest");
    }

    #[test]
    fn the_gradient_is_the_transposed_walk() {
        let (batch, channels) = (2, 5);
        for (from, to) in [([3, 4], [7, 5]), ([6, 5], [2, 3]), ([4, 4], [4, 4]), ([1, 1], [6, 9])] {
            for kind in [Taps::nearest, Taps::linear] {
                let taps = [0, 1].map(|axis| kind(from[axis], to[axis]));
                let back = [0, 1].map(|axis| taps[axis].transposed());
                let x = numbers(1, batch * from[0] * from[1] * channels);
                let dy = numbers(2, batch * to[0] * to[1] * channels);
                for machine in machines() {
                    let (mut y, mut dx) = (vec![f32::NAN; dy.len()], vec![1.0; x.len()]);
                    resize(&machine, [&taps[0], &taps[1]], channels, &x, &mut y, Accumulate::Overwrite);
                    resize(&machine, [&back[0], &back[1]], channels, &dy, &mut dx, Accumulate::Add);
                    // ⟨y, dy⟩ = ⟨x, dx⟩ for any linear map and its transposed one.
                    let product = |a: &[f32], b: &[f32]| -> f64 {
                        a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
                    };
                    dx.iter_mut().for_each(|slope| *slope -= 1.0);
                    let (left, right) = (product(&y, &dy), product(&x, &dx));
                    assert!((left - right).abs() < 1e-3, "{from:?} {to:?}: {left} {right}");
                }
            }
        }
    }
}
