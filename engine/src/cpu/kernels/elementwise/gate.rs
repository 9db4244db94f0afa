//! A factor per sample and channel, as squeeze-and-excitation makes them (arXiv 1709.01507).

use crate::cpu::Machine;

use super::super::accumulate::Accumulate;
use super::super::chunks::{self, CHUNK};
use super::super::lanes::Lanes;

/// `y (+)= x · gate` with a gate per sample and channel; `x`, `y`: `[batch, positions, channels]`, `gate`: `[batch, channels]`.
/// Also the gradient of `x`: `dx (+)= dy · gate`.
///
/// # Panics
/// When sizes do not fit.
pub fn gate(
    machine: &Machine,
    x: &[f32],
    gate: &[f32],
    channels: usize,
    y: &mut [f32],
    accumulate: Accumulate,
) {
    assert_eq!(x.len(), y.len(), "gate: sizes of x and y");
    let rows = rows_per_sample(x, gate, channels);
    let piece = channels * rows.min((CHUNK / channels).max(1));
    let pieces = chunks_of_samples(y.chunks_mut(rows * channels), piece);
    chunks::map(&machine.pool, pieces, |_, (sample, start, y)| {
        let x = &x[sample * rows * channels + start..][..y.len()];
        let gate = &gate[sample * channels..][..channels];
        machine.isa.vectorize(
            #[inline(always)]
            || {
                for (y, x) in y.chunks_exact_mut(channels).zip(x.chunks_exact(channels)) {
                    for ((y, &x), &gate) in y.iter_mut().zip(x).zip(gate) {
                        accumulate.store(y, x * gate);
                    }
                }
            },
        );
    });
}

/// The pieces of each sample as (sample, first element within it, elements).
fn chunks_of_samples<'a>(
    samples: impl Iterator<Item = &'a mut [f32]>,
    piece: usize,
) -> impl Iterator<Item = (usize, usize, &'a mut [f32])> {
    samples.enumerate().flat_map(move |(sample, elements)| {
        elements
            .chunks_mut(piece)
            .enumerate()
            .map(move |(number, elements)| (sample, number * piece, elements))
    })
}

/// The gradient of a gate: `dgate (+)= Σ dy · x` over the positions of each sample; shapes as in [`gate`].
///
/// # Panics
/// When sizes do not fit.
pub fn gate_gradient(
    machine: &Machine,
    x: &[f32],
    dy: &[f32],
    channels: usize,
    dgate: &mut [f32],
    accumulate: Accumulate,
) {
    assert_eq!(x.len(), dy.len(), "gate: sizes of x and dy");
    let sample = rows_per_sample(x, dgate, channels) * channels;
    let lanes = Lanes::new(channels);
    machine.pool.for_each_chunk(dgate, channels, |index, dgate| {
        let (x, dy) = (&x[index * sample..][..sample], &dy[index * sample..][..sample]);
        let [sums] = lanes.sums(
            machine.isa,
            sample,
            #[inline(always)]
            |range, [sum]| {
                let numbers = x[range.clone()].iter().zip(&dy[range]);
                sum.iter_mut().zip(numbers).for_each(|(sum, (x, dy))| *sum += x * dy);
            },
        );
        dgate.iter_mut().zip(sums).for_each(|(dgate, sum)| accumulate.store(dgate, sum as f32));
    });
}

fn rows_per_sample(x: &[f32], gate: &[f32], channels: usize) -> usize {
    assert!(
        channels > 0 && !gate.is_empty() && gate.len().is_multiple_of(channels),
        "gate: not [batch, {channels}]"
    );
    assert!(x.len().is_multiple_of(gate.len()), "gate: x is not [batch, positions, {channels}]");
    x.len() / gate.len()
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{assert_close, machines, numbers, widen};
    use super::*;

    /// Batch, positions, channels.
    const SHAPES: [(usize, usize, usize); 6] =
        [(1, 35, 1), (2, 63, 3), (3, 25, 5), (1, 143, 33), (2, 1001, 24), (3, 1000, 64)];

    #[test]
    fn gates_agree_with_f64() {
        for machine in machines() {
            for (batch, positions, channels) in SHAPES {
                let length = batch * positions * channels;
                let context = format!("{batch}x{positions}x{channels} on {:?}", machine.isa);
                let (x, dy, old) = (numbers(1, length), numbers(2, length), numbers(3, length));
                let gates = numbers(4, batch * channels);
                let gate_of = |index: usize| index / (positions * channels) * channels + index % channels;

                let gated = |index: usize| f64::from(x[index]) * f64::from(gates[gate_of(index)]);
                let mut y = vec![f32::NAN; length];
                gate(&machine, &x, &gates, channels, &mut y, Accumulate::Overwrite);
                assert_close(&y, &(0..length).map(gated).collect::<Vec<_>>(), 1e-6, &context);
                let mut y = old.clone();
                gate(&machine, &x, &gates, channels, &mut y, Accumulate::Add);
                let added = |index: usize| gated(index) + f64::from(old[index]);
                assert_close(&y, &(0..length).map(added).collect::<Vec<_>>(), 1e-6, &context);

                let mut expected = widen(&gates);
                for index in 0..length {
                    expected[gate_of(index)] += f64::from(x[index]) * f64::from(dy[index]);
                }
                let mut dgate = gates.clone();
                gate_gradient(&machine, &x, &dy, channels, &mut dgate, Accumulate::Add);
                // Sums over n numbers of size 1 are about √n large; errors are relative to that.
                let tolerance = 1e-6 * ((batch * positions) as f64).sqrt();
                assert_close(&dgate, &expected, tolerance, &context);
            }
        }
    }
}
