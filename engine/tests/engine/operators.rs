//! Small graphs: every operator, in its odd settings, behind a linear layer that needs the operator's own input gradient.

use tk_engine::graph::{
    Activation, AdaptivePool, Attention, AveragePool, Conv2d, Convolution, Dimension, Divisor, Init,
    Interpolation, Kind, Op, Reduction, Rotary, SliceRange, Unary, When, Window,
};
use tk_engine::testing::fill_input;
use tk_engine::{GraphBuilder, Tensor, Value};

use super::executors::Case;

/// A graph over one input of the given shape: a linear layer, then what `build` adds.
fn case(name: &str, shape: &[usize], build: impl FnOnce(&mut GraphBuilder, Value) -> Value) -> Case {
    let mut b = GraphBuilder::new();
    b.begin_stage("only");
    let x = b.input("x", shape.len(), shape.last().copied());
    let x = b.linear("before", x, shape[shape.len() - 1]);
    let y = build(&mut b, x);
    b.end_stage(y);
    let graph = b.finish(&[("y", y)]).unwrap();
    Case { name: name.to_owned(), graph, inputs: vec![fill_input(&format!("{name}.x"), shape).unwrap()] }
}

/// One operator of one input.
fn single(name: &str, shape: &[usize], op: Op) -> Case {
    case(name, shape, |b, x| b.add("op", op, &[x]))
}

/// `|x| + 0.5`, smoothly: what roots and divisors need.
fn positive(b: &mut GraphBuilder, x: Value) -> Value {
    let square = b.add("square", Op::Unary(Unary::Square), &[x]);
    b.add("shifted", Op::Affine { scale: 1.0, shift: 0.5 }, &[square])
}

fn parameter(b: &mut GraphBuilder, name: &str, shape: &[usize]) -> Value {
    b.parameter(name, shape, Kind::Weight, Init::Normal(0.1))
}

