//! Numbers by distance: what the distance of two positions stands for, for all pairs of positions.

use super::accumulate::Accumulate;
use crate::cpu::Machine;

/// Rows of one task.
const ROWS: usize = 64;

/// The column of each distance from `1 − length` to `length − 1`, given those from −r to r; farther ones are as these two.
///
/// # Panics
/// When there is none.
pub fn line(columns: &[usize], length: usize) -> Vec<usize> {
    let (reach, farthest) = (columns.len() / 2, length.saturating_sub(1));
    let place = |step: usize| (reach + step).saturating_sub(farthest).min(columns.len() - 1);
    (0..(2 * length).saturating_sub(1)).map(|step| columns[place(step)]).collect()
}

/// `y[…, row, other] = x[…, row, column of other − row]`; `x`: `[…, length, width]`, `y`: `[…, length, length]`, `line` as
/// [`line()`] gives it.
///
/// # Panics
/// When sizes differ, or there is no such column.
pub fn pick(machine: &Machine, [length, width]: [usize; 2], line: &[usize], x: &[f32], y: &mut [f32]) {
    check([length, width], line, x.len(), y.len());
    if y.is_empty() {
        return;
    }
    machine.pool.for_each_chunk(y, ROWS * length, |index, y| {
        for (row, y) in y.chunks_exact_mut(length).enumerate() {
            let row = index * ROWS + row;
            let x = &x[row * width..][..width];
            let columns = &line[length - 1 - row % length..][..length];
            y.iter_mut().zip(columns).for_each(|(y, &column)| *y = x[column]);
        }
    });
}

/// Backward of [`pick`]: `dx (+)=` the sums of `dy` over the positions that took each column.
///
/// # Panics
/// As [`pick`].
pub fn unpick(
    machine: &Machine,
    [length, width]: [usize; 2],
    line: &[usize],
    dy: &[f32],
    dx: &mut [f32],
    accumulate: Accumulate,
) {
    check([length, width], line, dx.len(), dy.len());
    if dx.is_empty() {
        return;
    }
    machine.pool.for_each_chunk(dx, ROWS * width, |index, dx| {
        accumulate.prepare(dx);
        for (row, dx) in dx.chunks_exact_mut(width).enumerate() {
            let row = index * ROWS + row;
            let columns = &line[length - 1 - row % length..][..length];
            for (&dy, &column) in dy[row * length..][..length].iter().zip(columns) {
                dx[column] += dy;
            }
        }
    });
}

fn check([length, width]: [usize; 2], line: &[usize], x: usize, y: usize) {
    assert_eq!(line.len() + 1, 2 * length.max(1), "by-distance: a column for each distance");
    assert!(
        line.iter().all(|&column| column < width),
        "by-distance: a column beyond the {width} that there are"
    );
    let rows = x.checked_div(width).unwrap_or(0);
    let whole = length == 0 || rows.is_multiple_of(length);
    assert!(whole && [rows * width, rows * length] == [x, y], "by-distance: sizes");
}

#[cfg(test)]
mod tests {
    use super::super::testing::{machines, numbers};
    use super::*;

    #[test]
    fn farther_distances_are_as_the_farthest() {
        assert_eq!(line(&[0, 1, 2], 3), [0, 0, 1, 2, 2]);
        assert_eq!(line(&[0, 1, 2, 3, 4], 2), [1, 2, 3]);
        assert_eq!(line(&[7], 2), [7, 7, 7]);
        assert_eq!((line(&[7], 1), line(&[7], 0)), (vec![7], vec![]));
    }

    #[test]
    fn picked_numbers_give_their_gradients_back() {
        let (rows, length, width) = (2 * 77, 77, 5);
        let line = line(&[3, 0, 2, 1, 4, 4, 0], length);
        let (x, dy) = (numbers(1, rows * width), numbers(2, rows * length));
        for machine in machines() {
            let mut y = vec![f32::NAN; dy.len()];
            pick(&machine, [length, width], &line, &x, &mut y);
            let mut expected: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
            for row in 0..rows {
                for other in 0..length {
                    let column = line[other + length - 1 - row % length];
                    assert_eq!(y[row * length + other], x[row * width + column]);
                    expected[row * width + column] += f64::from(dy[row * length + other]);
                }
            }
            let mut found = x.clone();
            unpick(&machine, [length, width], &line, &dy, &mut found, Accumulate::Add);
            super::super::testing::assert_close(&found, &expected, 1e-5, "gradients of picked numbers");
        }
    }
}
