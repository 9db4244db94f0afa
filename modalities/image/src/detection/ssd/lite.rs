//! SSDLite (Sandler et al. 2018, arXiv 1801.04381, section 6.2): all of SSD's convolutions are of each channel, or of one place. On
//! MobileNetV3-Large as published (Howard et al. 2019, arXiv 1905.02244, section 6.3), on other backbones over their maps of strides 16 and 32.

use tk_engine::graph::{Activation, Conv2d, Graph, GraphBuilder, GraphError, Init};
use tk_engine::{EngineError, Value};

use super::LITE;
use super::answers::finish;
use crate::architectures::Architecture;
use crate::backbone::{BackboneError, maps_at};

/// The strides of the maps that other backbones give; four coarser ones are made of the last.
const STRIDES: [usize; 2] = [16, 32];

/// The network whose fine map lies within a block, and where: its widest map of stride 16.
const LARGE: &str = "mobilenetv3_large_100";
const WIDEST: &str = "blocks.5.0.bn1.act";

/// The stage that ends with MobileNetV3-Large's coarse map.
const LAST: &str = "blocks.6";

/// Channels of each extra block's result; it has half as many within.
const EXTRAS: [usize; 4] = [512, 256, 256, 128];

/// What batch-norms of the head add to the variance.
const EPSILON: f64 = 1e-3;

/// The deviation of a new head's kernels.
const DEVIATION: f64 = 0.03;

/// A backbone with the stage `head`: extra blocks, and two small branches for each of six maps.
///
/// # Errors
/// When the backbone does not leave the maps that are needed.
pub fn graft_lite(
    backbone: &Graph,
    architecture: &Architecture,
    classes: usize,
) -> Result<Graph, BackboneError> {
    let (nodes, last) = match architecture.name {
        LARGE => {
            let last = backbone.stage(LAST).map_err(EngineError::from)?;
            let coarse = backbone.node(backbone.stages()[last].output).name.clone();
            (vec![WIDEST.to_owned(), coarse], last)
        }
        _ => {
            let found = maps_at(backbone, architecture, &STRIDES)?;
            let last = found.iter().map(|map| map.stage).max().unwrap_or(0);
            (found.into_iter().map(|map| map.node).collect(), last)
        }
    };
    let mut b = GraphBuilder::from_stages(backbone, last);
    let maps: Result<Vec<Value>, GraphError> = nodes.iter().map(|node| b.node(node)).collect();
    let mut maps = maps.map_err(EngineError::from)?;
    b.begin_stage("head");
    for (number, channels) in EXTRAS.into_iter().enumerate() {
        extra(&mut b, number, &mut maps, channels);
    }
    let mut answers = Vec::new();
    for (level, &map) in maps.iter().enumerate() {
        let boxes = LITE.per_place(level);
        let mut end = |branch: &str, channels| {
            let of = |part: &str| format!("head.{branch}.module_list.{level}.{part}");
            let incoming = b.channels(map);
            let x = unit(&mut b, &of("0"), map, Conv2d::same(incoming, 3).groups(incoming));
            convolve(&mut b, &of("1"), x, Conv2d::same(channels, 1).with_bias())
        };
        answers.push([end("classification_head", boxes * (classes + 1)), end("regression_head", boxes * 4)]);
    }
    Ok(finish(b, &answers).map_err(EngineError::from)?)
}

/// One more map, half as large as the last.
fn extra(b: &mut GraphBuilder, number: usize, maps: &mut Vec<Value>, channels: usize) {
    let of = |part: usize| format!("backbone.extra.{number}.{part}");
    let Some(&x) = maps.last() else { return };
    let within = channels / 2;
    let x = unit(b, &of(0), x, Conv2d::same(within, 1));
    let x = unit(b, &of(1), x, Conv2d::same(within, 3).stride(2).groups(within));
    maps.push(unit(b, &of(2), x, Conv2d::same(channels, 1)));
}

/// A convolution, a batch-norm and ReLU6.
fn unit(b: &mut GraphBuilder, name: &str, x: Value, conv: Conv2d) -> Value {
    let x = convolve(b, &format!("{name}.0"), x, conv);
    let x = b.batch_norm(&format!("{name}.1"), x, EPSILON);
    b.activation(&format!("{name}.2"), x, Activation::Relu6)
}

/// A convolution whose kernels begin as torchvision has them.
fn convolve(b: &mut GraphBuilder, name: &str, x: Value, conv: Conv2d) -> Value {
    b.conv2d(name, x, conv.init(Init::Normal(DEVIATION)))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::super::testing::{check_backbone, grids, trainable};
    use super::*;
    use crate::architectures::{Body, ModelArgs, Settings, architectures, find};

    #[test]
    fn every_convolutional_network_takes_the_head() {
        for architecture in architectures().filter(|network| network.family.body == Body::Map) {
            let backbone = architecture.build(&Settings::classes(2)).unwrap();
            let graph = graft_lite(&backbone, architecture, 3).unwrap_or_else(|error| panic!("{error}"));
            check_backbone(&graph, &backbone);
            // Borders without padding cost Inception and its kin places.
            let [fine, .., coarse] = grids(&graph, 320);
            assert!(
                (18..=20).contains(&fine) && coarse == 1,
                "{}: {:?}",
                architecture.name,
                grids(&graph, 320)
            );
        }
    }

    #[test]
    fn there_are_as_many_numbers_as_published() {
        let architecture = find(LARGE).unwrap();
        let model_args = ModelArgs { reduced_tail: Some(true), ..ModelArgs::default() };
        let backbone = architecture.build(&Settings { model_args, ..Settings::classes(1) }).unwrap();
        let graph = graft_lite(&backbone, architecture, 90).unwrap();
        assert_eq!(grids(&graph, 320), [20, 10, 5, 3, 2, 1]);
        // `num_params` of SSDLite320_MobileNet_V3_Large_Weights.COCO_V1.
        assert_eq!(trainable(&graph), 3_440_060);
    }
}
