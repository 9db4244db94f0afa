//! The checks themselves: each finds the fault that is planted for it.

use tk_engine::graph::{Activation, Conv2d, Init, Kind, Op};
use tk_engine::reference::{Precision, Reference};
use tk_engine::testing::{
    CheckError, Checked, Tolerances, check_agreement, check_graph, fill_all, fill_input,
};
use tk_engine::{Graph, GraphBuilder, Optimizer, TrainSpec, Value};

use super::executors::RATES;

/// Two stages; `plant` may spoil the first one's result, and adds what it likes.
fn graph(plant: impl FnOnce(&mut GraphBuilder, Value) -> Value) -> Graph {
    let mut b = GraphBuilder::new();
    b.begin_stage("stem");
    let x = b.input("pixels", 4, Some(3));
    let x = b.conv2d("conv", x, Conv2d::same(6, 3));
    let x = b.batch_norm("norm", x, 1e-5);
    let x = b.activation("gelu", x, Activation::Gelu);
    let x = plant(&mut b, x);
    b.end_stage(x);
    b.begin_stage("head");
    let x = b.conv2d("head", x, Conv2d::same(2, 1).with_bias());
    b.end_stage(x);
    b.finish(&[("out", x)]).unwrap()
}

fn check(graph: &Graph) -> Checked {
    check_graph(graph, &[vec![2, 6, 5, 3]])
}

#[test]
fn a_sound_graph_passes() {
    check(&graph(|_, x| x)).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn planted_faults_are_found() {
    let affine =
        |scale| move |b: &mut GraphBuilder, x| b.add("planted", Op::Affine { scale, shift: 0.0 }, &[x]);
    let cases: [(Graph, &str); 4] = [
        (graph(affine(1e-3)), "stem: the deviation of the stage's result is"),
        (graph(affine(100.0)), "stem: the deviation of the stage's result is"),
        (
            graph(|b, x| {
                b.parameter("unread", &[3], Kind::Weight, Init::Ones);
                x
            }),
            "unread: its gradient is zero",
        ),
        (skipped(), "middle: no output depends on the stage's result"),
    ];
    for (graph, expected) in cases {
        let message = check(&graph).unwrap_err().to_string();
        assert!(message.starts_with(expected), "{message}");
    }
}

/// The last stage reads the first, past the middle.
fn skipped() -> Graph {
    let mut b = GraphBuilder::new();
    b.begin_stage("first");
    let x = b.input("pixels", 4, Some(3));
    let first = b.conv2d("conv", x, Conv2d::same(6, 3));
    b.end_stage(first);
    b.begin_stage("middle");
    let middle = b.conv2d("middle", first, Conv2d::same(6, 3));
    b.end_stage(middle);
    b.begin_stage("head");
    let head = b.conv2d("head", first, Conv2d::same(2, 1));
    b.end_stage(head);
    b.finish(&[("out", head)]).unwrap()
}

#[test]
fn executors_that_differ_are_told_apart() {
    let sound = graph(|_, x| x);
    let planted = graph(|b, x| b.add("planted", Op::Affine { scale: 1.001, shift: 0.0 }, &[x]));
    let parameters = fill_all(&sound).unwrap();
    let inputs = [fill_input("pixels", &[2, 6, 5, 3]).unwrap()];
    let sgd =
        |graph: &Graph, momentum| TrainSpec::everything(graph, Optimizer::Sgd { momentum, nesterov: false });
    let frozen = {
        let mut spec = sgd(&sound, 0.9);
        spec.groups[0] = None;
        spec
    };
    let quiet = TrainSpec { batch_statistics: vec![false; 2], ..sgd(&sound, 0.9) };
    let cases = [
        (&planted, sgd(&planted, 0.9), "output 0"),
        (&sound, sgd(&sound, 0.5), "after two updates"),
        (&sound, quiet, "step 0, output 0"),
        (&sound, frozen, "conv.weight"),
    ];
    for (graph, spec, expected) in cases {
        let mut found = Reference::new(graph, &parameters, &spec, Precision::F64).unwrap();
        let mut authority = Reference::new(&sound, &parameters, &sgd(&sound, 0.9), Precision::F64).unwrap();
        let result = check_agreement(&mut found, &mut authority, &inputs, &RATES, Tolerances::SINGLE);
        let error: CheckError = result.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}
