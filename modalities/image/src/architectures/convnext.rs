//! Residual blocks of one large depthwise convolution and a widened pair of linear layers (Liu et al. 2022, arXiv 2201.03545).
//!
//! Stages: `stem`, `stages.0` … `stages.3`, `pool`, `head`. Names are timm's; the norm of the pooled map belongs to `pool`. The stem
//! takes patches of 4×4 and later stages begin with patches of 2×2, without padding, so pictures need a side of at least 32 pixels.

use tk_engine::blocks::{POOL_STAGE, head, residual};
use tk_engine::graph::{Activation, Conv2d, Init, Kind, Op};
use tk_engine::{Graph, GraphBuilder, Value};
use tk_transfer::checkpoint::Rule;

use super::architecture::Builder;
use super::{Architecture, ArchitectureError, Body, Family, FineTuning, Settings};

/// Convolutional networks after the manner of transformers. They are fine-tuned as their authors did, but for the decay of the learning
/// rate: theirs is by block, ours by stage.
pub(super) static FAMILY: Family = Family {
    name: "convnext",
    body: Body::Map,
    fine_tuning: FineTuning { learning_rate: 5e-5, layer_decay: Some(0.7), weight_decay: 0.05 },
    networks: &NETWORKS,
};

static NETWORKS: [Architecture; 6] = [
    convnext("convnext_atto", &[], |s| build(&ATTO, s)),
    convnext("convnext_femto", &[], |s| build(&FEMTO, s)),
    convnext("convnext_pico", &[], |s| build(&PICO, s)),
    convnext("convnext_nano", &[], |s| build(&NANO, s)),
    convnext("convnext_tiny", TORCHVISION, |s| build(&TINY, s)),
    convnext("convnext_small", TORCHVISION, |s| build(&SMALL, s)),
];

const fn convnext(name: &'static str, renames: &'static [Rule], graph: Builder) -> Architecture {
    Architecture { name, family: &FAMILY, head: "head.fc", renames, graph }
}

/// What tells one network of the family from another.
struct Shape {
    name: &'static str,
    /// Blocks of each stage.
    depths: [usize; 4],
    /// Channels of each stage.
    dims: [usize; 4],
    mlp: Mlp,
}

/// As what the linear layers of a block are published.
#[derive(Clone, Copy)]
enum Mlp {
    Linear,
    /// Convolutions of 1×1.
    Pointwise,
}

const ATTO: Shape = Shape::small("convnext_atto", [2, 2, 6, 2], [40, 80, 160, 320]);
const FEMTO: Shape = Shape::small("convnext_femto", [2, 2, 6, 2], [48, 96, 192, 384]);
const PICO: Shape = Shape::small("convnext_pico", [2, 2, 6, 2], [64, 128, 256, 512]);
const NANO: Shape = Shape::small("convnext_nano", [2, 2, 8, 2], [80, 160, 320, 640]);
const TINY: Shape = Shape::published("convnext_tiny", [3, 3, 9, 3]);
const SMALL: Shape = Shape::published("convnext_small", [3, 3, 27, 3]);

impl Shape {
    /// One of the paper's.
    const fn published(name: &'static str, depths: [usize; 4]) -> Self {
        Self { name, depths, dims: [96, 192, 384, 768], mlp: Mlp::Linear }
    }

    /// One of timm's own.
    const fn small(name: &'static str, depths: [usize; 4], dims: [usize; 4]) -> Self {
        Self { name, depths, dims, mlp: Mlp::Pointwise }
    }
}

const LAYER_NORM_EPSILON: f64 = 1e-6;
const KERNEL: usize = 7;
/// Channels within the linear layers for each of the block's.
const EXPANSION: usize = 4;
/// With what residual branches are scaled before they have learnt anything.
const INITIAL_SCALE: f64 = 1e-6;
/// How weights start.
const INITIAL: Init = Init::Normal(0.02);

fn build(shape: &Shape, settings: &Settings) -> Result<Graph, ArchitectureError> {
    let args = &settings.model_args;
    args.only(shape.name, &["depths", "dims"])?;
    let depths = args.depths.as_deref().unwrap_or(&shape.depths);
    let dims = args.dims.as_deref().unwrap_or(&shape.dims);
    for (setting, sizes) in [("depths", depths), ("dims", dims)] {
        if sizes.len() != shape.dims.len() || sizes.contains(&0) {
            return Err(ArchitectureError::Setting {
                architecture: shape.name,
                setting,
                expected: "four numbers above 0",
                found: format!("{sizes:?}"),
            });
        }
    }
    let blocks: usize = depths.iter().sum();
    let mut b = GraphBuilder::new();
    b.begin_stage("stem");
    let pixels = b.input("pixels", 4, Some(3));
    let x = patches(&mut b, "stem.0", pixels, dims[0], 4);
    let mut x = b.layer_norm("stem.1", x, LAYER_NORM_EPSILON);
    b.end_stage(x);

    let mut built = 0;
    for (stage, (&depth, &channels)) in depths.iter().zip(dims).enumerate() {
        let name = format!("stages.{stage}");
        b.begin_stage(&name);
        if stage > 0 {
            x = b.layer_norm(&format!("{name}.downsample.0"), x, LAYER_NORM_EPSILON);
            x = patches(&mut b, &format!("{name}.downsample.1"), x, channels, 2);
        }
        for index in 0..depth {
            // The linear decay rule: the first block is never dropped, the last with the full rate.
            let drop_path = settings.drop_path * built as f64 / (blocks - 1).max(1) as f64;
            x = block(&mut b, &format!("{name}.blocks.{index}"), x, shape.mlp, drop_path);
            built += 1;
        }
        b.end_stage(x);
    }

    b.begin_stage(POOL_STAGE);
    let x = b.add("global_pool", Op::GlobalAveragePool, &[x]);
    let x = b.layer_norm("head.norm", x, LAYER_NORM_EPSILON);
    b.end_stage(x);
    Ok(head(b, x, "head.fc", settings.classes, settings.drop_rate)?)
}

