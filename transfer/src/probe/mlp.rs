//! A network with one hidden layer of rectified units, for features whose classes no plane divides.
//!
//! Trained with AdamW on standardised features. A stratified part of the samples is held out and decides how many passes are made;
//! then all samples train as long. The hidden weights start small: from large ones a network with more features than samples fits
//! what is random in them (on ants-bees, 0.74 became 0.78).

use serde::{Deserialize, Serialize};
use tk_engine::cpu::Machine;
use tk_engine::cpu::kernels::optimizer::AdamW;
use tk_engine::random::Stream;

use super::loss::log_loss;
use super::network::{Batch, Dropout, Network};
use super::product::transposed_padded;
use super::{Examples, Features, Linear, ProbeError, Standardizer};
use crate::data::{Labels, Strata, split};

/// How the network is made and trained.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MlpOptions {
    /// Hidden units.
    pub width: usize,
    /// The probability with which a hidden unit is dropped in training, below 1.
    pub dropout: f64,
    /// AdamW's learning rate.
    pub learning_rate: f64,
    /// AdamW's decoupled weight decay; biases do not decay.
    pub weight_decay: f64,
    /// Samples of a step.
    pub batch: usize,
    /// Passes over the samples, at most.
    pub max_epochs: usize,
    /// Training ends after so many passes without a lower held-out loss.
    pub patience: usize,
    /// The part of the samples that is held out.
    pub held_out: f64,
    /// The seed of the first weights, the held-out part, the order of samples and dropout.
    pub seed: u64,
}

impl Default for MlpOptions {
    fn default() -> Self {
        Self {
            width: 256,
            dropout: 0.5,
            learning_rate: 1e-3,
            weight_decay: 1.0,
            batch: 64,
            max_epochs: 200,
            patience: 10,
            held_out: 0.15,
            seed: 0,
        }
    }
}

/// A trained network. Standardisation is folded into its first layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mlp {
    /// Features to hidden units, before rectification.
    pub hidden: Linear,
    /// Hidden units to classes.
    pub output: Linear,
    /// Passes over the samples.
    pub epoch: usize,
    /// The mean loss of the held-out samples after so many passes without them.
    pub held_out_loss: f64,
}

impl Mlp {
    /// Trains on raw features: once without the held-out samples, to learn how many passes lower their loss, then as long on all.
    ///
    /// # Errors
    /// When an option is out of range, a class has a single sample, or the loss stops being a number.
    pub fn fit(examples: Examples<'_>, options: &MlpOptions, machine: &Machine) -> Result<Self, ProbeError> {
        options.check()?;
        let standardizer = Standardizer::fit(examples.features());
        let standard = standardizer.apply(examples.features());
        let width = examples.features().width();
        let examples = examples.with_features(Features::new(&standard, width)?);
        let sides = hold_out(examples, options)?;
        let part = |side: bool| (0..examples.samples()).filter(|&sample| sides[sample] == side).collect();
        let mut judged = Training::new(examples, part(false), options);
        let held_out = Rows::gather(examples, &part(true));
        let (mut best, mut best_loss) = (0, f64::INFINITY);
        for epoch in 1..=options.max_epochs {
            judged.epoch(machine);
            let loss = mean_loss(&judged.network, &held_out, machine);
            if !loss.is_finite() {
                return Err(ProbeError::Diverged { epoch, loss, learning_rate: options.learning_rate });
            }
            if loss < best_loss {
                (best, best_loss) = (epoch, loss);
            } else if epoch >= best + options.patience {
                break;
            }
        }
        let mut training = Training::new(examples, (0..examples.samples()).collect(), options);
        (0..best).for_each(|_| training.epoch(machine));
        let Network { hidden, hidden_bias, output, output_bias } = training.network;
        let layer = |weight: &[f32], bias: Vec<f32>, inputs: usize| {
            Linear::from_parts(transposed_padded(weight, bias.len(), inputs), bias, inputs)
        };
        let hidden = standardizer.fold_into(&layer(&hidden, hidden_bias, width));
        let output = layer(&output, output_bias, options.width);
        Ok(Self { hidden, output, epoch: best, held_out_loss: best_loss })
    }

