//! Rotary positions (arXiv 2104.09864).

use super::accumulate::Accumulate;
use crate::cpu::Machine;

/// Positions of one task.
const ROWS: usize = 64;

/// In which direction planes are turned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// By the angle.
    Forth,
    /// Back by it, as gradients are.
    Back,
}

/// Sizes of what is turned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TurnShape {
    /// Positions of a sample.
    pub length: usize,
    /// Channels of all heads together.
    pub width: usize,
    /// Planes of a head: half its channels.
    pub half: usize,
}

/// Turns the planes of each head; `x`, `y`: `[batch, length, width]`, `turns`: for each position the cosines of its angles and then
/// their sines, `[length, 2, half]`. A plane is a channel of a head's first half and the same of its second.
///
/// # Panics
/// When sizes differ.
pub fn turn(
    machine: &Machine,
    shape: TurnShape,
    turns: &[f32],
    direction: Direction,
    x: &[f32],
    y: &mut [f32],
    accumulate: Accumulate,
) {
    let TurnShape { length, width, half } = shape;
    assert_eq!(x.len(), y.len(), "rotary: sizes of x and y");
    assert_eq!(turns.len(), length * 2 * half, "rotary: size of the turns");
    if y.is_empty() {
        return;
    }
    assert!(
        half > 0 && width.is_multiple_of(2 * half) && y.len().is_multiple_of(length * width),
        "rotary: {shape:?}"
    );
    let sign = if direction == Direction::Forth { 1.0 } else { -1.0 };
    machine.pool.for_each_chunk(y, ROWS * width, |index, y| {
        machine.isa.vectorize(
            #[inline(always)]
            || {
                let x = &x[index * ROWS * width..][..y.len()];
                for (row, (x, y)) in x.chunks_exact(width).zip(y.chunks_exact_mut(width)).enumerate() {
                    let turns = &turns[(index * ROWS + row) % length * 2 * half..][..2 * half];
                    let (cosines, sines) = turns.split_at(half);
                    for (x, y) in x.chunks_exact(2 * half).zip(y.chunks_exact_mut(2 * half)) {
                        let ((a, b), (left, right)) = (x.split_at(half), y.split_at_mut(half));
                        for plane in 0..half {
                            let (cosine, sine) = (cosines[plane], sign * sines[plane]);
                            accumulate.store(&mut left[plane], a[plane] * cosine - b[plane] * sine);
                            accumulate.store(&mut right[plane], b[plane] * cosine + a[plane] * sine);
                        }
                    }
                }
            },
        );
    });
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_close, machines, numbers, widen};
    use super::*;

    #[test]
    fn planes_are_turned_forth_and_back() {
        // Two samples, more positions than a task has, two heads of six channels.
        let shape = TurnShape { length: 71, width: 12, half: 3 };
        let x = numbers(1, 2 * 71 * 12);
        let angles: Vec<f32> = numbers(2, 71 * 3);
        let turns: Vec<f32> = angles
            .chunks(3)
            .flat_map(|row| row.iter().map(|a| a.cos()).chain(row.iter().map(|a| a.sin())))
            .collect();
        for machine in machines() {
            let mut y = vec![f32::NAN; x.len()];
            turn(&machine, shape, &turns, Direction::Forth, &x, &mut y, Accumulate::Overwrite);
            for (index, &found) in y.iter().enumerate() {
                let (channel, position) = (index % 6, index / 12 % 71);
                let angle = f64::from(angles[position * 3 + channel % 3]);
                let at = |index: usize| f64::from(x[index]);
                let expected = match channel < 3 {
                    true => at(index) * angle.cos() - at(index + 3) * angle.sin(),
                    false => at(index) * angle.cos() + at(index - 3) * angle.sin(),
                };
                assert!((f64::from(found) - expected).abs() < 1e-6, "{index}: {found}, expected {expected}");
            }
            let mut twice = x.clone();
            turn(&machine, shape, &turns, Direction::Back, &y, &mut twice, Accumulate::Add);
            let doubled: Vec<f64> = widen(&x).iter().map(|x| 2.0 * x).collect();
            assert_close(&twice, &doubled, 1e-6, "forth and back, added");
        }
    }
}