/// All cases.
pub fn all() -> Vec<Case> {
    [
        convolutions(),
        normalisations(),
        elements(),
        pools(),
        shapes(),
        attentions(),
        distances(),
        regularisers(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn convolutions() -> Vec<Case> {
    // name, input, output channels, kernel, stride, padding, dilation, groups
    type Setting = (&'static str, [usize; 4], usize, [usize; 2], [usize; 2], [usize; 4], [usize; 2], usize);
    let settings: [Setting; 11] = [
        ("3×3, same", [2, 5, 6, 3], 4, [3, 3], [1, 1], [1; 4], [1, 1], 1),
        ("1×1, stride 2", [2, 5, 4, 3], 5, [1, 1], [2, 2], [0; 4], [1, 1], 1),
        ("asymmetric", [1, 7, 6, 2], 3, [3, 2], [2, 1], [1, 0, 2, 1], [1, 2], 1),
        ("larger stride than kernel", [1, 8, 9, 2], 3, [2, 1], [3, 4], [0; 4], [1, 1], 1),
        ("7×7, stride 2", [1, 9, 8, 2], 3, [7, 7], [2, 2], [3; 4], [1, 1], 1),
        ("two groups", [2, 5, 4, 6], 4, [3, 3], [1, 2], [1, 1, 0, 1], [1, 1], 2),
        ("depthwise", [2, 5, 5, 3], 3, [3, 3], [1, 1], [1; 4], [1, 1], 3),
        ("depthwise 5×3, stride 2", [1, 7, 6, 4], 4, [5, 3], [2, 2], [2, 1, 1, 0], [1, 2], 4),
        ("depthwise 5×5, stride 2", [1, 7, 6, 3], 3, [5, 5], [2, 2], [2; 4], [1, 1], 3),
        ("depthwise 7×7", [2, 5, 8, 3], 3, [7, 7], [1, 1], [3; 4], [1, 1], 3),
        ("depthwise, two outputs each", [1, 5, 4, 3], 6, [3, 3], [2, 1], [1; 4], [1, 1], 3),
    ];
    let mut cases: Vec<Case> = Vec::new();
    for (index, (name, shape, out_channels, kernel, stride, padding, dilation, groups)) in
        settings.into_iter().enumerate()
    {
        let walk = Convolution { stride, padding, dilation, groups };
        let conv = Conv2d { out_channels, kernel, walk, bias: index % 2 == 0, init: Init::UniformFanIn };
        cases.push(case(&format!("convolution, {name}"), &shape, |b, x| b.conv2d("op", x, conv)));
    }
    // name, input, weight, horizontal stride, padding, dilation, groups
    type Line = (&'static str, [usize; 3], [usize; 3], usize, [usize; 2], usize, usize);
    let lines: [Line; 3] = [
        ("one axis", [2, 9, 3], [4, 3, 3], 2, [1, 0], 1, 1),
        ("one axis, two groups", [1, 8, 4], [6, 2, 4], 1, [2, 1], 2, 2),
        ("one axis, depthwise", [2, 7, 3], [3, 1, 3], 1, [1, 1], 1, 3),
    ];
    for (name, shape, weight, stride, padding, dilation, groups) in lines {
        // Vertical settings that would not fit: one axis must not look at them.
        let walk = Convolution {
            stride: [5, stride],
            padding: [7, 9, padding[0], padding[1]],
            dilation: [3, dilation],
            groups,
        };
        for biased in [false, true] {
            cases.push(case(&format!("convolution, {name}, biased: {biased}"), &shape, |b, x| {
                let mut inputs = vec![x, parameter(b, "op.weight", &weight)];
                if biased {
                    inputs.push(b.parameter("op.bias", &weight[..1], Kind::Bias, Init::Zeros));
                }
                b.add("op", Op::Convolution(walk), &inputs)
            }));
        }
    }
    cases.push(case("linear", &[3, 4], |b, x| b.linear("op", x, 5)));
    cases.push(case("linear without bias, three axes", &[2, 3, 4], |b, x| {
        let weight = parameter(b, "op.weight", &[5, 4]);
        b.add("op", Op::Linear, &[x, weight])
    }));
    cases
}

fn normalisations() -> Vec<Case> {
    let mut cases = Vec::new();
    for shape in [vec![5, 3], vec![2, 3, 4], vec![2, 3, 2, 3]] {
        cases.push(case(&format!("batch-norm {shape:?}"), &shape, |b, x| b.batch_norm("op", x, 1e-3)));
        cases.push(case(&format!("layer-norm {shape:?}"), &shape, |b, x| b.layer_norm("op", x, 1e-5)));
        cases.push(case(&format!("layer-norm without bias {shape:?}"), &shape, |b, x| {
            let weight = parameter(b, "op.weight", &shape[shape.len() - 1..]);
            b.add("op", Op::LayerNorm { epsilon: 1e-5 }, &[x, weight])
        }));
        cases.push(single(&format!("softmax {shape:?}"), &shape, Op::Softmax));
    }
    for (groups, shape) in [(1, vec![2, 3, 4]), (2, vec![2, 3, 2, 4]), (3, vec![2, 3, 2, 3])] {
        cases.push(case(&format!("group-norm of {groups} {shape:?}"), &shape, |b, x| {
            b.group_norm("op", x, groups, 1e-3)
        }));
    }
    cases
}

fn elements() -> Vec<Case> {
    let shape = [2, 3, 5, 3];
    let mut cases: Vec<Case> = [
        Activation::Relu,
        Activation::Relu6,
        Activation::Gelu,
        Activation::GeluTanh,
        Activation::Silu,
        Activation::HardSwish,
        Activation::HardSigmoid,
        Activation::Sigmoid,
        Activation::Tanh,
    ]
    .into_iter()
    .map(|activation| {
        // Scaled, so that both corners of those that have two are passed.
        case(&format!("{activation:?}"), &shape, |b, x| {
            let wide = b.add("wide", Op::Affine { scale: 6.0, shift: 0.3 }, &[x]);
            b.activation("op", wide, activation)
        })
    })
    .collect();
    cases.push(single("square", &shape, Op::Unary(Unary::Square)));
    cases.push(single("exponential", &shape, Op::Unary(Unary::Exponential)));
    cases.push(single("affine", &shape, Op::Affine { scale: -0.7, shift: 0.2 }));
    cases.push(case("square root", &shape, |b, x| {
        let x = positive(b, x);
        b.add("op", Op::Unary(Unary::SquareRoot), &[x])
    }));
    for (name, op) in [("add", Op::Add), ("multiply", Op::Multiply)] {
        for other in [vec![2, 3, 5, 3], vec![3], vec![2, 1, 1, 3], vec![5, 1], vec![1]] {
            let op = op.clone();
            cases.push(case(&format!("{name} {other:?}"), &shape, |b, x| {
                let other = parameter(b, "other", &other);
                b.add("op", op, &[x, other])
            }));
        }
        let op = op.clone();
        cases.push(case(&format!("{name}, the same value twice"), &shape, |b, x| b.add("op", op, &[x, x])));
    }
    cases.push(case("multiply, the smaller first", &shape, |b, x| {
        let other = parameter(b, "other", &[5, 1]);
        b.add("op", Op::Multiply, &[other, x])
    }));
    cases.push(case("divide", &shape, |b, x| {
        let below = positive(b, x);
        let above = parameter(b, "above", &[3]);
        b.add("op", Op::Divide, &[above, below])
    }));
    cases
}

fn pools() -> Vec<Case> {
    // name, input, kernel, stride, padding, ceil
    let windows = [
        ("2×2", [2, 4, 6, 3], [2, 2], [2, 2], [0; 4], false),
        ("3×3, stride 2, padded", [2, 7, 6, 3], [3, 3], [2, 2], [1; 4], false),
        ("3×3, stride 2, ceil", [1, 6, 8, 2], [3, 3], [2, 2], [0; 4], true),
        ("3×2, stride 2×3, uneven padding, ceil", [1, 8, 7, 2], [3, 2], [2, 3], [1, 0, 0, 1], true),
        ("stride larger than kernel", [1, 7, 8, 2], [2, 2], [3, 3], [0; 4], false),
    ];
    let mut cases = Vec::new();
    for (name, shape, kernel, stride, padding, ceil) in windows {
        let window = Window { kernel, stride, padding, ceil };
        cases.push(single(&format!("max-pool {name}"), &shape, Op::MaxPool(window)));
        for divisor in [Divisor::Inside, Divisor::WithPadding] {
            let pool = AveragePool { window, divisor };
            cases.push(single(&format!("average-pool {name}, {divisor:?}"), &shape, Op::AveragePool(pool)));
        }
    }
    cases.push(single("global average pool, map", &[2, 3, 4, 5], Op::GlobalAveragePool));
    cases.push(single("global average pool, line", &[2, 7, 3], Op::GlobalAveragePool));
    for (size, when) in
        [([3, 2], When::Always), ([7, 9], When::Always), ([7, 4], When::Smaller), ([1, 1], When::Always)]
    {
        let op = Op::AdaptiveAveragePool(AdaptivePool { size, when });
        cases.push(single(&format!("adaptive pool to {size:?}, {when:?}"), &[2, 5, 7, 3], op));
    }
    for interpolation in [Interpolation::Nearest, Interpolation::Bilinear] {
        for like in [[2, 7, 4, 1], [2, 4, 9, 2], [2, 10, 14, 1]] {
            cases.push(case(&format!("resize to {like:?}, {interpolation:?}"), &[2, 5, 7, 3], |b, x| {
                let like = parameter(b, "like", &like);
                // Read, so that it has a gradient.
                let sum =
                    b.add("sum", Op::Reduce { reduction: Reduction::Sum, axes: vec![0, 1, 2, 3] }, &[like]);
                let resized = b.add("op", Op::ResizeLike(interpolation), &[x, like]);
                b.add("used", Op::Add, &[resized, sum])
            }));
        }
    }
    cases
}

fn shapes() -> Vec<Case> {
    use Dimension::{Rest, Same, Size};
    let shape = [2, 3, 4, 5];
    let mut cases = Vec::new();
    for (reduction, axes) in [
        (Reduction::Sum, vec![3]),
        (Reduction::Mean, vec![1, 2]),
        (Reduction::Sum, vec![0, 2]),
        (Reduction::Mean, vec![0, 1, 2, 3]),
    ] {
        cases.push(single(&format!("{reduction:?} over {axes:?}"), &shape, Op::Reduce { reduction, axes }));
    }
    for (axis, other) in [(3, [2, 3, 4, 2]), (1, [2, 1, 4, 5]), (0, [1, 3, 4, 5])] {
        cases.push(case(&format!("concat along {axis}"), &shape, |b, x| {
            let other = parameter(b, "other", &other);
            b.add("op", Op::Concat { axis }, &[x, other, x])
        }));
    }
    for (transpose_right, other) in [(false, [2, 3, 5, 2]), (true, [2, 3, 2, 5])] {
        cases.push(case(&format!("matmul, right transposed: {transpose_right}"), &shape, |b, x| {
            let other = parameter(b, "other", &other);
            b.add("op", Op::MatMul { transpose_right }, &[x, other])
        }));
    }
    cases.push(single(
        "slice",
        &shape,
        Op::Slice { axis: 2, range: SliceRange::Fixed { start: 1, length: 2 } },
    ));
    cases.push(single(
        "slice of channels",
        &shape,
        Op::Slice { axis: 3, range: SliceRange::Fixed { start: 2, length: 3 } },
    ));
    cases.push(case("slice like", &[2, 3, 4], |b, x| {
        let table = parameter(b, "table", &[6, 4]);
        let rows = b.add("op", Op::Slice { axis: 0, range: SliceRange::Like { axis: 1 } }, &[table, x]);
        b.add("used", Op::Add, &[x, rows])
    }));
    cases.push(case("expand like", &[2, 3, 4], |b, x| {
        let token = parameter(b, "token", &[1, 1, 4]);
        let tokens = b.add("op", Op::ExpandLike { axis: 0 }, &[token, x]);
        b.add("joined", Op::Concat { axis: 1 }, &[tokens, x])
    }));
    cases.push(single("permute", &shape, Op::Permute(vec![2, 0, 3, 1])));
    cases.push(single("reshape", &shape, Op::Reshape(vec![Same(0), Rest, Size(10)])));
    cases.push(gather());
    cases
}

/// Another query length than key length, every kind of mask, with and without dropout.
fn attentions() -> Vec<Case> {
    // batch, query, key, heads, width of a head, mask, dropout
    type Setting = ([usize; 5], Option<[usize; 4]>, f64);
    let settings: [Setting; 6] = [
        ([2, 3, 3, 1, 4], None, 0.0),
        ([2, 5, 7, 2, 3], Some([2, 1, 1, 7]), 0.0),
        ([3, 4, 5, 3, 2], Some([1, 3, 4, 5]), 0.3),
        ([2, 1, 6, 2, 5], Some([2, 2, 1, 6]), 0.4),
        ([1, 35, 19, 2, 32], Some([1, 1, 35, 19]), 0.1),
        ([2, 9, 17, 1, 17], None, 0.2),
    ];
    settings
        .into_iter()
        .map(|([batch, query, key, heads, head], mask, dropout)| {
            let width = heads * head;
            let name =
                format!("attention {query}×{key}, {heads} heads of {head}, mask {mask:?}, dropout {dropout}");
            case(&name, &[batch, query, width], |b, x| {
                let mut inputs = vec![x];
                for name in ["key", "value"] {
                    let table = parameter(b, &format!("{name}.table"), &[batch, key, width]);
                    inputs.push(b.linear(name, table, width));
                }
                inputs.extend(mask.map(|mask| parameter(b, "mask", &mask)));
                b.add("op", Op::Attention(Attention { heads, dropout }), &inputs)
            })
        })
        .collect()
}

/// Even and odd lengths, shorter and longer than the distances that have columns of their own, and one position alone.
fn distances() -> Vec<Case> {
    let rotary = |heads, base| Op::Rotary(Rotary { heads, base });
    let columns = |columns: &[usize]| Op::ByDistance { columns: columns.to_vec() };
    vec![
        single("rotary, one head", &[2, 5, 6], rotary(1, 10_000.0)),
        single("rotary, three heads", &[1, 4, 12], rotary(3, 160_000.0)),
        single("rotary, one position", &[3, 1, 4], rotary(2, 10.0)),
        single("by distance", &[2, 3, 5, 4], columns(&[3, 0, 2, 2, 1])),
        single("by distance, near ones alone", &[2, 3, 5], columns(&[0, 1, 2, 3, 4, 3, 2, 1, 0])),
        single("by distance, one position", &[2, 1, 3], columns(&[2])),
    ]
}

/// Repeated rows, so that gradients add up.
fn gather() -> Case {
    let mut b = GraphBuilder::new();
    b.begin_stage("only");
    let indices = b.input("indices", 2, None);
    let table = parameter(&mut b, "table", &[5, 3]);
    let rows = b.add("op", Op::Gather, &[indices, table]);
    b.end_stage(rows);
    let graph = b.finish(&[("rows", rows)]).unwrap();
    let inputs = vec![Tensor::new(&[2, 3], vec![4.0, 0.0, 4.0, 1.0, 4.0, 2.0]).unwrap()];
    Case { name: "gather".into(), graph, inputs }
}

fn regularisers() -> Vec<Case> {
    vec![
        single("dropout", &[3, 4, 5], Op::Dropout { rate: 0.4 }),
        single("drop-path", &[6, 2, 3], Op::DropPath { rate: 0.4 }),
    ]
}