    /// The logits of each sample, `[samples, classes]`.
    ///
    /// # Errors
    /// When the features have another width.
    pub fn logits(&self, features: Features<'_>, machine: &Machine) -> Result<Vec<f32>, ProbeError> {
        let mut activations = self.hidden.logits(features, machine)?;
        activations.iter_mut().for_each(|value| *value = value.max(0.0));
        self.output.logits(Features::new(&activations, self.output.features())?, machine)
    }
}

impl MlpOptions {
    fn check(&self) -> Result<(), ProbeError> {
        let counts = [
            ("width", self.width),
            ("batch", self.batch),
            ("epochs", self.max_epochs),
            ("patience", self.patience),
        ];
        for (what, found) in counts {
            if found == 0 {
                return Err(ProbeError::Setting { what, expected: "at least 1", found: 0.0 });
            }
        }
        let (rate, decay, dropout) = (self.learning_rate, self.weight_decay, self.dropout);
        for (what, found, is_right, expected) in [
            ("learning rate", rate, rate > 0.0 && rate.is_finite(), "a finite number above 0"),
            ("weight decay", decay, decay >= 0.0 && decay.is_finite(), "a finite number, at least 0"),
            ("dropout", dropout, (0.0..1.0).contains(&dropout), "at least 0 and below 1"),
        ] {
            if !is_right {
                return Err(ProbeError::Setting { what, expected, found });
            }
        }
        Ok(())
    }

    fn step(&self, step: u64) -> AdamW {
        AdamW {
            learning_rate: self.learning_rate,
            weight_decay: self.weight_decay,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            step,
            gradient_scale: 1.0,
        }
    }
}

/// A network on its way.
struct Training<'a> {
    examples: Examples<'a>,
    samples: Vec<usize>,
    options: &'a MlpOptions,
    network: Network,
    gradient: Network,
    moments: [Network; 2],
    epochs: u64,
    steps: u64,
}

impl<'a> Training<'a> {
    fn new(examples: Examples<'a>, samples: Vec<usize>, options: &'a MlpOptions) -> Self {
        let sizes = [examples.features().width(), options.width, examples.classes()];
        let network = Network::new(sizes, options.seed);
        let (gradient, moments) = (network.zeros(), [network.zeros(), network.zeros()]);
        Self { examples, samples, options, network, gradient, moments, epochs: 0, steps: 0 }
    }

    /// One pass over the samples.
    fn epoch(&mut self, machine: &Machine) {
        self.epochs += 1;
        let (seed, epoch) = (self.options.seed, self.epochs);
        let mut order = self.samples.clone();
        Stream::new(seed, &["mlp order".into(), epoch.into()]).shuffle(&mut order);
        for samples in order.chunks(self.options.batch) {
            let stream =
                |&sample: &usize| Stream::new(seed, &["mlp dropout".into(), epoch.into(), sample.into()]);
            let streams: Vec<Stream> = samples.iter().map(stream).collect();
            let rate = self.options.dropout;
            let drop = (rate > 0.0).then_some(Dropout { rate, streams: &streams });
            let rows = Rows::gather(self.examples, samples);
            self.network.loss_gradient(rows.batch(), drop, &mut self.gradient, machine);
            self.steps += 1;
            let [mean, square] = &mut self.moments;
            let step = self.options.step(self.steps);
            self.network.update(&mut self.gradient, mean, square, step, machine);
        }
    }
}

/// Which samples decide when to stop.
fn hold_out(examples: Examples<'_>, options: &MlpOptions) -> Result<Vec<bool>, ProbeError> {
    let classes: Vec<String> = (0..examples.classes()).map(|class| class.to_string()).collect();
    let strata = Strata { classes: &classes, labels: examples.labels(), groups: None, ids: None };
    Ok(split::stratified(&strata, options.held_out, options.seed)?)
}

/// Copied samples.
struct Rows {
    values: Vec<f32>,
    labels: Labels,
    weights: Vec<f32>,
}

impl Rows {
    fn gather(examples: Examples<'_>, samples: &[usize]) -> Self {
        let width = examples.features().width();
        let mut values = Vec::with_capacity(samples.len() * width);
        for &sample in samples {
            values.extend_from_slice(&examples.features().values()[sample * width..][..width]);
        }
        let labels = examples.labels().gather(samples);
        Self { values, labels, weights: samples.iter().map(|&sample| examples.weight(sample)).collect() }
    }

    fn batch(&self) -> Batch<'_> {
        Batch { values: &self.values, labels: self.labels.view(), weights: &self.weights }
    }
}

