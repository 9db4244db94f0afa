//! The forward pass.

use super::super::accumulate::Accumulate;
use super::super::matrix::{Rows, Target, multiply, pack, pack_transposed, packed_len};
use super::super::micro::{Microkernels, with_microkernels};
use super::super::scratch::with_workspace;
use super::super::softmax::{Denominator, raise};
use super::{AttentionShape, Dropped, Operands};
use crate::cpu::Machine;
use crate::cpu::isa::vectorize_fused;
use crate::cpu::pool::SharedPointer;

/// Queries whose scores are worked on at a time.
pub(super) const QUERIES: usize = 56;

/// `output = dropout(softmax(query · keyᵀ / √head + mask)) · value` for each head, `[batch, query, width]`. Where `kept` is given,
/// what [`super::backward`] needs is written to it, [`AttentionShape::kept_len`].
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
        assert_eq!(kept.len(), shape.kept_len(), "attention: size of what is kept");
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
                let denominators = self.raise(place, first, scores);
                let start = shape.start(place, query) + first * width;
                // SAFETY: this head's channels of this sample's queries, which no other task writes.
                let output = unsafe { self.output.get().add(start) };
                let target = Target {
                    output: SharedPointer(output),
                    stride: width,
                    accumulate: Accumulate::Overwrite,
                };
                let powers = Rows { data: scores, stride: row };
                // SAFETY: as above.
                unsafe { multiply::<K>(powers, [count, key, head], values, &target) };
                for (index, denominator) in denominators[..count].iter().enumerate() {
                    // SAFETY: as above.
                    let row = unsafe { std::slice::from_raw_parts_mut(output.add(index * width), head) };
                    row.iter_mut().for_each(|value| *value *= denominator.inverse);
                }
            }
        });
    }

    /// Turns scores, rows from query `first` on, into powers, which are shares but for a factor of each row; keeps what a backward pass
    /// needs of them; drops some.
    fn raise(&self, place: [usize; 2], first: usize, scores: &mut [f32]) -> [Denominator; QUERIES] {
        let (shape, row) = (self.shape, self.shape.row());
        let mut denominators = [Denominator::default(); QUERIES];
        vectorize_fused!(self.machine.isa, FUSED => {
            for ((index, scores), denominator) in scores.chunks_exact_mut(row).enumerate().zip(&mut denominators) {
                shape.scale_row(scores, self.operands.mask.map(|mask| mask.row(place, first + index)));
                *denominator = raise::<FUSED>(scores);
            }
        });
        if let Some(kept) = &self.kept {
            let start = 2 * ((place[0] * shape.heads + place[1]) * shape.query + first);
            for (index, denominator) in denominators[..scores.len() / row].iter().enumerate() {
                // SAFETY: the rows of this head, sample and block of queries, which no other task writes.
                unsafe {
                    let to = kept.get().add(start + 2 * index);
                    to.write(denominator.greatest);
                    to.add(1).write(denominator.inverse);
                }
            }
        }
        if let Some(dropout) = self.dropout {
            self.machine.isa.vectorize(
                #[inline(always)]
                || {
                    for (index, powers) in scores.chunks_exact_mut(row).enumerate() {
                        shape.drop_shares(dropout, place, first + index, powers);
                    }
                },
            );
        }
        denominators
    }
}
