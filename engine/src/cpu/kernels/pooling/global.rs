//! The mean over an image.

use crate::cpu::Machine;

use super::super::accumulate::Accumulate;
use super::super::lanes::Lanes;

/// The mean over positions; `x`: `[batch, positions, channels]`, `y`: `[batch, channels]`.
///
/// # Panics
/// When sizes do not fit.
pub fn forward(machine: &Machine, channels: usize, x: &[f32], y: &mut [f32]) {
    let positions = positions(channels, x.len(), y.len());
    let lanes = Lanes::new(channels);
    machine.pool.for_each_chunk(y, channels, |index, y| {
        let x = &x[index * positions * channels..][..positions * channels];
        let [sums] = lanes.sums(
            machine.isa,
            x.len(),
            #[inline(always)]
            |range, [sum]| sum.iter_mut().zip(&x[range]).for_each(|(sum, x)| *sum += x),
        );
        y.iter_mut().zip(sums).for_each(|(y, sum)| *y = (sum / positions as f64) as f32);
    });
}

/// `dx (+)= dy / positions`; shapes as in [`forward`].
///
/// # Panics
/// When sizes do not fit.
pub fn backward(machine: &Machine, channels: usize, dy: &[f32], dx: &mut [f32], accumulate: Accumulate) {
    let positions = positions(channels, dx.len(), dy.len());
    let factor = 1.0 / positions as f32;
    machine.pool.for_each_chunk(dx, positions * channels, |index, dx| {
        let dy = &dy[index * channels..][..channels];
        machine.isa.vectorize(
            #[inline(always)]
            || {
                for dx in dx.chunks_exact_mut(channels) {
                    dx.iter_mut().zip(dy).for_each(|(dx, dy)| accumulate.store(dx, dy * factor));
                }
            },
        );
    });
}

fn positions(channels: usize, input: usize, output: usize) -> usize {
    assert!(
        channels > 0 && output > 0 && output.is_multiple_of(channels),
        "global pooling: the result is not [batch, {channels}]"
    );
    assert!(
        input > 0 && input.is_multiple_of(output),
        "global pooling: the input is not [batch, positions, {channels}]"
    );
    input / output
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{assert_close, machines, numbers};
    use super::*;

    #[test]
    fn agrees_with_the_definition() {
        for machine in machines() {
            for (batch, positions, channels) in
                [(1, 1, 1), (2, 49, 3), (3, 35, 17), (1, 3000, 24), (2, 9, 64)]
            {
                let x = numbers(7, batch * positions * channels);
                let dy = numbers(8, batch * channels);
                let mut expected = vec![0f64; dy.len()];
                for (index, &x) in x.iter().enumerate() {
                    let (image, channel) = (index / (positions * channels), index % channels);
                    expected[image * channels + channel] += f64::from(x) / positions as f64;
                }
                let mut y = vec![f32::NAN; dy.len()];
                forward(&machine, channels, &x, &mut y);
                assert_close(&y, &expected, 1e-6, &format!("{batch} {positions} {channels}"));

                let gradient: Vec<f64> = (0..x.len())
                    .map(|index| index / (positions * channels) * channels + index % channels)
                    .map(|output| f64::from(dy[output]) / positions as f64)
                    .collect();
                let mut dx = vec![f32::NAN; x.len()];
                backward(&machine, channels, &dy, &mut dx, Accumulate::Overwrite);
                assert_close(&dx, &gradient, 1e-6, "backward");
                let mut sum = x.clone();
                backward(&machine, channels, &dy, &mut sum, Accumulate::Add);
                let added: Vec<f64> = gradient.iter().zip(&x).map(|(dx, &x)| dx + f64::from(x)).collect();
                assert_close(&sum, &added, 1e-6, "backward, added");
            }
        }
    }
}
