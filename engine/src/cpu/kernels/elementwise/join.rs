//! Joining along channels and splitting.

use crate::cpu::Machine;

use super::super::accumulate::Accumulate;
use super::super::chunks::CHUNK;
use super::super::lanes::Lanes;

/// Joins along channels: each input is its numbers, `[rows, width]`, and its width; `y` is `[rows, sum of widths]`.
///
/// # Panics
/// When sizes do not fit.
pub fn concat(machine: &Machine, inputs: &[(&[f32], usize)], y: &mut [f32]) {
    let width: usize = inputs.iter().map(|&(_, width)| width).sum();
    let rows = Lanes::new(width).rows(y.len());
    for &(x, width) in inputs {
        assert_eq!(x.len(), rows * width, "concat: size of an input");
    }
    let rows_per_chunk = (CHUNK / width).max(1);
    machine.pool.for_each_chunk(y, rows_per_chunk * width, |index, y| {
        for (row, y) in y.chunks_exact_mut(width).enumerate() {
            let row = index * rows_per_chunk + row;
            let mut start = 0;
            for &(x, width) in inputs {
                y[start..start + width].copy_from_slice(&x[row * width..][..width]);
                start += width;
            }
        }
    });
}

/// Backward of [`concat()`]: each output gets (or adds) its channels of `dy`. `None` for an input that needs no gradient.
///
/// # Panics
/// When sizes do not fit.
pub fn split(
    machine: &Machine,
    dy: &[f32],
    outputs: &mut [(Option<&mut [f32]>, usize)],
    accumulate: Accumulate,
) {
    let total: usize = outputs.iter().map(|&(_, width)| width).sum();
    let rows = Lanes::new(total).rows(dy.len());
    let mut start = 0;
    for (dx, width) in outputs {
        let width = *width;
        if let Some(dx) = dx {
            assert_eq!(dx.len(), rows * width, "split: size of an output");
            let rows_per_chunk = (CHUNK / width).max(1);
            machine.pool.for_each_chunk(dx, rows_per_chunk * width, |index, dx| {
                for (row, dx) in dx.chunks_exact_mut(width).enumerate() {
                    let dy = &dy[(index * rows_per_chunk + row) * total + start..][..width];
                    dx.iter_mut().zip(dy).for_each(|(dx, &dy)| accumulate.store(dx, dy));
                }
            });
        }
        start += width;
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{machines, numbers};
    use super::*;

    #[test]
    fn joining_and_splitting_are_inverse() {
        let widths = [3, 1, 33, 64];
        for machine in machines() {
            for rows in [1, 35, 1001] {
                let parts: Vec<Vec<f32>> =
                    widths.iter().map(|&width| numbers(width as u64, rows * width)).collect();
                let inputs: Vec<(&[f32], usize)> =
                    parts.iter().zip(widths).map(|(part, width)| (&part[..], width)).collect();
                let mut joined = vec![f32::NAN; rows * 101];
                concat(&machine, &inputs, &mut joined);
                for (row, joined) in joined.chunks(101).enumerate() {
                    let mut expected: Vec<f32> = Vec::new();
                    parts
                        .iter()
                        .zip(widths)
                        .for_each(|(part, width)| expected.extend(&part[row * width..][..width]));
                    assert_eq!(joined, expected, "row {row}");
                }
                let mut back: Vec<Vec<f32>> = parts.clone();
                let mut outputs: Vec<(Option<&mut [f32]>, usize)> =
                    back.iter_mut().zip(widths).map(|(part, width)| (Some(&mut part[..]), width)).collect();
                outputs[1].0 = None;
                split(&machine, &joined, &mut outputs, Accumulate::Add);
                for (index, (back, part)) in back.iter().zip(&parts).enumerate() {
                    let factor = if index == 1 { 1.0 } else { 2.0 };
                    assert!(back.iter().zip(part).all(|(back, part)| *back == factor * part), "part {index}");
                }
            }
        }
    }
}
