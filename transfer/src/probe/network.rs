//! Forward and backward of a network with one hidden layer, written out.

use tk_engine::cpu::Machine;
use tk_engine::cpu::kernels::Accumulate;
use tk_engine::cpu::kernels::dropout::dropout;
use tk_engine::cpu::kernels::optimizer::AdamW;
use tk_engine::random::Stream;

use super::loss::log_loss;
use super::product::{Left, add_product_threaded, transposed_padded};
use crate::data::LabelView;

/// `logits = relu(x · hidden + hidden bias) · output + output bias`. Weights are stored as products want them.
#[derive(Clone, Debug)]
pub(super) struct Network {
    /// `[features, width]`.
    pub hidden: Vec<f32>,
    /// `[width]`.
    pub hidden_bias: Vec<f32>,
    /// `[width, classes]`.
    pub output: Vec<f32>,
    /// `[classes]`.
    pub output_bias: Vec<f32>,
}

/// Some samples: features `[samples, features]`, labels and weights `[samples]`.
#[derive(Clone, Copy)]
pub(super) struct Batch<'a> {
    pub values: &'a [f32],
    pub labels: LabelView<'a>,
    pub weights: &'a [f32],
}

/// Dropout of the hidden activations, with one stream per sample.
#[derive(Clone, Copy)]
pub(super) struct Dropout<'a> {
    pub rate: f64,
    pub streams: &'a [Stream],
}

impl Network {
    /// Random weights, a tenth of those that keep the variance (He et al., arXiv 1502.01852); biases zero.
    pub fn new([features, width, classes]: [usize; 3], seed: u64) -> Self {
        let fill = |name: &str, count: usize, deviation: f64| -> Vec<f32> {
            let mut stream = Stream::new(seed, &["mlp".into(), name.into()]);
            (0..count).map(|_| (deviation * stream.normal()) as f32).collect()
        };
        Self {
            hidden: fill("hidden", features * width, 0.1 * (2.0 / features as f64).sqrt()),
            hidden_bias: vec![0.0; width],
            output: fill("output", width * classes, 0.1 * (1.0 / width as f64).sqrt()),
            output_bias: vec![0.0; classes],
        }
    }

    /// The same sizes, all zero.
    pub fn zeros(&self) -> Self {
        Self {
            hidden: vec![0.0; self.hidden.len()],
            hidden_bias: vec![0.0; self.hidden_bias.len()],
            output: vec![0.0; self.output.len()],
            output_bias: vec![0.0; self.output_bias.len()],
        }
    }

    /// Logits, `[samples, classes]`, of features `[samples, features]`.
    pub fn logits(&self, values: &[f32], machine: &Machine) -> Vec<f32> {
        let samples = values.len() * self.hidden_bias.len() / self.hidden.len();
        self.classify(&self.activate(values, samples, machine), samples, machine)
    }

