//! Trains the embedded default for texts from random weights, after a larger encoder.
//!
//!     python examples/pretrain_text/corpus.py FILES > CORPUS
//!     cargo run --release --example pretrain_text -- CORPUS TEACHER OUT [SENTENCES EPOCHS]
//!
//! A small BERT learns to give each sentence of a corpus the embedding that a sentence encoder gives it (MiniLM; knowledge distillation, arXiv
//! 1503.02531). It keeps those pieces of the teacher's vocabulary that are frequent, and begins with the teacher's vectors for them, projected to
//! its own width at random. A fiftieth of the sentences is held out and chooses nothing but whether the recipe is good. OUT holds the teacher's
//! embeddings and a checkpoint all the while: started again, the program goes on where it was. At the end OUT holds a sentence encoder as
//! sentence-transformers opens it, in bf16.

mod mimic;
mod vocabulary;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::json;
use tk_engine::cpu::Machine;
use tk_engine::{Parameters, Precision as Bits, Tensor};
use tk_text::architectures::{Config, Head, Pooling};
use tk_text::data::{Layout, Tokenizer};
use tk_text::model::{Folder, Model, Start, save_model};
use tk_transfer::checkpoint::{Checkpoint, Precision, SaveTensor, save};
use tk_transfer::fit::{Event, OptimizerChoice, Phase, Recipe, Run, Schedule, Signals, fit};
use tk_transfer::freeze::{BatchNorm, Freeze};
use tk_transfer::prefix::{PrecisionChoice, PrefixStore};
use transferkit::text::Embedder;

use mimic::{Heard, Mimic};

const SEED: u64 = 0;

/// One of so many sentences is held out.
const HELD_OUT: usize = 50;

/// Sentences that the teacher embeds between two files.
const CHUNK: usize = 16_384;

/// Sentences in a batch.
const BATCH: usize = 64;

/// Pieces of the vocabulary.
const PIECES: usize = 16_000;

/// Numbers of a token's vector.
const WIDTH: usize = 160;

/// The teacher's vectors of words.
const WORDS: &str = "embeddings.word_embeddings.weight";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (corpus, teacher, out, [most, epochs]) = match arguments.as_slice() {
        [corpus, teacher, out] => (corpus, teacher, out, [450_000, 5]),
        [corpus, teacher, out, most, epochs] => (corpus, teacher, out, [most.parse()?, epochs.parse()?]),
        _ => anyhow::bail!("usage: pretrain_text CORPUS TEACHER OUT [SENTENCES EPOCHS]"),
    };
    let (teacher, out) = (Path::new(teacher), PathBuf::from(out));
    std::fs::create_dir_all(&out)?;
    let text = std::fs::read_to_string(corpus)?;
    let sentences: Vec<&str> = text.lines().take(most).collect();
    let machine = Machine::new(0);
    let taught = taught(teacher, &sentences, &out, &machine)?;
    let width = taught.first().map_or(0, Vec::len);

    let kept = vocabulary::write(teacher, &sentences, PIECES, &out, &machine.pool)?;
    std::fs::write(out.join("config.json"), serde_json::to_string_pretty(&config(kept.len()))? + "\n")?;
    let tokenizer = Tokenizer::open(&out)?;
    let texts: Vec<_> = sentences.iter().map(|&sentence| (sentence, None)).collect();
    let tokens = tokenizer.encode_all(&texts, &machine.pool)?;
    let config = Config::from_json(&std::fs::read_to_string(out.join("config.json"))?)?;
    let (architecture, settings) = config.encoder()?;
    let head = Head::Pooled { pooling: Pooling::Mean, classes: width };
    let graph = architecture.build(&settings, head)?;
    let layout =
        Layout { fields: architecture.fields(&settings, head), pad_id: tokenizer.pad_id(), batch: BATCH };

    let mut parameters = Parameters::initial(&graph, SEED);
    let words = Checkpoint::open(teacher.join("model.safetensors"))?.f32(WORDS)?;
    parameters.set(WORDS, vocabulary::projected(&words, &kept, WIDTH, SEED)?);
    let (held, rest): (Vec<usize>, Vec<usize>) = (0..sentences.len()).partition(|at| at % HELD_OUT == 0);
    let source = |samples| Heard { tokens: &tokens, taught: &taught, samples, layout: &layout };
    let recipe = recipe(epochs);
    let run = Run {
        machine: &machine,
        graph: &graph,
        model: "bert (small)",
        task: &Mimic,
        training: &source(rest),
        validation: Some(&source(held)),
        recipe: &recipe,
        identity: format!("pretrain_text {epochs} {} {}", sentences.len(), graph.digest()),
        store: &PrefixStore::none(),
        precision: PrecisionChoice::F32,
    };
    let parameters = train(&run, parameters, out.join("state.safetensors"))?;
    finish(&out, &parameters)
}

