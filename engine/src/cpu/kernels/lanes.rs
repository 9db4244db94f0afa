//! How kernels walk `[rows, channels]` with one number per channel.
//!
//! Vector loops over a few channels would spend their time in remainders. Consecutive rows are contiguous, so some of them
//! together are one longer row, a *strip*, whose lane `l` belongs to channel `l % channels`; with the per-channel numbers
//! repeated as often, a loop over a strip has no remainder at all.

use crate::cpu::Isa;

use super::chunks::CHUNK;

/// Lanes that a fully unrolled vector loop handles at once: four registers of AVX-512.
const UNROLLED: usize = 64;
/// A strip is about this wide where channels are few, so that the work per strip does not count.
const COMFORTABLE: usize = 512;
/// A strip of several rows is at most this wide, so that accumulators stay in a first-level cache.
const WIDEST: usize = 2048;
/// A chunk has at least so many rows.
const CHUNK_ROWS: usize = 64;
/// Strips that are summed in f32 before they are added to f64 sums.
const BLOCK: usize = 64;

/// The strips of a number of channels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lanes {
    channels: usize,
    group: usize,
}

impl Lanes {
    /// The strips for `[rows, channels]`.
    pub fn new(channels: usize) -> Self {
        assert!(channels > 0, "no channels");
        let whole = UNROLLED / greatest_common_divisor(channels, UNROLLED);
        let group = whole * (COMFORTABLE / (whole * channels)).max(1);
        Self { channels, group: if group * channels <= WIDEST { group } else { 1 } }
    }

    /// Lanes of a strip.
    pub fn width(&self) -> usize {
        self.channels * self.group
    }

    /// Elements of a chunk: whole strips, about `CHUNK`, and enough rows for the work per chunk and channel not to count.
    pub fn chunk(&self) -> usize {
        self.width() * (CHUNK / self.width()).max(CHUNK_ROWS.div_ceil(self.group))
    }

    /// One number per channel, repeated for every lane.
    pub fn tile(&self, per_channel: &[f32]) -> Vec<f32> {
        assert_eq!(per_channel.len(), self.channels, "one number per channel");
        per_channel.repeat(self.group)
    }

    /// The rows of `length` elements.
    ///
    /// # Panics
    /// When `length` is not a whole number of rows.
    pub fn rows(&self, length: usize) -> usize {
        assert!(
            length.is_multiple_of(self.channels),
            "{length} elements are not rows of {} channels",
            self.channels
        );
        length / self.channels
    }

    /// Sums per channel of `N` quantities over `length` elements. `add` gets the range of a strip's elements and adds each
    /// element's quantities to the accumulator of its lane. Summed in f32 within blocks of strips, in f64 across them.
    #[inline(always)]
    pub fn sums<const N: usize>(
        &self,
        isa: Isa,
        length: usize,
        mut add: impl FnMut(std::ops::Range<usize>, &mut [Vec<f32>; N]),
    ) -> [Vec<f64>; N] {
        let width = self.width();
        let mut totals = [(); N].map(|()| vec![0f64; width]);
        let mut block = [(); N].map(|()| vec![0f32; width]);
        let mut start = 0;
        while start < length {
            let end = (start + width * BLOCK).min(length);
            isa.vectorize(
                #[inline(always)]
                || {
                    let mut strip = start;
                    while strip < end {
                        let next = (strip + width).min(end);
                        add(strip..next, &mut block);
                        strip = next;
                    }
                    for (total, block) in totals.iter_mut().zip(&mut block) {
                        for (total, part) in total.iter_mut().zip(block) {
                            *total += f64::from(*part);
                            *part = 0.0;
                        }
                    }
                },
            );
            start = end;
        }
        totals.map(|total| self.fold(&total))
    }

    /// The sum over a channel's lanes.
    fn fold(&self, lanes: &[f64]) -> Vec<f64> {
        let mut sums = vec![0f64; self.channels];
        for row in lanes.chunks_exact(self.channels) {
            for (sum, lane) in sums.iter_mut().zip(row) {
                *sum += lane;
            }
        }
        sums
    }
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

/// Adds the sums of chunks in their order.
pub(super) fn total<const N: usize>(channels: usize, parts: &[[Vec<f64>; N]]) -> [Vec<f64>; N] {
    let mut totals = [(); N].map(|()| vec![0f64; channels]);
    for part in parts {
        for (total, part) in totals.iter_mut().zip(part) {
            for (total, part) in total.iter_mut().zip(part) {
                *total += part;
            }
        }
    }
    totals
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strips_are_whole_rows_without_remainders() {
        for channels in 1..=300 {
            let lanes = Lanes::new(channels);
            assert_eq!(lanes.width() % channels, 0);
            assert!(lanes.width().is_multiple_of(UNROLLED) || lanes.group == 1, "{channels} channels");
            assert!(lanes.width() <= WIDEST.max(channels));
            assert_eq!(lanes.chunk() % lanes.width(), 0);
        }
    }

    #[test]
    fn sums_are_per_channel() {
        for (channels, rows) in [(1, 1), (1, 1000), (3, 777), (24, 1001), (64, 130), (100, 3), (3000, 5)] {
            let x: Vec<f32> = (0..rows * channels).map(|index| (index % 101) as f32).collect();
            let [sums] = Lanes::new(channels).sums(Isa::best(), x.len(), |range, [sum]| {
                for (sum, x) in sum.iter_mut().zip(&x[range]) {
                    *sum += x;
                }
            });
            let expected: Vec<f64> = (0..channels)
                .map(|channel| x.iter().skip(channel).step_by(channels).map(|&x| f64::from(x)).sum())
                .collect();
            assert_eq!(sums, expected, "{channels} channels, {rows} rows");
        }
    }
}