    /// The mean loss of a batch, weighted by sample; adds its gradient to `gradient`.
    pub fn loss_gradient(
        &self,
        batch: Batch<'_>,
        drop: Option<Dropout<'_>>,
        gradient: &mut Self,
        machine: &Machine,
    ) -> f64 {
        let samples = batch.labels.len();
        let (width, classes) = (self.hidden_bias.len(), self.output_bias.len());
        let total: f64 = batch.weights.iter().map(|&weight| f64::from(weight)).sum();
        if total <= 0.0 {
            return 0.0;
        }
        let activations = self.activate(batch.values, samples, machine);
        let kept = match drop {
            Some(Dropout { rate, streams }) => {
                let mut kept = vec![0f32; activations.len()];
                dropout(machine, rate, streams, &activations, &mut kept, Accumulate::Overwrite);
                kept
            }
            None => activations.clone(),
        };
        let mut slopes = self.classify(&kept, samples, machine);
        let mut loss = 0.0;
        let samples_of = batch.labels.iter().zip(batch.weights);
        for (row, (of, &weight)) in slopes.chunks_exact_mut(classes).zip(samples_of) {
            let share = f64::from(weight) / total;
            loss += share * log_loss(batch.labels.kind(), row, of);
            of.iter().for_each(|&label| row[label] -= 1.0);
            row.iter_mut().for_each(|value| *value *= share as f32);
        }
        add_rows(&slopes, &mut gradient.output_bias);
        add_product_threaded(machine, Left::transposed(&kept, width), &slopes, &mut gradient.output);

        let mut back = vec![0f32; samples * width];
        let turned = transposed_padded(&self.output, classes, width);
        add_product_threaded(machine, Left::plain(&slopes, samples), &turned, &mut back);
        if let Some(Dropout { rate, streams }) = drop {
            let passed = back.clone();
            dropout(machine, rate, streams, &passed, &mut back, Accumulate::Overwrite);
        }
        for (slope, &activation) in back.iter_mut().zip(&activations) {
            if activation <= 0.0 {
                *slope = 0.0;
            }
        }
        add_rows(&back, &mut gradient.hidden_bias);
        let features = self.hidden.len() / width;
        add_product_threaded(machine, Left::transposed(batch.values, features), &back, &mut gradient.hidden);
        loss
    }

    /// One step of the optimiser; zeroes the gradient. Biases do not decay.
    pub fn update(
        &mut self,
        gradient: &mut Self,
        mean: &mut Self,
        square: &mut Self,
        step: AdamW,
        machine: &Machine,
    ) {
        let free = AdamW { weight_decay: 0.0, ..step };
        step.update(machine, &mut self.hidden, &mut gradient.hidden, &mut mean.hidden, &mut square.hidden);
        step.update(machine, &mut self.output, &mut gradient.output, &mut mean.output, &mut square.output);
        let [bias, slope] = [&mut self.hidden_bias, &mut gradient.hidden_bias];
        free.update(machine, bias, slope, &mut mean.hidden_bias, &mut square.hidden_bias);
        let [bias, slope] = [&mut self.output_bias, &mut gradient.output_bias];
        free.update(machine, bias, slope, &mut mean.output_bias, &mut square.output_bias);
    }

    fn activate(&self, values: &[f32], samples: usize, machine: &Machine) -> Vec<f32> {
        let mut activations = self.hidden_bias.repeat(samples);
        add_product_threaded(machine, Left::plain(values, samples), &self.hidden, &mut activations);
        activations.iter_mut().for_each(|value| *value = value.max(0.0));
        activations
    }

    fn classify(&self, activations: &[f32], samples: usize, machine: &Machine) -> Vec<f32> {
        let mut logits = self.output_bias.repeat(samples);
        add_product_threaded(machine, Left::plain(activations, samples), &self.output, &mut logits);
        logits
    }
}

