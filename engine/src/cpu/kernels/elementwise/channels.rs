//! Numbers per channel: scaling by them, summing to them.

use crate::cpu::Machine;

use super::super::accumulate::Accumulate;
use super::super::chunks;
use super::super::lanes::{Lanes, total};

/// `y (+)= x · factors` with a factor per channel; `x`, `y`: `[rows, channels]`, `factors`: `[channels]`.
///
/// # Panics
/// When sizes differ or are not whole rows.
pub fn scale_channels(machine: &Machine, factors: &[f32], x: &[f32], y: &mut [f32], accumulate: Accumulate) {
    assert_eq!(x.len(), y.len(), "elementwise: sizes");
    let lanes = Lanes::new(factors.len());
    lanes.rows(y.len());
    let (tiled, chunk, width) = (lanes.tile(factors), lanes.chunk(), lanes.width());
    machine.pool.for_each_chunk(y, chunk, |index, y| {
        let x = &x[index * chunk..][..y.len()];
        machine.isa.vectorize(
            #[inline(always)]
            || {
                for (y, x) in y.chunks_mut(width).zip(x.chunks(width)) {
                    for ((y, &x), &factor) in y.iter_mut().zip(x).zip(&tiled) {
                        accumulate.store(y, x * factor);
                    }
                }
            },
        );
    });
}

/// `y *= factors` with a factor per channel; `y`: `[rows, channels]`, `factors`: `[channels]`.
///
/// # Panics
/// When `y` is not whole rows.
pub fn scale_channels_in_place(machine: &Machine, factors: &[f32], y: &mut [f32]) {
    let lanes = Lanes::new(factors.len());
    lanes.rows(y.len());
    let (tiled, width) = (lanes.tile(factors), lanes.width());
    machine.pool.for_each_chunk(y, lanes.chunk(), |_, y| {
        machine.isa.vectorize(
            #[inline(always)]
            || {
                for y in y.chunks_mut(width) {
                    y.iter_mut().zip(&tiled).for_each(|(y, &factor)| *y *= factor);
                }
            },
        );
    });
}

/// `sums (+)= Σ x` over rows; `x`: `[rows, channels]`, `sums`: `[channels]`. The gradient of a bias.
///
/// # Panics
/// When `x` is not whole rows.
pub fn sum_rows(machine: &Machine, x: &[f32], sums: &mut [f32], accumulate: Accumulate) {
    let lanes = Lanes::new(sums.len());
    lanes.rows(x.len());
    let parts = chunks::map(&machine.pool, x.chunks(lanes.chunk()), |_, x| {
        lanes.sums(
            machine.isa,
            x.len(),
            #[inline(always)]
            |range, [sum]| sum.iter_mut().zip(&x[range]).for_each(|(sum, x)| *sum += x),
        )
    });
    let [totals] = total(sums.len(), &parts);
    sums.iter_mut().zip(totals).for_each(|(sum, total)| accumulate.store(sum, total as f32));
}

/// `sums (+)= Σ a · b` over rows; `a`, `b`: `[rows, channels]`, `sums`: `[channels]`. The gradient of a factor per channel.
///
/// # Panics
/// When sizes differ or are not whole rows.
pub fn sum_products(machine: &Machine, [a, b]: [&[f32]; 2], sums: &mut [f32], accumulate: Accumulate) {
    assert_eq!(a.len(), b.len(), "elementwise: sizes");
    let lanes = Lanes::new(sums.len());
    lanes.rows(a.len());
    let chunk = lanes.chunk();
    let parts = chunks::map(&machine.pool, a.chunks(chunk).zip(b.chunks(chunk)), |_, (a, b)| {
        lanes.sums(
            machine.isa,
            a.len(),
            #[inline(always)]
            |range, [sum]| {
                let numbers = a[range.clone()].iter().zip(&b[range]);
                sum.iter_mut().zip(numbers).for_each(|(sum, (a, b))| *sum += a * b);
            },
        )
    });
    let [totals] = total(sums.len(), &parts);
    sums.iter_mut().zip(totals).for_each(|(sum, total)| accumulate.store(sum, total as f32));
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{assert_close, machines, numbers};
    use super::*;

    #[test]
    fn agree_with_f64() {
        for machine in machines() {
            for (rows, channels) in [(35, 1), (63, 3), (75, 5), (143, 33), (2002, 24), (3000, 64), (7, 3000)]
            {
                let length = rows * channels;
                let context = format!("{rows} rows of {channels} on {:?}", machine.isa);
                let (x, old, factors) = (numbers(1, length), numbers(2, length), numbers(3, channels));
                let scaled = |index: usize| f64::from(x[index]) * f64::from(factors[index % channels]);
                let (mut y, mut over, mut sum) = (vec![f32::NAN; length], x.clone(), old.clone());
                scale_channels(&machine, &factors, &x, &mut y, Accumulate::Overwrite);
                scale_channels_in_place(&machine, &factors, &mut over);
                scale_channels(&machine, &factors, &x, &mut sum, Accumulate::Add);
                assert_close(&y, &(0..length).map(scaled).collect::<Vec<_>>(), 1e-6, &context);
                assert_eq!(y, over, "{context}: in place");
                let added = |index: usize| scaled(index) + f64::from(old[index]);
                assert_close(&sum, &(0..length).map(added).collect::<Vec<_>>(), 1e-6, &context);

                let mut expected = vec![0f64; channels];
                x.iter().enumerate().for_each(|(index, &x)| expected[index % channels] += f64::from(x));
                let mut sums = vec![f32::NAN; channels];
                sum_rows(&machine, &x, &mut sums, Accumulate::Overwrite);
                // Sums over n numbers of size 1 are about √n large; errors are relative to that.
                assert_close(&sums, &expected, 1e-6 * (rows as f64).sqrt(), &context);

                let mut expected: Vec<f64> = factors.iter().map(|&start| f64::from(start)).collect();
                for index in 0..length {
                    expected[index % channels] += f64::from(x[index]) * f64::from(old[index]);
                }
                let mut sums = factors.clone();
                sum_products(&machine, [&x, &old], &mut sums, Accumulate::Add);
                assert_close(&sums, &expected, 1e-6 * (rows as f64).sqrt(), &context);
            }
        }
    }

    #[test]
    fn results_do_not_depend_on_the_number_of_threads() {
        let x = numbers(1, 100_000 * 3);
        let sums = [1, 2, 3].map(|threads| {
            let mut sums = [0.0; 3];
            sum_rows(&Machine::new(threads), &x, &mut sums, Accumulate::Overwrite);
            sums
        });
        assert_eq!(sums[0], sums[1]);
        assert_eq!(sums[0], sums[2]);
    }
}
