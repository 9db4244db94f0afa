//! A BERT layer from general operators: token and position embeddings, attention over heads with an additive mask, two lengths.

use tk_engine::cpu::{Machine, Plan, Tape};
use tk_engine::graph::{Activation, Attention, Dimension, Init, Kind, Op, SliceRange};
use tk_engine::testing::{Tolerances, check_gradients, cotangents, fill_all, fill_input};
use tk_engine::{Graph, GraphBuilder, Inference, Optimizer, StepKey, Tensor, TrainSpec, Training, Value};

use super::executors::{Case, close, live_set, resumes_alike, runners, runs_alike, trains_alike};

const WIDTH: usize = 8;
const HEADS: usize = 2;
const TOKENS: usize = 11;
const POSITIONS: usize = 9;

/// How a layer attends.
#[derive(Clone, Copy, Debug)]
enum Attends {
    /// By products, softmax and dropout.
    Piecewise,
    /// As one operator.
    AtOnce,
}

/// Inputs: token numbers `[batch, length]`, and a mask `[batch, 1, 1, length]`, 0 where a token is valid, else very negative.
fn bert(attends: Attends) -> Graph {
    let mut b = GraphBuilder::new();
    let table = |b: &mut GraphBuilder, name: &str, rows: usize| {
        b.parameter(name, &[rows, WIDTH], Kind::Weight, Init::Normal(0.02))
    };
    b.begin_stage("embeddings");
    let tokens = b.input("tokens", 2, None);
    let words = table(&mut b, "embeddings.word_embeddings.weight", TOKENS);
    let positions = table(&mut b, "embeddings.position_embeddings.weight", POSITIONS);
    let words = b.add("words", Op::Gather, &[tokens, words]);
    let places = Op::Slice { axis: 0, range: SliceRange::Like { axis: 1 } };
    let positions = b.add("positions", places, &[positions, tokens]);
    let sum = b.add("sum", Op::Add, &[words, positions]);
    let x = b.layer_norm("embeddings.LayerNorm", sum, 1e-12);
    let x = b.add("embeddings.dropout", Op::Dropout { rate: 0.1 }, &[x]);
    b.end_stage(x);

    b.begin_stage("layer0");
    let mask = b.input("mask", 4, None);
    let heads = ["query", "key", "value"].map(|name| b.linear(&format!("attention.self.{name}"), x, WIDTH));
    let mixed = match attends {
        Attends::Piecewise => attend(&mut b, heads, mask),
        Attends::AtOnce => {
            let op = Op::Attention(Attention { heads: HEADS, dropout: 0.1 });
            b.add("joined", op, &[heads[0], heads[1], heads[2], mask])
        }
    };
    let attended = b.linear("attention.output.dense", mixed, WIDTH);
    let attended = b.add("attention.add", Op::Add, &[attended, x]);
    let attended = b.layer_norm("attention.output.LayerNorm", attended, 1e-12);
    let wide = b.linear("intermediate.dense", attended, 3 * WIDTH);
    let wide = b.activation("gelu", wide, Activation::Gelu);
    let narrow = b.linear("output.dense", wide, WIDTH);
    let out = b.add("output.add", Op::Add, &[narrow, attended]);
    let out = b.layer_norm("output.LayerNorm", out, 1e-12);
    b.end_stage(out);
    b.begin_stage("head");
    let tags = b.linear("classifier", out, 3);
    b.end_stage(tags);
    b.finish(&[("tags", tags), ("hidden", out)]).unwrap()
}

/// Attention by general operators.
fn attend(b: &mut GraphBuilder, projected: [Value; 3], mask: Value) -> Value {
    let [query, key, value] = projected;
    let [query, key, value] =
        [("query", query), ("key", key), ("value", value)].map(|(name, x)| split(b, name, x));
    let scores = b.add("scores", Op::MatMul { transpose_right: true }, &[query, key]);
    let scale = 1.0 / ((WIDTH / HEADS) as f64).sqrt();
    let scores = b.add("scaled", Op::Affine { scale, shift: 0.0 }, &[scores]);
    let scores = b.add("masked", Op::Add, &[scores, mask]);
    let shares = b.add("shares", Op::Softmax, &[scores]);
    let shares = b.add("shares.dropout", Op::Dropout { rate: 0.1 }, &[shares]);
    let mixed = b.add("mixed", Op::MatMul { transpose_right: false }, &[shares, value]);
    let mixed = b.add("mixed.tokens", Op::Permute(vec![0, 2, 1, 3]), &[mixed]);
    let joined = Op::Reshape(vec![Dimension::Same(0), Dimension::Same(1), Dimension::Size(WIDTH)]);
    b.add("joined", joined, &[mixed])
}

