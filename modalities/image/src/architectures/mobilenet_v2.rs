//! Inverted residuals with linear bottlenecks and depthwise convolutions (Sandler et al. 2018, arXiv 1801.04381).
//!
//! Stages: `stem`, `blocks.0` … `blocks.6`, `conv_head`, `pool`, `head`. Names and the rounding of widths are timm's.

use tk_engine::blocks::classify;
use tk_engine::graph::Activation;
use tk_engine::{Graph, GraphBuilder};
use tk_transfer::checkpoint::Rule;

use super::architecture::Builder;
use super::mobile::{Row, conv_head, round_to_eight, stem, trunk};
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
        let scaled = |(stage, published): (usize, &Row)| match self.ends {
            Ends::Fixed if stage == 0 || stage == last => published.count,
            _ => (published.count as f64 * self.depth).ceil() as usize,
        };
        STAGES.iter().enumerate().map(scaled).collect()
    }
}

/// The paper's table 2.
const STAGES: [Row; 7] = [
    row(1, 1.0, 16, 1),
    row(2, 6.0, 24, 2),
    row(3, 6.0, 32, 2),
    row(4, 6.0, 64, 2),
    row(3, 6.0, 96, 1),
    row(3, 6.0, 160, 2),
    row(1, 6.0, 320, 1),
];

const fn row(count: usize, expansion: f64, channels: usize, stride: usize) -> Row {
    Row { count, expansion, channels, stride, activation: Activation::Relu6, ..Row::PLAIN }
}

const STEM: usize = 32;
const FEATURES: usize = 1280;

fn build(shape: &Shape, settings: &Settings) -> Result<Graph, ArchitectureError> {
    settings.model_args.only(shape.name, &[])?;
    let (first, features) = match shape.ends {
        Ends::Scaled => (shape.channels(STEM), shape.channels(FEATURES).max(FEATURES)),
        Ends::Fixed => (STEM, FEATURES),
    };
    let scaled =
        |(row, count): (&Row, usize)| vec![Row { count, channels: shape.channels(row.channels), ..*row }];
    let stages: Vec<Vec<Row>> = STAGES.iter().zip(shape.counts()).map(scaled).collect();

    let mut b = GraphBuilder::new();
    let x = stem(&mut b, first, Activation::Relu6);
    let x = trunk(&mut b, x, &stages, settings.drop_path);
    let x = conv_head(&mut b, x, features, Activation::Relu6);
    Ok(classify(b, x, "classifier", settings.classes, settings.drop_rate)?)
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
