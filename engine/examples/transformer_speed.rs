//! Sentences per second of a small encoder (6 layers, width 384, 12 heads, as MiniLM), for inference and for training with AdamW.
//!
//! `cargo run --release -p tk-engine --example transformer_speed -- [THREADS]`; `transformer_speed.py` beside it measures PyTorch.

use std::time::Instant;

use tk_engine::cpu::{Machine, Plan, Tape};
use tk_engine::graph::{Activation, Attention, Dimension, GraphError, Init, Kind, Op, SliceRange};
use tk_engine::{
    EngineError, Graph, GraphBuilder, GroupRate, Inference, Optimizer, Parameters, StepKey, Tensor,
    TrainSpec, Training, Value,
};

const BATCH: usize = 32;
const LENGTH: usize = 26;
const LAYERS: usize = 6;
const WIDTH: usize = 384;
const HEADS: usize = 12;
const INNER: usize = 1536;
const WORDS: usize = 30522;
const POSITIONS: usize = 512;
const DROPOUT: f64 = 0.1;
/// Passes that are timed; the median counts.
const ROUNDS: usize = 15;

fn main() -> Result<(), EngineError> {
    let threads = std::env::args().nth(1).and_then(|word| word.parse().ok()).unwrap_or(2);
    let machine = Machine::new(threads);
    let graph = encoder()?;
    let parameters = Parameters::initial(&graph, 1);
    let words = (0..BATCH * LENGTH).map(|index| (index * 7919 % WORDS) as f32).collect();
    let inputs = [
        Tensor::new(&[BATCH, LENGTH], words)?,
        Tensor::zeros(&[BATCH, LENGTH]),
        Tensor::zeros(&[BATCH, 1, 1, LENGTH]),
    ];
    println!("{} on {} threads, {BATCH} × {LENGTH} tokens", machine.isa.name(), machine.pool.threads());

    let mut plan = Plan::new(&machine, &graph, &parameters)?;
    report("inference", || plan.run(&inputs).map(|_| ()))?;
    assert!(plan.fallbacks().is_empty(), "nodes without a kernel: {:?}", plan.fallbacks());

    let spec = TrainSpec::everything(&graph, Optimizer::ADAMW);
    let mut tape = Tape::new(&machine, &graph, &parameters, &spec)?;
    let gradients = [Tensor::new(&[BATCH, 2], vec![0.01; BATCH * 2])?];
    let key = StepKey { seed: 1, step: 0, samples: (0..BATCH as u64).collect() };
    let rate = [GroupRate { learning_rate: 1e-5, weight_decay: 0.01 }];
    report("training", || {
        tape.forward(&inputs, &key)?;
        tape.backward(&gradients)?;
        tape.update(&rate, 1.0)
    })?;
    let mut phases = [0.0; 3];
    for _ in 0..ROUNDS {
        let start = Instant::now();
        tape.forward(&inputs, &key)?;
        phases[0] += start.elapsed().as_secs_f64();
        tape.backward(&gradients)?;
        phases[1] += start.elapsed().as_secs_f64();
        tape.update(&rate, 1.0)?;
        phases[2] += start.elapsed().as_secs_f64();
    }
    let [forward, backward, update] = phases.map(|seconds| 1e3 * seconds / ROUNDS as f64);
    println!(
        "forward {forward:.1} ms, backward {:.1} ms, update {:.1} ms",
        backward - forward,
        update - backward
    );
    Ok(())
}

/// Prints what the median of some passes comes to.
fn report(what: &str, mut pass: impl FnMut() -> Result<(), EngineError>) -> Result<(), EngineError> {
    pass()?;
    let mut seconds = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        pass()?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    let (median, best) = (seconds[ROUNDS / 2], seconds[0]);
    println!(
        "{what}: {:.0} sentences/s, {:.1} ms (best {:.1} ms)",
        BATCH as f64 / median,
        1e3 * median,
        1e3 * best
    );
    Ok(())
}

/// Inputs: tokens and token types, `[batch, length]`, and an additive mask, `[batch, 1, 1, length]`; output: logits, `[batch, 2]`.
fn encoder() -> Result<Graph, GraphError> {
    let mut b = GraphBuilder::new();
    b.begin_stage("embeddings");
    let tokens = b.input("tokens", 2, None);
    let types = b.input("token_types", 2, None);
    let mask = b.input("mask", 4, None);
    let mut table =
        |name: &str, rows: usize| b.parameter(name, &[rows, WIDTH], Kind::Weight, Init::Normal(0.02));
    let (words, places, kinds) = (table("words", WORDS), table("positions", POSITIONS), table("types", 2));
    let words = b.add("words.rows", Op::Gather, &[tokens, words]);
    let kinds = b.add("types.rows", Op::Gather, &[types, kinds]);
    let range = Op::Slice { axis: 0, range: SliceRange::Like { axis: 1 } };
    let places = b.add("positions.rows", range, &[places, tokens]);
    let sum = b.add("sum.types", Op::Add, &[words, kinds]);
    let sum = b.add("sum", Op::Add, &[sum, places]);
    let x = b.layer_norm("embeddings.norm", sum, 1e-12);
    let mut x = b.add("embeddings.dropout", Op::Dropout { rate: DROPOUT }, &[x]);
    b.end_stage(x);
    for layer in 0..LAYERS {
        b.begin_stage(&format!("layer{layer}"));
        x = encode(&mut b, &format!("layer{layer}"), x, mask);
        b.end_stage(x);
    }
    b.begin_stage("head");
    let first = Op::Slice { axis: 1, range: SliceRange::Fixed { start: 0, length: 1 } };
    let first = b.add("first", first, &[x]);
    let shape = Op::Reshape(vec![Dimension::Same(0), Dimension::Size(WIDTH)]);
    let first = b.add("first.flat", shape, &[first]);
    let pooled = b.linear("pooler", first, WIDTH);
    let pooled = b.activation("tanh", pooled, Activation::Tanh);
    let logits = b.linear("classifier", pooled, 2);
    b.end_stage(logits);
    b.finish(&[("logits", logits)])
}

/// A post-norm layer.
fn encode(b: &mut GraphBuilder, name: &str, x: Value, mask: Value) -> Value {
    let [query, key, value] =
        ["query", "key", "value"].map(|part| b.linear(&format!("{name}.{part}"), x, WIDTH));
    let attention = Op::Attention(Attention { heads: HEADS, dropout: DROPOUT });
    let mixed = b.add(&format!("{name}.attention"), attention, &[query, key, value, mask]);
    let attended = residual(b, &format!("{name}.attended"), mixed, x);
    let wide = b.linear(&format!("{name}.wide"), attended, INNER);
    let wide = b.activation(&format!("{name}.gelu"), wide, Activation::Gelu);
    residual(b, &format!("{name}.output"), wide, attended)
}

/// `norm(dropout(linear(branch)) + shortcut)`.
fn residual(b: &mut GraphBuilder, name: &str, branch: Value, shortcut: Value) -> Value {
    let y = b.linear(&format!("{name}.dense"), branch, WIDTH);
    let y = b.add(&format!("{name}.dropout"), Op::Dropout { rate: DROPOUT }, &[y]);
    let y = b.add(&format!("{name}.add"), Op::Add, &[y, shortcut]);
    b.layer_norm(&format!("{name}.norm"), y, 1e-12)
}
