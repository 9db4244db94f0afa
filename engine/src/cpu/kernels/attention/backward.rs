//! The backward pass.

use super::super::accumulate::Accumulate;
use super::super::matrix::{Rows, Target, multiply, pack, pack_transposed, packed_len};
use super::super::micro::{Ahead, LINE, Microkernels, Outer, with_microkernels};
use super::super::rows::sum2;
use super::super::scratch::with_workspace;
use super::super::softmax::{Denominator, share};
use super::forward::QUERIES;
use super::{AttentionShape, Dropped, Operands};
use crate::cpu::Machine;
use crate::cpu::isa::vectorize_fused;
use crate::cpu::pool::SharedPointer;

/// The gradients that are wanted; all are overwritten.
#[derive(Default)]
pub struct Gradients<'a> {
    /// Of the query, `[batch, query, width]`.
    pub query: Option<&'a mut [f32]>,
    /// Of the key, `[batch, key, width]`.
    pub key: Option<&'a mut [f32]>,
    /// Of the value, `[batch, key, width]`.
    pub value: Option<&'a mut [f32]>,
    /// Of the scores, `[batch, heads, query, key]`: summed over the axes that it lacks, that of the mask.
    pub scores: Option<&'a mut [f32]>,
}

/// Backward of [`super::forward`], from the gradient of its output and what it kept.
///
/// # Panics
/// When sizes differ.
pub fn backward(
    machine: &Machine,
    shape: &AttentionShape,
    operands: Operands<'_>,
    dropout: Option<Dropped<'_>>,
    kept: &[f32],
    dy: &[f32],
    gradients: Gradients<'_>,
) {
    shape.check(&operands, dropout);
    assert_eq!(dy.len(), shape.query_len(), "attention: size of the output's gradient");
    assert_eq!(kept.len(), shape.kept_len(), "attention: size of what was kept");
    let shared = |gradient: Option<&mut [f32]>, length: usize| {
        gradient.map(|gradient| {
            assert_eq!(gradient.len(), length, "attention: size of a gradient");
            SharedPointer(gradient.as_mut_ptr())
        })
    };
    let pass = Backward {
        machine,
        shape,
        operands,
        dropout,
        kept,
        dy,
        query: shared(gradients.query, shape.query_len()),
        key: shared(gradients.key, shape.key_len()),
        value: shared(gradients.value, shape.key_len()),
        scores: shared(gradients.scores, shape.batch * shape.heads * shape.query * shape.key),
    };
    with_microkernels!(machine.isa, Kernels => {
        machine.pool.for_each(shape.batch * shape.heads, |task| {
            pass.go_back::<Kernels>([task / shape.heads, task % shape.heads]);
        });
    });
}

struct Backward<'a> {
    machine: &'a Machine,
    shape: &'a AttentionShape,
    operands: Operands<'a>,
    dropout: Option<Dropped<'a>>,
    kept: &'a [f32],
    dy: &'a [f32],
    query: Option<SharedPointer<f32>>,
    key: Option<SharedPointer<f32>>,
    value: Option<SharedPointer<f32>>,
    scores: Option<SharedPointer<f32>>,
}

/// What a task works in: packed operands, a block of queries' scores, and sums over blocks.
struct Memory<'a> {
    /// Packed for scores and their gradients: keys and values, `[head, key]`.
    keys: &'a mut [f32],
    values: &'a mut [f32],
    /// Packed for the gradient of the query: keys, `[key, head]`.
    key_rows: &'a mut [f32],
    /// A block of queries, or of the output's gradient, packed `[QUERIES, head]`.
    block: &'a mut [f32],
    /// `[QUERIES, row]`
    shares: &'a mut [f32],
    dropped: &'a mut [f32],
    gradients: &'a mut [f32],
    /// Tiles of the gradients of keys and values.
    key_sums: &'a mut [f32],
    value_sums: &'a mut [f32],
}

impl<'a> Memory<'a> {
    /// The floats of each part.
    fn sizes<K: Microkernels>(shape: &AttentionShape) -> [usize; 9] {
        let (head, key) = (shape.head(), shape.key);
        let (of_keys, rows) = (packed_len::<K>(head, key), QUERIES * shape.row());
        let sums = key.div_ceil(K::ROWS) * head.div_ceil(K::COLUMNS) * K::ROWS * K::COLUMNS;
        let (of_rows, of_block) = (packed_len::<K>(key, head), packed_len::<K>(QUERIES, head));
        [of_keys, of_keys, of_rows, of_block, rows, rows, rows, sums, sums]
    }

    fn cut(sizes: [usize; 9], mut from: &'a mut [f32]) -> Self {
        let [keys, values, key_rows, block, shares, dropped, gradients, key_sums, value_sums] =
            sizes.map(|size| {
                let (part, rest) = std::mem::take(&mut from).split_at_mut(size);
                from = rest;
                part
            });
        Self { keys, values, key_rows, block, shares, dropped, gradients, key_sums, value_sums }
    }
}

