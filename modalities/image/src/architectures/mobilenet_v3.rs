//! Inverted residuals found by search, with hard-swish and squeeze-and-excitation in some of them (Howard et al. 2019, arXiv 1905.02244).
//!
//! Stages: `stem`, `blocks.0` and on, of which the last is a 1×1 convolution, `pool`, `head`. The convolution `conv_head` reads the
//! pooled map and belongs to `pool`. Names and the rounding of widths are timm's.

use tk_engine::blocks::{POOL_STAGE, head};
use tk_engine::graph::{Activation, Conv2d, Dimension, Op, Reduction};
use tk_engine::{Graph, GraphBuilder};
use tk_transfer::checkpoint::Rule;

use super::architecture::Builder;
use super::mobile::{PART_RULES, Row, Squeeze, SqueezeWidth, round_to_eight, stem, trunk, unit, with_parts};
use super::{Architecture, ArchitectureError, Body, Family, FineTuning, Settings};

/// Inverted residuals with hard-swish.
pub(super) static FAMILY: Family = Family {
    name: "mobilenet_v3",
    body: Body::Map,
    fine_tuning: FineTuning::CONVOLUTIONAL,
    networks: &NETWORKS,
};

static NETWORKS: [Architecture; 4] = [
    mobilenet("mobilenetv3_small_050", &[], |s| build(&SMALL_050, s)),
    mobilenet("mobilenetv3_small_075", &[], |s| build(&SMALL_075, s)),
    mobilenet("mobilenetv3_small_100", TORCHVISION_SMALL, |s| build(&SMALL_100, s)),
    mobilenet("mobilenetv3_large_100", TORCHVISION_LARGE, |s| build(&LARGE_100, s)),
];

const fn mobilenet(name: &'static str, renames: &'static [Rule], graph: Builder) -> Architecture {
    Architecture { name, family: &FAMILY, head: "classifier", renames, graph }
}

/// What tells one network of the family from another.
struct Shape {
    name: &'static str,
    width: f64,
    /// The blocks of each stage, with published widths.
    stages: &'static [&'static [Row]],
    /// Published width of the 1×1 convolution before the pool.
    last: usize,
    /// The width of the convolution after the pool, whatever the others' are.
    features: usize,
}

const SMALL_050: Shape = Shape { name: "mobilenetv3_small_050", width: 0.5, ..SMALL_100 };
const SMALL_075: Shape = Shape { name: "mobilenetv3_small_075", width: 0.75, ..SMALL_100 };
const SMALL_100: Shape =
    Shape { name: "mobilenetv3_small_100", width: 1.0, stages: SMALL, last: 576, features: 1024 };
const LARGE_100: Shape =
    Shape { name: "mobilenetv3_large_100", width: 1.0, stages: LARGE, last: 960, features: 1280 };

/// The paper's table 2.
const SMALL: &[&[Row]] = &[
    &[Row { channels: 16, stride: 2, squeeze: SQUEEZE, ..Row::PLAIN }],
    &[
        Row { expansion: 4.5, channels: 24, stride: 2, ..Row::PLAIN },
        Row { expansion: 3.67, channels: 24, ..Row::PLAIN },
    ],
    &[
        Row { expansion: 4.0, channels: 40, stride: 2, ..SQUEEZED },
        Row { count: 2, expansion: 6.0, channels: 40, ..SQUEEZED },
    ],
    &[Row { count: 2, expansion: 3.0, channels: 48, ..SQUEEZED }],
    &[Row { count: 3, expansion: 6.0, channels: 96, stride: 2, ..SQUEEZED }],
];

/// The paper's table 1.
const LARGE: &[&[Row]] = &[
    &[Row { channels: 16, ..Row::PLAIN }],
    &[
        Row { expansion: 4.0, channels: 24, stride: 2, ..Row::PLAIN },
        Row { expansion: 3.0, channels: 24, ..Row::PLAIN },
    ],
    &[Row { count: 3, kernel: 5, expansion: 3.0, channels: 40, stride: 2, squeeze: SQUEEZE, ..Row::PLAIN }],
    &[
        Row { expansion: 6.0, channels: 80, stride: 2, ..HARD },
        Row { expansion: 2.5, channels: 80, ..HARD },
        Row { count: 2, expansion: 2.3, channels: 80, ..HARD },
    ],
    &[Row { count: 2, kernel: 3, expansion: 6.0, channels: 112, ..SQUEEZED }],
    &[Row { count: 3, expansion: 6.0, channels: 160, stride: 2, ..SQUEEZED }],
];

const HARD: Row = Row { activation: Activation::HardSwish, ..Row::PLAIN };
const SQUEEZED: Row = Row { kernel: 5, squeeze: SQUEEZE, ..HARD };
const SQUEEZE: Option<Squeeze> = Some(Squeeze {
    width: SqueezeWidth::QuarterOfWide,
    activation: Activation::Relu,
    gate: Activation::HardSigmoid,
});

const STEM: usize = 16;

/// Narrower networks than this keep the published width of the stem.
const NARROWEST_STEM: f64 = 0.75;

