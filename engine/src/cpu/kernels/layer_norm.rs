//! Normalisation over the last axis (arXiv 1607.06450).

use super::accumulate::Accumulate;
use super::chunks;
use super::rows::{sum, sum2};
use crate::cpu::Machine;

/// Rows of one task, and of one partial sum of parameters' gradients.
const ROWS: usize = 32;

/// What a row was normalised with.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RowMoments {
    /// The mean.
    pub mean: f32,
    /// 1 / √(variance + ε)
    pub inverse: f32,
}

/// `y = (x − mean) / √(variance + ε) · weight + bias`, row by row; `x`, `y`: `[rows, width]`, `weight`, `bias` (if any): `[width]`;
/// `moments` are written, one of each row.
///
/// # Panics
/// When sizes differ.
pub fn forward(
    machine: &Machine,
    epsilon: f64,
    x: &[f32],
    (weight, bias): (&[f32], Option<&[f32]>),
    y: &mut [f32],
    moments: &mut [RowMoments],
) {
    let width = weight.len();
    let none = vec![0.0; if bias.is_none() { width } else { 0 }];
    let bias = bias.unwrap_or(&none);
    assert_eq!([x.len(), bias.len()], [y.len(), width], "layer-norm: sizes");
    assert_eq!(moments.len() * width, y.len(), "layer-norm: one moment for each row");
    let parts = y.chunks_mut(ROWS * width).zip(x.chunks(ROWS * width)).zip(moments.chunks_mut(ROWS));
    chunks::map(&machine.pool, parts, |_, ((y, x), moments)| {
        machine.isa.vectorize(
            #[inline(always)]
            || {
                let rows = y.chunks_exact_mut(width).zip(x.chunks_exact(width));
                for ((y, x), moments) in rows.zip(moments) {
                    *moments = moments_of(x, epsilon as f32);
                    let RowMoments { mean, inverse } = *moments;
                    for (((y, &x), &weight), &bias) in y.iter_mut().zip(x).zip(weight).zip(bias) {
                        *y = (x - mean) * inverse * weight + bias;
                    }
                }
            },
        );
    });
}

#[inline(always)]
fn moments_of(x: &[f32], epsilon: f32) -> RowMoments {
    let share = 1.0 / x.len() as f32;
    let mean = share
        * sum(
            x,
            #[inline(always)]
            |x| x,
        );
    let variance = share
        * sum(
            x,
            #[inline(always)]
            |x| (x - mean) * (x - mean),
        );
    RowMoments { mean, inverse: 1.0 / (variance + epsilon).sqrt() }
}

/// The gradients that a backward pass writes or adds to.
pub struct Gradients<'a> {
    /// Of `x`, `[rows, width]`, if it is wanted.
    pub x: Option<(&'a mut [f32], Accumulate)>,
    /// Of weight and bias, `[width]`, each if it is wanted.
    pub parameters: [Option<(&'a mut [f32], Accumulate)>; 2],
}

/// Backward of [`forward`], from the gradient of `y`.
///
/// # Panics
/// When sizes differ.
pub fn backward(
    machine: &Machine,
    x: &[f32],
    weight: &[f32],
    moments: &[RowMoments],
    dy: &[f32],
    gradients: Gradients<'_>,
) {
    let width = weight.len();
    assert_eq!([x.len(), moments.len() * width], [dy.len(); 2], "layer-norm: sizes");
    let Gradients { x: dx, parameters } = gradients;
    let rows = || x.chunks(ROWS * width).zip(dy.chunks(ROWS * width)).zip(moments.chunks(ROWS));
    if let Some((dx, accumulate)) = dx {
        assert_eq!(dx.len(), dy.len(), "layer-norm: size of the gradient of x");
        chunks::map(&machine.pool, dx.chunks_mut(ROWS * width).zip(rows()), |_, (dx, ((x, dy), moments))| {
            machine.isa.vectorize(
                #[inline(always)]
                || input_gradient(width, weight, (x, dy, moments), dx, accumulate),
            );
        });
    }
    if parameters.iter().all(Option::is_none) {
        return;
    }
    let sums = chunks::map(&machine.pool, rows(), |_, ((x, dy), moments)| {
        let mut sums = vec![0.0; 2 * width];
        let (dweight, dbias) = sums.split_at_mut(width);
        machine.isa.vectorize(
            #[inline(always)]
            || {
                let rows = x.chunks_exact(width).zip(dy.chunks_exact(width));
                for ((x, dy), &RowMoments { mean, inverse }) in rows.zip(moments) {
                    let sums = dweight.iter_mut().zip(dbias.iter_mut());
                    for ((dweight, dbias), (&x, &dy)) in sums.zip(x.iter().zip(dy)) {
                        *dweight += dy * ((x - mean) * inverse);
                        *dbias += dy;
                    }
                }
            },
        );
        sums
    });
    for (which, gradient) in parameters.into_iter().enumerate() {
        let Some((gradient, accumulate)) = gradient else { continue };
        assert_eq!(gradient.len(), width, "layer-norm: size of a parameter's gradient");
        let mut total = vec![0f64; width];
        for part in &sums {
            let part = &part[which * width..][..width];
            total.iter_mut().zip(part).for_each(|(total, &part)| *total += f64::from(part));
        }
        gradient.iter_mut().zip(total).for_each(|(slot, total)| accumulate.store(slot, total as f32));
    }
}

/// `dx (+)= inverse · (g − mean(g) − n · mean(g · n))` for each row, where n is the normalised row and g = dy · weight.
#[inline(always)]
fn input_gradient(
    width: usize,
    weight: &[f32],
    (x, dy, moments): (&[f32], &[f32], &[RowMoments]),
    dx: &mut [f32],
    accumulate: Accumulate,
) {
    let share = 1.0 / width as f32;
    let mut scaled = vec![0.0; width];
    let rows = dx.chunks_exact_mut(width).zip(x.chunks_exact(width)).zip(dy.chunks_exact(width));
    for (((dx, x), dy), &RowMoments { mean, inverse }) in rows.zip(moments) {
        for ((scaled, &dy), &weight) in scaled.iter_mut().zip(dy).zip(weight) {
            *scaled = dy * weight;
        }
        let level = share
            * sum(
                &scaled,
                #[inline(always)]
                |g| g,
            );
        let slope = share
            * sum2(
                &scaled,
                x,
                #[inline(always)]
                |g, x| g * ((x - mean) * inverse),
            );
        for ((dx, &x), &g) in dx.iter_mut().zip(x).zip(&scaled) {
            accumulate.store(dx, inverse * (g - level - (x - mean) * inverse * slope));
        }
    }
}
