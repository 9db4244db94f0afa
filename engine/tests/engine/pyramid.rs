//! One convolution on three levels of a feature pyramid: one parameter read by three nodes, whose gradients add up.

use tk_engine::graph::{Activation, Conv2d, Convolution, Init, Interpolation, Kind, Op};
use tk_engine::reference::{Precision, Reference};
use tk_engine::testing::{Tolerances, check_gradients, check_graph, cotangents, fill_input};
use tk_engine::{Graph, GraphBuilder, Optimizer, StepKey, Tensor, TrainSpec, Training};

use super::executors::{Case, live_set, resumes_alike, runs_alike, trains_alike};

fn pyramid() -> Graph {
    let mut b = GraphBuilder::new();
    let mut levels = Vec::new();
    let mut x = None;
    for (index, stride) in [1, 2, 2].into_iter().enumerate() {
        let name = format!("level{index}");
        b.begin_stage(&name);
        let below = x.unwrap_or_else(|| b.input("pixels", 4, Some(3)));
        let y = b.conv2d(&format!("{name}.conv"), below, Conv2d::same(4, 3).stride(stride));
        let y = b.activation(&format!("{name}.relu"), y, Activation::Relu);
        b.end_stage(y);
        levels.push(y);
        x = Some(y);
    }
    b.begin_stage("pyramid");
    let up = b.add("up", Op::ResizeLike(Interpolation::Nearest), &[levels[2], levels[1]]);
    levels[1] = b.add("merged", Op::Add, &[up, levels[1]]);
    b.end_stage(levels[1]);
    b.begin_stage("head");
    let walk = Convolution { stride: [1; 2], padding: [1; 4], dilation: [1; 2], groups: 1 };
    let mut outputs = Vec::new();
    for (index, &level) in levels.iter().enumerate() {
        let weight = b.parameter("head.weight", &[2, 4, 3, 3], Kind::Weight, Init::KaimingNormalFanOut);
        let bias = b.parameter("head.bias", &[2], Kind::Bias, Init::Zeros);
        outputs.push(b.add(&format!("head{index}"), Op::Convolution(walk), &[level, weight, bias]));
    }
    b.end_stage(outputs[2]);
    b.finish(&[("fine", outputs[0]), ("middle", outputs[1]), ("coarse", outputs[2])]).unwrap()
}

fn case() -> Case {
    Case {
        name: "pyramid".into(),
        graph: pyramid(),
        inputs: vec![fill_input("pixels", &[2, 9, 7, 3]).unwrap()],
    }
}

#[test]
fn it_runs_trains_and_resumes() {
    let case = case();
    assert_eq!(case.graph.parameters().iter().filter(|p| p.name == "head.weight").count(), 1);
    assert_eq!(live_set(&case.graph, 2), ["level0.relu", "level1.relu", "level2.relu"]);
    assert_eq!(live_set(&case.graph, 3), ["level0.relu", "level2.relu", "merged"]);
    runs_alike(&case, Tolerances::SINGLE.outputs);
    trains_alike(&case, Tolerances::SINGLE);
    resumes_alike(&case, Tolerances::SINGLE.outputs);
}

#[test]
fn gradients_are_the_slopes() {
    let case = case();
    check_gradients(&case.graph, &case.parameters(), &case.inputs, &case.spec())
        .unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn it_conforms() {
    check_graph(&pyramid(), &[vec![2, 9, 7, 3]]).unwrap_or_else(|error| panic!("{error}"));
}

/// The gradient for all three outputs is the sum of those for each alone, and each alone is something.
#[test]
fn gradients_of_the_levels_add_up() {
    let case = case();
    let spec = TrainSpec::everything(&case.graph, Optimizer::ADAMW);
    let key = StepKey { seed: 0, step: 0, samples: vec![0, 1] };
    let mut reference = Reference::new(&case.graph, &case.parameters(), &spec, Precision::F64).unwrap();
    let mut gradient = |levels: &[usize]| {
        let start = reference.save().unwrap();
        let outputs = reference.forward(&case.inputs, &key).unwrap();
        let all = cotangents(&outputs).unwrap();
        let of_levels: Vec<Tensor> =
            (0..3)
                .map(|level| {
                    if levels.contains(&level) {
                        all[level].clone()
                    } else {
                        Tensor::zeros(all[level].shape())
                    }
                })
                .collect();
        reference.backward(&of_levels).unwrap();
        let gradient = reference.gradient("head.weight").unwrap().to_f64();
        reference.restore(&start).unwrap();
        gradient
    };
    let (all, alone) = (gradient(&[0, 1, 2]), [0, 1, 2].map(|level| gradient(&[level])));
    assert!(alone.iter().all(|gradient| gradient.iter().any(|number| number.abs() > 0.1)));
    for (at, sum) in all.iter().enumerate() {
        let parts: f64 = alone.iter().map(|gradient| gradient[at]).sum();
        assert!((sum - parts).abs() < 1e-12, "{at}: {sum} for {parts}");
    }
}
