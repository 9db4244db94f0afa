//! The forward pass.

use super::super::accumulate::Accumulate;
use super::super::matrix::{Rows, Target, multiply, pack, pack_transposed, packed_len};
use super::super::micro::{Microkernels, with_microkernels};
use super::super::scratch::with_workspace;
use super::super::softmax::shares;
use super::{AttentionShape, Dropped, Operands};
use crate::cpu::Machine;
use crate::cpu::pool::SharedPointer;

/// Queries whose scores are worked on at a time.
const QUERIES: usize = 56;

/// `output = dropout(softmax(query · keyᵀ / √head + mask)) · value` for each head, `[batch, query, width]`. Where `kept` is given,
/// shares before dropout are written to it, [`AttentionShape::shares_len`].
///
/// # Panics
/// When sizes differ.
pub fn forward(
    machine: &Machine,
    shape: &AttentionShape,
    operands: Operands<'_>,
    dropout: Option<Dropped<'_>>,
    kept: Option<&mut [f32]>,
    output: &mut [f32],
) {
    shape.check(&operands, dropout);
    assert_eq!(output.len(), shape.query_len(), "attention: size of the output");
    if let Some(kept) = &kept {
        assert_eq!(kept.len(), shape.shares_len(), "attention: size of the shares");
    }
    let pass = Forward {
        machine,
        shape,
        operands,
        dropout,
        kept: kept.map(|kept| SharedPointer(kept.as_mut_ptr())),
        output: SharedPointer(output.as_mut_ptr()),
    };
    with_microkernels!(machine.isa, Kernels => {
        machine.pool.for_each(shape.batch * shape.heads, |task| {
            pass.attend::<Kernels>([task / shape.heads, task % shape.heads]);
        });
    });
}

struct Forward<'a> {
    machine: &'a Machine,
    shape: &'a AttentionShape,
    operands: Operands<'a>,
    dropout: Option<Dropped<'a>>,
    kept: Option<SharedPointer<f32>>,
    output: SharedPointer<f32>,
}

impl Forward<'_> {
    /// One head of one sample.
    fn attend<K: Microkernels>(&self, place: [usize; 2]) {
        let (shape, isa) = (self.shape, self.machine.isa);
        let AttentionShape { query, key, width, .. } = *shape;
        let (head, row) = (shape.head(), shape.row());
        with_workspace(|workspace| {
            let (of_key, of_value) = (packed_len::<K>(head, key), packed_len::<K>(key, head));
            let packed = workspace.packed.floats(of_key + of_value + QUERIES * row);
            let (keys, rest) = packed.split_at_mut(of_key);
            let (values, scores) = rest.split_at_mut(of_value);
            pack_transposed::<K>(isa, shape.rows(self.operands.key, place, key), [head, key], keys);
            pack::<K>(shape.rows(self.operands.value, place, key), [key, head], values);
            for first in (0..query).step_by(QUERIES) {
                let count = QUERIES.min(query - first);
                let queries = shape.rows(self.operands.query, place, query);
                let queries = Rows { data: &queries.data[first * width..], ..queries };
                let target = Target {
                    output: SharedPointer(scores.as_mut_ptr()),
                    stride: row,
                    accumulate: Accumulate::Overwrite,
                };
                // SAFETY: the machine has the instruction set; the scores are this task's.
                unsafe { multiply::<K>(queries, [count, head, key], keys, &target) };
                let scores = &mut scores[..count * row];
                self.share(place, first, scores);
                let start = shape.start(place, query) + first * width;
                let target = Target {
                    // SAFETY: this head's channels of this sample's queries, which no other task writes.
                    output: SharedPointer(unsafe { self.output.get().add(start) }),
                    stride: width,
                    accumulate: Accumulate::Overwrite,
                };
                let shares = Rows { data: scores, stride: row };
                // SAFETY: as above.
                unsafe { multiply::<K>(shares, [count, key, head], values, &target) };
            }
        });
    }

    /// Turns scores, rows from query `first` on, into shares; keeps them; drops some.
    fn share(&self, place: [usize; 2], first: usize, scores: &mut [f32]) {
        let (shape, row) = (self.shape, self.shape.row());
        let scale = 1.0 / (shape.head() as f32).sqrt();
        self.machine.isa.vectorize(
            #[inline(always)]
            || {
                for (index, scores) in scores.chunks_exact_mut(row).enumerate() {
                    match self.operands.mask {
                        Some(mask) => {
                            let mask = mask.row(place, first + index);
                            scores
                                .iter_mut()
                                .zip(mask)
                                .for_each(|(score, mask)| *score = *score * scale + mask);
                        }
                        None => scores[..shape.key].iter_mut().for_each(|score| *score *= scale),
                    }
                    shares(scores, shape.key);
                }
            },
        );
        if let Some(kept) = &self.kept {
            let start = ((place[0] * shape.heads + place[1]) * shape.query + first) * row;
            // SAFETY: the rows of this head, sample and block of queries, which no other task writes.
            let kept = unsafe { std::slice::from_raw_parts_mut(kept.get().add(start), scores.len()) };
            kept.copy_from_slice(scores);
        }
        if let Some(dropout) = self.dropout {
            self.machine.isa.vectorize(
                #[inline(always)]
                || {
                    for (index, shares) in scores.chunks_exact_mut(row).enumerate() {
                        shape.drop_shares(dropout, place, first + index, shares);
                    }
                },
            );
        }
    }
}
