//! Plain stacks of 3×3 convolutions (Simonyan, Zisserman 2014, arXiv 1409.1556), with and without batch-norm.
//!
//! Stages: `stage1` … `stage5`, each ending in its max-pool, `pre_logits`, `pool`, `head`. The two wide linear layers of the paper
//! are convolutions in `pre_logits`, as timm has them, so that larger pictures work and smaller ones are stretched to 7×7; with
//! pictures of 224×224 that is the same function.

use tk_engine::blocks::{BATCH_NORM_EPSILON, classify};
use tk_engine::graph::{Activation, AdaptivePool, Conv2d, Op, When, Window};
use tk_engine::{Graph, GraphBuilder, Value};
use tk_transfer::checkpoint::Rule;

use super::architecture::Builder;
use super::{Architecture, ArchitectureError, Body, Family, FineTuning, Settings};

/// Plain stacks of 3×3 convolutions.
pub(super) static FAMILY: Family =
    Family { name: "vgg", body: Body::Map, fine_tuning: FineTuning::CONVOLUTIONAL, networks: &NETWORKS };

static NETWORKS: [Architecture; 8] = [
    vgg("vgg11", |s| build("vgg11", &V11, Norm::None, s)),
    vgg("vgg11_bn", |s| build("vgg11_bn", &V11, Norm::Batch, s)),
    vgg("vgg13", |s| build("vgg13", &V13, Norm::None, s)),
    vgg("vgg13_bn", |s| build("vgg13_bn", &V13, Norm::Batch, s)),
    vgg("vgg16", |s| build("vgg16", &V16, Norm::None, s)),
    vgg("vgg16_bn", |s| build("vgg16_bn", &V16, Norm::Batch, s)),
    vgg("vgg19", |s| build("vgg19", &V19, Norm::None, s)),
    vgg("vgg19_bn", |s| build("vgg19_bn", &V19, Norm::Batch, s)),
];

const fn vgg(name: &'static str, graph: Builder) -> Architecture {
    Architecture { name, family: &FAMILY, head: "head.fc", renames: TORCHVISION, graph }
}

/// torchvision's classifier: linear layers over the flattened 512×7×7 map.
const TORCHVISION: &[Rule] = &[
    Rule::Prefix { from: "classifier.0.", to: "pre_logits.fc1." },
    Rule::Prefix { from: "classifier.3.", to: "pre_logits.fc2." },
    Rule::Prefix { from: "classifier.6.", to: "head.fc." },
    Rule::Reshape { name: r"^pre_logits\.fc[12]\.weight$" },
];

/// Convolutions in each stage.
const V11: [usize; 5] = [1, 1, 2, 2, 2];
const V13: [usize; 5] = [2, 2, 2, 2, 2];
const V16: [usize; 5] = [2, 2, 3, 3, 3];
const V19: [usize; 5] = [2, 2, 4, 4, 4];

/// Channels of each stage.
const CHANNELS: [usize; 5] = [64, 128, 256, 512, 512];

/// The width of the features, and in the published shape of the layer before them.
const HIDDEN: usize = 4096;

/// The side of the map that `pre_logits` needs.
const MAP_SIDE: usize = 7;

/// What follows a convolution.
#[derive(Clone, Copy, PartialEq)]
enum Norm {
    None,
    Batch,
}

fn build(
    name: &'static str,
    layers: &[usize; 5],
    norm: Norm,
    settings: &Settings,
) -> Result<Graph, ArchitectureError> {
    settings.model_args.only(name, &["mlp_ratio"])?;
    let fail = |setting, expected, found| ArchitectureError::Setting {
        architecture: name,
        setting,
        expected,
        found,
    };
    settings.without_drop_path(name)?;
    let ratio = settings.model_args.mlp_ratio.unwrap_or(1.0);
    let hidden = (HIDDEN as f64 * ratio) as usize;
    if !(ratio <= 16.0 && hidden > 0) {
        return Err(fail("mlp_ratio", "a number from 1/4096 to 16", ratio.to_string()));
    }
    let mut b = GraphBuilder::new();
    let map = features(&mut b, layers, norm);
    let map = pre_logits(&mut b, map, hidden, settings.drop_rate);
    Ok(classify(b, map, "head.fc", settings.classes, settings.drop_rate)?)
}

