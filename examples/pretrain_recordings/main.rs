//! Trains the embedded default for recordings from random weights.
//!
//!     cargo run --release --example synthesise_speech -- ../shared/data CORPUS 12
//!     cargo run --release --example pretrain_recordings -- CORPUS OUT [EPOCHS]
//!
//! A small Audio Spectrogram Transformer learns to tell what is heard in synthesised speech (words, sounds of the language, how it begins
//! and ends, who speaks in which room) and which of some sounds without speech is heard, which this program synthesises. A twentieth of the
//! recordings is held out and chooses nothing but whether the recipe is good. OUT holds a checkpoint all the while: started again, the
//! program goes on where it was. At the end OUT holds `model.safetensors` (bf16), `config.json` and `preprocessor_config.json` as
//! transformers reads them.

#[path = "../synthesise_speech/effects.rs"]
mod effects;
mod labels;
mod sounds;

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tk_audio::architectures::{Architecture, Config, build};
use tk_audio::data::{Dataset, Distortion, Hearing, Masks, Recordings, SpectrogramStore, Views};
use tk_audio::features::{FilterBank, FrontEnd};
use tk_engine::cpu::Machine;
use tk_engine::{Parameters, Tensor};
use tk_transfer::checkpoint::{Precision, SaveTensor, save};
use tk_transfer::data::listing::{Columns, Separator};
use tk_transfer::data::table::Selector;
use tk_transfer::data::{LabelKind, Labelled, Split};
use tk_transfer::fit::{Event, OptimizerChoice, Phase, Recipe, Run, Schedule, Signals, fit};
use tk_transfer::freeze::{BatchNorm, Freeze};
use tk_transfer::multi_label::{MultiLabel, positive_weights};
use tk_transfer::prefix::{PrecisionChoice, PrefixStore};

const SEED: u64 = 0;

/// The rate of everything, in Hz.
const RATE: u32 = 16_000;

/// Filters, and frames of 10 ms.
const SIZES: [usize; 2] = [64, 160];

/// How many sounds without speech there are.
const SOUNDS: u64 = 2600;

