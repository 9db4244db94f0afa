//! Trains a small recogniser from random weights, which is to become the embedded default for speech.
//!
//!     cargo run --release --example synthesise_speech -- ../shared/data CORPUS
//!     cargo run --release --example pretrain_speech -- CORPUS OUT [EPOCHS_OF_WORDS EPOCHS]
//!
//! A small wav2vec 2.0 learns to spell synthesised English with CTC, all at once: it saw no recordings before. First from single words,
//! since short utterances show soonest which frames belong to which letters; then from all. A fiftieth of the utterances is held out and
//! chooses nothing but whether the recipe is good. OUT holds checkpoints all the while: started again, the program goes on where it was. At
//! the end OUT holds what transformers' `Wav2Vec2ForCTC` opens, in bf16.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::json;
use tk_audio::data::{Distortion, Looking, SpectrogramStore, Utterances, WaveSettings, Waves};
use tk_audio::features::Waveform;
use tk_audio::recognition::{CtcTask, Recognizer, SpeechModel, Spelling, Vocabulary, misfit};
use tk_engine::cpu::Machine;
use tk_engine::{Parameters, Tensor};
use tk_transfer::checkpoint::{Checkpoint, Precision, SaveTensor, save};
use tk_transfer::data::Labelled;
use tk_transfer::data::listing::Columns;
use tk_transfer::fit::{Event, OptimizerChoice, Phase, Recipe, Run, Schedule, Signals, fit};
use tk_transfer::freeze::{BatchNorm, Freeze};
use tk_transfer::prefix::{PrecisionChoice, PrefixStore};

const SEED: u64 = 0;

/// One of so many utterances is held out.
const HELD_OUT: usize = 50;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (corpus, out, epochs) = match arguments.as_slice() {
        [corpus, out] => (corpus, out, [4, 7]),
        [corpus, out, words, all] => (corpus, out, [words.parse()?, all.parse()?]),
        _ => anyhow::bail!("usage: pretrain_speech CORPUS OUT [EPOCHS_OF_WORDS EPOCHS]"),
    };
    let out = PathBuf::from(out);
    std::fs::create_dir_all(&out)?;

    let machine = Machine::new(0);
    let columns = Columns::default().input("path").label("text".parse()?);
    let looking =
        Looking { columns: &columns, words: &BTreeMap::new(), longest: LONGEST, pool: &machine.pool };
    let utterances = Utterances::open(&Path::new(corpus).join("transcripts.tsv"), &looking)?;
    println!("{}", utterances.summary());

    // A few passes leave more unlearned than learned by heart, so nothing is dropped; who fine-tunes on little drops some.
    let model = network(0.0)?;
    let numbers: usize =
        model.graph.parameters().iter().map(|spec| spec.shape.iter().product::<usize>()).sum();
    println!("{numbers} numbers");
    let symbols = |at: usize| {
        let spoken = &utterances.samples()[at];
        let text = model.vocabulary.spell(&spoken.text, Spelling::Plain);
        let frames = model.frames(spoken.length_at(model.front_end.sampling_rate));
        misfit(&text, &model.vocabulary, frames).ok().map(|symbols| (at, symbols))
    };
    let (held, rest): (Vec<usize>, Vec<usize>) = (0..utterances.len()).partition(|at| at % HELD_OUT == 0);
    let short =
        rest.iter().copied().filter(|&at| utterances.samples()[at].seconds() < SHORT).collect::<Vec<_>>();
    let store = SpectrogramStore::new(6 << 30);
    let source = |samples: &[usize], distortion: Distortion| {
        let settings = WaveSettings { distortion, seed: SEED, batch: BATCH, pool: machine.pool.clone() };
        Waves::new(
            &utterances,
            samples.iter().filter_map(|&at| symbols(at)).collect(),
            &model,
            settings,
            &store,
        )
    };
    // Noise and loudness are in the corpus.
    let faster_or_slower = Distortion { length_percent: 10, gain_decibels: 0.0, noise_decibels: None };
    let validation = source(&held, Distortion::default());
    let task = CtcTask { vocabulary: model.vocabulary.clone(), machine: machine.clone() };
    let mut parameters = model.parameters.clone();
    for (stage, samples, epochs) in [("words", &short, epochs[0]), ("all", &rest, epochs[1])] {
        let recipe = recipe(epochs);
        let run = Run {
            machine: &machine,
            graph: &model.graph,
            model: "wav2vec2 (small)",
            task: &task,
            training: &source(samples, faster_or_slower),
            validation: Some(&validation),
            recipe: &recipe,
            identity: format!("pretrain_speech {stage} {epochs} {} {}", samples.len(), model.graph.digest()),
            store: &PrefixStore::none(),
            precision: PrecisionChoice::F32,
        };
        let done = out.join(format!("{stage}.safetensors"));
        if done.exists() {
            let kept = Checkpoint::open(&done)?;
            for spec in model.graph.parameters() {
                parameters.set(&spec.name, Tensor::new(&spec.shape, kept.f32(&spec.name)?)?);
            }
            continue;
        }
        parameters = train(&run, parameters, out.join(format!("{stage}-state.safetensors")))?;
        let tensors = parameters
            .iter()
            .map(|(name, tensor)| Ok(SaveTensor { name, shape: tensor.shape(), values: tensor.as_f32()? }));
        save(&done, &tensors.collect::<Result<Vec<_>>>()?, Precision::F32, &BTreeMap::new())?;
    }
    let model = SpeechModel { parameters, ..network(0.05)? };
    Recognizer::new(model, &machine)?.save(&out, Precision::Bf16, Default::default(), "")?;
    Ok(())
}