impl Backward<'_> {
    /// One head of one sample.
    fn go_back<K: Microkernels>(&self, place: [usize; 2]) {
        let (shape, isa) = (self.shape, self.machine.isa);
        let AttentionShape { query, key, .. } = *shape;
        let head = shape.head();
        with_workspace(|workspace| {
            let sizes = Memory::sizes::<K>(shape);
            let mut memory = Memory::cut(sizes, workspace.packed.floats(sizes.iter().sum()));
            pack_transposed::<K>(isa, shape.rows(self.operands.key, place, key), [head, key], memory.keys);
            if self.wants_scores() {
                let values = shape.rows(self.operands.value, place, key);
                pack_transposed::<K>(isa, values, [head, key], memory.values);
            }
            if self.query.is_some() {
                pack::<K>(shape.rows(self.operands.key, place, key), [key, head], memory.key_rows);
            }
            memory.key_sums.fill(0.0);
            memory.value_sums.fill(0.0);
            for first in (0..query).step_by(QUERIES) {
                self.go_back_block::<K>(place, first, &mut memory);
            }
            for (gradient, sums) in [(&self.key, memory.key_sums), (&self.value, memory.value_sums)] {
                if let Some(gradient) = gradient {
                    self.write_sums::<K>(place, sums, gradient);
                }
            }
        });
    }

    /// Whether gradients of scores are needed.
    fn wants_scores(&self) -> bool {
        self.query.is_some() || self.key.is_some() || self.scores.is_some()
    }

    /// A block of queries from query `first` on.
    fn go_back_block<K: Microkernels>(&self, place: [usize; 2], first: usize, memory: &mut Memory<'_>) {
        let shape = self.shape;
        let AttentionShape { query, key, width, .. } = *shape;
        let (head, row) = (shape.head(), shape.row());
        let count = QUERIES.min(query - first);
        let shares = &mut memory.shares[..count * row];
        let gradients = &mut memory.gradients[..count * row];
        let rows = |data| {
            let all = shape.rows(data, place, query);
            Rows { data: &all.data[first * width..], ..all }
        };
        let into = |rows: &mut [f32]| Target {
            output: SharedPointer(rows.as_mut_ptr()),
            stride: row,
            accumulate: Accumulate::Overwrite,
        };
        // SAFETY: the machine has the instruction set; targets are this task's, here and below.
        unsafe { multiply::<K>(rows(self.operands.query), [count, head, key], memory.keys, &into(shares)) };
        self.share(place, first, shares);
        let dropped = self.dropout.map(|dropout| {
            let dropped = &mut memory.dropped[..count * row];
            dropped.copy_from_slice(shares);
            self.drop_rows(dropout, place, first, dropped);
            &*dropped
        });
        if self.value.is_some() {
            pack::<K>(rows(self.dy), [count, head], memory.block);
            self.add_products::<K>(dropped.unwrap_or(shares), memory.block, memory.value_sums);
        }
        if !self.wants_scores() {
            return;
        }
        // SAFETY: as above.
        unsafe { multiply::<K>(rows(self.dy), [count, head, key], memory.values, &into(gradients)) };
        self.through_softmax(place, first, [shares, dropped.unwrap_or(shares)], gradients);
        if let Some(gradient) = &self.query {
            let start = shape.start(place, query) + first * width;
            let target = Target {
                // SAFETY: this head's channels of this sample's queries, which no other task writes.
                output: SharedPointer(unsafe { gradient.get().add(start) }),
                stride: width,
                accumulate: Accumulate::Overwrite,
            };
            let left = Rows { data: gradients, stride: row };
            // SAFETY: as above.
            unsafe { multiply::<K>(left, [count, key, head], memory.key_rows, &target) };
        }
        if self.key.is_some() {
            pack::<K>(rows(self.operands.query), [count, head], memory.block);
            self.add_products::<K>(gradients, memory.block, memory.key_sums);
        }
    }

    /// Turns scores, rows from query `first` on, into the shares of the forward pass, before dropout.
    fn share(&self, place: [usize; 2], first: usize, scores: &mut [f32]) {
        let shape = self.shape;
        let start = (place[0] * shape.heads + place[1]) * shape.query + first;
        let kept = &self.kept[2 * start..];
        vectorize_fused!(self.machine.isa, FUSED => {
            let rows = scores.chunks_exact_mut(shape.row()).zip(kept.as_chunks::<2>().0);
            for (index, (scores, &[greatest, inverse])) in rows.enumerate() {
                shape.scale_row(scores, self.operands.mask.map(|mask| mask.row(place, first + index)));
                share::<FUSED>(scores, Denominator { greatest, inverse });
            }
        });
    }

    /// Applies dropout to shares, rows from query `first` on.
    fn drop_rows(&self, dropout: Dropped<'_>, place: [usize; 2], first: usize, rows: &mut [f32]) {
        self.machine.isa.vectorize(
            #[inline(always)]
            || {
                for (index, row) in rows.chunks_exact_mut(self.shape.row()).enumerate() {
                    self.shape.drop_shares(dropout, place, first + index, row);
                }
            },
        );
    }

    /// Turns gradients of dropped shares into those of scores, rows from query `first` on; hands them out if they are wanted, and scales
    /// them for query and key.
    ///
    /// With `s` the shares and `d` what dropout left of them, the gradient of a score is `d·g − s·Σ d·g`.
    fn through_softmax(
        &self,
        place: [usize; 2],
        first: usize,
        [shares, dropped]: [&[f32]; 2],
        gradients: &mut [f32],
    ) {
        let AttentionShape { query, key, heads, .. } = *self.shape;
        let (row, scale) = (self.shape.row(), self.shape.scale());
        self.machine.isa.vectorize(
            #[inline(always)]
            || {
                let rows = shares.chunks_exact(row).zip(dropped.chunks_exact(row));
                for (index, (gradients, (shares, dropped))) in
                    gradients.chunks_exact_mut(row).zip(rows).enumerate()
                {
                    // What lies beyond the keys is of an earlier task; nobody reads it, but it must not be NaN in the sum.
                    gradients[key..].fill(0.0);
                    let mean = sum2(
                        gradients,
                        dropped,
                        #[inline(always)]
                        |gradient, share| gradient * share,
                    );
                    if let Some(scores) = &self.scores {
                        let start = ((place[0] * heads + place[1]) * query + first + index) * key;
                        // SAFETY: a row of this head and sample, which no other task writes.
                        let to = unsafe { std::slice::from_raw_parts_mut(scores.get().add(start), key) };
                        for (to, (gradient, (share, dropped))) in
                            to.iter_mut().zip(gradients.iter().zip(shares.iter().zip(dropped)))
                        {
                            *to = gradient * dropped - share * mean;
                        }
                    }
                    for (gradient, (share, dropped)) in gradients.iter_mut().zip(shares.iter().zip(dropped)) {
                        *gradient = (*gradient * dropped - share * mean) * scale;
                    }
                }
            },
        );
    }

    /// `sums += leftᵀ · right`: rows of the left operand and of the packed right one, `[QUERIES, head]`, belong to the same queries. Sums
    /// are tiles, `[strip of keys][panel of channels][ROWS][COLUMNS]`.
    fn add_products<K: Microkernels>(&self, left: &[f32], right: &[f32], sums: &mut [f32]) {
        let (key, head, row) = (self.shape.key, self.shape.head(), self.shape.row());
        let pixels = left.len() / row;
        for (strip, sums) in sums.chunks_exact_mut(self.strip_len::<K>()).enumerate() {
            let keys = strip * K::ROWS;
            let left = &left[keys..];
            let next = Ahead { next: left.as_ptr().wrapping_add(K::ROWS), stride: row };
            let after = Ahead { next: sums.as_ptr().wrapping_add(sums.len()), stride: LINE };
            for (panel, sums) in sums.chunks_exact_mut(K::ROWS * K::COLUMNS).enumerate() {
                let first = panel * K::COLUMNS;
                let width = K::panel_width(first, head);
                let right = &right[first * pixels..][..width * pixels];
                let (left, right) = (left.as_ptr(), right.as_ptr());
                let operands = Outer { pixels, left, left_stride: row, right, ahead: [next, after] };
                // SAFETY: the machine has the instruction set; rows hold all keys, the right operand was just cut to its size, and a tile
                // has room for `ROWS` rows of `width`.
                unsafe { K::outer(&operands, K::ROWS.min(key - keys), width, sums.as_mut_ptr(), true) };
            }
        }
    }

    /// The floats of a strip's sums.
    fn strip_len<K: Microkernels>(&self) -> usize {
        self.shape.head().div_ceil(K::COLUMNS) * K::ROWS * K::COLUMNS
    }

    /// Writes sums over all queries to a gradient, `[batch, key, width]`.
    fn write_sums<K: Microkernels>(&self, place: [usize; 2], sums: &[f32], gradient: &SharedPointer<f32>) {
        let AttentionShape { key, width, .. } = *self.shape;
        let head = self.shape.head();
        let start = self.shape.start(place, key);
        for at in 0..key {
            // SAFETY: this head's channels of this sample, which no other task writes.
            let to = unsafe { std::slice::from_raw_parts_mut(gradient.get().add(start + at * width), head) };
            let strip = &sums[at / K::ROWS * self.strip_len::<K>()..];
            for (panel, to) in to.chunks_mut(K::COLUMNS).enumerate() {
                let row =
                    panel * K::ROWS * K::COLUMNS + at % K::ROWS * K::panel_width(panel * K::COLUMNS, head);
                to.copy_from_slice(&strip[row..][..to.len()]);
            }
        }
    }
}
