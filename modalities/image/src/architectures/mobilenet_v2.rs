//! Inverted residuals with linear bottlenecks and depthwise convolutions (Sandler et al. 2018, arXiv 1801.04381).
//!
//! Stages: `stem`, `blocks.0` … `blocks.6`, `conv_head`, `pool`, `head`. Names and the rounding of widths are timm's.

use tk_engine::blocks::{BATCH_NORM_EPSILON, classify, conv_norm, depthwise, residual};
use tk_engine::graph::{Activation, Conv2d};
use tk_engine::{Graph, GraphBuilder, Value};
use tk_transfer::checkpoint::Rule;

use super::architecture::Builder;
use super::{Architecture, ArchitectureError, Body, Family, FineTuning, Settings};

/// Inverted residuals.
pub(super) static FAMILY: Family = Family {
    name: "mobilenet_v2",
    body: Body::Map,
    fine_tuning: FineTuning::CONVOLUTIONAL,
    networks: &NETWORKS,
};

static NETWORKS: [Architecture; 7] = [
    mobilenet("mobilenetv2_035", |s| build(&W035, s)),
    mobilenet("mobilenetv2_050", |s| build(&W050, s)),
    mobilenet("mobilenetv2_075", |s| build(&W075, s)),
    Architecture { renames: TORCHVISION, ..mobilenet("mobilenetv2_100", |s| build(&W100, s)) },
    mobilenet("mobilenetv2_110d", |s| build(&W110D, s)),
    mobilenet("mobilenetv2_120d", |s| build(&W120D, s)),
    mobilenet("mobilenetv2_140", |s| build(&W140, s)),
];

const fn mobilenet(name: &'static str, graph: Builder) -> Architecture {
    Architecture { name, family: &FAMILY, head: "classifier", renames: &[], graph }
}

const W035: Shape = Shape::wide("mobilenetv2_035", 0.35);
const W050: Shape = Shape::wide("mobilenetv2_050", 0.5);
const W075: Shape = Shape::wide("mobilenetv2_075", 0.75);
const W100: Shape = Shape::wide("mobilenetv2_100", 1.0);
const W140: Shape = Shape::wide("mobilenetv2_140", 1.4);
const W110D: Shape = Shape::deep("mobilenetv2_110d", 1.1, 1.2);
const W120D: Shape = Shape::deep("mobilenetv2_120d", 1.2, 1.4);

/// What tells one network of the family from another.
struct Shape {
    name: &'static str,
    width: f64,
    depth: f64,
    /// Whether stem and head keep the published width, and the first and last stage the published depth.
    ends: Ends,
}

#[derive(Clone, Copy, PartialEq)]
enum Ends {
    Scaled,
    Fixed,
}

impl Shape {
    const fn wide(name: &'static str, width: f64) -> Self {
        Self { name, width, depth: 1.0, ends: Ends::Scaled }
    }

    const fn deep(name: &'static str, width: f64, depth: f64) -> Self {
        Self { name, width, depth, ends: Ends::Fixed }
    }

    /// A published width, scaled.
    fn channels(&self, published: usize) -> usize {
        round_to_eight(published as f64 * self.width)
    }

    /// Blocks of each stage.
    fn counts(&self) -> Vec<usize> {
        let last = STAGES.len() - 1;
        let scaled = |(stage, published): (usize, &Stage)| match self.ends {
            Ends::Fixed if stage == 0 || stage == last => published.count,
            _ => (published.count as f64 * self.depth).ceil() as usize,
        };
        STAGES.iter().enumerate().map(scaled).collect()
    }
}

/// A row of the paper's table 2.
struct Stage {
    expansion: usize,
    channels: usize,
    count: usize,
    stride: usize,
}

const STAGES: [Stage; 7] = [
    Stage { expansion: 1, channels: 16, count: 1, stride: 1 },
    Stage { expansion: 6, channels: 24, count: 2, stride: 2 },
    Stage { expansion: 6, channels: 32, count: 3, stride: 2 },
    Stage { expansion: 6, channels: 64, count: 4, stride: 2 },
    Stage { expansion: 6, channels: 96, count: 3, stride: 1 },
    Stage { expansion: 6, channels: 160, count: 3, stride: 2 },
    Stage { expansion: 6, channels: 320, count: 1, stride: 1 },
];