/// The mean loss of samples, without dropout.
fn mean_loss(network: &Network, rows: &Rows, machine: &Machine) -> f64 {
    let mut logits = network.logits(&rows.values, machine);
    let classes = network.output_bias.len();
    let (mut sum, mut total) = (0.0, 0.0);
    let labels = rows.labels.view();
    for (row, (of, &weight)) in logits.chunks_exact_mut(classes).zip(labels.iter().zip(&rows.weights)) {
        sum += f64::from(weight) * log_loss(labels.kind(), row, of);
        total += f64::from(weight);
    }
    // Held-out samples may all weigh nothing; then the first pass is as good as any.
    if total > 0.0 { sum / total } else { 0.0 }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::metrics::scores::most_probable;

    /// Four clouds, diagonal ones of one class: no plane divides them.
    fn clouds(samples: usize, seed: u64) -> (Vec<f32>, Vec<usize>) {
        let mut stream = Stream::new(seed, &["clouds".into()]);
        let mut values = Vec::new();
        let labels = (0..samples)
            .map(|sample| {
                let (x, y) = (sample / 2 % 2, sample % 2);
                values.push((100.0 + 8.0 * x as f64 + stream.normal()) as f32);
                values.push((-3.0 + 0.8 * y as f64 + 0.1 * stream.normal()) as f32);
                x ^ y
            })
            .collect();
        (values, labels)
    }

    fn accuracy(mlp: &Mlp, values: &[f32], labels: &[usize], machine: &Machine) -> f64 {
        let logits = mlp.logits(Features::new(values, 2).unwrap(), machine).unwrap();
        let right = logits.chunks(2).zip(labels).filter(|(row, label)| most_probable(row) == **label).count();
        right as f64 / labels.len() as f64
    }

    #[test]
    fn what_no_plane_divides_is_learned_the_same_on_any_threads() {
        let (values, labels) = clouds(400, 1);
        let examples = Examples::new(Features::new(&values, 2).unwrap(), &labels, 2).unwrap();
        let options = MlpOptions { width: 32, ..MlpOptions::default() };
        let machine = Machine::new(1);
        let mlp = Mlp::fit(examples, &options, &machine).unwrap();
        let (unseen, truth) = clouds(400, 2);
        assert!(
            accuracy(&mlp, &unseen, &truth, &machine) > 0.97,
            "epoch {}, {}",
            mlp.epoch,
            mlp.held_out_loss
        );
        assert_eq!(mlp, Mlp::fit(examples, &options, &Machine::new(3)).unwrap());
        assert_ne!(mlp, Mlp::fit(examples, &MlpOptions { seed: 1, ..options }, &machine).unwrap());
    }

    #[test]
    fn patience_ends_training_on_noise() {
        let (values, _) = clouds(100, 3);
        let labels: Vec<usize> = (0..100).map(|sample| (sample * sample / 3) % 2).collect();
        let examples = Examples::new(Features::new(&values, 2).unwrap(), &labels, 2).unwrap();
        let options =
            MlpOptions { learning_rate: 0.1, patience: 2, max_epochs: 1000, ..MlpOptions::default() };
        let mlp = Mlp::fit(examples, &options, &Machine::new(1)).unwrap();
        assert!((1..500).contains(&mlp.epoch), "{}", mlp.epoch);
    }

    #[test]
    fn options_and_lonely_samples_are_errors() {
        let (values, mut labels) = clouds(20, 1);
        let features = Features::new(&values, 2).unwrap();
        let examples = Examples::new(features, &labels, 2).unwrap();
        let good = MlpOptions::default();
        for options in [
            MlpOptions { width: 0, ..good },
            MlpOptions { batch: 0, ..good },
            MlpOptions { dropout: 1.0, ..good },
            MlpOptions { learning_rate: f64::NAN, ..good },
            MlpOptions { weight_decay: -1.0, ..good },
        ] {
            assert!(matches!(
                Mlp::fit(examples, &options, &Machine::new(1)),
                Err(ProbeError::Setting { .. })
            ));
        }
        labels.fill(0);
        labels[7] = 1;
        let examples = Examples::new(features, &labels, 2).unwrap();
        let error = Mlp::fit(examples, &good, &Machine::new(1)).unwrap_err();
        assert!(
            matches!(error, ProbeError::HeldOut(_)) && error.to_string().contains("class `1` has 1 sample"),
            "{error}"
        );
    }
}
