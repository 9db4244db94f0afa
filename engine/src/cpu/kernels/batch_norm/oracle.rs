//! Batch-norm by its definition, in f64, and the cases it is compared on.

use super::super::activation::Clamp;
use super::super::testing::numbers;
use super::Moments;

pub const EPSILON: f64 = 1e-5;

/// Numbers of one test: `[rows, channels]` input, residual and output gradient; parameters.
pub struct Case {
    pub channels: usize,
    pub y: Vec<f32>,
    pub residual: Vec<f32>,
    pub dz: Vec<f32>,
    pub gamma: Vec<f32>,
    pub beta: Vec<f32>,
}

impl Case {
    pub fn new(rows: usize, channels: usize) -> Self {
        let length = rows * channels;
        let y = numbers(1, length).into_iter().enumerate();
        Self {
            channels,
            // Another mean and deviation for each channel.
            y: y.map(|(index, y)| y * (1.0 + (index % channels % 3) as f32) + (index % channels) as f32)
                .collect(),
            residual: numbers(2, length),
            dz: numbers(3, length),
            gamma: numbers(4, channels).iter().map(|gamma| 1.5 + 0.2 * gamma).collect(),
            beta: numbers(5, channels),
        }
    }

    pub fn rows(&self) -> usize {
        self.y.len() / self.channels
    }
}

pub fn cases() -> Vec<Case> {
    [(35, 1), (2 * 7 * 9, 3), (3 * 5 * 5, 5), (63, 17), (143, 33), (6, 64), (1001, 64), (9, 700), (40_000, 3)]
        .into_iter()
        .map(|(rows, channels)| Case::new(rows, channels))
        .collect()
}

fn of_channel(values: &[f64], channels: usize, channel: usize) -> impl Iterator<Item = f64> {
    values.iter().skip(channel).step_by(channels).copied()
}

/// The definition, in two passes over f64.
pub fn moments_oracle(y: &[f64], channels: usize) -> Moments {
    let rows = (y.len() / channels) as f64;
    let mean: Vec<f64> =
        (0..channels).map(|channel| of_channel(y, channels, channel).sum::<f64>() / rows).collect();
    let variance = (0..channels)
        .map(|channel| {
            of_channel(y, channels, channel).map(|y| (y - mean[channel]).powi(2)).sum::<f64>() / rows
        })
        .collect();
    Moments { mean, variance, together: 1 }
}

/// The definition of the output, in f64.
pub fn forward_oracle([y, residual, gamma, beta]: [&[f64]; 4], moments: &Moments, clamp: Clamp) -> Vec<f64> {
    let (low, high) = clamp.limits();
    (0..y.len())
        .map(|index| {
            let channel = index % gamma.len();
            let normal = (y[index] - moments.mean[channel]) / (moments.variance[channel] + EPSILON).sqrt();
            (normal * gamma[channel] + beta[channel] + residual[index]).clamp(f64::from(low), f64::from(high))
        })
        .collect()
}

/// Gradients of input, gamma and beta from the masked gradient, in f64: the textbook's, term by term.
pub fn backward_oracle(y: &[f64], g: &[f64], gamma: &[f64], moments: &Moments) -> [Vec<f64>; 3] {
    let channels = gamma.len();
    let rows = (y.len() / channels) as f64;
    let mut gradients = [vec![0.0; y.len()], vec![0.0; channels], vec![0.0; channels]];
    for channel in 0..channels {
        let inverse = 1.0 / (moments.variance[channel] + EPSILON).sqrt();
        let pairs = || of_channel(y, channels, channel).zip(of_channel(g, channels, channel));
        let sum: f64 = pairs().map(|(_, g)| g).sum();
        let product: f64 = pairs().map(|(y, g)| g * (y - moments.mean[channel]) * inverse).sum();
        for (row, (y, g)) in pairs().enumerate() {
            let normal = (y - moments.mean[channel]) * inverse;
            gradients[0][row * channels + channel] =
                gamma[channel] * inverse * (g - sum / rows - normal * product / rows);
        }
        gradients[1][channel] = product;
        gradients[2][channel] = sum;
    }
    gradients
}