const STEM: usize = 32;
const FEATURES: usize = 1280;

/// The nearest multiple of 8, at least 8, and the next one when that would lose more than a tenth.
fn round_to_eight(width: f64) -> usize {
    let rounded = (((width + 4.0) / 8.0).floor() * 8.0).max(8.0);
    let rounded = if rounded < 0.9 * width { rounded + 8.0 } else { rounded };
    rounded as usize
}

fn build(shape: &Shape, settings: &Settings) -> Result<Graph, ArchitectureError> {
    settings.model_args.only(shape.name, &[])?;
    let (stem, features) = match shape.ends {
        Ends::Scaled => (shape.channels(STEM), shape.channels(FEATURES).max(FEATURES)),
        Ends::Fixed => (STEM, FEATURES),
    };

    let mut b = GraphBuilder::new();
    b.begin_stage("stem");
    let pixels = b.input("pixels", 4, Some(3));
    let x = conv_norm(&mut b, ["conv_stem", "bn1"], pixels, Conv2d::same(stem, 3).stride(2));
    let mut x = b.activation("bn1.act", x, Activation::Relu6);
    b.end_stage(x);

    let counts = shape.counts();
    let blocks: usize = counts.iter().sum();
    let mut built = 0;
    for (stage, (published, &count)) in STAGES.iter().zip(&counts).enumerate() {
        b.begin_stage(&format!("blocks.{stage}"));
        for index in 0..count {
            let block = Block {
                expansion: published.expansion,
                channels: shape.channels(published.channels),
                stride: if index == 0 { published.stride } else { 1 },
                drop_path: settings.drop_path * built as f64 / blocks as f64,
            };
            x = block.build(&mut b, &format!("blocks.{stage}.{index}"), x);
            built += 1;
        }
        b.end_stage(x);
    }

    b.begin_stage("conv_head");
    let x = conv_norm(&mut b, ["conv_head", "bn2"], x, Conv2d::same(features, 1));
    let x = b.activation("bn2.act", x, Activation::Relu6);
    b.end_stage(x);
    Ok(classify(b, x, "classifier", settings.classes, settings.drop_rate)?)
}

/// Widen by a 1×1 convolution (unless the expansion is 1), filter each channel, narrow by a 1×1 convolution without activation.
struct Block {
    expansion: usize,
    channels: usize,
    stride: usize,
    drop_path: f64,
}

impl Block {
    fn build(&self, b: &mut GraphBuilder, name: &str, x: Value) -> Value {
        let of = |part: &str| format!("{name}.{part}");
        let incoming = b.channels(x);
        // timm names the narrowing convolution of an unexpanded block as it names the widening one of others.
        let (narrow, norms) = match self.expansion {
            1 => ("conv_pw", ["", "bn1", "bn2"]),
            _ => ("conv_pwl", ["bn1", "bn2", "bn3"]),
        };
        let mut y = x;
        if self.expansion > 1 {
            let wide = round_to_eight((incoming * self.expansion) as f64);
            y = conv_norm(b, [&of("conv_pw"), &of(norms[0])], y, Conv2d::same(wide, 1));
            y = b.activation(&of(&format!("{}.act", norms[0])), y, Activation::Relu6);
        }
        y = depthwise(b, &of("conv_dw"), y, self.stride);
        y = b.batch_norm(&of(norms[1]), y, BATCH_NORM_EPSILON);
        y = b.activation(&of(&format!("{}.act", norms[1])), y, Activation::Relu6);
        y = conv_norm(b, [&of(narrow), &of(norms[2])], y, Conv2d::same(self.channels, 1));
        match self.stride == 1 && incoming == self.channels {
            true => residual(b, name, y, x, self.drop_path),
            false => y,
        }
    }
}

