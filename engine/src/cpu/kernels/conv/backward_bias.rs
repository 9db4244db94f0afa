//! The gradient of the bias.

use crate::cpu::Machine;
use crate::cpu::kernels::accumulate::Accumulate;

/// Tasks worth having, for balance, as long as each sums a few pixels.
const TASKS: usize = 16;

/// The gradient of the bias, `[channels]`: the output's gradient, `[…, channels]`, summed over pixels.
///
/// # Panics
/// When the output's gradient is not whole pixels.
pub fn backward_bias(
    machine: &Machine,
    output_gradient: &[f32],
    bias_gradient: &mut [f32],
    accumulate: Accumulate,
) {
    let channels = bias_gradient.len();
    assert!(
        channels > 0 && output_gradient.len().is_multiple_of(channels),
        "gradients have the same channels"
    );
    let floats_each = (output_gradient.len() / channels).div_ceil(TASKS).max(64) * channels;
    let mut partials = vec![0.0; output_gradient.len().div_ceil(floats_each) * channels];
    machine.pool.for_each_chunk(&mut partials, channels, |task, sums| {
        let start = task * floats_each;
        let end = (start + floats_each).min(output_gradient.len());
        machine.isa.vectorize(|| {
            for pixel in output_gradient[start..end].chunks_exact(channels) {
                sums.iter_mut().zip(pixel).for_each(|(sum, value)| *sum += value);
            }
        });
    });
    accumulate.prepare(bias_gradient);
    for part in partials.chunks_exact(channels) {
        bias_gradient.iter_mut().zip(part).for_each(|(sum, value)| *sum += value);
    }
}
