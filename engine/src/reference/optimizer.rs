//! Optimizer steps as `torch.optim` takes them, in plain f64 loops.

use crate::{GroupRate, Optimizer};

/// Changes `value` by one step on `gradient`. `step` counts from 1; `first` and `second` are the moments, zero before the first step.
pub(super) fn step(
    optimizer: Optimizer,
    rate: GroupRate,
    step: u64,
    [value, first, second]: [&mut [f64]; 3],
    gradient: &[f64],
) {
    let GroupRate { learning_rate, weight_decay } = rate;
    match optimizer {
        Optimizer::AdamW { betas: [beta1, beta2], epsilon } => {
            let corrections = [beta1, beta2].map(|beta| 1.0 - beta.powf(step as f64));
            for (index, &g) in gradient.iter().enumerate() {
                first[index] = beta1 * first[index] + (1.0 - beta1) * g;
                second[index] = beta2 * second[index] + (1.0 - beta2) * g * g;
                let root = (second[index] / corrections[1]).sqrt() + epsilon;
                value[index] -=
                    learning_rate * (weight_decay * value[index] + first[index] / corrections[0] / root);
            }
        }
        Optimizer::Sgd { momentum, nesterov } => {
            for (index, &g) in gradient.iter().enumerate() {
                let g = g + weight_decay * value[index];
                first[index] = momentum * first[index] + g;
                value[index] -=
                    learning_rate * if nesterov { g + momentum * first[index] } else { first[index] };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three steps on gradients 0.5, -1, 2 from 1, by `torch.optim` of PyTorch 2.15 in f64, rate 0.1, weight decay 0.01.
    #[test]
    fn steps_are_those_of_torch() {
        let cases = [
            (Optimizer::ADAMW, [0.899000002, 0.9347113542385653, 0.8918110813618659]),
            (Optimizer::Sgd { momentum: 0.9, nesterov: false }, [0.949, 1.002151, 0.848984749]),
            (Optimizer::Sgd { momentum: 0.9, nesterov: true }, [0.9031, 1.05007411, 0.7111684581909999]),
        ];
        for (optimizer, expected) in cases {
            let (mut value, mut first, mut second) = ([1.0], [0.0], [0.0]);
            let rate = GroupRate { learning_rate: 0.1, weight_decay: 0.01 };
            for (number, (gradient, expected)) in [0.5, -1.0, 2.0].into_iter().zip(expected).enumerate() {
                step(optimizer, rate, number as u64 + 1, [&mut value, &mut first, &mut second], &[gradient]);
                assert!((value[0] - expected).abs() < 1e-12, "{optimizer:?}: {} for {expected}", value[0]);
            }
        }
    }
}
