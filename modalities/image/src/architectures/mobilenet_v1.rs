//! Depthwise separable convolutions without shortcuts (Howard et al. 2017, arXiv 1704.04861), in timm's naming.
//!
//! Stages: `stem`, `blocks.0` … `blocks.4`, `conv_head` where there is one, `pool`, `head`.

use tk_engine::blocks::{BATCH_NORM_EPSILON, classify, conv_norm, depthwise};
use tk_engine::graph::{Activation, Conv2d};
use tk_engine::{Graph, GraphBuilder, Value};

use super::architecture::Builder;
use super::{Architecture, ArchitectureError, Body, Family, FineTuning, Settings};

/// Depthwise separable convolutions.
pub(super) static FAMILY: Family = Family {
    name: "mobilenet_v1",
    body: Body::Map,
    fine_tuning: FineTuning::CONVOLUTIONAL,
    networks: &NETWORKS,
};

static NETWORKS: [Architecture; 3] = [
    mobilenet("mobilenetv1_100", |s| build(&W100, s)),
    // With one more 1×1 convolution before the pool.
    mobilenet("mobilenetv1_100h", |s| build(&W100H, s)),
    mobilenet("mobilenetv1_125", |s| build(&W125, s)),
];

const fn mobilenet(name: &'static str, graph: Builder) -> Architecture {
    Architecture { name, family: &FAMILY, head: "classifier", renames: &[], graph }
}

/// What tells one network of the family from another.
struct Shape {
    name: &'static str,
    /// Quarters of the published width.
    quarters: usize,
    /// The width of a last 1×1 convolution.
    head: Option<usize>,
}

const W100: Shape = Shape { name: "mobilenetv1_100", quarters: 4, head: None };
const W100H: Shape = Shape { name: "mobilenetv1_100h", quarters: 4, head: Some(1024) };
const W125: Shape = Shape { name: "mobilenetv1_125", quarters: 5, head: None };

/// Published width of the first convolution.
const STEM: usize = 32;
/// Published width, count of blocks and stride of each stage (the paper's table 1).
const STAGES: [(usize, usize, usize); 5] = [(64, 1, 1), (128, 2, 2), (256, 2, 2), (512, 6, 2), (1024, 2, 2)];

fn build(shape: &Shape, settings: &Settings) -> Result<Graph, ArchitectureError> {
    settings.model_args.only(shape.name, &[])?;
    settings.without_drop_path(shape.name)?;
    let wide = |published: usize| published * shape.quarters / 4;
    let mut b = GraphBuilder::new();
    b.begin_stage("stem");
    let pixels = b.input("pixels", 4, Some(3));
    let mut x = unit(&mut b, ["conv_stem", "bn1"], pixels, Conv2d::same(wide(STEM), 3).stride(2));
    b.end_stage(x);
    for (stage, (channels, count, stride)) in STAGES.into_iter().enumerate() {
        b.begin_stage(&format!("blocks.{stage}"));
        for index in 0..count {
            let stride = if index == 0 { stride } else { 1 };
            x = separable(&mut b, &format!("blocks.{stage}.{index}"), x, wide(channels), stride);
        }
        b.end_stage(x);
    }
    if let Some(channels) = shape.head {
        b.begin_stage("conv_head");
        x = unit(&mut b, ["conv_head", "bn2"], x, Conv2d::same(channels, 1));
        b.end_stage(x);
    }
    Ok(classify(b, x, "classifier", settings.classes, settings.drop_rate)?)
}

/// A convolution of each channel, then one of each pixel, both normalised and activated.
fn separable(b: &mut GraphBuilder, name: &str, x: Value, channels: usize, stride: usize) -> Value {
    let of = |part: &str| format!("{name}.{part}");
    let x = depthwise(b, &of("conv_dw"), x, 3, stride);
    let x = b.batch_norm(&of("bn1"), x, BATCH_NORM_EPSILON);
    let x = b.activation(&of("bn1.act"), x, Activation::Relu6);
    unit(b, [&of("conv_pw"), &of("bn2")], x, Conv2d::same(channels, 1))
}

/// A convolution with its norm and activation.
fn unit(b: &mut GraphBuilder, names: [&str; 2], x: Value, conv: Conv2d) -> Value {
    let x = conv_norm(b, names, x, conv);
    b.activation(&format!("{}.act", names[1]), x, Activation::Relu6)
}
