//! The updates of AdamW and SGD, fused: a parameter, its gradient and its state are read and written once.

use crate::cpu::Machine;

use super::chunks;

/// Elements per chunk.
const CHUNK: usize = 64 * 1024;

/// AdamW (arXiv 1711.05101) as `torch.optim.AdamW` computes it, for one step of one parameter group.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    /// The learning rate of this step.
    pub learning_rate: f64,
    /// Decoupled: the parameter shrinks by `learning_rate · weight_decay`.
    pub weight_decay: f64,
    /// The decay of the mean gradient, usually 0.9.
    pub beta1: f64,
    /// The decay of the mean squared gradient, usually 0.999.
    pub beta2: f64,
    /// Added to the root of the mean squared gradient, usually 1e-8.
    pub epsilon: f64,
    /// The number of this step, from 1.
    pub step: u64,
    /// The gradient is multiplied by this first: clipping, and 1 over the number of accumulated batches.
    pub gradient_scale: f64,
}

impl AdamW {
    /// Updates `parameter` and its state `mean` and `square`, and zeroes `gradient`.
    ///
    /// # Panics
    /// When sizes differ or `step` is 0.
    pub fn update(
        &self,
        machine: &Machine,
        parameter: &mut [f32],
        gradient: &mut [f32],
        mean: &mut [f32],
        square: &mut [f32],
    ) {
        assert_eq!([gradient.len(), mean.len(), square.len()], [parameter.len(); 3], "adamw: sizes");
        assert!(self.step > 0, "adamw: steps count from 1");
        let correction = |beta: f64| 1.0 - beta.powf(self.step as f64);
        let keep = (1.0 - self.learning_rate * self.weight_decay) as f32;
        let rate = (self.learning_rate / correction(self.beta1)) as f32;
        let root = (1.0 / correction(self.beta2).sqrt()) as f32;
        let (beta2, fresh1, fresh2) =
            (self.beta2 as f32, (1.0 - self.beta1) as f32, (1.0 - self.beta2) as f32);
        let (epsilon, scale) = (self.epsilon as f32, self.gradient_scale as f32);
        let pieces = parameter
            .chunks_mut(CHUNK)
            .zip(gradient.chunks_mut(CHUNK))
            .zip(mean.chunks_mut(CHUNK).zip(square.chunks_mut(CHUNK)));
        chunks::map(&machine.pool, pieces, |_, ((parameter, gradient), (mean, square))| {
            machine.isa.vectorize(
                #[inline(always)]
                || {
                    let state = mean.iter_mut().zip(square);
                    for ((parameter, gradient), (mean, square)) in
                        parameter.iter_mut().zip(gradient).zip(state)
                    {
                        let g = *gradient * scale;
                        *mean += (g - *mean) * fresh1;
                        *square = *square * beta2 + g * g * fresh2;
                        *parameter = *parameter * keep - rate * *mean / (square.sqrt() * root + epsilon);
                        *gradient = 0.0;
                    }
                },
            );
        });
    }
}

/// What momentum does in SGD.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Momentum {
    /// The step follows the velocity.
    Classical,
    /// The step looks ahead: gradient plus momentum times the new velocity.
    Nesterov,
}

/// Stochastic gradient descent as `torch.optim.SGD` computes it (no dampening), for one step of one parameter group.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sgd {
    /// The learning rate of this step.
    pub learning_rate: f64,
    /// Added to the gradient, times the parameter (not decoupled).
    pub weight_decay: f64,
    /// The decay of the velocity; 0 for none.
    pub momentum: f64,
    /// How the velocity is used.
    pub kind: Momentum,
    /// The gradient is multiplied by this first.
    pub gradient_scale: f64,
}

impl Sgd {
    /// Updates `parameter` and its `velocity` (zeros before the first step), and zeroes `gradient`.
    ///
    /// # Panics
    /// When sizes differ.
    pub fn update(
        &self,
        machine: &Machine,
        parameter: &mut [f32],
        gradient: &mut [f32],
        velocity: &mut [f32],
    ) {
        assert_eq!([gradient.len(), velocity.len()], [parameter.len(); 2], "sgd: sizes");
        let (rate, decay) = (self.learning_rate as f32, self.weight_decay as f32);
        let (momentum, scale) = (self.momentum as f32, self.gradient_scale as f32);
        let (of_velocity, of_gradient) = match self.kind {
            Momentum::Classical => (1.0, 0.0),
            Momentum::Nesterov => (momentum, 1.0),
        };
        let pieces =
            parameter.chunks_mut(CHUNK).zip(gradient.chunks_mut(CHUNK)).zip(velocity.chunks_mut(CHUNK));
        chunks::map(&machine.pool, pieces, |_, ((parameter, gradient), velocity)| {
            machine.isa.vectorize(
                #[inline(always)]
                || {
                    for ((parameter, gradient), velocity) in parameter.iter_mut().zip(gradient).zip(velocity)
                    {
                        let g = *gradient * scale + decay * *parameter;
                        *velocity = momentum * *velocity + g;
                        *parameter -= rate * (of_velocity * *velocity + of_gradient * g);
                        *gradient = 0.0;
                    }
                },
            );
        });
    }
}