/// The network with random weights; a share of what its layers give is dropped in training.
fn network(dropout: f64) -> Result<SpeechModel> {
    let front_end = Waveform::from_json(
        r#"{"feature_extractor_type": "Wav2Vec2FeatureExtractor", "return_attention_mask": true}"#,
    )?;
    let vocabulary = Vocabulary::of_texts(["abcdefghijklmnopqrstuvwxyz'"]);
    Ok(SpeechModel::random(&config(dropout).to_string(), front_end, vocabulary, SEED)?)
}

/// Longer utterances are left out, in seconds: they take most of the time and teach the same.
const LONGEST: f64 = 2.4;

/// Utterances below so many seconds are single words, mostly.
const SHORT: f64 = 1.1;

fn recipe(epochs: usize) -> Recipe {
    Recipe {
        phases: vec![Phase {
            freeze: Freeze::Nothing,
            batch_norm: BatchNorm::Frozen,
            epochs,
            learning_rate: 5e-4,
            schedule: Schedule::Cosine,
            warmup: 0.05,
        }],
        batch: BATCH,
        accumulate: 1,
        optimizer: OptimizerChoice::AdamW,
        weight_decay: 0.01,
        layer_decay: 1.0,
        clip: Some(1.0),
        moving_average: None,
        monitor: None,
        mixup: None,
        views: None,
        seed: SEED,
    }
}

/// Fits, telling how far it has come.
fn train(run: &Run<'_>, parameters: Parameters, state: PathBuf) -> Result<Parameters> {
    let began = Instant::now();
    let observe = |event: &Event<'_>| match event {
        Event::Step { epoch, step, loss, .. } if step % 20 == 0 => {
            println!("epoch {epoch} step {step} loss {loss:.3} {:.0} s", began.elapsed().as_secs_f64());
        }
        Event::Phase { steps, fallbacks, .. } => println!("{steps} steps, {fallbacks} fallbacks"),
        Event::Epoch(records) => {
            if let Some(record) = records.last() {
                println!("{}", serde_json::to_string(record).unwrap_or_default());
            }
        }
        _ => {}
    };
    let signals = Signals {
        state: Some(state),
        every: Duration::from_secs(120),
        cancel: &AtomicBool::new(false),
        observe: &observe,
    };
    Ok(fit(run, parameters, &signals)?.parameters)
}

/// Utterances in a batch.
const BATCH: usize = 16;

/// `config.json`: three million numbers, 50 frames a second, layers that norm what they read, as the large forms do.
fn config(dropout: f64) -> serde_json::Value {
    json!({
        "architectures": ["Wav2Vec2ForCTC"],
        "model_type": "wav2vec2",
        "hidden_size": 192,
        "num_hidden_layers": 6,
        "num_attention_heads": 3,
        "intermediate_size": 768,
        "hidden_act": "gelu",
        "feat_extract_norm": "layer",
        "feat_extract_activation": "gelu",
        "do_stable_layer_norm": true,
        "conv_dim": [32, 48, 64, 96, 128, 160, 192],
        "conv_kernel": [10, 3, 3, 3, 3, 2, 2],
        "conv_stride": [5, 2, 2, 2, 2, 2, 2],
        "conv_bias": false,
        "num_feat_extract_layers": 7,
        "num_conv_pos_embeddings": 32,
        "num_conv_pos_embedding_groups": 8,
        "hidden_dropout": dropout,
        "activation_dropout": 0.0,
        "attention_dropout": dropout,
        "feat_proj_dropout": 0.0,
        "final_dropout": 0.0,
        "layerdrop": 0.0,
        "layer_norm_eps": 1e-5,
        // What large networks begin with, 0.02, leaves one of this width nearly the identity, which learns several times slower.
        "initializer_range": 0.1,
        "ctc_loss_reduction": "mean",
        "ctc_zero_infinity": true,
    })
}
