//! Operands of the same shape.

use crate::cpu::Machine;

use super::super::accumulate::Accumulate;
use super::super::activation::{Clamp, masked};
use super::super::chunks::CHUNK;
use super::super::elementary::limit;

/// `y = clamp(a + b)`, same shapes.
///
/// # Panics
/// When sizes differ.
pub fn add(machine: &Machine, a: &[f32], b: &[f32], clamp: Clamp, y: &mut [f32]) {
    let (low, high) = clamp.limits();
    zip2(
        machine,
        [a, b],
        y,
        #[inline(always)]
        |y, a, b| *y = limit(a + b, low, high),
    );
}

/// `y += x`, same shapes.
///
/// # Panics
/// When sizes differ.
pub fn add_assign(machine: &Machine, y: &mut [f32], x: &[f32]) {
    zip1(
        machine,
        x,
        y,
        #[inline(always)]
        |y, x| *y += x,
    );
}

/// `y (+)= a · b`, same shapes. Also its own backward: `da (+)= dy · b`.
///
/// # Panics
/// When sizes differ.
pub fn multiply(machine: &Machine, a: &[f32], b: &[f32], y: &mut [f32], accumulate: Accumulate) {
    zip2(
        machine,
        [a, b],
        y,
        #[inline(always)]
        |y, a, b| accumulate.store(y, a * b),
    );
}

/// `y (+)= factor · x`.
///
/// # Panics
/// When sizes differ.
pub fn scale(machine: &Machine, factor: f32, x: &[f32], y: &mut [f32], accumulate: Accumulate) {
    zip1(
        machine,
        x,
        y,
        #[inline(always)]
        |y, x| accumulate.store(y, factor * x),
    );
}

/// `y = factor · x + shift`.
///
/// # Panics
/// When sizes differ.
pub fn affine(machine: &Machine, factor: f32, shift: f32, x: &[f32], y: &mut [f32]) {
    zip1(
        machine,
        x,
        y,
        #[inline(always)]
        |y, x| *y = factor * x + shift,
    );
}

/// `y = x`.
///
/// # Panics
/// When sizes differ.
pub fn copy(machine: &Machine, x: &[f32], y: &mut [f32]) {
    assert_eq!(x.len(), y.len(), "elementwise: sizes");
    machine.pool.for_each_chunk(y, CHUNK, |index, y| y.copy_from_slice(&x[index * CHUNK..][..y.len()]));
}

/// Turns the gradient of a clamped output into that of what was clamped, in place.
///
/// # Panics
/// When sizes differ.
pub fn clamp_backward(machine: &Machine, clamp: Clamp, output: &[f32], gradient: &mut [f32]) {
    assert_eq!(output.len(), gradient.len(), "elementwise: sizes");
    if clamp == Clamp::None {
        return;
    }
    let limits = clamp.limits();
    zip1(
        machine,
        output,
        gradient,
        #[inline(always)]
        |gradient, output| *gradient = masked(*gradient, output, limits),
    );
}

#[inline(always)]
fn zip1(machine: &Machine, x: &[f32], y: &mut [f32], put: impl Fn(&mut f32, f32) + Sync) {
    assert_eq!(x.len(), y.len(), "elementwise: sizes");
    machine.pool.for_each_chunk(y, CHUNK, |index, y| {
        let x = &x[index * CHUNK..][..y.len()];
        machine.isa.vectorize(
            #[inline(always)]
            || y.iter_mut().zip(x).for_each(|(y, &x)| put(y, x)),
        );
    });
}