/// What the teacher says of each sentence, from files where it has said it.
fn taught(teacher: &Path, sentences: &[&str], out: &Path, machine: &Machine) -> Result<Vec<Vec<f32>>> {
    let embedder = Embedder::open(teacher, machine)?.in_precision(Bits::Bf16)?;
    let mut all = Vec::with_capacity(sentences.len());
    for (number, some) in sentences.chunks(CHUNK).enumerate() {
        let file = out.join(format!("taught-{number:03}.safetensors"));
        if !file.exists() {
            let texts: Vec<_> = some.iter().map(|&sentence| (sentence, None)).collect();
            let rows = embedder.embed(&texts)?;
            let shape = [rows.len(), rows.first().map_or(0, Vec::len)];
            let tensor = SaveTensor { name: "embeddings", shape: &shape, values: &rows.concat() };
            save(&file, &[tensor], Precision::F32, &BTreeMap::new())?;
            println!("{} of {} sentences embedded", number * CHUNK + some.len(), sentences.len());
        }
        let numbers = Checkpoint::open(&file)?.f32("embeddings")?;
        all.extend(numbers.chunks_exact(numbers.len() / some.len()).map(<[f32]>::to_vec));
    }
    Ok(all)
}

fn recipe(epochs: usize) -> Recipe {
    Recipe {
        phases: vec![Phase {
            freeze: Freeze::Nothing,
            batch_norm: BatchNorm::Frozen,
            epochs,
            learning_rate: 1e-3,
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
        Event::Step { epoch, step, loss, .. } if step % 100 == 0 => {
            println!("epoch {epoch} step {step} loss {loss:.4} {:.0} s", began.elapsed().as_secs_f64());
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

/// Writes the encoder alone, as sentence-transformers opens it.
fn finish(out: &Path, parameters: &Parameters) -> Result<()> {
    let save_as = |file: &Path, precision: Precision| -> Result<()> {
        let of_encoder = parameters.iter().filter(|(name, _)| !name.starts_with("classifier."));
        let tensors: Vec<(&str, &Tensor)> = of_encoder.collect();
        let tensors = tensors
            .iter()
            .map(|(name, tensor)| Ok(SaveTensor { name, shape: tensor.shape(), values: tensor.as_f32()? }));
        let metadata = [("format".to_owned(), "pt".to_owned())].into_iter().collect();
        Ok(save(file, &tensors.collect::<Result<Vec<_>>>()?, precision, &metadata)?)
    };
    let weights = out.join("model.safetensors");
    save_as(&weights, Precision::F32)?;
    let head = Head::Embedding { pooling: Pooling::Mean };
    let model = Model::load(&Folder::open(out)?, Start::New { head, seed: SEED })?;
    let folder = out.join("encoder");
    std::fs::create_dir_all(&folder).context("the encoder's folder")?;
    save_model(&folder, &Model { is_normalized: true, ..model }, &[])?;
    save_as(&folder.join("model.safetensors"), Precision::Bf16)
}

/// `config.json`. What large networks begin with, 0.02, leaves one of this width nearly the identity, which learns several times slower.
fn config(vocabulary: usize) -> serde_json::Value {
    json!({
        "architectures": ["BertModel"],
        "model_type": "bert",
        "vocab_size": vocabulary,
        "hidden_size": WIDTH,
        "num_hidden_layers": 4,
        "num_attention_heads": 5,
        "intermediate_size": 480,
        "hidden_act": "gelu",
        "max_position_embeddings": 256,
        "type_vocab_size": 2,
        "layer_norm_eps": 1e-12,
        "initializer_range": 0.05,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "pad_token_id": 0,
    })
}
