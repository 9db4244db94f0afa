//! Blocks of convolutional networks, which executors fuse, in arrangements that tempt them to fuse what they must not.

use tk_engine::cpu::{Machine, Tape};
use tk_engine::graph::{Activation, Conv2d, Op, Window};
use tk_engine::testing::{Tolerances, fill_input};
use tk_engine::{GraphBuilder, StepKey, TrainSpec, Training, Value};

use super::executors::{Case, runs_alike, trains_alike_as};

/// Sums over a batch of maps in f32, through a few batch-norms, each of which divides by a deviation.
const TOLERANCES: Tolerances = Tolerances { outputs: 1e-4, gradients: 5e-4, parameters: 5e-5 };

/// A stem and a block as one stage each; the input is `[4, 9, 7, 3]`: of so many images, plans run
/// inverted residuals as one step.
fn case(name: &str, build: impl FnOnce(&mut GraphBuilder, Value) -> Vec<Value>) -> Case {
    let mut b = GraphBuilder::new();
    b.begin_stage("stem");
    let x = b.input("pixels", 4, Some(3));
    let x = conv_norm(&mut b, "stem", x, Conv2d::same(8, 3));
    let x = b.activation("stem.relu", x, Activation::Relu);
    b.end_stage(x);
    b.begin_stage("block");
    let outputs = build(&mut b, x);
    b.end_stage(outputs[0]);
    let names: Vec<String> = (0..outputs.len()).map(|number| format!("output{number}")).collect();
    let outputs: Vec<(&str, Value)> = names.iter().map(String::as_str).zip(outputs).collect();
    let graph = b.finish(&outputs).unwrap();
    Case { name: name.to_owned(), graph, inputs: vec![fill_input("pixels", &[4, 9, 7, 3]).unwrap()] }
}

fn conv_norm(b: &mut GraphBuilder, name: &str, x: Value, conv: Conv2d) -> Value {
    let y = b.conv2d(&format!("{name}.conv"), x, conv);
    b.batch_norm(&format!("{name}.norm"), y, 1e-5)
}

fn add(b: &mut GraphBuilder, name: &str, summands: [Value; 2]) -> Value {
    b.add(name, Op::Add, &summands)
}

fn all() -> Vec<Case> {
    [residuals(), mobile(), plain(), shared(), paired()].into_iter().flatten().collect()
}

/// Blocks with a low-rank pair beside every layer that takes one.
fn paired() -> Vec<Case> {
    let blocks = [residuals(), mobile(), plain()].map(|cases| cases.into_iter().next().unwrap());
    let paired = |Case { name, graph, inputs }: Case| {
        let takes =
            |name: &str| graph.nodes().iter().any(|node| node.name == name && graph.takes_low_rank(node));
        Case {
            name: format!("{name}, with low-rank pairs"),
            graph: graph.low_rank(takes, 2, 3.0).unwrap(),
            inputs,
        }
    };
    blocks.map(paired).into()
}

fn residuals() -> Vec<Case> {
    let basic = |b: &mut GraphBuilder, x: Value, stride: usize| {
        let y = conv_norm(b, "one", x, Conv2d::same(8, 3).stride(stride));
        let y = b.activation("one.relu", y, Activation::Relu);
        conv_norm(b, "two", y, Conv2d::same(8, 3))
    };
    vec![
        case("residual", |b, x| {
            let y = basic(b, x, 1);
            let sum = add(b, "sum", [y, x]);
            vec![b.activation("relu", sum, Activation::Relu)]
        }),
        case("residual, shortcut first", |b, x| {
            let y = basic(b, x, 1);
            let sum = add(b, "sum", [x, y]);
            vec![b.activation("relu", sum, Activation::Relu)]
        }),
        case("residual with a convolved shortcut, made after the branch", |b, x| {
            let y = basic(b, x, 2);
            let shortcut = conv_norm(b, "shortcut", x, Conv2d::same(8, 1).stride(2));
            let sum = add(b, "sum", [y, shortcut]);
            vec![b.activation("relu", sum, Activation::Relu)]
        }),
        case("residual with a convolved shortcut, made before the branch", |b, x| {
            let shortcut = conv_norm(b, "shortcut", x, Conv2d::same(8, 1).stride(2));
            let y = basic(b, x, 2);
            let sum = add(b, "sum", [y, shortcut]);
            vec![b.activation("relu", sum, Activation::Relu)]
        }),
        case("two residuals", |b, x| {
            let y = basic(b, x, 1);
            let sum = add(b, "sum", [y, x]);
            let x = b.activation("relu", sum, Activation::Relu);
            let y = conv_norm(b, "three", x, Conv2d::same(8, 3));
            let sum = add(b, "sum2", [y, x]);
            vec![b.activation("relu2", sum, Activation::Relu)]
        }),
    ]
}

