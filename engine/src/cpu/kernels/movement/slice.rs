//! A range of an axis.

use super::super::accumulate::Accumulate;
use super::super::chunks::CHUNK;
use crate::cpu::Machine;

/// `y`: of each `[whole]` of `x` the numbers from `start` on, `[part]`: a range of an axis together with the axes after it.
///
/// # Panics
/// When sizes differ.
pub fn slice(machine: &Machine, [whole, start, part]: [usize; 3], x: &[f32], y: &mut [f32]) {
    check([whole, start, part], x.len(), y.len());
    if y.is_empty() {
        return;
    }
    let each = (CHUNK / part).max(1);
    machine.pool.for_each_chunk(y, each * part, |index, y| {
        for (row, y) in y.chunks_exact_mut(part).enumerate() {
            y.copy_from_slice(&x[(index * each + row) * whole + start..][..part]);
        }
    });
}

/// Backward of [`slice()`]: `dx (+)= dy` where it came from, and zeros elsewhere.
///
/// # Panics
/// As [`slice()`].
pub fn unslice(
    machine: &Machine,
    [whole, start, part]: [usize; 3],
    dy: &[f32],
    dx: &mut [f32],
    accumulate: Accumulate,
) {
    check([whole, start, part], dx.len(), dy.len());
    if dx.is_empty() {
        return;
    }
    let each = (CHUNK / whole).max(1);
    machine.pool.for_each_chunk(dx, each * whole, |index, dx| {
        for (row, dx) in dx.chunks_exact_mut(whole).enumerate() {
            accumulate.prepare(dx);
            let dy = &dy[(index * each + row) * part..][..part];
            dx[start..][..part].iter_mut().zip(dy).for_each(|(dx, dy)| *dx += dy);
        }
    });
}

fn check([whole, start, part]: [usize; 3], x: usize, y: usize) {
    assert!(start + part <= whole || whole == 0, "slice: {start} + {part} of {whole}");
    let rows = x.checked_div(whole).unwrap_or(0);
    assert_eq!([rows * whole, rows * part], [x, y], "slice: sizes");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_goes_back_to_its_place() {
        let machine = Machine::new(2);
        let x: Vec<f32> = (0..12).map(|number| number as f32).collect();
        let mut y = [f32::NAN; 4];
        slice(&machine, [6, 2, 2], &x, &mut y);
        assert_eq!(y, [2.0, 3.0, 8.0, 9.0]);
        let mut dx = [f32::NAN; 12];
        unslice(&machine, [6, 2, 2], &y, &mut dx, Accumulate::Overwrite);
        assert_eq!(dx, [0.0, 0.0, 2.0, 3.0, 0.0, 0.0, 0.0, 0.0, 8.0, 9.0, 0.0, 0.0]);
        unslice(&machine, [6, 2, 2], &y, &mut dx, Accumulate::Add);
        assert_eq!(dx[2], 4.0);
    }
}
