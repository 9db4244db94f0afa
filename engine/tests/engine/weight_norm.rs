//! A weight-normed grouped convolution over one axis, as wav2vec 2.0 embeds positions: the weight is `g · v / ‖v‖`, with the norm over
//! all axes but that of the kernel, made of parameter nodes and arithmetic.

use tk_engine::cpu::{Machine, Plan, Tape};
use tk_engine::graph::{Activation, Convolution, Init, Kind, Op, Reduction, Unary};
use tk_engine::reference::{Precision, Reference};
use tk_engine::testing::{Tolerances, check_gradients, check_graph, fill_input};
use tk_engine::{Graph, GraphBuilder, Inference, StepKey, Training};

use super::executors::{Case, live_set, resumes_alike, runs_alike, trains_alike};

const CHANNELS: usize = 6;
const GROUPS: usize = 2;
const KERNEL: usize = 4;

fn weight_normed() -> Graph {
    let mut b = GraphBuilder::new();
    b.begin_stage("features");
    let x = b.input("waves", 3, Some(3));
    let x = b.linear("project", x, CHANNELS);
    b.end_stage(x);
    b.begin_stage("positions");
    let g = b.parameter("conv.weight_g", &[1, 1, KERNEL], Kind::Weight, Init::Ones);
    let v =
        b.parameter("conv.weight_v", &[CHANNELS, CHANNELS / GROUPS, KERNEL], Kind::Weight, Init::Normal(0.1));
    let bias = b.parameter("conv.bias", &[CHANNELS], Kind::Bias, Init::Zeros);
    let squares = b.add("squares", Op::Unary(Unary::Square), &[v]);
    let sum = b.add("sum", Op::Reduce { reduction: Reduction::Sum, axes: vec![0, 1] }, &[squares]);
    let norm = b.add("norm", Op::Unary(Unary::SquareRoot), &[sum]);
    let direction = b.add("direction", Op::Divide, &[v, norm]);
    let weight = b.add("weight", Op::Multiply, &[direction, g]);
    let walk = Convolution { stride: [1, 1], padding: [0, 0, 2, 1], dilation: [1, 1], groups: GROUPS };
    let positions = b.add("conv", Op::Convolution(walk), &[x, weight, bias]);
    let positions = b.activation("gelu", positions, Activation::Gelu);
    let sum = b.add("add", Op::Add, &[x, positions]);
    b.end_stage(sum);
    b.begin_stage("head");
    let out = b.linear("head", sum, 2);
    b.end_stage(out);
    b.finish(&[("out", out)]).unwrap()
}

fn case() -> Case {
    let inputs = vec![fill_input("waves", &[2, 9, 3]).unwrap()];
    Case { name: "weight-normed convolution".into(), graph: weight_normed(), inputs }
}

#[test]
fn it_runs_trains_and_resumes() {
    let case = case();
    assert_eq!(live_set(&case.graph, 0), ["project"]);
    runs_alike(&case, Tolerances::SINGLE.outputs);
    trains_alike(&case, Tolerances::SINGLE);
    resumes_alike(&case, Tolerances::SINGLE.outputs);
}

#[test]
fn it_runs_by_kernels_alone() {
    let case = case();
    let machine = Machine::new(2);
    let mut plan = Plan::new(&machine, &case.graph, &case.parameters()).unwrap();
    plan.run(&case.inputs).unwrap();
    assert_eq!(plan.fallbacks(), [""; 0]);
    let mut tape = Tape::new(&machine, &case.graph, &case.parameters(), &case.spec()).unwrap();
    tape.forward(&case.inputs, &StepKey { seed: 0, step: 0, samples: vec![0, 1] }).unwrap();
    assert_eq!(tape.fallbacks(), [""; 0]);
}

#[test]
fn gradients_are_the_slopes() {
    let case = case();
    check_gradients(&case.graph, &case.parameters(), &case.inputs, &case.spec())
        .unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn it_conforms() {
    check_graph(&weight_normed(), &[vec![2, 9, 3]]).unwrap_or_else(|error| panic!("{error}"));
}

/// The length of `v` does not matter, so its gradient is orthogonal to it within each position of the kernel.
#[test]
fn no_gradient_goes_along_the_direction() {
    let case = case();
    let parameters = case.parameters();
    let mut reference = Reference::new(&case.graph, &parameters, &case.spec(), Precision::F64).unwrap();
    let outputs =
        reference.forward(&case.inputs, &StepKey { seed: 0, step: 0, samples: vec![0, 1] }).unwrap();
    reference.backward(&tk_engine::testing::cotangents(&outputs).unwrap()).unwrap();
    let v = parameters.get("conv.weight_v").unwrap().to_f64();
    let gradient = reference.gradient("conv.weight_v").unwrap().to_f64();
    assert!(gradient.iter().any(|number| number.abs() > 0.01));
    for position in 0..KERNEL {
        let along: f64 = (position..v.len()).step_by(KERNEL).map(|at| v[at] * gradient[at]).sum();
        assert!(along.abs() < 1e-12, "position {position}: {along}");
    }
}
