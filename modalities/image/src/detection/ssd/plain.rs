//! SSD with plain convolutions: on VGG as published, on other backbones over their maps of strides 8, 16 and 32.
//!
//! The stages are the backbone's and `head`. On VGG the first five are whole, so a classifier's weights serve all of them and freezing cuts
//! where it always does; what SSD puts in place of the classifier's wide layers is new and belongs to `head`.

use tk_engine::graph::{
    Activation, Conv2d, Graph, GraphBuilder, GraphError, Init, Kind, Node, Op, Reduction, Unary, Window,
};
use tk_engine::{EngineError, Value};

use super::answers::finish;
use super::default_boxes::{LEVELS, PLAIN};
use crate::architectures::Architecture;
use crate::backbone::{BackboneError, maps_at};

/// The strides of the maps that other backbones give; three coarser ones are made of the last.
const STRIDES: [usize; 3] = [8, 16, 32];

/// Channels between and behind the two convolutions of each extra block.
const EXTRAS: [[usize; 2]; 4] = [[256, 512], [128, 256], [128, 256], [128, 256]];

/// On VGG the last extra blocks do not pad instead of halving: maps of 5, 3 and 1 places a side.
const HALVING: usize = 2;

/// Channels of the layers that take the place of VGG's wide ones, and how far apart the first one's taps lie.
const WIDE: usize = 1024;
const DILATION: usize = 6;

/// The factor that normalised channels begin with.
const SCALE: f64 = 20.0;

/// What is added to a square of a norm, torchvision's 10⁻¹² of the norm itself.
const EPSILON: f64 = 1e-24;

/// A backbone with the stage `head`: extra blocks, and two convolutions for each of six maps.
///
/// # Errors
/// When the backbone does not leave the maps that are needed.
pub fn graft_plain(
    backbone: &Graph,
    architecture: &Architecture,
    classes: usize,
) -> Result<Graph, BackboneError> {
    let (mut b, maps) = match architecture.family.name {
        "vgg" => on_vgg(backbone).map_err(EngineError::from)?,
        _ => on_maps(backbone, architecture)?,
    };
    let mut answers = Vec::new();
    for (level, &map) in maps.iter().enumerate() {
        let boxes = PLAIN.per_place(level);
        let mut end = |branch: &str, channels| {
            let name = format!("head.{branch}.module_list.{level}");
            convolve(&mut b, &name, map, Conv2d::same(channels, 3))
        };
        answers.push([end("classification_head", boxes * (classes + 1)), end("regression_head", boxes * 4)]);
    }
    Ok(finish(b, &answers).map_err(EngineError::from)?)
}

/// VGG up to its last pool, whose result is as large as what it reads, and the six maps over it: the last of stride 8, normalised, and five
/// that are made of the last of stride 16.
fn on_vgg(backbone: &Graph) -> Result<(GraphBuilder, Vec<Value>), GraphError> {
    // Pools: the third rounds up, so that 300 pixels have 38 places, and the fifth moves by one.
    let changed = backbone.with_max_pools(|number, window| match number {
        2 => Window { ceil: true, ..window },
        4 => Window { kernel: [3; 2], stride: [1; 2], padding: [1; 4], ceil: false },
        _ => window,
    });
    let pools: Vec<&Node> = changed.nodes().iter().filter(|node| matches!(node.op, Op::MaxPool(_))).collect();
    let [_, _, _, fourth, fifth] = pools[..] else {
        return Err(GraphError::Missing("five max-pools of VGG"));
    };
    let mut b = GraphBuilder::from_stages(&changed, fifth.stage);
    let fine = b.node(&changed.node(fourth.inputs[0]).name)?;
    let last = b.node(&fifth.name)?;
    b.begin_stage("head");
    let mut maps = vec![normalised(&mut b, fine)];
    let x = convolve(&mut b, "backbone.extra.0.7.1", last, Conv2d::same(WIDE, 3).dilation(DILATION));
    let x = b.activation("backbone.extra.0.7.2", x, Activation::Relu);
    let x = convolve(&mut b, "backbone.extra.0.7.3", x, Conv2d::same(WIDE, 1));
    maps.push(b.activation("backbone.extra.0.7.4", x, Activation::Relu));
    for (number, channels) in EXTRAS.into_iter().enumerate() {
        let last = Conv2d::same(channels[1], 3);
        let last = if number < HALVING { last.stride(2) } else { last.padding(0) };
        extra(&mut b, number + 1, &mut maps, channels[0], last);
    }
    Ok((b, maps))
}

/// Any backbone up to its map of stride 32, and the six maps over it.
fn on_maps(
    backbone: &Graph,
    architecture: &Architecture,
) -> Result<(GraphBuilder, Vec<Value>), BackboneError> {
    let found = maps_at(backbone, architecture, &STRIDES)?;
    let last = found.iter().map(|map| map.stage).max().unwrap_or(0);
    let mut b = GraphBuilder::from_stages(backbone, last);
    let maps: Result<Vec<Value>, GraphError> = found.iter().map(|map| b.node(&map.node)).collect();
    let mut maps = maps.map_err(EngineError::from)?;
    b.begin_stage("head");
    for (number, channels) in EXTRAS.into_iter().take(LEVELS - STRIDES.len()).enumerate() {
        extra(&mut b, number, &mut maps, channels[0], Conv2d::same(channels[1], 3).stride(2));
    }
    Ok((b, maps))
}