fn mobile() -> Vec<Case> {
    let inverted = |b: &mut GraphBuilder, x: Value, drop_path: f64| {
        let y = conv_norm(b, "expand", x, Conv2d::same(16, 1));
        let y = b.activation("expand.relu6", y, Activation::Relu6);
        let y = conv_norm(b, "depthwise", y, Conv2d::same(16, 3).groups(16));
        let y = b.activation("depthwise.relu6", y, Activation::Relu6);
        let y = conv_norm(b, "project", y, Conv2d::same(8, 1));
        let y = if drop_path > 0.0 { b.add("drop", Op::DropPath { rate: drop_path }, &[y]) } else { y };
        add(b, "sum", [y, x])
    };
    vec![
        case("inverted residual", |b, x| vec![inverted(b, x, 0.0)]),
        case("inverted residual with drop-path and a head", |b, x| {
            let y = inverted(b, x, 0.3);
            let pooled = b.add("pool", Op::GlobalAveragePool, &[y]);
            let pooled = b.add("dropout", Op::Dropout { rate: 0.2 }, &[pooled]);
            vec![b.linear("head", pooled, 5)]
        }),
        case("inverted residual whose wide values are outputs", |b, x| {
            let wide = conv_norm(b, "expand", x, Conv2d::same(40, 1));
            let wide = b.activation("expand.relu6", wide, Activation::Relu6);
            let y = conv_norm(b, "depthwise", wide, Conv2d::same(40, 3).groups(40));
            vec![conv_norm(b, "project", y, Conv2d::same(8, 1)), wide]
        }),
        case("inverted residual plus what is made within it", |b, x| {
            let y = conv_norm(b, "expand", x, Conv2d::same(40, 1));
            let shortcut = conv_norm(b, "shortcut", x, Conv2d::same(8, 1));
            let y = conv_norm(b, "depthwise", y, Conv2d::same(40, 3).groups(40));
            let y = conv_norm(b, "project", y, Conv2d::same(8, 1));
            let sum = add(b, "sum", [y, shortcut]);
            vec![b.activation("relu", sum, Activation::Relu)]
        }),
        case("depthwise and narrowing, stride 2, then hard swish", |b, x| {
            let y = conv_norm(b, "depthwise", x, Conv2d::same(8, 5).stride(2).groups(8));
            let y = b.activation("depthwise.relu", y, Activation::Relu);
            let y = conv_norm(b, "project", y, Conv2d::same(5, 1));
            let y = b.activation("relu6", y, Activation::Relu6);
            let y = conv_norm(b, "depthwise2", y, Conv2d::same(5, 3).groups(5));
            let y = conv_norm(b, "project2", y, Conv2d::same(8, 1));
            vec![b.activation("swish", y, Activation::HardSwish)]
        }),
        case("depthwise, stride 2, hard swish", |b, x| {
            let y = conv_norm(b, "depthwise", x, Conv2d::same(8, 5).stride(2).groups(8));
            vec![b.activation("swish", y, Activation::HardSwish)]
        }),
    ]
}

fn plain() -> Vec<Case> {
    vec![
        case("convolutions with biases, pooled", |b, x| {
            let y = b.conv2d("one", x, Conv2d::same(6, 3).with_bias());
            let y = b.activation("one.relu", y, Activation::Relu);
            let window = Window { kernel: [2; 2], stride: [2; 2], padding: [0; 4], ceil: true };
            let y = b.add("pool", Op::MaxPool(window), &[y]);
            let y = b.conv2d("two", y, Conv2d::same(4, 3).with_bias());
            vec![b.activation("two.relu", y, Activation::Relu)]
        }),
        case("convolution, sum, rectifier, without a norm", |b, x| {
            let y = b.conv2d("one", x, Conv2d::same(8, 3).with_bias());
            let sum = add(b, "sum", [y, x]);
            vec![b.activation("relu", sum, Activation::Relu6)]
        }),
        case("branches joined", |b, x| {
            let one = conv_norm(b, "one", x, Conv2d::same(4, 1));
            let one = b.activation("one.relu", one, Activation::Relu);
            let two = conv_norm(b, "two", x, Conv2d::same(5, 3));
            let two = b.activation("two.relu", two, Activation::Relu);
            vec![b.add("joined", Op::Concat { axis: 3 }, &[one, x, two])]
        }),
    ]
}

