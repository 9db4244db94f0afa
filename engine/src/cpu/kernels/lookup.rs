//! Rows of a table by number: embeddings.

use super::accumulate::Accumulate;
use crate::cpu::Machine;

/// Rows of one task.
const ROWS: usize = 64;
/// Rows of the table whose gradients one task sums.
const TABLE_ROWS: usize = 512;

/// The numbers of rows that indices name.
///
/// # Errors
/// The first index that is not a whole number below `rows`.
pub fn row_numbers(indices: &[f32], rows: usize) -> Result<Vec<usize>, f32> {
    let number = |&index: &f32| {
        let names_a_row = index.fract() == 0.0 && index >= 0.0 && f64::from(index) < rows as f64;
        if names_a_row { Ok(index as usize) } else { Err(index) }
    };
    indices.iter().map(number).collect()
}

/// `y[i] = table[numbers[i]]`; `table`: `[rows, width]`, `y`: `[count, width]`.
///
/// # Panics
/// When sizes differ, or a number names no row.
pub fn gather(machine: &Machine, width: usize, numbers: &[usize], table: &[f32], y: &mut [f32]) {
    assert_eq!(y.len(), numbers.len() * width, "look-up: size of the result");
    if y.is_empty() {
        return;
    }
    machine.pool.for_each_chunk(y, ROWS * width, |index, y| {
        for (y, &number) in y.chunks_exact_mut(width).zip(&numbers[index * ROWS..]) {
            y.copy_from_slice(&table[number * width..][..width]);
        }
    });
}

/// `dtable[numbers[i]] (+)= dy[i]`, shapes as in [`gather`]. Each row's gradients are summed in order.
///
/// # Panics
/// As [`gather`].
pub fn scatter_add(
    machine: &Machine,
    width: usize,
    numbers: &[usize],
    dy: &[f32],
    dtable: &mut [f32],
    accumulate: Accumulate,
) {
    assert_eq!(dy.len(), numbers.len() * width, "look-up: size of the gradient");
    if dtable.is_empty() {
        return;
    }
    let rows = dtable.len() / width;
    assert!(numbers.iter().all(|&number| number < rows), "look-up: a number beyond the table's {rows} rows");
    machine.pool.for_each_chunk(dtable, TABLE_ROWS * width, |index, part| {
        accumulate.prepare(part);
        let (first, count) = (index * TABLE_ROWS, part.len() / width);
        for (dy, &number) in dy.chunks_exact(width).zip(numbers) {
            if (first..first + count).contains(&number) {
                let sums = &mut part[(number - first) * width..][..width];
                sums.iter_mut().zip(dy).for_each(|(sum, dy)| *sum += dy);
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::super::testing::{machines, numbers};
    use super::*;

    #[test]
    fn rows_are_found_and_their_gradients_add_up() {
        let (rows, width) = (1200, 3);
        let table = numbers(1, rows * width);
        let picks: Vec<usize> = (0..500).map(|index| index * index % 1200).collect();
        let dy = numbers(2, picks.len() * width);
        for machine in machines() {
            let mut y = vec![f32::NAN; dy.len()];
            gather(&machine, width, &picks, &table, &mut y);
            let mut expected = table.clone();
            for (index, &pick) in picks.iter().enumerate() {
                assert_eq!(y[index * width..][..width], table[pick * width..][..width]);
                for channel in 0..width {
                    expected[pick * width + channel] += dy[index * width + channel];
                }
            }
            let mut found = table.clone();
            scatter_add(&machine, width, &picks, &dy, &mut found, Accumulate::Add);
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn what_names_no_row_is_told() {
        assert_eq!(row_numbers(&[0.0, 4.0, -0.0], 5), Ok(vec![0, 4, 0]));
        for bad in [5.0, -1.0, 0.5, f32::INFINITY, 4_294_967_295.0] {
            assert_eq!(row_numbers(&[1.0, bad], 5), Err(bad));
        }
        assert!(row_numbers(&[f32::NAN], 5).is_err());
    }
}