#[inline(always)]
fn zip2(machine: &Machine, [a, b]: [&[f32]; 2], y: &mut [f32], put: impl Fn(&mut f32, f32, f32) + Sync) {
    assert_eq!([a.len(), b.len()], [y.len(); 2], "elementwise: sizes");
    machine.pool.for_each_chunk(y, CHUNK, |index, y| {
        let a = &a[index * CHUNK..][..y.len()];
        let b = &b[index * CHUNK..][..y.len()];
        machine.isa.vectorize(
            #[inline(always)]
            || y.iter_mut().zip(a).zip(b).for_each(|((y, &a), &b)| put(y, a, b)),
        );
    });
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{assert_close, machines, numbers, widen};
    use super::*;

    const LENGTHS: [usize; 4] = [1, 17, 1003, CHUNK + 5];

    #[test]
    fn sums_and_products_agree_with_f64() {
        for machine in machines() {
            for length in LENGTHS {
                let (a, b, old) = (numbers(1, length), numbers(2, length), numbers(3, length));
                let expect = |f: fn(f64, f64, f64) -> f64| -> Vec<f64> {
                    widen(&a)
                        .iter()
                        .zip(widen(&b))
                        .zip(widen(&old))
                        .map(|((&a, b), old)| f(a, b, old))
                        .collect()
                };
                type Kernel<'a> = &'a dyn Fn(&mut [f32]);
                let kernels: [(&str, Kernel<'_>, Vec<f64>); 11] = [
                    ("add", &|y| add(&machine, &a, &b, Clamp::None, y), expect(|a, b, _| a + b)),
                    (
                        "add relu",
                        &|y| add(&machine, &a, &b, Clamp::Relu, y),
                        expect(|a, b, _| (a + b).max(0.0)),
                    ),
                    (
                        "add relu6",
                        &|y| add(&machine, &a, &b, Clamp::Relu6, y),
                        expect(|a, b, _| (a + b).clamp(0.0, 6.0)),
                    ),
                    ("add_assign", &|y| add_assign(&machine, y, &a), expect(|a, _, old| a + old)),
                    (
                        "multiply",
                        &|y| multiply(&machine, &a, &b, y, Accumulate::Overwrite),
                        expect(|a, b, _| a * b),
                    ),
                    (
                        "multiply add",
                        &|y| multiply(&machine, &a, &b, y, Accumulate::Add),
                        expect(|a, b, old| old + a * b),
                    ),
                    (
                        "scale",
                        &|y| scale(&machine, -2.5, &a, y, Accumulate::Overwrite),
                        expect(|a, _, _| -2.5 * a),
                    ),
                    (
                        "scale add",
                        &|y| scale(&machine, -2.5, &a, y, Accumulate::Add),
                        expect(|a, _, old| old - 2.5 * a),
                    ),
                    ("copy", &|y| copy(&machine, &a, y), expect(|a, _, _| a)),
                    ("no clamp", &|y| clamp_backward(&machine, Clamp::None, &a, y), expect(|_, _, old| old)),
                    (
                        "clamp backward",
                        &|y| clamp_backward(&machine, Clamp::Relu, &a, y),
                        expect(|a, _, old| if a > 0.0 { old } else { 0.0 }),
                    ),
                ];
                for (name, kernel, expected) in kernels {
                    let mut y = old.clone();
                    kernel(&mut y);
                    assert_close(
                        &y,
                        &expected,
                        1e-6,
                        &format!("{name}, {length} elements, {:?}", machine.isa),
                    );
                }
            }
        }
    }

    #[test]
    fn clamps_let_gradients_through_between_their_limits() {
        let output = [-1.0, 0.0, 0.5, 6.0, 7.0];
        for (clamp, expected) in [
            (Clamp::None, [1.0; 5]),
            (Clamp::Relu, [0.0, 0.0, 1.0, 1.0, 1.0]),
            (Clamp::Relu6, [0.0, 0.0, 1.0, 0.0, 0.0]),
        ] {
            let mut gradient = [1.0; 5];
            clamp_backward(&Machine::new(1), clamp, &output, &mut gradient);
            assert_eq!(gradient, expected, "{clamp:?}");
        }
        let mut sum = [0.0];
        add(&Machine::new(1), &[f32::NAN], &[1.0], Clamp::Relu6, &mut sum);
        assert!(sum[0].is_nan(), "NaN is not hidden");
    }
}
