//! The pyramid and the head, grafted on three maps of a backbone.

use serde::{Deserialize, Serialize};
use tk_engine::graph::{
    Activation, Conv2d, Convolution, GraphBuilder, GraphError, Init, Interpolation, Kind, Op,
};
use tk_engine::{Graph, Value};

use crate::backbone::FeatureMap;

/// The strides of the backbone's maps that the pyramid is built on; two coarser levels are made of the last.
pub const FPN_STRIDES: [usize; 3] = [8, 16, 32];

/// Levels of the pyramid.
pub(super) const LEVELS: usize = 5;

/// The share of places that a new head takes for objects, so that training begins calmly.
const PRIOR: f64 = 0.01;

/// The deviation of a new head's kernels.
const DEVIATION: f64 = 0.01;

/// What group-norm adds to the variance.
const EPSILON: f64 = 1e-5;

/// How wide and deep the head is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fcos {
    /// Channels of every level.
    pub width: usize,
    /// Convolutions of each of the two branches.
    pub depth: usize,
    /// Groups of channels that are normalised together.
    pub groups: usize,
}

impl Default for Fcos {
    /// As published.
    fn default() -> Self {
        Self { width: 256, depth: 4, groups: 32 }
    }
}

impl Fcos {
    /// For a backbone whose last map has so many channels: as published, or half as wide for a narrow one, whose work the head would exceed by far.
    pub fn for_channels(channels: usize) -> Self {
        match channels < 512 {
            true => Self { width: 128, depth: 2, groups: 16 },
            false => Self::default(),
        }
    }

    /// Adds the stages `fpn` and `head` to a backbone that ends with the last of three maps. The outputs are, for each level from fine to
    /// coarse, `scores.N`, `[batch, height, width, classes]`, `distances.N`, `[…, 4]`, in strides, and `centreness.N`, `[…, 1]`.
    ///
    /// # Errors
    /// When the graph is malformed.
    pub fn graft(&self, backbone: &Graph, maps: &[FeatureMap], classes: usize) -> Result<Graph, GraphError> {
        let last = maps.iter().map(|map| map.stage).max().unwrap_or(0);
        let mut b = GraphBuilder::from_stages(backbone, last);
        let maps = maps.iter().map(|map| b.node(&map.node)).collect::<Result<Vec<_>, _>>()?;
        b.begin_stage("head");
        let levels = self.pyramid(&mut b, &maps);
        let mut outputs = Vec::new();
        for (number, &level) in levels.iter().enumerate() {
            let towers = ["classification_head", "regression_head"];
            let [told, placed] = towers.map(|branch| self.tower(&mut b, branch, number, level));
            let end = |b: &mut GraphBuilder, name: &str, x, channels, bias| {
                let own = format!("head.{name}");
                shared(
                    b,
                    &own,
                    &format!("{own}.{number}"),
                    x,
                    channels,
                    (Init::Normal(DEVIATION), Init::Constant(bias)),
                )
            };
            let prior = -((1.0 - PRIOR) / PRIOR).ln();
            let scores = end(&mut b, "classification_head.cls_logits", told, classes, prior);
            let reach = end(&mut b, "regression_head.bbox_reg", placed, 4, 0.0);
            let reach = b.activation(&format!("distances.{number}"), reach, Activation::Relu);
            let centreness = end(&mut b, "regression_head.bbox_ctrness", placed, 1, 0.0);
            outputs.push([scores, reach, centreness]);
        }
        b.end_stage(outputs[LEVELS - 1][0]);
        let names =
            |number: usize| ["scores", "distances", "centreness"].map(|name| format!("{name}.{number}"));
        let named: Vec<(String, Value)> =
            outputs.iter().enumerate().flat_map(|(at, of)| names(at).into_iter().zip(*of)).collect();
        b.finish(&named.iter().map(|(name, value)| (name.as_str(), *value)).collect::<Vec<_>>())
    }

    /// Five levels of equal width: three of the maps, each with what the coarser one knows, and two that are coarser yet.
    fn pyramid(&self, b: &mut GraphBuilder, maps: &[Value]) -> Vec<Value> {
        let same = |kernel| Conv2d::same(self.width, kernel).with_bias();
        let mut levels = Vec::new();
        let mut above: Option<Value> = None;
        for (number, &map) in maps.iter().enumerate().rev() {
            let inner = plain(b, &format!("backbone.fpn.inner_blocks.{number}.0"), map, same(1));
            let merged = match above {
                None => inner,
                Some(above) => {
                    let up = Op::ResizeLike(Interpolation::Nearest);
                    let up = b.add(&format!("backbone.fpn.up.{number}"), up, &[above, inner]);
                    b.add(&format!("backbone.fpn.merged.{number}"), Op::Add, &[inner, up])
                }
            };
            levels.push(plain(b, &format!("backbone.fpn.layer_blocks.{number}.0"), merged, same(3)));
            above = Some(merged);
        }
        levels.reverse();
        let coarser = plain(b, "backbone.fpn.extra_blocks.p6", levels[levels.len() - 1], same(3).stride(2));
        let rectified = b.activation("backbone.fpn.extra_blocks.p6.relu", coarser, Activation::Relu);
        let coarsest = plain(b, "backbone.fpn.extra_blocks.p7", rectified, same(3).stride(2));
        levels.extend([coarser, coarsest]);
        levels
    }

    /// The convolutions of a branch on one level. All levels share their parameters.
    fn tower(&self, b: &mut GraphBuilder, branch: &str, level: usize, mut x: Value) -> Value {
        for layer in 0..self.depth {
            let own = |part: usize| format!("head.{branch}.conv.{}", 3 * layer + part);
            x = shared(
                b,
                &own(0),
                &format!("{}.{level}", own(0)),
                x,
                self.width,
                (Init::Normal(DEVIATION), Init::Zeros),
            );
            let shape = [self.width];
            let weight = b.parameter(&format!("{}.weight", own(1)), &shape, Kind::NormWeight, Init::Ones);
            let bias = b.parameter(&format!("{}.bias", own(1)), &shape, Kind::NormBias, Init::Zeros);
            let norm = Op::GroupNorm { groups: self.groups, epsilon: EPSILON };
            x = b.add(&format!("{}.{level}", own(1)), norm, &[x, weight, bias]);
            x = b.activation(&format!("{}.{level}", own(2)), x, Activation::Relu);
        }
        x
    }
}

/// A convolution of the pyramid; its kernels begin such that it keeps the size of numbers.
fn plain(b: &mut GraphBuilder, name: &str, x: Value, conv: Conv2d) -> Value {
    let [height, width] = conv.kernel;
    let deviation = 1.0 / ((b.channels(x) * height * width) as f64).sqrt();
    b.conv2d(name, x, conv.init(Init::Normal(deviation)))
}

/// A 3 × 3 convolution whose parameters, named `own`, several nodes read.
fn shared(
    b: &mut GraphBuilder,
    own: &str,
    node: &str,
    x: Value,
    channels: usize,
    (weight, bias): (Init, Init),
) -> Value {
    let shape = [channels, b.channels(x), 3, 3];
    let weight = b.parameter(&format!("{own}.weight"), &shape, Kind::Weight, weight);
    let bias = b.parameter(&format!("{own}.bias"), &[channels], Kind::Bias, bias);
    let walk = Convolution { stride: [1; 2], padding: [1; 4], dilation: [1; 2], groups: 1 };
    b.add(node, Op::Convolution(walk), &[x, weight, bias])
}
