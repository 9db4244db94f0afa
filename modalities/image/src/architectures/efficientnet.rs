//! Inverted residuals with squeeze-and-excitation, grown in width, depth and resolution together (Tan and Le 2019, arXiv 1905.11946).
//!
//! Stages: `stem`, `blocks.0` … `blocks.6`, `conv_head`, `pool`, `head`. Names and rounding are timm's, and so is the padding of
//! `efficientnet_…`, the same on all sides; weights that were ported from TensorFlow (`tf_efficientnet_…`) pad otherwise.

use tk_engine::blocks::classify;
use tk_engine::graph::Activation;
use tk_engine::{Graph, GraphBuilder};
use tk_transfer::checkpoint::Rule;

use super::architecture::Builder;
use super::mobile::{
    PART_RULES, Row, Squeeze, SqueezeWidth, conv_head, round_to_eight, stem, trunk, with_parts,
};
use super::{Architecture, ArchitectureError, Body, Family, FineTuning, Settings};

/// EfficientNets.
pub(super) static FAMILY: Family = Family {
    name: "efficientnet",
    body: Body::Map,
    fine_tuning: FineTuning::CONVOLUTIONAL,
    networks: &NETWORKS,
};

static NETWORKS: [Architecture; 4] = [
    efficientnet("efficientnet_b0", |s| build(&B0, s)),
    efficientnet("efficientnet_b1", |s| build(&B1, s)),
    efficientnet("efficientnet_b2", |s| build(&B2, s)),
    efficientnet("efficientnet_b3", |s| build(&B3, s)),
];

const fn efficientnet(name: &'static str, graph: Builder) -> Architecture {
    Architecture { name, family: &FAMILY, head: "classifier", renames: TORCHVISION, graph }
}

/// What tells one network of the family from another.
struct Shape {
    name: &'static str,
    width: f64,
    depth: f64,
}

const B0: Shape = Shape { name: "efficientnet_b0", width: 1.0, depth: 1.0 };
const B1: Shape = Shape { name: "efficientnet_b1", width: 1.0, depth: 1.1 };
const B2: Shape = Shape { name: "efficientnet_b2", width: 1.1, depth: 1.2 };
const B3: Shape = Shape { name: "efficientnet_b3", width: 1.2, depth: 1.4 };

/// The paper's table 1.
const STAGES: [Row; 7] = [
    row(1, 3, 1.0, 16, 1),
    row(2, 3, 6.0, 24, 2),
    row(2, 5, 6.0, 40, 2),
    row(3, 3, 6.0, 80, 2),
    row(3, 5, 6.0, 112, 1),
    row(4, 5, 6.0, 192, 2),
    row(1, 3, 6.0, 320, 1),
];

const fn row(count: usize, kernel: usize, expansion: f64, channels: usize, stride: usize) -> Row {
    let squeeze = Some(SQUEEZE);
    Row { count, kernel, stride, expansion, channels, activation: Activation::Silu, squeeze }
}

const SQUEEZE: Squeeze = Squeeze {
    width: SqueezeWidth::QuarterOfIncoming,
    activation: Activation::Silu,
    gate: Activation::Sigmoid,
};

const STEM: usize = 32;
const FEATURES: usize = 1280;

fn build(shape: &Shape, settings: &Settings) -> Result<Graph, ArchitectureError> {
    settings.model_args.only(shape.name, &[])?;
    let wide = |published: usize| round_to_eight(published as f64 * shape.width);
    let deep = |published: usize| (published as f64 * shape.depth).ceil() as usize;
    let scaled = |row: &Row| vec![Row { count: deep(row.count), channels: wide(row.channels), ..*row }];
    let stages: Vec<Vec<Row>> = STAGES.iter().map(scaled).collect();

    let mut b = GraphBuilder::new();
    let x = stem(&mut b, wide(STEM), Activation::Silu);
    let x = trunk(&mut b, x, &stages, settings.drop_path);
    let x = conv_head(&mut b, x, wide(FEATURES), Activation::Silu);
    Ok(classify(b, x, "classifier", settings.classes, settings.drop_rate)?)
}

/// torchvision counts stages from 1.
const TORCHVISION: &[Rule] = &with_parts::<{ NAMES.len() + PART_RULES }>(&NAMES);
const NAMES: [Rule; 12] = [
    Rule::Prefix { from: "features.0.0.", to: "conv_stem." },
    Rule::Prefix { from: "features.0.1.", to: "bn1." },
    Rule::Pattern { from: r"^features\.1\.(\d+)\.block\.", to: "blocks.0.${1}.flat." },
    Rule::Prefix { from: "features.2.", to: "blocks.1." },
    Rule::Prefix { from: "features.3.", to: "blocks.2." },
    Rule::Prefix { from: "features.4.", to: "blocks.3." },
    Rule::Prefix { from: "features.5.", to: "blocks.4." },
    Rule::Prefix { from: "features.6.", to: "blocks.5." },
    Rule::Prefix { from: "features.7.", to: "blocks.6." },
    Rule::Prefix { from: "features.8.0.", to: "conv_head." },
    Rule::Prefix { from: "features.8.1.", to: "bn2." },
    Rule::Prefix { from: "classifier.1.", to: "classifier." },
];

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::super::find;
    use super::*;

    #[test]
    fn widths_and_depths_grow_together() {
        // name, blocks of each stage, channels before the pool
        for (name, counts, features) in [
            ("efficientnet_b0", [1, 2, 2, 3, 3, 4, 1], 1280),
            ("efficientnet_b1", [2, 3, 3, 4, 4, 5, 2], 1280),
            ("efficientnet_b2", [2, 3, 3, 4, 4, 5, 2], 1408),
            ("efficientnet_b3", [2, 3, 3, 5, 5, 6, 2], 1536),
        ] {
            let graph = find(name).unwrap().build(&Settings::classes(3)).unwrap();
            let blocks = |stage: usize| {
                let of_stage =
                    |name: &str| name.starts_with(&format!("blocks.{stage}.")) && name.ends_with(".conv_dw");
                graph.nodes().iter().filter(|node| of_stage(&node.name)).count()
            };
            assert_eq!([0, 1, 2, 3, 4, 5, 6].map(blocks), counts, "{name}");
            let weight = graph.parameter("classifier.weight").unwrap();
            assert_eq!(graph.parameters()[weight].shape, [3, features], "{name}");
        }
    }
}
