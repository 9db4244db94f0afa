//! What every operator must pass.

use std::collections::BTreeSet;

use tk_engine::reference::{Precision, Reference};
use tk_engine::testing::{Tolerances, check_gradients};
use tk_engine::{Graph, StepKey, TrainSpec, Training};

use super::executors::{runs_alike, trains_alike};
use super::operators::all;

/// The names of all operators. A new operator belongs here and into the cases.
const OPERATORS: [&str; 31] = [
    "activation",
    "adaptive-average-pool",
    "add",
    "affine",
    "attention",
    "average-pool",
    "batch-norm",
    "by-distance",
    "concat",
    "convolution",
    "divide",
    "drop-path",
    "dropout",
    "expand-like",
    "gather",
    "global-average-pool",
    "input",
    "group-norm",
    "layer-norm",
    "linear",
    "matmul",
    "max-pool",
    "multiply",
    "parameter",
    "permute",
    "reduce",
    "reshape",
    "resize-like",
    "rotary",
    "slice",
    "softmax",
];

fn names(graph: &Graph) -> impl Iterator<Item = &'static str> {
    graph.nodes().iter().map(|node| node.op.name())
}

#[test]
fn the_cases_hold_every_operator() {
    let found: BTreeSet<&str> =
        all().iter().flat_map(|case| names(&case.graph).collect::<Vec<_>>()).collect();
    let expected: BTreeSet<&str> = OPERATORS.into_iter().chain(["unary"]).collect();
    assert_eq!(found, expected);
}

#[test]
fn gradients_are_the_slopes() {
    for case in all() {
        let parameters = case.parameters();
        let trained = case.spec();
        let frozen = TrainSpec { batch_statistics: vec![false], ..trained.clone() };
        // Both modes where there are two.
        let specs = if names(&case.graph).any(|name| name == "batch-norm") {
            vec![trained, frozen]
        } else {
            vec![trained]
        };
        for spec in specs {
            check_gradients(&case.graph, &parameters, &case.inputs, &spec).unwrap_or_else(|error| {
                panic!("{}, batch statistics {:?}: {error}", case.name, spec.batch_statistics)
            });
        }
    }
}

#[test]
fn executors_train_alike() {
    all().iter().for_each(|case| trains_alike(case, Tolerances::SINGLE));
}

#[test]
fn executors_run_alike() {
    all().iter().for_each(|case| runs_alike(case, Tolerances::SINGLE.outputs));
}

/// A mask that depended on companions, or that were the same at every step, would show here.
#[test]
fn dropout_is_named_by_seed_step_and_sample() {
    let cases = all();
    let case = cases.iter().find(|case| case.name == "dropout").unwrap();
    let mut reference =
        Reference::new(&case.graph, &case.parameters(), &case.spec(), Precision::F32).unwrap();
    let mut masks = |seed, step, samples: [u64; 3]| {
        let outputs =
            reference.forward(&case.inputs, &StepKey { seed, step, samples: samples.to_vec() }).unwrap();
        let zeros: Vec<bool> = outputs[0].to_f32().iter().map(|&value| value == 0.0).collect();
        zeros.chunks(20).map(<[bool]>::to_vec).collect::<Vec<_>>()
    };
    let first = masks(1, 1, [7, 8, 9]);
    assert_eq!(first[0], masks(1, 1, [7, 1, 2])[0]);
    assert_eq!(first[0], masks(1, 1, [1, 2, 7])[2]);
    assert_ne!(first[0], first[1]);
    assert_ne!(first, masks(1, 2, [7, 8, 9]));
    assert_ne!(first, masks(2, 1, [7, 8, 9]));
}