/// `[batch, length, width]` to `[batch, heads, length, width / heads]`.
fn split(b: &mut GraphBuilder, name: &str, x: Value) -> Value {
    use Dimension::{Rest, Same, Size};
    let x = b.add(&format!("{name}.heads"), Op::Reshape(vec![Same(0), Same(1), Size(HEADS), Rest]), &[x]);
    b.add(&format!("{name}.by_head"), Op::Permute(vec![0, 2, 1, 3]), &[x])
}

/// Two sentences padded to a length; padding holds the given token.
fn inputs(lengths: [usize; 2], padded: usize, padding: f32) -> Vec<Tensor> {
    let (mut tokens, mut mask) = (Vec::new(), Vec::new());
    for (sentence, length) in lengths.into_iter().enumerate() {
        for position in 0..padded {
            let valid = position < length;
            tokens.push(if valid { ((3 + 5 * position + 2 * sentence) % TOKENS) as f32 } else { padding });
            mask.push(if valid { 0.0 } else { f32::MIN });
        }
    }
    vec![Tensor::new(&[2, padded], tokens).unwrap(), Tensor::new(&[2, 1, 1, padded], mask).unwrap()]
}

fn cases() -> Vec<Case> {
    let case = |attends, length| Case {
        name: format!("BERT layer, attention {attends:?}, length {length}"),
        graph: bert(attends),
        inputs: inputs([length, 3], length, 0.0),
    };
    let both = [Attends::Piecewise, Attends::AtOnce];
    both.into_iter().flat_map(|attends| [5, 8].map(|length| case(attends, length))).collect()
}

#[test]
fn both_forms_are_one_function() {
    let [piecewise, at_once] = [Attends::Piecewise, Attends::AtOnce].map(bert);
    let parameters = fill_all(&piecewise).unwrap();
    let inputs = inputs([8, 3], 8, 0.0);
    for ((executor, mut found), (_, mut expected)) in
        runners(&at_once, &parameters).into_iter().zip(runners(&piecewise, &parameters))
    {
        close(&executor, &found.run(&inputs).unwrap(), &expected.run(&inputs).unwrap(), 1e-5);
    }
}

#[test]
fn two_lengths_run_train_and_resume() {
    for case in cases() {
        runs_alike(&case, Tolerances::SINGLE.outputs);
        trains_alike(&case, Tolerances::SINGLE);
        resumes_alike(&case, Tolerances::SINGLE.outputs);
        assert_eq!(live_set(&case.graph, 0), ["embeddings.dropout"]);
    }
}

#[test]
fn every_node_has_a_kernel() {
    for case in cases() {
        let (machine, parameters) = (Machine::new(2), case.parameters());
        let mut plan = Plan::new(&machine, &case.graph, &parameters).unwrap();
        plan.run(&case.inputs).unwrap();
        assert!(plan.fallbacks().is_empty(), "{}: {:?}", case.name, plan.fallbacks());
        let mut tape = Tape::new(&machine, &case.graph, &parameters, &case.spec()).unwrap();
        tape.forward(&case.inputs, &StepKey { seed: 1, step: 0, samples: vec![0, 1] }).unwrap();
        assert!(tape.fallbacks().is_empty(), "{}: {:?}", case.name, tape.fallbacks());
    }
}

#[test]
fn gradients_are_the_slopes() {
    for case in cases().iter().step_by(2) {
        let spec = TrainSpec { dropout: vec![true; 3], ..case.spec() };
        // A mask of the size that published models use would leave differences nothing but rounding; what is masked is the same.
        let mask = fill_input("mask", case.inputs[1].shape()).unwrap();
        let inputs = [case.inputs[0].clone(), mask];
        check_gradients(&case.graph, &case.parameters(), &inputs, &spec)
            .unwrap_or_else(|error| panic!("{}: {error}", case.name));
    }
}

