//! A U-Net: two skips cross the cut beside the deepest map, and the decoder resizes to what the skips are.

use tk_engine::graph::{Activation, Conv2d, Interpolation, Op, Window};
use tk_engine::testing::{Tolerances, check_gradients, check_graph, fill_input};
use tk_engine::{Graph, GraphBuilder, TrainSpec, Value};

use super::executors::{Case, live_set, resumes_alike, runs_alike, trains_alike};

fn unet() -> Graph {
    let mut b = GraphBuilder::new();
    b.begin_stage("down1");
    let pixels = b.input("pixels", 4, Some(3));
    let one = block(&mut b, "down1", pixels, 4);
    b.end_stage(one);
    b.begin_stage("down2");
    let two = pooled(&mut b, "down2.pool", one);
    let two = block(&mut b, "down2", two, 6);
    b.end_stage(two);
    b.begin_stage("bottom");
    let three = pooled(&mut b, "bottom.pool", two);
    let three = block(&mut b, "bottom", three, 8);
    b.end_stage(three);
    b.begin_stage("up2");
    let up = joined(&mut b, "up2", three, two, Interpolation::Bilinear);
    let up = block(&mut b, "up2", up, 6);
    b.end_stage(up);
    b.begin_stage("up1");
    let up = joined(&mut b, "up1", up, one, Interpolation::Nearest);
    let up = block(&mut b, "up1", up, 4);
    b.end_stage(up);
    b.begin_stage("head");
    let classes = b.conv2d("head", up, Conv2d::same(2, 1).with_bias());
    b.end_stage(classes);
    b.finish(&[("classes", classes)]).unwrap()
}

fn block(b: &mut GraphBuilder, name: &str, x: Value, channels: usize) -> Value {
    let x = b.conv2d(&format!("{name}.conv"), x, Conv2d::same(channels, 3));
    let x = b.batch_norm(&format!("{name}.norm"), x, 1e-5);
    b.activation(&format!("{name}.relu"), x, Activation::Relu)
}

fn pooled(b: &mut GraphBuilder, name: &str, x: Value) -> Value {
    let window = Window { kernel: [2; 2], stride: [2; 2], padding: [0; 4], ceil: false };
    b.add(name, Op::MaxPool(window), &[x])
}

fn joined(b: &mut GraphBuilder, name: &str, x: Value, skip: Value, how: Interpolation) -> Value {
    let x = b.add(&format!("{name}.resized"), Op::ResizeLike(how), &[x, skip]);
    b.add(&format!("{name}.joined"), Op::Concat { axis: 3 }, &[skip, x])
}

/// Sides that do not halve evenly.
fn case() -> Case {
    Case { name: "U-Net".into(), graph: unet(), inputs: vec![fill_input("pixels", &[2, 11, 14, 3]).unwrap()] }
}

#[test]
fn it_runs_trains_and_resumes_with_three_live_tensors() {
    let case = case();
    assert_eq!(live_set(&case.graph, 2), ["down1.relu", "down2.relu", "bottom.relu"]);
    runs_alike(&case, Tolerances::SINGLE.outputs);
    trains_alike(&case, Tolerances { gradients: 2e-4, ..Tolerances::SINGLE });
    resumes_alike(&case, Tolerances::SINGLE.outputs);
}

#[test]
fn gradients_are_the_slopes() {
    let case = case();
    for batch_statistics in [false, true] {
        let spec = TrainSpec { batch_statistics: vec![batch_statistics; 6], ..case.spec() };
        check_gradients(&case.graph, &case.parameters(), &case.inputs, &spec)
            .unwrap_or_else(|error| panic!("batch statistics {batch_statistics}: {error}"));
    }
}

#[test]
fn it_conforms() {
    check_graph(&unet(), &[vec![2, 11, 14, 3]]).unwrap_or_else(|error| panic!("{error}"));
}
