//! Batch-norm backward.

use crate::cpu::Machine;

use super::super::accumulate::Accumulate;
use super::super::activation::{Clamp, masked};
use super::super::chunks;
use super::super::lanes::{Lanes, total};
use super::Moments;

/// The sums over rows that the gradients of batch-norm are made of.
#[derive(Clone, Debug, PartialEq)]
pub struct GradientSums {
    /// `Σ g`, `[channels]`: the gradient of beta.
    pub gradient: Vec<f64>,
    /// `Σ g·(y − mean)`, `[channels]`.
    pub product: Vec<f64>,
}

/// Masks the gradient of a clamped output in place and sums it up.
///
/// `y` is the input of the batch-norm, `[rows, channels]`, `output` the clamped output and its clamp (`None`: no clamp, the
/// gradient is only read). Afterwards `gradient` is the gradient of the normalised sum, hence also that of the residual.
///
/// # Panics
/// When sizes differ or are not whole rows.
pub fn gradient_sums(
    machine: &Machine,
    moments: &Moments,
    y: &[f32],
    output: Option<(&[f32], Clamp)>,
    gradient: &mut [f32],
) -> GradientSums {
    let channels = moments.mean.len();
    let lanes = Lanes::new(channels);
    lanes.rows(y.len());
    assert_eq!(y.len(), gradient.len(), "batch-norm: sizes of y and its gradient");
    if let Some((z, _)) = output {
        assert_eq!(z.len(), gradient.len(), "batch-norm: sizes of the output and its gradient");
    }
    let mean: Vec<f32> = moments.mean.iter().map(|&mean| mean as f32).collect();
    let tiled = lanes.tile(&mean);
    let chunk = lanes.chunk();
    let parts = chunks::map(&machine.pool, gradient.chunks_mut(chunk), |index, gradient| {
        let y = &y[index * chunk..][..gradient.len()];
        match output.filter(|&(_, clamp)| clamp != Clamp::None) {
            Some((z, clamp)) => {
                let z = &z[index * chunk..][..gradient.len()];
                let limits = clamp.limits();
                lanes.sums(
                    machine.isa,
                    gradient.len(),
                    #[inline(always)]
                    |range, [sum, product]| {
                        let (gradient, z, y) = (&mut gradient[range.clone()], &z[range.clone()], &y[range]);
                        let numbers = gradient.iter_mut().zip(z).zip(y).zip(&tiled);
                        for ((((gradient, &z), &y), &mean), (sum, product)) in
                            numbers.zip(sum.iter_mut().zip(product))
                        {
                            *gradient = masked(*gradient, z, limits);
                            *sum += *gradient;
                            *product += *gradient * (y - mean);
                        }
                    },
                )
            }
            None => lanes.sums(
                machine.isa,
                gradient.len(),
                #[inline(always)]
                |range, [sum, product]| {
                    let numbers = gradient[range.clone()].iter().zip(&y[range]).zip(&tiled);
                    for (((&gradient, &y), &mean), (sum, product)) in numbers.zip(sum.iter_mut().zip(product))
                    {
                        *sum += gradient;
                        *product += gradient * (y - mean);
                    }
                },
            ),
        }
    });
    let [sum, mut product] = total(channels, &parts);
    for channel in 0..channels {
        // What rounding the mean to f32 moved.
        product[channel] -= (moments.mean[channel] - f64::from(mean[channel])) * sum[channel];
    }
    GradientSums { gradient: sum, product }
}

impl GradientSums {
    /// Adds the gradients of gamma and beta to theirs, each `[channels]`.
    pub fn add_to(&self, moments: &Moments, epsilon: f64, gamma: &mut [f32], beta: &mut [f32]) {
        let channels = self.gradient.len();
        assert_eq!(
            [gamma.len(), beta.len()],
            [channels; 2],
            "batch-norm: sizes of the gradients of gamma and beta"
        );
        for (channel, inverse) in moments.inverse_deviation(epsilon).enumerate() {
            gamma[channel] += (self.product[channel] * inverse) as f32;
            beta[channel] += self.gradient[channel] as f32;
        }
    }
}