/// Values between the links of a chain that something else reads too.
fn shared() -> Vec<Case> {
    vec![
        case("a convolution read by its norm and by a sum", |b, x| {
            let y = b.conv2d("one", x, Conv2d::same(8, 3));
            let normed = b.batch_norm("norm", y, 1e-5);
            vec![add(b, "sum", [normed, y])]
        }),
        case("a norm read by a rectifier and as an output", |b, x| {
            let y = conv_norm(b, "one", x, Conv2d::same(8, 3));
            vec![b.activation("relu", y, Activation::Relu), y]
        }),
        case("a sum of a value with itself", |b, x| {
            let y = conv_norm(b, "one", x, Conv2d::same(8, 3));
            let sum = add(b, "sum", [y, y]);
            vec![b.activation("relu", sum, Activation::Relu)]
        }),
        case("a sum read twice", |b, x| {
            let y = conv_norm(b, "one", x, Conv2d::same(8, 3));
            let sum = add(b, "sum", [y, x]);
            let relu = b.activation("relu", sum, Activation::Relu);
            vec![add(b, "sum2", [relu, sum])]
        }),
        case("a norm of a sum, before its convolution", |b, x| {
            let y = b.conv2d("one", x, Conv2d::same(8, 3));
            let sum = add(b, "sum", [y, x]);
            let normed = b.batch_norm("norm", sum, 1e-5);
            let relu = b.activation("relu", normed, Activation::Relu);
            vec![b.conv2d("two", relu, Conv2d::same(3, 1)), sum]
        }),
    ]
}

/// Ways of training part of a graph: all; the later stage alone; every second parameter; statistics of the batch in one stage only.
fn specs(case: &Case) -> Vec<(&'static str, TrainSpec)> {
    let all = TrainSpec {
        groups: case.spec().groups.iter().map(|group| group.map(|_| 1)).collect(),
        ..case.spec()
    };
    let stages = case.graph.parameter_stages();
    let mut later =
        TrainSpec { batch_statistics: vec![false, true], dropout: vec![false, true], ..all.clone() };
    later
        .groups
        .iter_mut()
        .zip(&stages)
        .filter(|(_, stage)| **stage == 0)
        .for_each(|(group, _)| *group = None);
    let mut half = all.clone();
    half.groups.iter_mut().step_by(2).for_each(|group| *group = None);
    let mut other_half = TrainSpec { batch_statistics: vec![true, false], ..all.clone() };
    other_half.groups.iter_mut().skip(1).step_by(2).for_each(|group| *group = None);
    let running = TrainSpec { batch_statistics: vec![false; 2], ..all.clone() };
    vec![
        ("all", all),
        ("running statistics", running),
        ("the later stage", later),
        ("one half", half),
        ("the other half", other_half),
    ]
}

#[test]
fn executors_run_alike() {
    all().iter().for_each(|case| runs_alike(case, TOLERANCES.outputs));
}

#[test]
fn executors_train_alike_whatever_is_frozen() {
    for mut case in all() {
        let name = case.name.clone();
        for (what, spec) in specs(&case) {
            case.name = format!("{name}, trained: {what}");
            trains_alike_as(&case, &spec, TOLERANCES);
        }
    }
}

#[test]
fn every_node_has_a_kernel() {
    let machine = Machine::new(1);
    for case in all() {
        let mut tape = Tape::new(&machine, &case.graph, &case.parameters(), &case.spec()).unwrap();
        tape.forward(&case.inputs, &StepKey { seed: 0, step: 0, samples: vec![0, 1, 2, 3] }).unwrap();
        assert_eq!(tape.fallbacks(), [""; 0], "{}", case.name);
    }
}
