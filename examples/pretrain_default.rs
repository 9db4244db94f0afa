//! Trains the embedded default from random weights.
//!
//!     cargo run --release --example pretrain_default -- ../shared/data OUT [EPOCHS]
//!
//! A narrow ResNet-18 learns the 101 classes of Caltech-101: a fifth of the photographs, drawn by class, is held out and chooses
//! nothing but whether the recipe is good. Small pictures first, larger ones later. OUT holds a checkpoint all the while: started
//! again, the program goes on where it was. At the end OUT holds `model.safetensors` (bf16) and `config.json` as timm reads them.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tk_engine::cpu::Machine;
use tk_engine::{Parameters, Tensor};
use tk_image::architectures::{ModelArgs, Settings, find};
use tk_image::data::{Augment, Dataset, Jitter, Level, Photographs, PictureStore, Preprocess};
use tk_transfer::checkpoint::{Precision, SaveTensor, save};
use tk_transfer::classification::Classification;
use tk_transfer::data::split::stratified;
use tk_transfer::data::{Labelled, Strata};
use tk_transfer::fit::{
    Event, OptimizerChoice, Phase, Recipe, Run, Schedule, Signals, Source, SourceError, View, fit,
};
use tk_transfer::freeze::{BatchNorm, Freeze};
use tk_transfer::prefix::{PrecisionChoice, PrefixStore};
use tk_transfer::task::Batch;

const SEED: u64 = 0;

/// The side of training pictures and the share of the epochs that use it.
const SIZES: [(u32, f64); 2] = [(64, 0.7), (96, 0.3)];

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [data, out, rest @ ..] = arguments.as_slice() else {
        anyhow::bail!("usage: pretrain_default DATA OUT [EPOCHS]");
    };
    let epochs: usize =
        rest.first().map_or(Ok(90), |text| text.parse()).context("EPOCHS is a whole number")?;
    let out = PathBuf::from(out);
    std::fs::create_dir_all(&out)?;

    let machine = Machine::new(0);
    let dataset = Dataset::open(Path::new(data).join("caltech101-112px"))?;
    let labels: Vec<usize> = dataset.samples().iter().flat_map(|sample| sample.classes.clone()).collect();
    let strata = Strata { classes: dataset.classes(), labels: (&labels).into(), groups: None, ids: None };
    let held_out = stratified(&strata, 0.2, SEED)?;
    let positions = |side: bool| (0..labels.len()).filter(|&at| held_out[at] == side).collect::<Vec<_>>();
    let (train, validation) = (positions(false), positions(true));

    let store = PictureStore::new(4 << 30);
    let source = |samples: &[usize], side: u32, crop: f64| {
        let preprocess = Preprocess { crop_fraction: crop, ..Preprocess::imagenet(side) };
        Photographs::new(
            &dataset,
            samples.to_vec(),
            preprocess,
            augment(),
            SEED,
            &store,
            machine.pool.clone(),
        )
    };
    let training = Growing {
        steps: SIZES
            .iter()
            .scan(0.0, |share, &(side, part)| {
                *share += part;
                Some(((*share * epochs as f64).round() as u64, source(&train, side, 1.0)))
            })
            .collect(),
    };
    let validation = source(&validation, 96, 1.0);

    let architecture = find("resnet18")?;
    let model_args = ModelArgs { channels: Some(vec![32, 64, 160, 288]), ..ModelArgs::default() };
    let graph = architecture.build(&Settings { model_args, ..Settings::classes(dataset.classes().len()) })?;
    let task = Classification {
        classes: dataset.classes().len(),
        label_smoothing: 0.1,
        class_weights: Vec::new(),
        machine: machine.clone(),
    };
    let recipe = Recipe {
        phases: vec![Phase {
            freeze: Freeze::Nothing,
            batch_norm: BatchNorm::Train,
            epochs,
            learning_rate: 0.1,
            schedule: Schedule::Cosine,
            warmup: 0.05,
        }],
        batch: 64,
        accumulate: 1,
        optimizer: OptimizerChoice::Sgd,
        weight_decay: 5e-4,
        layer_decay: 1.0,
        clip: None,
        moving_average: Some(0.998),
        monitor: None,
        mixup: None,
        views: None,
        seed: SEED,
    };
    let run = Run {
        machine: &machine,
        graph: &graph,
        model: "resnet18 (narrow)",
        task: &task,
        training: &training,
        validation: Some(&validation),
        recipe: &recipe,
        identity: format!("pretrain_default {epochs} {}", graph.digest()),
        store: &PrefixStore::none(),
        precision: PrecisionChoice::F32,
    };
    let began = Instant::now();
    let observe = |event: &Event<'_>| match event {
        Event::Step { epoch, step, loss, .. } if step % 50 == 0 => {
            println!("epoch {epoch} step {step} loss {loss:.3} {:.0} s", began.elapsed().as_secs_f64());
        }
        Event::Epoch(records) => {
            if let Some(record) = records.last() {
                println!("{}", serde_json::to_string(record).unwrap_or_default());
            }
        }
        _ => {}
    };
    let signals = Signals {
        state: Some(out.join("state.safetensors")),
        every: Duration::from_secs(120),
        cancel: &AtomicBool::new(false),
        observe: &observe,
    };
    let fitted = fit(&run, Parameters::initial(&graph, SEED), &signals)?;
    let tensors: Vec<(&str, &Tensor)> = fitted.parameters.iter().collect();
    let tensors: Vec<SaveTensor<'_>> = tensors
        .iter()
        .map(|(name, tensor)| Ok(SaveTensor { name, shape: tensor.shape(), values: tensor.as_f32()? }))
        .collect::<Result<_>>()?;
    save(&out.join("model.safetensors"), &tensors, Precision::Bf16, &Default::default())?;
    Ok(())
}

/// Random crops of at least a fifth of the picture, mirrored, with changed colours.
fn augment() -> Augment {
    let jitter = Jitter { brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.0 };
    Augment { jitter: Some(jitter), grey: 0.0, erasing: None, ..Augment::from(Level::Strong) }
}

/// The same photographs at sizes that grow with the epochs.
struct Growing<'a> {
    /// The first epoch that is too late for a size, and the photographs at that size.
    steps: Vec<(u64, Photographs<'a>)>,
}

impl Growing<'_> {
    fn at(&self, view: View) -> &Photographs<'_> {
        let epoch = match view {
            View::Plain => 0,
            View::Augmented(epoch) => epoch,
        };
        let step = self.steps.iter().position(|(end, _)| epoch < *end).unwrap_or(self.steps.len() - 1);
        &self.steps[step].1
    }
}

impl Source for Growing<'_> {
    fn len(&self) -> usize {
        self.steps[0].1.len()
    }

    fn identity(&self, sample: usize) -> u64 {
        self.steps[0].1.identity(sample)
    }

    fn cache_key(&self, _: usize, _: View) -> Option<String> {
        None
    }

    fn load(&self, samples: &[usize], view: View) -> Result<Batch, SourceError> {
        self.at(view).load(samples, view)
    }

    fn targets(&self, samples: &[usize], view: View) -> Result<Vec<Tensor>, SourceError> {
        self.steps[0].1.targets(samples, view)
    }
}