/// Adds all rows to one.
fn add_rows(rows: &[f32], sum: &mut [f32]) {
    for row in rows.chunks_exact(sum.len()) {
        sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::LabelKind;

    const SIZES: [usize; 3] = [7, 10, 3];

    /// The definition of the loss, in f64.
    fn oracle(
        network: &Network,
        moved: (usize, usize, f64),
        batch: Batch<'_>,
        drop: Option<Dropout<'_>>,
    ) -> f64 {
        let [features, width, classes] = SIZES;
        let mut tensors = [&network.hidden, &network.hidden_bias, &network.output, &network.output_bias]
            .map(|tensor| tensor.iter().map(|&value| f64::from(value)).collect::<Vec<_>>());
        tensors[moved.0][moved.1] += moved.2;
        let [hidden, hidden_bias, output, output_bias] = tensors;
        let (mut loss, mut total) = (0.0, 0.0);
        for (sample, of) in batch.labels.iter().enumerate() {
            let x = &batch.values[sample * features..][..features];
            let activations: Vec<f64> = (0..width)
                .map(|unit| {
                    let sum: f64 =
                        x.iter().enumerate().map(|(j, &x)| f64::from(x) * hidden[j * width + unit]).sum();
                    let kept = drop.is_none_or(|drop| drop.streams[sample].unit_at(unit as u64) >= drop.rate);
                    let factor = drop.map_or(1.0, |drop| 1.0 / (1.0 - drop.rate));
                    if kept { (sum + hidden_bias[unit]).max(0.0) * factor } else { 0.0 }
                })
                .collect();
            let logits: Vec<f64> = (0..classes)
                .map(|class| {
                    let terms =
                        activations.iter().enumerate().map(|(unit, a)| a * output[unit * classes + class]);
                    terms.sum::<f64>() + output_bias[class]
                })
                .collect();
            let weight = f64::from(batch.weights[sample]);
            let expected = match batch.labels.kind() {
                LabelKind::Single => logits.iter().map(|logit| logit.exp()).sum::<f64>().ln(),
                LabelKind::Multi => logits.iter().map(|logit| logit.exp().ln_1p()).sum(),
            };
            loss += weight * (expected - of.iter().map(|&label| logits[label]).sum::<f64>());
            total += weight;
        }
        loss / total
    }

    #[test]
    fn gradients_agree_with_differences_of_the_definition_in_f64() {
        let mut stream = Stream::new(6, &["network".into()]);
        let mut network = Network::new(SIZES, 1);
        network.hidden_bias.iter_mut().for_each(|value| *value = stream.range(-0.3, 0.3) as f32);
        let samples = 29;
        let values: Vec<f32> = (0..samples * SIZES[0]).map(|_| stream.normal() as f32).collect();
        let labels: Vec<usize> = (0..samples).map(|_| stream.below(SIZES[2])).collect();
        let weights: Vec<f32> = (0..samples).map(|_| stream.range(0.0, 2.0) as f32).collect();
        let streams: Vec<Stream> = (0..samples).map(|sample| Stream::new(2, &[sample.into()])).collect();
        let several: Vec<Vec<usize>> =
            labels.iter().map(|&label| (label..SIZES[2]).take(2).collect()).collect();
        let machine = Machine::new(2);
        let drops = [None, Some(Dropout { rate: 0.4, streams: &streams })];
        let labels = [LabelView::from(&labels), LabelView::from(&several[..])];
        for (drop, labels) in drops.into_iter().flat_map(|drop| labels.map(|labels| (drop, labels))) {
            let batch = Batch { values: &values, labels, weights: &weights };
            let mut gradient = network.zeros();
            let loss = network.loss_gradient(batch, drop, &mut gradient, &machine);
            assert!((loss - oracle(&network, (0, 0, 0.0), batch, drop)).abs() < 1e-6 * loss);
            let tensors = [&gradient.hidden, &gradient.hidden_bias, &gradient.output, &gradient.output_bias];
            for (tensor, gradient) in tensors.into_iter().enumerate() {
                assert!(gradient.iter().any(|value| value.abs() > 1e-3));
                for (index, &found) in gradient.iter().enumerate() {
                    let at = |offset| oracle(&network, (tensor, index, offset), batch, drop);
                    let numeric = (at(1e-6) - at(-1e-6)) / 2e-6;
                    // f32 sums of 29 samples of size 0.03; differences in f64 are exact to 1e-9.
                    assert!(
                        (f64::from(found) - numeric).abs() < 1e-6,
                        "tensor {tensor}, {index}: {found} {numeric}"
                    );
                }
            }
        }
    }

    #[test]
    fn samples_without_weight_change_nothing() {
        let network = Network::new(SIZES, 1);
        let mut gradient = network.zeros();
        let batch = Batch { values: &[1.0; 7], labels: (&[1]).into(), weights: &[0.0] };
        assert_eq!(network.loss_gradient(batch, None, &mut gradient, &Machine::new(1)), 0.0);
        assert!(gradient.hidden.iter().chain(&gradient.output).all(|&value| value == 0.0));
    }
}
