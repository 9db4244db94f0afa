//! Squares, roots and exponentials, element by element, and their gradients.

use crate::cpu::Machine;
use crate::graph::Unary;

use super::Accumulate;
use super::chunks::CHUNK;

/// `y = f(x)`.
///
/// # Panics
/// When lengths differ.
pub fn forward(machine: &Machine, unary: Unary, x: &[f32], y: &mut [f32]) {
    assert_eq!(x.len(), y.len(), "unary: lengths");
    let apply = match unary {
        Unary::Square => |x: f32| x * x,
        Unary::SquareRoot => f32::sqrt,
        Unary::Exponential => f32::exp,
    };
    machine.pool.for_each_chunk(y, CHUNK, |chunk, y| {
        let x = &x[chunk * CHUNK..][..y.len()];
        y.iter_mut().zip(x).for_each(|(y, &x)| *y = apply(x));
    });
}

/// `dx (+)= dy · f′(x)`, where `y = f(x)`.
///
/// # Panics
/// When lengths differ.
pub fn backward(
    machine: &Machine,
    unary: Unary,
    [x, y, dy]: [&[f32]; 3],
    dx: &mut [f32],
    accumulate: Accumulate,
) {
    assert!([x, y, dy].iter().all(|numbers| numbers.len() == dx.len()), "unary: lengths");
    let slope = match unary {
        Unary::Square => |x: f32, _: f32| 2.0 * x,
        Unary::SquareRoot => |_: f32, y: f32| 0.5 / y,
        Unary::Exponential => |_: f32, y: f32| y,
    };
    machine.pool.for_each_chunk(dx, CHUNK, |chunk, dx| {
        let [x, y, dy] = [x, y, dy].map(|numbers| &numbers[chunk * CHUNK..][..dx.len()]);
        for (((dx, &x), &y), &dy) in dx.iter_mut().zip(x).zip(y).zip(dy) {
            let share = dy * slope(x, y);
            *dx = if accumulate == Accumulate::Add { *dx + share } else { share };
        }
    });
}
