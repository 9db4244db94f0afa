//! Sizes and operands of attention.

use super::super::matrix::Rows;
use super::super::rows::LANES;
use crate::random::Stream;

/// The sizes of attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttentionShape {
    /// Samples.
    pub batch: usize,
    /// Positions that ask.
    pub query: usize,
    /// Positions that are asked.
    pub key: usize,
    /// Channels of all heads together.
    pub width: usize,
    /// Heads.
    pub heads: usize,
}

/// What is attended to: query, `[batch, query, width]`, key and value, `[batch, key, width]`.
#[derive(Clone, Copy, Debug)]
pub struct Operands<'a> {
    /// What asks.
    pub query: &'a [f32],
    /// What is asked.
    pub key: &'a [f32],
    /// What is mixed.
    pub value: &'a [f32],
    /// What is added to the scores.
    pub mask: Option<Mask<'a>>,
}

/// Numbers that broadcast to `[batch, heads, query, key]`.
#[derive(Clone, Copy, Debug)]
pub struct Mask<'a> {
    /// The numbers.
    pub data: &'a [f32],
    /// Batch, heads, query: each full or 1.
    pub sizes: [usize; 3],
}

/// Dropout of shares.
#[derive(Clone, Copy, Debug)]
pub struct Dropped<'a> {
    /// The probability, in `[0, 1)`.
    pub rate: f64,
    /// One for each sample; positions are those of elements in `[heads, query, key]`.
    pub streams: &'a [Stream],
}

impl AttentionShape {
    /// Channels of a head.
    pub fn head(&self) -> usize {
        self.width / self.heads
    }

    /// Floats from one row of scores to the next: keys in whole registers, and not a distance at which rows share few sets of a cache.
    pub(super) fn row(&self) -> usize {
        let row = self.key.next_multiple_of(LANES);
        if row.is_multiple_of(16 * LANES) { row + LANES } else { row }
    }

    /// Floats of what a backward pass needs to compute the shares again, `[batch, heads, query, 2]`.
    pub fn kept_len(&self) -> usize {
        self.batch * self.heads * self.query * 2
    }

    /// What scores are multiplied by.
    #[inline(always)]
    pub(super) fn scale(&self) -> f32 {
        1.0 / (self.head() as f32).sqrt()
    }

    /// `score·scale + mask` for the keys of a row, and nothing at all beyond them.
    #[inline(always)]
    pub(super) fn scale_row(&self, row: &mut [f32], mask: Option<&[f32]>) {
        let (scale, (scores, beyond)) = (self.scale(), row.split_at_mut(self.key));
        match mask {
            Some(mask) => {
                scores.iter_mut().zip(mask).for_each(|(score, mask)| *score = *score * scale + mask);
            }
            None => scores.iter_mut().for_each(|score| *score *= scale),
        }
        beyond.fill(f32::NEG_INFINITY);
    }

    /// Floats of query and result.
    pub fn query_len(&self) -> usize {
        self.batch * self.query * self.width
    }

    /// Floats of key, and of value.
    pub fn key_len(&self) -> usize {
        self.batch * self.key * self.width
    }

    /// Panics unless operands and dropout are of these sizes.
    pub(super) fn check(&self, operands: &Operands<'_>, dropout: Option<Dropped<'_>>) {
        assert!(self.heads > 0 && self.width.is_multiple_of(self.heads), "attention: {self:?}");
        assert_eq!(operands.query.len(), self.query_len(), "attention: size of the query, {self:?}");
        assert_eq!([operands.key.len(), operands.value.len()], [self.key_len(); 2], "attention: {self:?}");
        if let Some(Mask { data, sizes }) = operands.mask {
            let full = [self.batch, self.heads, self.query];
            let fits = sizes.iter().zip(full).all(|(&size, full)| size == 1 || size == full);
            assert!(fits, "attention: a mask {sizes:?} for {full:?}");
            assert_eq!(data.len(), sizes.iter().product::<usize>() * self.key, "attention: size of the mask");
        }
        if let Some(Dropped { rate, streams }) = dropout {
            assert!((0.0..1.0).contains(&rate), "attention: a dropout of {rate} is not in [0, 1)");
            assert_eq!(streams.len(), self.batch, "attention: one stream for each sample");
        }
    }

    /// Where a head of a sample starts in `[batch, length, width]`.
    pub(super) fn start(&self, [sample, head]: [usize; 2], length: usize) -> usize {
        sample * length * self.width + head * self.head()
    }

    /// A head of a sample of `[batch, length, width]`.
    pub(super) fn rows<'a>(&self, data: &'a [f32], place: [usize; 2], length: usize) -> Rows<'a> {
        Rows { data: &data[self.start(place, length)..], stride: self.width }
    }

    /// Multiplies each share of a query by 0 or `1 / (1 − rate)`, as its stream has it.
    #[inline(always)]
    pub(super) fn drop_shares(
        &self,
        dropout: Dropped<'_>,
        [sample, head]: [usize; 2],
        query: usize,
        row: &mut [f32],
    ) {
        let Dropped { rate, streams } = dropout;
        let (stream, factor) = (&streams[sample], (1.0 / (1.0 - rate)) as f32);
        let first = (head * self.query + query) * self.key;
        for (key, share) in row[..self.key].iter_mut().enumerate() {
            let kept = stream.unit_at((first + key) as u64) >= rate;
            *share = if kept { *share * factor } else { 0.0 };
        }
    }
}

impl<'a> Mask<'a> {
    /// What is added to the scores of one query.
    #[inline(always)]
    pub(super) fn row(&self, [sample, head]: [usize; 2], query: usize) -> &'a [f32] {
        let [samples, heads, queries] = self.sizes;
        let pick = |index: usize, size: usize| if size == 1 { 0 } else { index };
        let row = (pick(sample, samples) * heads + pick(head, heads)) * queries + pick(query, queries);
        let keys = self.data.len() / (samples * heads * queries).max(1);
        &self.data[row * keys..][..keys]
    }
}