/// The gradient of batch-norm's input when it normalises by the batch's own statistics:
/// `dx = scale·g + slope·(y − mean) + offset` per channel.
///
/// With stored statistics it is `Affine::scale · g`: [`elementwise::scale_channels`](crate::cpu::kernels::elementwise::scale_channels).
#[derive(Clone, Debug)]
pub struct InputGradient {
    scale: Vec<f32>,
    slope: Vec<f32>,
    mean: Vec<f32>,
    offset: Vec<f32>,
}

impl InputGradient {
    /// The coefficients for the sums over `rows` rows; `gamma` is `[channels]`.
    pub fn new(moments: &Moments, sums: &GradientSums, gamma: &[f32], epsilon: f64, rows: usize) -> Self {
        let channels = moments.mean.len();
        assert_eq!([gamma.len(), sums.gradient.len()], [channels; 2], "batch-norm: sizes of gamma and sums");
        let mut made = Self {
            scale: Vec::with_capacity(channels),
            slope: Vec::with_capacity(channels),
            mean: moments.mean.iter().map(|&mean| mean as f32).collect(),
            offset: Vec::with_capacity(channels),
        };
        let [gradient, product] =
            [&sums.gradient, &sums.product].map(|sums| mean_together(sums, gamma, moments.together));
        for (channel, inverse) in moments.inverse_deviation(epsilon).enumerate() {
            let slope = -inverse.powi(3) * product[channel] / rows as f64;
            let moved = moments.mean[channel] - f64::from(made.mean[channel]);
            made.scale.push((f64::from(gamma[channel]) * inverse) as f32);
            made.slope.push(slope as f32);
            made.offset.push((-inverse * gradient[channel] / rows as f64 - slope * moved) as f32);
        }
        made
    }

    /// `dx (+)=` the gradient, from the input `y` and the masked gradient `g`; all `[rows, channels]`.
    ///
    /// # Panics
    /// When sizes differ or are not whole rows.
    pub fn apply(&self, machine: &Machine, y: &[f32], g: &[f32], dx: &mut [f32], accumulate: Accumulate) {
        assert_eq!([y.len(), g.len()], [dx.len(); 2], "batch-norm: sizes of y, its gradient and dx");
        self.walk(machine, dx, Operands::Apart { y, g, accumulate });
    }

    /// The same, written over the gradient.
    ///
    /// # Panics
    /// As [`Self::apply`].
    pub fn apply_over_gradient(&self, machine: &Machine, y: &[f32], g: &mut [f32]) {
        assert_eq!(y.len(), g.len(), "batch-norm: sizes of y and its gradient");
        self.walk(machine, g, Operands::OverGradient { y });
    }

    /// The same, written over the input.
    ///
    /// # Panics
    /// As [`Self::apply`].
    pub fn apply_over_input(&self, machine: &Machine, y: &mut [f32], g: &[f32]) {
        assert_eq!(y.len(), g.len(), "batch-norm: sizes of y and its gradient");
        self.walk(machine, y, Operands::OverInput { g });
    }

    fn walk(&self, machine: &Machine, dx: &mut [f32], operands: Operands<'_>) {
        let lanes = Lanes::new(self.scale.len());
        lanes.rows(dx.len());
        let [scale, slope, mean, offset] =
            [&self.scale, &self.slope, &self.mean, &self.offset].map(|values| lanes.tile(values));
        let (chunk, width) = (lanes.chunk(), lanes.width());
        machine.pool.for_each_chunk(dx, chunk, |index, dx| {
            machine.isa.vectorize(
                #[inline(always)]
                || {
                    for (strip, dx) in dx.chunks_mut(width).enumerate() {
                        let (start, length) = (index * chunk + strip * width, dx.len());
                        let (scale, slope) = (&scale[..length], &slope[..length]);
                        let (mean, offset) = (&mean[..length], &offset[..length]);
                        let gradient = |lane: usize, g: f32, y: f32| {
                            scale[lane] * g + slope[lane] * (y - mean[lane]) + offset[lane]
                        };
                        match operands {
                            Operands::Apart { y, g, accumulate } => {
                                let (y, g) = (&y[start..][..length], &g[start..][..length]);
                                for lane in 0..length {
                                    accumulate.store(&mut dx[lane], gradient(lane, g[lane], y[lane]));
                                }
                            }
                            Operands::OverGradient { y } => {
                                let y = &y[start..][..length];
                                for lane in 0..length {
                                    dx[lane] = gradient(lane, dx[lane], y[lane]);
                                }
                            }
                            Operands::OverInput { g } => {
                                let g = &g[start..][..length];
                                for lane in 0..length {
                                    dx[lane] = gradient(lane, g[lane], dx[lane]);
                                }
                            }
                        }
                    }
                },
            );
        });
    }
}