/// What is there counts at most so many times what is not: of rare labels, mistakes would drown the rest.
const MOST_WEIGHT: f32 = 8.0;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [corpus, out, rest @ ..] = arguments.as_slice() else {
        anyhow::bail!("usage: pretrain_recordings CORPUS OUT [EPOCHS]");
    };
    let epochs: usize =
        rest.first().map_or(Ok(12), |text| text.parse()).context("EPOCHS is a whole number")?;
    let out = PathBuf::from(out);
    std::fs::create_dir_all(&out)?;

    let machine = Machine::new(0);
    let table = out.join("recordings.tsv");
    // A corpus that grows in the meantime must not change what a resumed run sees.
    if !table.exists() {
        let sounds = sounds::write(&out.join("sounds"), SOUNDS, SEED, &machine.pool)?;
        labels::write_table(Path::new(corpus), &sounds, &table)?;
    }
    let columns = Columns::default()
        .input("path")
        .label(Selector::column("labels"))
        .several(Some(Separator::new("|")))
        .split("split");
    let dataset = Dataset::open_with(&table, &columns)?;
    println!("{} recordings, {} labels", dataset.len(), dataset.classes().len());
    let part = |split: Split| -> Vec<usize> {
        (0..dataset.len()).filter(|&sample| dataset.split_of(sample) == Some(split)).collect()
    };

    let front_end = FilterBank { num_mel_bins: SIZES[0], max_length: SIZES[1], ..FilterBank::default() };
    let store = SpectrogramStore::new(3 << 30);
    let views = Views {
        distortion: Distortion::default(),
        // Of this front end 12 bins and 16 frames, moved by 20; said for 128 bins and 1,024 frames.
        masks: Masks {
            bins: (12 * 128usize).div_ceil(SIZES[0]),
            frames: (16 * 1024usize).div_ceil(SIZES[1]),
            shift: (20 * 1024usize).div_ceil(SIZES[1]),
        },
        seed: SEED,
    };
    let sizes = [("max_length", SIZES[1])];
    let config = Config::from_json(CONFIG)?.with_classes(&sizes, dataset.classes(), LabelKind::Multi);
    let settings = config.settings()?;
    let source = |samples: Vec<usize>| {
        let hearing = Hearing {
            extractor: FrontEnd::FilterBank(front_end.clone()).extractor(),
            architecture: Architecture::Ast(settings.clone()),
            batch: 32,
            pool: machine.pool.clone(),
        };
        Recordings::new(&dataset, samples, hearing, views, &store)
    };
    let (training, validation) = (source(part(Split::Train)), source(part(Split::Validation)));

    let graph = build(&settings)?;
    let labels: Vec<Vec<usize>> =
        part(Split::Train).iter().map(|&sample| dataset.labels_of(sample).to_vec()).collect();
    let weights = positive_weights(labels[..].into(), dataset.classes().len());
    let task = MultiLabel {
        classes: dataset.classes().len(),
        label_smoothing: 0.0,
        positive_weights: weights.into_iter().map(|weight| weight.sqrt().min(MOST_WEIGHT)).collect(),
        machine: machine.clone(),
    };
    let recipe = Recipe {
        phases: vec![Phase {
            freeze: Freeze::Nothing,
            batch_norm: BatchNorm::Train,
            epochs,
            learning_rate: 7e-4,
            schedule: Schedule::Cosine,
            warmup: 0.08,
        }],
        batch: 32,
        accumulate: 1,
        optimizer: OptimizerChoice::AdamW,
        weight_decay: 0.05,
        layer_decay: 1.0,
        clip: Some(1.0),
        moving_average: None,
        monitor: None,
        mixup: None,
        views: None,
        seed: SEED,
    };
    let run = Run {
        machine: &machine,
        graph: &graph,
        model: "ast (small)",
        task: &task,
        training: &training,
        validation: Some(&validation),
        recipe: &recipe,
        identity: format!("pretrain_recordings {epochs} {}", graph.digest()),
        store: &PrefixStore::none(),
        precision: PrecisionChoice::Bf16,
    };
    let began = Instant::now();
    let observe = |event: &Event<'_>| match event {
        Event::Step { epoch, step, loss, .. } if step % 20 == 0 => {
            println!("epoch {epoch} step {step} loss {loss:.4} {:.0} s", began.elapsed().as_secs_f64());
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
    write(&out, &fitted.parameters, &config, &front_end)
}

/// The folder as transformers reads it.
fn write(out: &Path, parameters: &Parameters, config: &Config, front_end: &FilterBank) -> Result<()> {
    let tensors: Vec<(&str, &Tensor)> = parameters.iter().collect();
    let tensors: Vec<SaveTensor<'_>> = tensors
        .iter()
        .map(|(name, tensor)| Ok(SaveTensor { name, shape: tensor.shape(), values: tensor.as_f32()? }))
        .collect::<Result<_>>()?;
    let metadata = [("format".to_owned(), "pt".to_owned())].into_iter().collect();
    save(&out.join("model.safetensors"), &tensors, Precision::Bf16, &metadata)?;
    std::fs::write(out.join("config.json"), config.to_json()?)?;
    let front_end = serde_json::to_string_pretty(front_end)? + "\n";
    Ok(std::fs::write(out.join("preprocessor_config.json"), front_end)?)
}

/// Few tokens, so that it is fast: 4 rows of 15 patches, and two tokens that are none. What large networks begin with, 0.02, leaves one of
/// this width nearly the identity, which learns several times slower.
const CONFIG: &str = r#"{
  "architectures": ["ASTForAudioClassification"],
  "model_type": "audio-spectrogram-transformer",
  "hidden_act": "gelu",
  "hidden_size": 192,
  "num_hidden_layers": 4,
  "num_attention_heads": 3,
  "intermediate_size": 768,
  "patch_size": 16,
  "frequency_stride": 16,
  "time_stride": 10,
  "num_mel_bins": 64,
  "max_length": 160,
  "qkv_bias": true,
  "layer_norm_eps": 1e-12,
  "initializer_range": 0.1,
  "hidden_dropout_prob": 0.0,
  "attention_probs_dropout_prob": 0.0
}"#;