#[test]
fn padding_does_not_change_valid_positions() {
    [Attends::Piecewise, Attends::AtOnce].map(bert).iter().for_each(padding_is_ignored);
}

fn padding_is_ignored(graph: &Graph) {
    let parameters = fill_all(graph).unwrap();
    let lengths = [5, 3];
    let short = runners(graph, &parameters);
    let long = runners(graph, &parameters);
    for ((executor, mut short), (_, mut long)) in short.into_iter().zip(long) {
        let expected = short.run(&inputs(lengths, 5, 0.0)).unwrap();
        for (padded, padding) in [(5, 7.0), (8, 0.0), (9, 4.0)] {
            let found = long.run(&inputs(lengths, padded, padding)).unwrap();
            for (sentence, length) in lengths.into_iter().enumerate() {
                let valid = |outputs: &[Tensor]| -> Vec<Tensor> {
                    outputs.iter().map(|output| sentence_of(output, sentence, length)).collect()
                };
                let what =
                    format!("{executor}: padded to {padded} with token {padding}, sentence {sentence}");
                close(&what, &valid(&found), &valid(&expected), 1e-6);
            }
        }
    }
}

/// Gradients and values to the last bit.
#[test]
fn bytes_depend_on_neither_threads_nor_companions() {
    let graph = bert(Attends::AtOnce);
    let parameters = fill_all(&graph).unwrap();
    let spec = TrainSpec::everything(&graph, Optimizer::ADAMW);
    let inputs = inputs([8, 5], 8, 0.0);
    let bytes = |threads: usize| {
        let mut tape = Tape::new(&Machine::new(threads), &graph, &parameters, &spec).unwrap();
        let outputs = tape.forward(&inputs, &StepKey { seed: 1, step: 2, samples: vec![3, 4] }).unwrap();
        tape.backward(&cotangents(&outputs).unwrap()).unwrap();
        let names = graph.parameters().iter().map(|spec| &spec.name);
        let gradients: Vec<Tensor> = names.map(|name| tape.gradient(name).unwrap()).collect();
        (outputs, gradients)
    };
    let expected = bytes(1);
    assert!([2, 3].iter().all(|&threads| bytes(threads) == expected));

    let mut plan = Plan::new(&Machine::new(2), &graph, &parameters).unwrap();
    let together = plan.run(&inputs).unwrap();
    for sample in 0..2 {
        let alone: Vec<Tensor> = inputs.iter().map(|input| input.rows(sample, sample + 1).unwrap()).collect();
        for (alone, together) in plan.run(&alone).unwrap().iter().zip(&together) {
            assert_eq!(*alone, together.rows(sample, sample + 1).unwrap(), "sample {sample}");
        }
    }
}

/// The valid positions of one sentence, `[length, channels]`.
fn sentence_of(output: &Tensor, sentence: usize, length: usize) -> Tensor {
    let row = output.rows(sentence, sentence + 1).unwrap();
    let shape = row.shape()[1..].to_vec();
    row.reshaped(&shape).unwrap().rows(0, length).unwrap()
}

#[test]
fn what_does_not_fit_is_refused() {
    let graph = bert(Attends::AtOnce);
    let too_long = graph.infer(&[vec![1, 10], vec![1, 1, 1, 10]]).unwrap_err();
    assert_eq!(
        too_long.to_string(),
        "node `positions` (slice): expected at least 10 along axis 0, found [[9, 8], [1, 10]]"
    );
    for (executor, mut runner) in runners(&graph, &fill_all(&graph).unwrap()) {
        for token in [11.0, -1.0, 0.5, f32::NAN] {
            let mask = Tensor::zeros(&[1, 1, 1, 1]);
            let error = runner.run(&[Tensor::new(&[1, 1], vec![token]).unwrap(), mask]).unwrap_err();
            assert!(error.to_string().contains("words"), "{executor}: {error}");
        }
    }
}
