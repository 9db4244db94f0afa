//! Parallel convolutions of several sizes, large ones factorised (Szegedy et al. 2015, arXiv 1512.00567).
//!
//! Stages: `stem`, `Mixed_5b` … `Mixed_7c`, `pool`, `head`. Convolutions of the stem have no padding, so pictures need a side of at least
//! 75 pixels. The auxiliary classifier that served the first training is not built; its weights in a checkpoint are not used.

use tk_engine::blocks::classify;
use tk_engine::graph::{Activation, AveragePool, Conv2d, Divisor, Op, Window};
use tk_engine::{Graph, GraphBuilder, Value};

use super::{Architecture, ArchitectureError, Body, Family, FineTuning, Settings};

/// Inception v3.
pub(super) static FAMILY: Family = Family {
    name: "inception_v3",
    body: Body::Map,
    fine_tuning: FineTuning::CONVOLUTIONAL,
    networks: &NETWORKS,
};

static NETWORKS: [Architecture; 1] =
    [Architecture { name: NAME, family: &FAMILY, head: "fc", renames: &[], graph: build }];

const NAME: &str = "inception_v3";

const BATCH_NORM_EPSILON: f64 = 1e-3;

/// A convolution of a branch: its name within the module, channels and kernel; padded so that the size stays.
type Layer = (&'static str, usize, [usize; 2]);

fn build(settings: &Settings) -> Result<Graph, ArchitectureError> {
    settings.model_args.only(NAME, &[])?;
    settings.without_drop_path(NAME)?;
    let mut b = GraphBuilder::new();
    b.begin_stage("stem");
    let x = b.input("pixels", 4, Some(3));
    let valid = |channels| Conv2d::same(channels, 3).padding(0);
    let x = unit(&mut b, "Conv2d_1a_3x3", x, valid(32).stride(2));
    let x = unit(&mut b, "Conv2d_2a_3x3", x, valid(32));
    let x = unit(&mut b, "Conv2d_2b_3x3", x, Conv2d::same(64, 3));
    let x = halve(&mut b, "Pool1", x);
    let x = unit(&mut b, "Conv2d_3b_1x1", x, Conv2d::same(80, 1));
    let x = unit(&mut b, "Conv2d_4a_3x3", x, valid(192));
    let mut x = halve(&mut b, "Pool2", x);
    b.end_stage(x);

    for (letter, pooled) in [("b", 32), ("c", 64), ("d", 64)] {
        x = module(&mut b, &format!("Mixed_5{letter}"), x, |b, name, x| squares(b, name, x, pooled));
    }
    x = module(&mut b, "Mixed_6a", x, |b, name, x| {
        let single = halving(b, name, x, &[], ("branch3x3", 384));
        let double = [("branch3x3dbl_1", 64, [1, 1]), ("branch3x3dbl_2", 96, [3, 3])];
        let double = halving(b, name, x, &double, ("branch3x3dbl_3", 96));
        vec![single, double, halve(b, &format!("{name}.pool"), x)]
    });
    for (letter, inner) in [("b", 128), ("c", 160), ("d", 160), ("e", 192)] {
        x = module(&mut b, &format!("Mixed_6{letter}"), x, |b, name, x| lines(b, name, x, inner));
    }
    x = module(&mut b, "Mixed_7a", x, |b, name, x| {
        let single = halving(b, name, x, &[("branch3x3_1", 192, [1, 1])], ("branch3x3_2", 320));
        let lines =
            [("branch7x7x3_1", 192, [1, 1]), ("branch7x7x3_2", 192, [1, 7]), ("branch7x7x3_3", 192, [7, 1])];
        let lines = halving(b, name, x, &lines, ("branch7x7x3_4", 192));
        vec![single, lines, halve(b, &format!("{name}.pool"), x)]
    });
    for letter in ["b", "c"] {
        x = module(&mut b, &format!("Mixed_7{letter}"), x, forks);
    }
    Ok(classify(b, x, "fc", settings.classes, settings.drop_rate)?)
}

/// A stage whose result is its branches' results side by side.
fn module(
    b: &mut GraphBuilder,
    name: &str,
    x: Value,
    branches: impl FnOnce(&mut GraphBuilder, &str, Value) -> Vec<Value>,
) -> Value {
    b.begin_stage(name);
    let branches = branches(b, name, x);
    let joined = b.add(&format!("{name}.concat"), Op::Concat { axis: 3 }, &branches);
    b.end_stage(joined);
    joined
}

/// Kernels of 1×1, 5×5 and twice 3×3 (timm's `InceptionA`).
fn squares(b: &mut GraphBuilder, name: &str, x: Value, pooled: usize) -> Vec<Value> {
    vec![
        branch(b, name, x, &[("branch1x1", 64, [1, 1])]),
        branch(b, name, x, &[("branch5x5_1", 48, [1, 1]), ("branch5x5_2", 64, [5, 5])]),
        branch(
            b,
            name,
            x,
            &[("branch3x3dbl_1", 64, [1, 1]), ("branch3x3dbl_2", 96, [3, 3]), ("branch3x3dbl_3", 96, [3, 3])],
        ),
        averaged(b, name, x, pooled),
    ]
}

/// Kernels of 1×1, and of 7×7 once and twice, as rows and columns (timm's `InceptionC`).
fn lines(b: &mut GraphBuilder, name: &str, x: Value, inner: usize) -> Vec<Value> {
    vec![
        branch(b, name, x, &[("branch1x1", 192, [1, 1])]),
        branch(
            b,
            name,
            x,
            &[("branch7x7_1", inner, [1, 1]), ("branch7x7_2", inner, [1, 7]), ("branch7x7_3", 192, [7, 1])],
        ),
        branch(
            b,
            name,
            x,
            &[
                ("branch7x7dbl_1", inner, [1, 1]),
                ("branch7x7dbl_2", inner, [7, 1]),
                ("branch7x7dbl_3", inner, [1, 7]),
                ("branch7x7dbl_4", inner, [7, 1]),
                ("branch7x7dbl_5", 192, [1, 7]),
            ],
        ),
        averaged(b, name, x, 192),
    ]
}

/// Kernels of 1×1, and branches that end in a row beside a column (timm's `InceptionE`).
fn forks(b: &mut GraphBuilder, name: &str, x: Value) -> Vec<Value> {
    let mut fork = |trunk: &[Layer], [row, column]: [&'static str; 2]| {
        let x = branch(b, name, x, trunk);
        let tines = [(row, 384, [1, 3]), (column, 384, [3, 1])].map(|tine| branch(b, name, x, &[tine]));
        b.add(&format!("{name}.{row}.concat"), Op::Concat { axis: 3 }, &tines)
    };
    let single = fork(&[("branch3x3_1", 384, [1, 1])], ["branch3x3_2a", "branch3x3_2b"]);
    let double = [("branch3x3dbl_1", 448, [1, 1]), ("branch3x3dbl_2", 384, [3, 3])];
    let double = fork(&double, ["branch3x3dbl_3a", "branch3x3dbl_3b"]);
    vec![branch(b, name, x, &[("branch1x1", 320, [1, 1])]), single, double, averaged(b, name, x, 192)]
}

/// Convolutions one after the other.
fn branch(b: &mut GraphBuilder, name: &str, x: Value, layers: &[Layer]) -> Value {
    layers.iter().fold(x, |x, &(part, channels, kernel)| {
        unit(b, &format!("{name}.{part}"), x, Conv2d::same(channels, 1).kernel(kernel))
    })
}

/// A branch whose last convolution, of 3×3, halves the map.
fn halving(
    b: &mut GraphBuilder,
    name: &str,
    x: Value,
    layers: &[Layer],
    (last, channels): (&str, usize),
) -> Value {
    let x = branch(b, name, x, layers);
    unit(b, &format!("{name}.{last}"), x, Conv2d::same(channels, 3).padding(0).stride(2))
}

/// The mean of 3×3 pixels, zeros outside the map among them, then a convolution.
fn averaged(b: &mut GraphBuilder, name: &str, x: Value, channels: usize) -> Value {
    let window = Window { kernel: [3; 2], stride: [1; 2], padding: [1; 4], ceil: false };
    let pool = AveragePool { window, divisor: Divisor::WithPadding };
    let x = b.add(&format!("{name}.pool"), Op::AveragePool(pool), &[x]);
    branch(b, name, x, &[("branch_pool", channels, [1, 1])])
}

fn halve(b: &mut GraphBuilder, name: &str, x: Value) -> Value {
    let window = Window { kernel: [3; 2], stride: [2; 2], padding: [0; 4], ceil: false };
    b.add(name, Op::MaxPool(window), &[x])
}

/// A convolution with its norm and activation.
fn unit(b: &mut GraphBuilder, name: &str, x: Value, conv: Conv2d) -> Value {
    let x = b.conv2d(&format!("{name}.conv"), x, conv);
    let x = b.batch_norm(&format!("{name}.bn"), x, BATCH_NORM_EPSILON);
    b.activation(&format!("{name}.act"), x, Activation::Relu)
}