/// A convolution of patches that do not overlap, with a bias.
fn patches(b: &mut GraphBuilder, name: &str, x: Value, channels: usize, side: usize) -> Value {
    b.conv2d(name, x, Conv2d::same(channels, side).padding(0).stride(side).with_bias().init(INITIAL))
}

fn block(b: &mut GraphBuilder, name: &str, x: Value, mlp: Mlp, drop_path: f64) -> Value {
    let of = |part: &str| format!("{name}.{part}");
    let channels = b.channels(x);
    // Declared first, parameters stand in the order of published checkpoints.
    let scale = b.parameter(&of("gamma"), &[channels], Kind::NormWeight, Init::Constant(INITIAL_SCALE));
    let conv = Conv2d::same(channels, KERNEL).groups(channels).with_bias().init(INITIAL);
    let y = b.conv2d(&of("conv_dw"), x, conv);
    let y = b.layer_norm(&of("norm"), y, LAYER_NORM_EPSILON);
    let y = layer(b, &of("mlp.fc1"), y, mlp, EXPANSION * channels);
    let y = b.activation(&of("mlp.act"), y, Activation::Gelu);
    let y = layer(b, &of("mlp.fc2"), y, mlp, channels);
    let y = b.add(&of("scale"), Op::Multiply, &[y, scale]);
    residual(b, name, y, x, drop_path)
}

/// One of a block's linear layers.
fn layer(b: &mut GraphBuilder, name: &str, x: Value, mlp: Mlp, channels: usize) -> Value {
    match mlp {
        Mlp::Linear => b.linear_from(name, x, channels, INITIAL),
        Mlp::Pointwise => b.conv2d(name, x, Conv2d::same(channels, 1).with_bias().init(INITIAL)),
    }
}

/// torchvision numbers stages and what lies between them through, and the parts of each block by position.
const TORCHVISION: &[Rule] = &[
    Rule::Prefix { from: "features.0.", to: "stem." },
    Rule::Prefix { from: "features.1.", to: "stages.0.blocks." },
    Rule::Prefix { from: "features.2.", to: "stages.1.downsample." },
    Rule::Prefix { from: "features.3.", to: "stages.1.blocks." },
    Rule::Prefix { from: "features.4.", to: "stages.2.downsample." },
    Rule::Prefix { from: "features.5.", to: "stages.2.blocks." },
    Rule::Prefix { from: "features.6.", to: "stages.3.downsample." },
    Rule::Prefix { from: "features.7.", to: "stages.3.blocks." },
    Rule::Prefix { from: "classifier.0.", to: "head.norm." },
    Rule::Prefix { from: "classifier.2.", to: "head.fc." },
    Rule::Pattern { from: r"\.layer_scale$", to: ".gamma" },
    Rule::Pattern { from: r"\.block\.0\.", to: ".conv_dw." },
    Rule::Pattern { from: r"\.block\.2\.", to: ".norm." },
    Rule::Pattern { from: r"\.block\.3\.", to: ".mlp.fc1." },
    Rule::Pattern { from: r"\.block\.5\.", to: ".mlp.fc2." },
    Rule::Reshape { name: r"\.gamma$" },
];

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::super::{ModelArgs, find};
    use super::*;

    #[test]
    fn residual_branches_start_as_almost_nothing() {
        let graph = find("convnext_atto").unwrap().build(&Settings::classes(2)).unwrap();
        let init = |name: &str| graph.parameters()[graph.parameter(name).unwrap()].init;
        assert_eq!(init("stages.2.blocks.5.gamma"), Init::Constant(1e-6));
        for name in
            ["stem.0", "stages.1.downsample.1", "stages.0.blocks.0.conv_dw", "stages.0.blocks.0.mlp.fc1"]
        {
            assert_eq!(init(&format!("{name}.weight")), Init::Normal(0.02), "{name}");
        }
    }

    #[test]
    fn shapes_that_cannot_be_built_are_refused() {
        for (model_args, setting) in [
            (ModelArgs { depths: Some(vec![3, 3, 9]), ..ModelArgs::default() }, "depths"),
            (ModelArgs { dims: Some(vec![8, 16, 0, 64]), ..ModelArgs::default() }, "dims"),
            (ModelArgs { layers: Some(vec![3, 3, 9, 3]), ..ModelArgs::default() }, "layers"),
        ] {
            let settings = Settings { model_args, ..Settings::classes(2) };
            let error = find("convnext_tiny").unwrap().build(&settings).unwrap_err().to_string();
            assert!(error.contains(&format!("`{setting}`")), "{error}");
        }
    }
}