/// `[batch, height, width, 3]` to `[batch, height / 32, width / 32, 512]`. timm numbers convolutions, norms, activations and pools
/// through, so names know no stage.
fn features(b: &mut GraphBuilder, layers: &[usize; 5], norm: Norm) -> Value {
    let mut names = (0..).map(|index: usize| format!("features.{index}"));
    let mut name = move || names.next().unwrap_or_default();
    let mut x = b.input("pixels", 4, Some(3));
    for (stage, (&channels, &count)) in (1..).zip(CHANNELS.iter().zip(layers)) {
        b.begin_stage(&format!("stage{stage}"));
        for _ in 0..count {
            x = b.conv2d(&name(), x, Conv2d::same(channels, 3).with_bias());
            if norm == Norm::Batch {
                x = b.batch_norm(&name(), x, BATCH_NORM_EPSILON);
            }
            x = b.activation(&name(), x, Activation::Relu);
        }
        let window = Window { kernel: [2, 2], stride: [2, 2], padding: [0; 4], ceil: false };
        x = b.add(&name(), Op::MaxPool(window), &[x]);
        b.end_stage(x);
    }
    x
}

/// `[batch, height, width, 512]` to `[batch, height − 6, width − 6, 4096]`, where sides below 7 count as 7.
fn pre_logits(b: &mut GraphBuilder, map: Value, hidden: usize, drop_rate: f64) -> Value {
    b.begin_stage("pre_logits");
    let stretch = AdaptivePool { size: [MAP_SIDE; 2], when: When::Smaller };
    let x = b.add("pre_logits.stretch", Op::AdaptiveAveragePool(stretch), &[map]);
    let x = b.conv2d("pre_logits.fc1", x, Conv2d::same(hidden, MAP_SIDE).padding(0).with_bias());
    let mut x = b.activation("pre_logits.act1", x, Activation::Relu);
    if drop_rate > 0.0 {
        x = b.add("pre_logits.drop", Op::Dropout { rate: drop_rate }, &[x]);
    }
    let x = b.conv2d("pre_logits.fc2", x, Conv2d::same(HIDDEN, 1).with_bias());
    let x = b.activation("pre_logits.act2", x, Activation::Relu);
    b.end_stage(x)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::super::ModelArgs;
    use super::super::find;
    use super::*;

    #[test]
    fn small_pictures_are_stretched_and_large_ones_averaged() {
        let graph = find("vgg16").unwrap().build(&Settings::classes(3)).unwrap();
        for (height, width, expected) in [(224, 224, [1, 1]), (96, 64, [1, 1]), (256, 320, [2, 4])] {
            let shapes = graph.infer(&[vec![2, height, width, 3]]).unwrap();
            let map = graph.stages()[graph.stage("pre_logits").unwrap()].output;
            assert_eq!(shapes[map.index()], [2, expected[0], expected[1], 4096]);
        }
    }

    #[test]
    fn what_the_family_does_not_have_is_refused() {
        let shaped = |model_args| Settings { model_args, ..Settings::classes(3) };
        for (settings, message) in [
            (Settings { drop_path: 0.1, ..Settings::classes(3) }, "`drop_path` of vgg16_bn: expected 0"),
            (Settings { drop_rate: 1.0, ..Settings::classes(3) }, "`drop_rate` of vgg16_bn: expected a prob"),
            (Settings::classes(0), "`classes` of vgg16_bn: expected at least 1"),
            (
                shaped(ModelArgs { channels: Some(vec![8; 4]), ..ModelArgs::default() }),
                "`channels` of vgg16_bn: expected not to be given",
            ),
            (
                shaped(ModelArgs { mlp_ratio: Some(f64::NAN), ..ModelArgs::default() }),
                "`mlp_ratio` of vgg16_bn: expected a number from",
            ),
        ] {
            let error = find("vgg16_bn").unwrap().build(&settings).unwrap_err().to_string();
            assert!(error.starts_with(message), "{error}");
        }
    }
}