/// Each channel's sum times its gamma, in the mean over the channels that are normalised together.
fn mean_together(sums: &[f64], gamma: &[f32], together: usize) -> Vec<f64> {
    let mut weighted: Vec<f64> = sums.iter().zip(gamma).map(|(sum, &gamma)| sum * f64::from(gamma)).collect();
    for group in weighted.chunks_mut(together) {
        let mean = group.iter().sum::<f64>() / together as f64;
        group.fill(mean);
    }
    weighted
}

/// Where the input `y` and the masked gradient `g` stand.
#[derive(Clone, Copy)]
enum Operands<'a> {
    /// Apart from the destination.
    Apart { y: &'a [f32], g: &'a [f32], accumulate: Accumulate },
    /// The gradient stands in the destination.
    OverGradient { y: &'a [f32] },
    /// The input stands in the destination.
    OverInput { g: &'a [f32] },
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{assert_close, machines, widen};
    use super::super::oracle::{Case, EPSILON, backward_oracle, cases, forward_oracle, moments_oracle};
    use super::super::{Affine, Finish, forward, forward_in_place, statistics};
    use super::*;

    #[test]
    fn both_directions_agree_with_f64() {
        for machine in machines() {
            for case in cases() {
                let [y, residual, gamma, beta] =
                    [&case.y, &case.residual, &case.gamma, &case.beta].map(|values| widen(values));
                let exact = moments_oracle(&y, case.channels);
                let moments = statistics(&machine, &case.y, case.channels);
                for (clamp, with_residual) in [Clamp::None, Clamp::Relu, Clamp::Relu6]
                    .into_iter()
                    .flat_map(|clamp| [(clamp, true), (clamp, false)])
                {
                    let context = format!(
                        "{clamp:?}, residual {with_residual}, {} rows of {}",
                        case.rows(),
                        case.channels
                    );
                    let affine = Affine::new(&moments, &case.gamma, &case.beta, EPSILON);
                    let summand = with_residual.then_some(&case.residual[..]);
                    let finish = Finish { residual: summand, clamp, curve: None };
                    let mut z = vec![f32::NAN; y.len()];
                    forward(&machine, &affine, &case.y, finish, &mut z);
                    let zeros = vec![0.0; y.len()];
                    let added = if with_residual { &residual } else { &zeros };
                    // Scale and shift are rounded: an error of mean·scale/2²⁴ each.
                    let shift =
                        affine.scale.iter().zip(&exact.mean).map(|(&scale, mean)| f64::from(scale) * mean);
                    let tolerance = 2e-7 * (5.0 + shift.map(f64::abs).fold(0.0, f64::max));
                    assert_close(
                        &z,
                        &forward_oracle([&y, added, &gamma, &beta], &exact, clamp),
                        tolerance,
                        &context,
                    );
                    let mut over = case.y.clone();
                    forward_in_place(&machine, &affine, finish, &mut over);
                    assert_eq!(over, z, "{context}: in place");

                    let (low, high) = clamp.limits();
                    let mask =
                        |(&dz, &z): (&f32, &f32)| if z > low && z < high { f64::from(dz) } else { 0.0 };
                    let masked: Vec<f64> = case.dz.iter().zip(&z).map(mask).collect();
                    let [dx_expected, dgamma_expected, dbeta_expected] =
                        backward_oracle(&y, &masked, &gamma, &exact);
                    let mut g = case.dz.clone();
                    let sums = gradient_sums(&machine, &moments, &case.y, Some((&z, clamp)), &mut g);
                    assert_close(&g, &masked, 0.0, &context);
                    let (mut dgamma, mut dbeta) = (vec![1.0; case.channels], vec![-1.0; case.channels]);
                    sums.add_to(&moments, EPSILON, &mut dgamma, &mut dbeta);
                    let plus =
                        |values: &[f64], one: f64| values.iter().map(|value| value + one).collect::<Vec<_>>();
                    // Sums over n numbers of size 1 are about √n large; errors are relative to that.
                    let tolerance = 3e-6 * (case.rows() as f64).sqrt();
                    assert_close(&dgamma, &plus(&dgamma_expected, 1.0), tolerance, &context);
                    assert_close(&dbeta, &plus(&dbeta_expected, -1.0), tolerance, &context);

                    let gradient = InputGradient::new(&moments, &sums, &case.gamma, EPSILON, case.rows());
                    let mut dx = vec![f32::NAN; y.len()];
                    gradient.apply(&machine, &case.y, &g, &mut dx, Accumulate::Overwrite);
                    assert_close(&dx, &dx_expected, 1e-5, &context);
                    let (mut over_y, mut over_g, mut twice) = (case.y.clone(), g.clone(), dx.clone());
                    gradient.apply_over_input(&machine, &mut over_y, &g);
                    gradient.apply_over_gradient(&machine, &case.y, &mut over_g);
                    gradient.apply(&machine, &case.y, &g, &mut twice, Accumulate::Add);
                    assert_eq!((&over_y, &over_g), (&dx, &dx), "{context}: in place");
                    assert!(twice.iter().zip(&dx).all(|(twice, dx)| *twice == dx + dx), "{context}: added");
                }
            }
        }
    }

    #[test]
    fn the_oracle_gradients_are_slopes() {
        let (case, h) = (Case::new(7, 3), 1e-6);
        let [y, residual, dz, gamma, beta] =
            [&case.y, &case.residual, &case.dz, &case.gamma, &case.beta].map(|values| widen(values));
        let loss = |[y, gamma, beta]: [&[f64]; 3]| -> f64 {
            let z = forward_oracle([y, &residual, gamma, beta], &moments_oracle(y, 3), Clamp::Relu);
            z.iter().zip(&dz).map(|(z, dz)| z * dz).sum()
        };
        let moments = moments_oracle(&y, 3);
        let z = forward_oracle([&y, &residual, &gamma, &beta], &moments, Clamp::Relu);
        let g: Vec<f64> = dz.iter().zip(&z).map(|(&dz, &z)| if z > 0.0 { dz } else { 0.0 }).collect();
        let gradients = backward_oracle(&y, &g, &gamma, &moments);
        for (argument, gradient) in gradients.iter().enumerate() {
            for (index, gradient) in gradient.iter().enumerate() {
                let at = |step: f64| {
                    let mut moved = [y.clone(), gamma.clone(), beta.clone()];
                    moved[argument][index] += step;
                    loss(moved.each_ref().map(|values| &values[..]))
                };
                let slope = (at(h) - at(-h)) / (2.0 * h);
                assert!(
                    (slope - gradient).abs() < 1e-6,
                    "argument {argument}, element {index}: {slope}, {gradient}"
                );
            }
        }
    }

    #[test]
    fn results_do_not_depend_on_the_number_of_threads() {
        let case = Case::new(9_001, 24);
        let results = [1, 2, 3].map(|threads| {
            let machine = Machine::new(threads);
            let moments = statistics(&machine, &case.y, case.channels);
            let mut g = case.dz.clone();
            let sums = gradient_sums(&machine, &moments, &case.y, None, &mut g);
            (moments, sums)
        });
        assert_eq!(results[0], results[1]);
        assert_eq!(results[0], results[2]);
    }
}
