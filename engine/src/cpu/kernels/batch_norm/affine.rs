//! Batch-norm forward: an affine map per channel, the residual sum, the clamp and another activation.

use crate::cpu::Machine;

use super::super::activation::{Activation, Clamp, bend};
use super::super::elementary::limit;
use super::super::lanes::Lanes;
use super::Moments;

/// Batch-norm as an affine map: `y·scale + shift` per channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Affine {
    /// `gamma / √(variance + epsilon)`, `[channels]`.
    pub scale: Vec<f32>,
    /// `beta − mean·scale`, `[channels]`.
    pub shift: Vec<f32>,
}

impl Affine {
    /// The map of statistics and parameters, each `[channels]`.
    pub fn new(moments: &Moments, gamma: &[f32], beta: &[f32], epsilon: f64) -> Self {
        let channels = moments.mean.len();
        assert_eq!([gamma.len(), beta.len()], [channels; 2], "batch-norm: sizes of gamma and beta");
        let exact: Vec<f64> = moments
            .inverse_deviation(epsilon)
            .zip(gamma)
            .map(|(inverse, &gamma)| f64::from(gamma) * inverse)
            .collect();
        let shift = exact
            .iter()
            .zip(&moments.mean)
            .zip(beta)
            .map(|((scale, mean), &beta)| (f64::from(beta) - mean * scale) as f32)
            .collect();
        Self { scale: exact.into_iter().map(|scale| scale as f32).collect(), shift }
    }
}

/// What happens to a normalised value before it is written.
#[derive(Clone, Copy, Debug)]
pub struct Finish<'a> {
    /// Added first, `[rows, channels]`.
    pub residual: Option<&'a [f32]>,
    /// Applied to the sum.
    pub clamp: Clamp,
    /// Applied last.
    pub curve: Option<Activation>,
}

/// `z = curve(clamp(y·scale + shift + residual))`; all `[rows, channels]`.
///
/// # Panics
/// When sizes differ or are not whole rows.
pub fn forward(machine: &Machine, affine: &Affine, y: &[f32], finish: Finish<'_>, z: &mut [f32]) {
    assert_eq!(y.len(), z.len(), "batch-norm: sizes of y and z");
    apply(machine, affine, Some(y), finish, z);
}

/// The same, written over its input.
///
/// # Panics
/// As [`forward`].
pub fn forward_in_place(machine: &Machine, affine: &Affine, finish: Finish<'_>, y: &mut [f32]) {
    apply(machine, affine, None, finish, y);
}

fn apply(machine: &Machine, affine: &Affine, y: Option<&[f32]>, finish: Finish<'_>, z: &mut [f32]) {
    let lanes = Lanes::new(affine.scale.len());
    lanes.rows(z.len());
    if let Some(residual) = finish.residual {
        assert_eq!(residual.len(), z.len(), "batch-norm: sizes of residual and z");
    }
    let (scale, shift) = (lanes.tile(&affine.scale), lanes.tile(&affine.shift));
    let (low, high) = finish.clamp.limits();
    let chunk = lanes.chunk();
    machine.pool.for_each_chunk(z, chunk, |index, z| {
        let part = |values: Option<_>| values.map(|values: &[f32]| &values[index * chunk..][..z.len()]);
        let (y, residual) = (part(y), part(finish.residual));
        let width = lanes.width();
        machine.isa.vectorize(
            #[inline(always)]
            || {
                for (strip, z) in z.chunks_mut(width).enumerate() {
                    let range = strip * width..strip * width + z.len();
                    let (scale, shift) = (&scale[..z.len()], &shift[..z.len()]);
                    match (y, residual) {
                        (Some(y), Some(residual)) => {
                            let (y, residual) = (&y[range.clone()], &residual[range]);
                            for lane in 0..z.len() {
                                z[lane] =
                                    limit(y[lane] * scale[lane] + shift[lane] + residual[lane], low, high);
                            }
                        }
                        (Some(y), None) => {
                            let y = &y[range];
                            for lane in 0..z.len() {
                                z[lane] = limit(y[lane] * scale[lane] + shift[lane], low, high);
                            }
                        }
                        (None, Some(residual)) => {
                            let residual = &residual[range];
                            for lane in 0..z.len() {
                                z[lane] =
                                    limit(z[lane] * scale[lane] + shift[lane] + residual[lane], low, high);
                            }
                        }
                        (None, None) => {
                            for lane in 0..z.len() {
                                z[lane] = limit(z[lane] * scale[lane] + shift[lane], low, high);
                            }
                        }
                    }
                }
            },
        );
        if let Some(curve) = finish.curve {
            let columns = z.len();
            // SAFETY: the chunk is this task's.
            unsafe { bend(machine.isa, curve, z.as_mut_ptr(), &[0], columns) };
        }
    });
}