fn build(shape: &Shape, settings: &Settings) -> Result<Graph, ArchitectureError> {
    settings.model_args.only(shape.name, &["reduced_tail"])?;
    let wide = |published: usize| round_to_eight(published as f64 * shape.width);
    let first = if shape.width < NARROWEST_STEM { STEM } else { wide(STEM) };
    let share = if settings.model_args.reduced_tail == Some(true) { 2 } else { 1 };
    let scaled = |(stage, rows): (usize, &&[Row])| {
        let share = if stage + 1 == shape.stages.len() { share } else { 1 };
        rows.iter().map(|row| Row { channels: wide(row.channels / share), ..*row }).collect()
    };
    let stages: Vec<Vec<Row>> = shape.stages.iter().enumerate().map(scaled).collect();

    let mut b = GraphBuilder::new();
    let x = stem(&mut b, first, Activation::HardSwish);
    let x = trunk(&mut b, x, &stages, settings.drop_path);
    let name = format!("blocks.{}", stages.len());
    b.begin_stage(&name);
    let names = [format!("{name}.0.conv"), format!("{name}.0.bn1")];
    let last = Conv2d::same(wide(shape.last / share), 1);
    let x = unit(&mut b, [&names[0], &names[1]], x, last, Activation::HardSwish);
    b.end_stage(x);

    b.begin_stage(POOL_STAGE);
    let mean = Op::Reduce { reduction: Reduction::Mean, axes: vec![1, 2] };
    let x = b.add("global_pool", mean, &[x]);
    let x = b.conv2d("conv_head", x, Conv2d::same(shape.features / share, 1).with_bias());
    let x = b.activation("act2", x, Activation::HardSwish);
    let x = b.add("flatten", Op::Reshape(vec![Dimension::Same(0), Dimension::Same(3)]), &[x]);
    b.end_stage(x);
    Ok(head(b, x, "classifier", settings.classes, settings.drop_rate)?)
}

/// What torchvision's batch-norms add to the variance is more than ours and timm's add. With variances that are greater by the
/// difference, running statistics normalise as they did.
const EPSILONS: Rule = Rule::Shift { from: r"^features\..*\.running_var$", by: EXCESS };

/// By how much torchvision's batch-norms add more.
pub(crate) const EXCESS: f32 = 1e-3 - 1e-5;

/// torchvision's `conv_head` is a linear layer in the classifier.
const CONV_HEAD: [Rule; 3] = [
    Rule::Prefix { from: "classifier.0.", to: "conv_head." },
    Rule::Prefix { from: "classifier.3.", to: "classifier." },
    Rule::Reshape { name: r"^conv_head\.weight$" },
];

/// torchvision numbers the blocks through.
const TORCHVISION_SMALL: &[Rule] = &with_parts::<{ SMALL_NAMES.len() + PART_RULES }>(&SMALL_NAMES);
const TORCHVISION_LARGE: &[Rule] = &with_parts::<{ LARGE_NAMES.len() + PART_RULES }>(&LARGE_NAMES);

const SMALL_NAMES: [Rule; 19] = [
    EPSILONS,
    Rule::Prefix { from: "features.0.0.", to: "conv_stem." },
    Rule::Prefix { from: "features.0.1.", to: "bn1." },
    Rule::Prefix { from: "features.1.block.", to: "blocks.0.0.flat." },
    Rule::Prefix { from: "features.2.", to: "blocks.1.0." },
    Rule::Prefix { from: "features.3.", to: "blocks.1.1." },
    Rule::Prefix { from: "features.4.", to: "blocks.2.0." },
    Rule::Prefix { from: "features.5.", to: "blocks.2.1." },
    Rule::Prefix { from: "features.6.", to: "blocks.2.2." },
    Rule::Prefix { from: "features.7.", to: "blocks.3.0." },
    Rule::Prefix { from: "features.8.", to: "blocks.3.1." },
    Rule::Prefix { from: "features.9.", to: "blocks.4.0." },
    Rule::Prefix { from: "features.10.", to: "blocks.4.1." },
    Rule::Prefix { from: "features.11.", to: "blocks.4.2." },
    Rule::Prefix { from: "features.12.0.", to: "blocks.5.0.conv." },
    Rule::Prefix { from: "features.12.1.", to: "blocks.5.0.bn1." },
    CONV_HEAD[0],
    CONV_HEAD[1],
    CONV_HEAD[2],
];

pub(super) const LARGE_NAMES: [Rule; 23] = [
    EPSILONS,
    Rule::Prefix { from: "features.0.0.", to: "conv_stem." },
    Rule::Prefix { from: "features.0.1.", to: "bn1." },
    Rule::Prefix { from: "features.1.block.", to: "blocks.0.0.flat." },
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
    Rule::Prefix { from: "features.13.", to: "blocks.5.0." },
    Rule::Prefix { from: "features.14.", to: "blocks.5.1." },
    Rule::Prefix { from: "features.15.", to: "blocks.5.2." },
    Rule::Prefix { from: "features.16.0.", to: "blocks.6.0.conv." },
    Rule::Prefix { from: "features.16.1.", to: "blocks.6.0.bn1." },
    CONV_HEAD[0],
    CONV_HEAD[1],
    CONV_HEAD[2],
];

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::super::{ModelArgs, find};
    use super::*;

    #[test]
    fn only_the_narrowest_network_keeps_the_stem_and_tails_are_halved() {
        // name, whether its tail is reduced, channels of the stem, of the last stage, of the features
        for (name, reduced_tail, channels) in [
            ("mobilenetv3_small_050", None, [16, 288, 1024]),
            ("mobilenetv3_small_075", None, [16, 432, 1024]),
            ("mobilenetv3_large_100", Some(false), [16, 960, 1280]),
            ("mobilenetv3_large_100", Some(true), [16, 480, 640]),
        ] {
            let model_args = ModelArgs { reduced_tail, ..ModelArgs::default() };
            let settings = Settings { model_args, ..Settings::classes(3) };
            let graph = find(name).unwrap().build(&settings).unwrap();
            let rows = |name: &str| graph.parameters()[graph.parameter(name).unwrap()].shape[0];
            let last = graph.stages().len() - 3;
            let found =
                ["conv_stem.weight", &format!("blocks.{}.0.conv.weight", last - 1), "conv_head.weight"];
            assert_eq!(found.map(rows), channels, "{name}");
        }
    }
}
