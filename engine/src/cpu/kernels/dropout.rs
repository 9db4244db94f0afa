//! Dropout and drop-path. Masks are functions of a sample's stream, so that nothing is stored between forward and backward and
//! a sample's mask does not depend on its companions in the batch.

use crate::cpu::Machine;
use crate::random::Stream;

use super::accumulate::Accumulate;
use super::chunks;

/// Elements per chunk.
const CHUNK: usize = 8 * 1024;

/// Zeroes each element with probability `rate` and scales the others by `1 / (1 − rate)`; `x`, `y`: `[batch, …]` with one stream
/// per sample, whose position is the element's number within the sample. Linear, so also its own backward.
///
/// # Panics
/// When sizes do not fit or `rate` is not in `[0, 1)`.
pub fn dropout(
    machine: &Machine,
    rate: f64,
    streams: &[Stream],
    x: &[f32],
    y: &mut [f32],
    accumulate: Accumulate,
) {
    let sample = sample_size(rate, streams, x, y);
    let factor = (1.0 / (1.0 - rate)) as f32;
    let pieces = y.chunks_mut(sample.max(1)).zip(streams).enumerate().flat_map(|(number, (y, stream))| {
        y.chunks_mut(CHUNK).enumerate().map(move |(piece, y)| (number * sample, piece * CHUNK, stream, y))
    });
    chunks::map(&machine.pool, pieces, |_, (sample, first, stream, y)| {
        let x = &x[sample + first..][..y.len()];
        machine.isa.vectorize(
            #[inline(always)]
            || {
                for (position, (y, &x)) in y.iter_mut().zip(x).enumerate() {
                    let kept = stream.unit_at((first + position) as u64) >= rate;
                    accumulate.store(y, if kept { x * factor } else { 0.0 });
                }
            },
        );
    });
}

/// Zeroes each sample with probability `rate` and scales the others by `1 / (1 − rate)` (arXiv 1603.09382); shapes as in
/// [`dropout`]. A sample's fate is position 0 of its stream. Linear, so also its own backward.
///
/// # Panics
/// As [`dropout`].
pub fn drop_path(
    machine: &Machine,
    rate: f64,
    streams: &[Stream],
    x: &[f32],
    y: &mut [f32],
    accumulate: Accumulate,
) {
    let sample = sample_size(rate, streams, x, y).max(1);
    let factor = (1.0 / (1.0 - rate)) as f32;
    machine.pool.for_each_chunk(y, sample, |number, y| {
        let x = &x[number * sample..][..sample];
        let kept = streams[number].unit_at(0) >= rate;
        machine.isa.vectorize(
            #[inline(always)]
            || {
                for (y, &x) in y.iter_mut().zip(x) {
                    accumulate.store(y, if kept { x * factor } else { 0.0 });
                }
            },
        );
    });
}

/// Elements of a sample.
fn sample_size(rate: f64, streams: &[Stream], x: &[f32], y: &[f32]) -> usize {
    assert!((0.0..1.0).contains(&rate), "dropout: a rate of {rate} is not in [0, 1)");
    assert_eq!(x.len(), y.len(), "dropout: sizes of x and y");
    let fits = if streams.is_empty() { x.is_empty() } else { x.len().is_multiple_of(streams.len()) };
    assert!(fits, "dropout: {} elements for {} samples", x.len(), streams.len());
    x.len() / streams.len().max(1)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{machines, numbers};
    use super::*;
    use crate::random::Label;

    type Kernel = fn(&Machine, f64, &[Stream], &[f32], &mut [f32], Accumulate);
    const KERNELS: [Kernel; 2] = [dropout, drop_path];

    fn streams(samples: &[u64]) -> Vec<Stream> {
        samples
            .iter()
            .map(|&sample| Stream::new(3, &[Label::Text("head.dropout"), Label::Number(sample)]))
            .collect()
    }

    #[test]
    fn masks_are_those_of_the_streams() {
        for machine in machines() {
            for (size, rate) in [(1, 0.5), (63, 0.1), (CHUNK + 3, 0.2), (1001, 0.0), (500, 0.9)] {
                let streams = streams(&[10, 11, 12]);
                let x = numbers(1, 3 * size);
                for (number, kernel) in KERNELS.into_iter().enumerate() {
                    let mut y = vec![f32::NAN; x.len()];
                    kernel(&machine, rate, &streams, &x, &mut y, Accumulate::Overwrite);
                    for (index, &y) in y.iter().enumerate() {
                        let position = if number == 0 { (index % size) as u64 } else { 0 };
                        let kept = streams[index / size].unit_at(position) >= rate;
                        let expected = if kept { x[index] * (1.0 / (1.0 - rate)) as f32 } else { 0.0 };
                        assert_eq!(y, expected, "kernel {number}, element {index} of {size}, rate {rate}");
                    }
                    let mut sum = x.clone();
                    kernel(&machine, rate, &streams, &x, &mut sum, Accumulate::Add);
                    assert!(
                        sum.iter().zip(&x).zip(&y).all(|((sum, x), y)| *sum == x + y),
                        "kernel {number}, added"
                    );
                }
            }
        }
    }

    #[test]
    fn a_sample_does_not_see_its_companions() {
        let machine = Machine::new(2);
        let (size, ones) = (999, [1.0; 3 * 999]);
        for kernel in KERNELS {
            let (mut together, mut alone) = (ones, [0.0; 999]);
            kernel(&machine, 0.5, &streams(&[4, 5, 6]), &ones, &mut together, Accumulate::Overwrite);
            for (place, sample) in [4, 5, 6].into_iter().enumerate() {
                kernel(&machine, 0.5, &streams(&[sample]), &ones[..size], &mut alone, Accumulate::Overwrite);
                assert_eq!(alone, together[place * size..][..size]);
            }
        }
    }

    #[test]
    fn the_share_kept_is_that_of_the_rate() {
        let machine = Machine::new(1);
        let samples: Vec<u64> = (0..4000).collect();
        for rate in [0.1, 0.5, 0.8] {
            for (kernel, size) in [(dropout as Kernel, 10), (drop_path as Kernel, 1)] {
                let ones = vec![1.0; samples.len() * size];
                let mut y = ones.clone();
                kernel(&machine, rate, &streams(&samples), &ones, &mut y, Accumulate::Overwrite);
                let count = ones.len() as f64;
                let kept = y.iter().filter(|&&y| y > 0.0).count() as f64 / count;
                // Five standard errors of a share.
                let bound = 5.0 * (rate * (1.0 - rate) / count).sqrt();
                assert!((kept - (1.0 - rate)).abs() < bound, "rate {rate}: kept {kept}");
                let mean = y.iter().map(|&y| f64::from(y)).sum::<f64>() / count;
                assert!((mean - 1.0).abs() < bound / (1.0 - rate) + 1e-6, "rate {rate}: mean {mean}");
            }
        }
    }

    #[test]
    #[should_panic(expected = "not in [0, 1)")]
    fn a_rate_of_one_is_refused() {
        dropout(&Machine::new(1), 1.0, &streams(&[0]), &[1.0], &mut [0.0], Accumulate::Overwrite);
    }
}
