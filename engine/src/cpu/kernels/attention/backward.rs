//! The backward pass.

use super::super::accumulate::Accumulate;
use super::super::matrix::{Rows, Target, multiply, pack, pack_transposed, packed_len, transpose};
use super::super::micro::{Microkernels, with_microkernels};
use super::super::rows::sum2;
use super::super::scratch::with_workspace;
use super::{AttentionShape, Dropped, Operands};
use crate::cpu::Machine;
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

/// Backward of [`super::forward`], from the gradient of its output and the shares that it kept.
///
/// # Panics
/// When sizes differ.
pub fn backward(
    machine: &Machine,
    shape: &AttentionShape,
    operands: Operands<'_>,
    dropout: Option<Dropped<'_>>,
    shares: &[f32],
    dy: &[f32],
    gradients: Gradients<'_>,
) {
    shape.check(&operands, dropout);
    assert_eq!(dy.len(), shape.query_len(), "attention: size of the output's gradient");
    assert_eq!(shares.len(), shape.shares_len(), "attention: size of the shares");
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
        shares,
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
    shares: &'a [f32],
    dy: &'a [f32],
    query: Option<SharedPointer<f32>>,
    key: Option<SharedPointer<f32>>,
    value: Option<SharedPointer<f32>>,
    scores: Option<SharedPointer<f32>>,
}

impl Backward<'_> {
    /// One head of one sample.
    fn go_back<K: Microkernels>(&self, place: [usize; 2]) {
        let (shape, isa) = (self.shape, self.machine.isa);
        let AttentionShape { query, key, width, heads, .. } = *shape;
        let (head, row) = (shape.head(), shape.row());
        let shares = &self.shares[(place[0] * heads + place[1]) * query * row..][..query * row];
        with_workspace(|workspace| {
            let longest = packed_len::<K>(head, key).max(packed_len::<K>(query.max(key), head));
            let all = workspace.packed.floats(longest + 2 * query * row + key * query);
            let (packed, rest) = all.split_at_mut(longest);
            let (dscores, rest) = rest.split_at_mut(query * row);
            let (dropped, turned) = rest.split_at_mut(query * row);
            // The gradient of a head's rows of `[batch, length, width]`.
            let into = |gradient: &SharedPointer<f32>, length: usize| Target {
                // SAFETY: this head's channels of this sample, which no other task writes.
                output: SharedPointer(unsafe { gradient.get().add(shape.start(place, length)) }),
                stride: width,
                accumulate: Accumulate::Overwrite,
            };
            if let Some(value) = &self.value {
                dropped.copy_from_slice(shares);
                self.drop_rows(place, dropped);
                transpose(isa, Rows { data: dropped, stride: row }, [query, key], turned, query);
                pack::<K>(shape.rows(self.dy, place, query), [query, head], packed);
                let left = Rows { data: turned, stride: query };
                // SAFETY: the machine has the instruction set; targets are this task's.
                unsafe { multiply::<K>(left, [key, query, head], packed, &into(value, key)) };
            }
            if self.query.is_none() && self.key.is_none() && self.scores.is_none() {
                return;
            }
            pack_transposed::<K>(isa, shape.rows(self.operands.value, place, key), [head, key], packed);
            let target = Target {
                output: SharedPointer(dscores.as_mut_ptr()),
                stride: row,
                accumulate: Accumulate::Overwrite,
            };
            // SAFETY: as above.
            unsafe { multiply::<K>(shape.rows(self.dy, place, query), [query, head, key], packed, &target) };
            self.drop_rows(place, dscores);
            self.through_softmax(place, shares, dscores);
            if let Some(gradient) = &self.query {
                pack::<K>(shape.rows(self.operands.key, place, key), [key, head], packed);
                let left = Rows { data: dscores, stride: row };
                // SAFETY: as above.
                unsafe { multiply::<K>(left, [query, key, head], packed, &into(gradient, query)) };
            }
            if let Some(gradient) = &self.key {
                transpose(isa, Rows { data: dscores, stride: row }, [query, key], turned, query);
                pack::<K>(shape.rows(self.operands.query, place, query), [query, head], packed);
                let left = Rows { data: turned, stride: query };
                // SAFETY: as above.
                unsafe { multiply::<K>(left, [key, query, head], packed, &into(gradient, key)) };
            }
        });
    }

    /// Applies dropout, which is its own backward, to rows of shares or of their gradients.
    fn drop_rows(&self, place: [usize; 2], rows: &mut [f32]) {
        let Some(dropout) = self.dropout else { return };
        self.machine.isa.vectorize(
            #[inline(always)]
            || {
                for (query, row) in rows.chunks_exact_mut(self.shape.row()).enumerate() {
                    self.shape.drop_shares(dropout, place, query, row);
                }
            },
        );
    }

    /// Turns gradients of shares into those of scores, hands them out if they are wanted, and scales them for query and key.
    fn through_softmax(&self, place: [usize; 2], shares: &[f32], gradients: &mut [f32]) {
        let AttentionShape { query, key, heads, .. } = *self.shape;
        let (row, scale) = (self.shape.row(), 1.0 / (self.shape.head() as f32).sqrt());
        self.machine.isa.vectorize(
            #[inline(always)]
            || {
                let rows = gradients.chunks_exact_mut(row).zip(shares.chunks_exact(row));
                for (index, (gradients, shares)) in rows.enumerate() {
                    // What lies beyond the keys is of an earlier task; nobody reads it, but it must not be NaN in the sum.
                    gradients[key..].fill(0.0);
                    let mean = sum2(
                        gradients,
                        shares,
                        #[inline(always)]
                        |gradient, share| gradient * share,
                    );
                    for (gradient, share) in gradients.iter_mut().zip(shares) {
                        *gradient = share * (*gradient - mean);
                    }
                    if let Some(scores) = &self.scores {
                        let start = ((place[0] * heads + place[1]) * query + index) * key;
                        // SAFETY: a row of this head and sample, which no other task writes.
                        let to = unsafe { std::slice::from_raw_parts_mut(scores.get().add(start), key) };
                        to.copy_from_slice(&gradients[..key]);
                    }
                    gradients.iter_mut().for_each(|gradient| *gradient *= scale);
                }
            },
        );
    }
}