/// torchvision numbers the blocks through and the parts of each block by position.
const TORCHVISION: &[Rule] = &[
    Rule::Prefix { from: "features.0.0.", to: "conv_stem." },
    Rule::Prefix { from: "features.0.1.", to: "bn1." },
    Rule::Prefix { from: "features.1.conv.", to: "blocks.0.0.flat." },
    Rule::Prefix { from: "features.2.", to: "blocks.1.0." },
    Rule::Prefix { from: "features.3.", to: "blocks.1.1." },
    Rule::Prefix { from: "features.4.", to: "blocks.2.0." },
    Rule::Prefix { from: "features.5.", to: "blocks.2.1." },
    Rule::Prefix { from: "features.6.", to: "blocks.2.2." },
    Rule::Prefix { from: "features.7.", to: "blocks.3.0." },
    Rule::Prefix { from: "features.8.", to: "blocks.3.1." },
    Rule::Prefix { from: "features.9.", to: "blocks.3.2." },
    Rule::Prefix { from: "features.10.", to: "blocks.3.3." },
    Rule::Prefix { from: "features.11.", to: "blocks.4.0." },
    Rule::Prefix { from: "features.12.", to: "blocks.4.1." },
    Rule::Prefix { from: "features.13.", to: "blocks.4.2." },
    Rule::Prefix { from: "features.14.", to: "blocks.5.0." },
    Rule::Prefix { from: "features.15.", to: "blocks.5.1." },
    Rule::Prefix { from: "features.16.", to: "blocks.5.2." },
    Rule::Prefix { from: "features.17.", to: "blocks.6.0." },
    Rule::Prefix { from: "features.18.0.", to: "conv_head." },
    Rule::Prefix { from: "features.18.1.", to: "bn2." },
    Rule::Prefix { from: "classifier.1.", to: "classifier." },
    Rule::Pattern { from: r"\.flat\.0\.0\.", to: ".conv_dw." },
    Rule::Pattern { from: r"\.flat\.0\.1\.", to: ".bn1." },
    Rule::Pattern { from: r"\.flat\.1\.", to: ".conv_pw." },
    Rule::Pattern { from: r"\.flat\.2\.", to: ".bn2." },
    Rule::Pattern { from: r"\.conv\.0\.0\.", to: ".conv_pw." },
    Rule::Pattern { from: r"\.conv\.0\.1\.", to: ".bn1." },
    Rule::Pattern { from: r"\.conv\.1\.0\.", to: ".conv_dw." },
    Rule::Pattern { from: r"\.conv\.1\.1\.", to: ".bn2." },
    Rule::Pattern { from: r"\.conv\.2\.", to: ".conv_pwl." },
    Rule::Pattern { from: r"\.conv\.3\.", to: ".bn3." },
];

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::super::find;
    use super::*;

    #[test]
    fn widths_are_rounded_as_published() {
        // width, rounded (timm's make_divisible)
        for (width, rounded) in [
            (5.6, 8),
            (8.4, 8),
            (11.2, 16),
            (12.0, 16),
            (16.8, 16),
            (22.4, 24),
            (33.6, 32),
            (56.0, 56),
            (448.0, 448),
        ] {
            assert_eq!(round_to_eight(width), rounded, "{width}");
        }
    }

    #[test]
    fn depths_are_scaled_between_the_ends() {
        assert_eq!(W100.counts(), [1, 2, 3, 4, 3, 3, 1]);
        assert_eq!(W110D.counts(), [1, 3, 4, 5, 4, 4, 1]);
        assert_eq!(W120D.counts(), [1, 3, 5, 6, 5, 5, 1]);
    }

    #[test]
    fn only_blocks_that_keep_their_shape_are_residual() {
        let graph = find("mobilenetv2_100")
            .unwrap()
            .build(&Settings { drop_path: 0.2, ..Settings::classes(3) })
            .unwrap();
        let adds: Vec<&str> = graph
            .nodes()
            .iter()
            .filter(|node| node.name.ends_with(".add"))
            .map(|node| node.name.as_str())
            .collect();
        assert_eq!(adds.len(), 10);
        assert!(!adds.contains(&"blocks.2.0.add") && adds.contains(&"blocks.2.1.add"));
    }
}
