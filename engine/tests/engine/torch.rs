//! Operators against PyTorch in f64, number by number: outputs, gradients, running statistics.

use tk_engine::graph::{
    Activation, AdaptivePool, AveragePool, Convolution, Divisor, Init, Interpolation, Kind, Op, When, Window,
};
use tk_engine::reference::{Precision, Reference};
use tk_engine::testing::{check_close, cotangents, fill_input, signed};
use tk_engine::{GraphBuilder, Optimizer, Parameters, StepKey, Tensor, TrainSpec, Training, Value};

use super::torch_expected::{EXPECTED, Expected};

/// As in `torch_expected.py`.
const CORNERS: [f32; 9] = [-9.0, -3.0, -1.0, -0.25, 0.0, 0.5, 3.0, 6.0, 9.0];

/// PyTorch's own sums are rounded too, and the stored numbers have 14 digits.
const TOLERANCE: f64 = 1e-12;

struct Torch {
    name: &'static str,
    op: Op,
    tensors: Vec<(&'static str, Vec<usize>)>,
    /// For operators that take a size from a second value.
    like: Option<[usize; 2]>,
}

fn cases() -> Vec<Torch> {
    let conv = |stride, padding, dilation, groups| {
        Op::Convolution(Convolution { stride, padding, dilation, groups })
    };
    let window = Window { kernel: [3; 2], stride: [2; 2], padding: [1; 4], ceil: true };
    let average = |divisor| Op::AveragePool(AveragePool { window, divisor });
    let adaptive = |size| Op::AdaptiveAveragePool(AdaptivePool { size, when: When::Always });
    let norm = Op::BatchNorm { epsilon: 1e-3, momentum: 0.1 };
    let of_norm = || {
        let channels = ["weight", "bias", "mean", "variance"].map(|name| (name, vec![3]));
        [vec![("x", vec![2, 2, 3, 3])], channels.to_vec()].concat()
    };
    let case = |name, op, tensors: Vec<(&'static str, Vec<usize>)>| Torch { name, op, tensors, like: None };
    let conv_case = |name, op, x: [usize; 4], weight: [usize; 4]| {
        case(name, op, vec![("x", x.to_vec()), ("weight", weight.to_vec()), ("bias", vec![weight[0]])])
    };
    let activation =
        |name, activation| case(name, Op::Activation(activation), vec![("corners", vec![CORNERS.len()])]);
    let resize = |name, interpolation, x: [usize; 4], like| Torch {
        name,
        op: Op::ResizeLike(interpolation),
        tensors: vec![("x", x.to_vec())],
        like: Some(like),
    };
    vec![
        conv_case("conv_odd", conv([2, 1], [1, 0, 2, 1], [1, 2], 1), [1, 5, 4, 2], [3, 2, 3, 2]),
        conv_case("conv_groups", conv([2, 1], [1; 4], [1; 2], 2), [1, 4, 3, 4], [4, 2, 3, 3]),
        conv_case("conv_depthwise", conv([1, 2], [1; 4], [1; 2], 2), [1, 3, 4, 2], [4, 1, 3, 3]),
        case("max_pool", Op::MaxPool(window), vec![("halves", vec![1, 6, 5, 2])]),
        case("average_pool_inside", average(Divisor::Inside), vec![("x", vec![1, 6, 5, 2])]),
        case("average_pool_with_padding", average(Divisor::WithPadding), vec![("x", vec![1, 6, 5, 2])]),
        case("adaptive_3_2", adaptive([3, 2]), vec![("x", vec![1, 5, 7, 2])]),
        case("adaptive_7_4", adaptive([7, 4]), vec![("x", vec![1, 5, 7, 1])]),
        case("batch_norm", norm.clone(), of_norm()),
        case("batch_norm_running", norm, of_norm()),
        case(
            "layer_norm",
            Op::LayerNorm { epsilon: 1e-3 },
            vec![("x", vec![2, 2, 4]), ("weight", vec![4]), ("bias", vec![4])],
        ),
        case(
            "instance_norm",
            Op::GroupNorm { groups: 3, epsilon: 1e-3 },
            vec![("x", vec![2, 5, 3]), ("weight", vec![3]), ("bias", vec![3])],
        ),
        case(
            "group_norm",
            Op::GroupNorm { groups: 2, epsilon: 1e-3 },
            vec![("x", vec![2, 5, 6]), ("weight", vec![6]), ("bias", vec![6])],
        ),
        case("softmax", Op::Softmax, vec![("x", vec![3, 4])]),
        activation("relu", Activation::Relu),
        activation("relu6", Activation::Relu6),
        activation("gelu", Activation::Gelu),
        activation("gelu_tanh", Activation::GeluTanh),
        activation("silu", Activation::Silu),
        activation("hard_swish", Activation::HardSwish),
        activation("hard_sigmoid", Activation::HardSigmoid),
        resize("bilinear_5_7", Interpolation::Bilinear, [1, 3, 4, 1], [5, 7]),
        resize("bilinear_2_3", Interpolation::Bilinear, [1, 3, 5, 2], [2, 3]),
        resize("nearest_5_7", Interpolation::Nearest, [1, 3, 4, 1], [5, 7]),
        resize("nearest_2_3", Interpolation::Nearest, [1, 3, 5, 2], [2, 3]),
    ]
}

fn value(case: &str, name: &str, shape: &[usize]) -> Tensor {
    let numbers = signed(&format!("{case}.{name}"), shape.iter().product());
    let numbers = match name {
        "corners" => CORNERS.to_vec(),
        "halves" => numbers.iter().map(|&s| ((s as f32) * 2.0).round() / 2.0).collect(),
        "variance" => numbers.iter().map(|&s| (1.0 + f64::from(s as f32) / 2.0) as f32).collect(),
        _ => numbers.iter().map(|&s| s as f32).collect(),
    };
    Tensor::new(shape, numbers).unwrap()
}

fn kind(name: &str) -> Kind {
    match name {
        "mean" => Kind::RunningMean,
        "variance" => Kind::RunningVariance,
        _ => Kind::Weight,
    }
}

fn check(case: &Torch, expected: &Expected) {
    let mut b = GraphBuilder::new();
    b.begin_stage("only");
    let mut parameters = Parameters::default();
    let mut inputs: Vec<Value> = Vec::new();
    for (name, shape) in &case.tensors {
        inputs.push(b.parameter(name, shape, kind(name), Init::Zeros));
        parameters.set(name, value(case.name, name, shape));
    }
    let like: Vec<Tensor> =
        case.like.iter().map(|size| fill_input("like", &[1, size[0], size[1], 1]).unwrap()).collect();
    if !like.is_empty() {
        inputs.push(b.input("like", 4, Some(1)));
    }
    let y = b.add("op", case.op.clone(), &inputs);
    b.end_stage(y);
    let graph = b.finish(&[("y", y)]).unwrap();
    let mut spec = TrainSpec::everything(&graph, Optimizer::ADAMW);
    spec.batch_statistics = vec![case.name == "batch_norm"];

    let mut reference = Reference::new(&graph, &parameters, &spec, Precision::F64).unwrap();
    let outputs = reference.forward(&like, &StepKey { seed: 0, step: 0, samples: vec![] }).unwrap();
    // PyTorch's gradient of this one multiplies by a sixth in f32, whatever the precision.
    let tolerance = if case.name == "hard_sigmoid" { 1e-7 } else { TOLERANCE };
    let same = |what: &str, found: &Tensor, expected: &[f64]| {
        let expected = Tensor::new_f64(found.shape(), expected.to_vec()).unwrap();
        check_close(&format!("{}, {what}", case.name), found, &expected, tolerance)
            .unwrap_or_else(|error| panic!("{error}"));
    };
    same("output", &outputs[0], expected.output);
    reference.backward(&cotangents(&outputs).unwrap()).unwrap();
    for (name, left) in expected.left {
        match kind(name).is_trainable() {
            true => same(&format!("gradient of {name}"), &reference.gradient(name).unwrap(), left),
            false => same(name, reference.parameters().unwrap().get(name).unwrap(), left),
        }
    }
}

#[test]
fn operators_are_those_of_torch() {
    let cases = cases();
    assert_eq!(
        cases.iter().map(|case| case.name).collect::<Vec<_>>(),
        EXPECTED.iter().map(|expected| expected.name).collect::<Vec<_>>()
    );
    cases.iter().zip(EXPECTED).for_each(|(case, expected)| check(case, expected));
}