/// The sum of squares, for clipping by norm: in f64, chunks in their order.
pub fn squared_norm(machine: &Machine, gradient: &[f32]) -> f64 {
    chunks::map(&machine.pool, gradient.chunks(CHUNK), |_, chunk| {
        machine.isa.vectorize(
            #[inline(always)]
            || {
                const LANES: usize = 32;
                let mut sums = [0f64; LANES];
                let (whole, rest) = chunk.as_chunks::<LANES>();
                for numbers in whole {
                    for (sum, &number) in sums.iter_mut().zip(numbers) {
                        *sum += f64::from(number) * f64::from(number);
                    }
                }
                let rest: f64 = rest.iter().map(|&number| f64::from(number) * f64::from(number)).sum();
                sums.iter().sum::<f64>() + rest
            },
        )
    })
    .into_iter()
    .sum()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_close, machines, numbers, widen};
    use super::*;

    const ADAMW: AdamW = AdamW {
        learning_rate: 0.01,
        weight_decay: 0.1,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        step: 1,
        gradient_scale: 1.0,
    };
    const SGD: Sgd = Sgd {
        learning_rate: 0.1,
        weight_decay: 0.05,
        momentum: 0.9,
        kind: Momentum::Classical,
        gradient_scale: 1.0,
    };
    const START: [f32; 3] = [0.5, -1.25, 2.0];
    const GRADIENTS: [[f32; 3]; 3] = [[0.1, -0.2, 0.3], [-0.4, 0.05, 0.6], [0.7, 0.8, -0.9]];

    /// Three steps of PyTorch 2.15:
    /// ```python
    /// p = torch.nn.Parameter(torch.tensor([0.5, -1.25, 2.0])); o = make([p])
    /// for g in ([0.1, -0.2, 0.3], [-0.4, 0.05, 0.6], [0.7, 0.8, -0.9]):
    ///     p.grad = torch.tensor(g); o.step()
    /// print(p.tolist())
    /// ```
    #[test]
    fn three_steps_are_pytorchs() {
        let machine = Machine::new(1);
        for (options, expected) in [
            // torch.optim.AdamW(p, 0.01, weight_decay=0.1)
            (ADAMW, [0.490_800_053, -1.236_865_52, 1.975_049_97]),
            // torch.optim.AdamW(p, 0.1, (0.8, 0.95), 1e-3, 0.0)
            (
                AdamW {
                    learning_rate: 0.1,
                    weight_decay: 0.0,
                    beta1: 0.8,
                    beta2: 0.95,
                    epsilon: 1e-3,
                    ..ADAMW
                },
                [0.423_075_169, -1.168_095_35, 1.817_092_06],
            ),
        ] {
            let (mut parameter, mut mean, mut square) = (START, [0.0; 3], [0.0; 3]);
            for (step, gradient) in (1..).zip(GRADIENTS) {
                // Half the scale of twice the gradient is the gradient.
                let options = AdamW { step, gradient_scale: 0.5, ..options };
                let mut gradient = gradient.map(|gradient| 2.0 * gradient);
                options.update(&machine, &mut parameter, &mut gradient, &mut mean, &mut square);
                assert_eq!(gradient, [0.0; 3]);
            }
            assert_close(&parameter, &expected, 2e-7, &format!("{options:?}"));
        }
        for (options, expected) in [
            // torch.optim.SGD(p, 0.1)
            (Sgd { weight_decay: 0.0, momentum: 0.0, ..SGD }, [0.460_000_038, -1.315_000_06, 2.0]),
            // torch.optim.SGD(p, 0.1, 0.9, weight_decay=0.05)
            (SGD, [0.464_924_723, -1.250_741_84, 1.839_709_04]),
            // torch.optim.SGD(p, 0.1, 0.9, weight_decay=0.05, nesterov=True)
            (Sgd { kind: Momentum::Nesterov, ..SGD }, [0.420_852_125, -1.297_833_44, 1.828_056_34]),
        ] {
            let (mut parameter, mut velocity) = (START, [0.0; 3]);
            for gradient in GRADIENTS {
                let options = Sgd { gradient_scale: 0.5, ..options };
                let mut gradient = gradient.map(|gradient| 2.0 * gradient);
                options.update(&machine, &mut parameter, &mut gradient, &mut velocity);
                assert_eq!(gradient, [0.0; 3]);
            }
            assert_close(&parameter, &expected, 2e-7, &format!("{options:?}"));
        }
    }

    /// AdamW on one number, in f64.
    fn adamw_oracle(options: &AdamW, [parameter, mean, square]: &mut [f64; 3], gradient: f64) {
        let g = gradient * options.gradient_scale;
        *parameter -= options.learning_rate * options.weight_decay * *parameter;
        *mean = options.beta1 * *mean + (1.0 - options.beta1) * g;
        *square = options.beta2 * *square + (1.0 - options.beta2) * g * g;
        let steps = i32::try_from(options.step).unwrap_or(i32::MAX);
        let mean = *mean / (1.0 - options.beta1.powi(steps));
        let square = *square / (1.0 - options.beta2.powi(steps));
        *parameter -= options.learning_rate * mean / (square.sqrt() + options.epsilon);
    }

    /// SGD on one number, in f64.
    fn sgd_oracle(options: &Sgd, [parameter, velocity]: &mut [f64; 2], gradient: f64) {
        let g = gradient * options.gradient_scale + options.weight_decay * *parameter;
        *velocity = options.momentum * *velocity + g;
        let direction = match options.kind {
            Momentum::Classical => *velocity,
            Momentum::Nesterov => g + options.momentum * *velocity,
        };
        *parameter -= options.learning_rate * direction;
    }

    #[test]
    fn twenty_steps_agree_with_f64_on_every_instruction_set() {
        for machine in machines() {
            for length in [1, 33, CHUNK + 7] {
                let start = numbers(1, length);
                let (mut parameter, mut mean, mut square) =
                    (start.clone(), vec![0.0; length], vec![0.0; length]);
                let (mut follower, mut velocity) = (start.clone(), vec![0.0; length]);
                let sgd = Sgd { learning_rate: 0.01, kind: Momentum::Nesterov, gradient_scale: 0.3, ..SGD };
                let mut adamw_exact: Vec<[f64; 3]> =
                    start.iter().map(|&x| [f64::from(x), 0.0, 0.0]).collect();
                let mut sgd_exact: Vec<[f64; 2]> = start.iter().map(|&x| [f64::from(x), 0.0]).collect();
                for step in 1..=20 {
                    let adamw = AdamW { step, gradient_scale: 0.7, ..ADAMW };
                    let gradient = numbers(100 + step, length);
                    adamw.update(&machine, &mut parameter, &mut gradient.clone(), &mut mean, &mut square);
                    sgd.update(&machine, &mut follower, &mut gradient.clone(), &mut velocity);
                    for (index, &gradient) in gradient.iter().enumerate() {
                        adamw_oracle(&adamw, &mut adamw_exact[index], f64::from(gradient));
                        sgd_oracle(&sgd, &mut sgd_exact[index], f64::from(gradient));
                    }
                }
                let adamw_exact: Vec<f64> =
                    adamw_exact.into_iter().map(|[parameter, ..]| parameter).collect();
                let sgd_exact: Vec<f64> = sgd_exact.into_iter().map(|[parameter, _]| parameter).collect();
                assert_close(
                    &parameter,
                    &adamw_exact,
                    2e-6,
                    &format!("adamw, {length} on {:?}", machine.isa),
                );
                assert_close(&follower, &sgd_exact, 2e-6, &format!("sgd, {length} on {:?}", machine.isa));
            }
        }
    }

    #[test]
    fn norms_are_exact_and_independent_of_threads() {
        for length in [0, 1, 31, 32, 1003, 3 * CHUNK + 5] {
            let gradient = numbers(2, length);
            let expected: f64 = widen(&gradient).iter().map(|x| x * x).sum();
            let norms: Vec<f64> = machines().iter().map(|machine| squared_norm(machine, &gradient)).collect();
            for norm in &norms {
                assert!((norm - expected).abs() <= 1e-12 * expected, "{length}: {norm}, expected {expected}");
            }
            assert_eq!(norms[norms.len() - 1], norms[norms.len() - 2], "{length}: three threads and one");
        }
    }
}