/// A map of length `scale_weight` in each place, over its channels.
fn normalised(b: &mut GraphBuilder, x: Value) -> Value {
    let name = |part: &str| format!("backbone.rescaled.{part}");
    let channels = [b.channels(x)];
    let square = b.add(&name("square"), Op::Unary(Unary::Square), &[x]);
    let sum = b.add(&name("sum"), Op::Reduce { reduction: Reduction::Sum, axes: vec![3] }, &[square]);
    let shifted = b.add(&name("shifted"), Op::Affine { scale: 1.0, shift: EPSILON }, &[sum]);
    let norm = b.add(&name("norm"), Op::Unary(Unary::SquareRoot), &[shifted]);
    let unit = b.add(&name("unit"), Op::Divide, &[x, norm]);
    let weight = b.parameter("backbone.scale_weight", &channels, Kind::NormWeight, Init::Constant(SCALE));
    b.add("backbone.rescaled", Op::Multiply, &[unit, weight])
}

/// One more map, made of the last.
fn extra(b: &mut GraphBuilder, number: usize, maps: &mut Vec<Value>, between: usize, last: Conv2d) {
    let of = |part: usize| format!("backbone.extra.{number}.{part}");
    let Some(&x) = maps.last() else { return };
    let x = convolve(b, &of(0), x, Conv2d::same(between, 1));
    let x = b.activation(&of(1), x, Activation::Relu);
    let x = convolve(b, &of(2), x, last);
    maps.push(b.activation(&of(3), x, Activation::Relu));
}

/// A convolution with a bias, whose kernels begin as torchvision has them.
fn convolve(b: &mut GraphBuilder, name: &str, x: Value, conv: Conv2d) -> Value {
    b.conv2d(name, x, conv.with_bias().init(Init::XavierUniform))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::super::testing::{check_backbone, grids, trainable};
    use super::*;
    use crate::architectures::{Settings, find};
    use tk_engine::cpu::{Machine, Tape};
    use tk_engine::{Optimizer, Parameters, StepKey, Tensor, TrainSpec, Training};

    #[test]
    fn maps_are_as_large_as_published() {
        for (name, side, expected) in [
            ("vgg16", 300, [38, 19, 10, 5, 3, 1]),
            ("vgg11_bn", 320, [40, 20, 10, 5, 3, 1]),
            ("resnet18", 320, [40, 20, 10, 5, 3, 2]),
            ("mobilenetv2_100", 320, [40, 20, 10, 5, 3, 2]),
        ] {
            let architecture = find(name).unwrap();
            let backbone = architecture.build(&Settings::classes(2)).unwrap();
            let graph = graft_plain(&backbone, architecture, 3).unwrap();
            assert_eq!(grids(&graph, side), expected, "{name}");
            check_backbone(&graph, &backbone);
        }
    }

    #[test]
    fn places_have_one_length_and_dead_ones_do_no_harm() {
        let mut b = GraphBuilder::new();
        b.begin_stage("all");
        let pixels = b.input("pixels", 4, Some(2));
        let x = b.conv2d("conv", pixels, Conv2d::same(2, 1));
        let x = b.activation("relu", x, Activation::Relu);
        let y = normalised(&mut b, x);
        b.end_stage(y);
        let graph = b.finish(&[("y", y)]).unwrap();
        let mut parameters = Parameters::initial(&graph, 0);
        parameters.set("conv.weight", Tensor::new(&[2, 2, 1, 1], vec![1.0, 0.0, 0.0, 1.0]).unwrap());
        let spec = TrainSpec::everything(&graph, Optimizer::ADAMW);
        let mut tape = Tape::new(&Machine::new(1), &graph, &parameters, &spec).unwrap();
        // Of the second place nothing is left.
        let pixels = Tensor::new(&[1, 1, 2, 2], vec![3.0, 4.0, -1.0, -2.0]).unwrap();
        let key = StepKey { seed: 0, step: 0, samples: vec![0] };
        let found = tape.forward(&[pixels], &key).unwrap().remove(0);
        for (found, expected) in found.as_f32().unwrap().iter().zip([12.0, 16.0, 0.0, 0.0]) {
            assert!((found - expected).abs() < 1e-5, "{found} {expected}");
        }
        tape.backward(&[Tensor::new(&[1, 1, 2, 2], vec![1.0, 0.0, 1.0, 1.0]).unwrap()]).unwrap();
        // d(20 · x / |x|) / dx of the first number at (3, 4): 20 · (1 − 9 / 25) / 5 and −20 · 12 / 125, each times the pixels.
        let gradient = tape.gradient("conv.weight").unwrap().to_f32();
        for (found, expected) in gradient.iter().zip([2.56 * 3.0, 2.56 * 4.0, -1.92 * 3.0, -1.92 * 4.0]) {
            assert!((found - expected).abs() < 1e-4, "{gradient:?}");
        }
    }

    #[test]
    fn there_are_as_many_numbers_as_published() {
        let architecture = find("vgg16").unwrap();
        let graph =
            graft_plain(&architecture.build(&Settings::classes(1)).unwrap(), architecture, 90).unwrap();
        // `num_params` of SSD300_VGG16_Weights.COCO_V1.
        assert_eq!(trainable(&graph), 35_641_826);
    }
}
