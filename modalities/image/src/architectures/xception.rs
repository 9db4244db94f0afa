//! Residual blocks of depthwise separable convolutions (Chollet 2016, arXiv 1610.02357), as timm's `legacy_xception` has them.
//!
//! Stages: `stem`, `block1` … `block12`, `tail`, `pool`, `head`. The first two convolutions have no padding, so pictures need a side of
//! at least 7 pixels.

use tk_engine::blocks::{BATCH_NORM_EPSILON, classify, conv_norm, depthwise};
use tk_engine::graph::{Activation, Conv2d, Op, Window};
use tk_engine::{Graph, GraphBuilder, Value};

use super::{Architecture, ArchitectureError, Body, Family, FineTuning, Settings};

/// Xception.
pub(super) static FAMILY: Family =
    Family { name: "xception", body: Body::Map, fine_tuning: FineTuning::CONVOLUTIONAL, networks: &NETWORKS };

static NETWORKS: [Architecture; 1] =
    [Architecture { name: NAME, family: &FAMILY, head: "fc", renames: &[], graph: build }];

const NAME: &str = "legacy_xception";

/// A block: its separable convolutions, and whether the map is halved.
struct Block {
    widths: &'static [usize],
    halves: bool,
}

const BLOCKS: [Block; 12] = [
    Block { widths: &[128, 128], halves: true },
    Block { widths: &[256, 256], halves: true },
    Block { widths: &[728, 728], halves: true },
    MIDDLE,
    MIDDLE,
    MIDDLE,
    MIDDLE,
    MIDDLE,
    MIDDLE,
    MIDDLE,
    MIDDLE,
    Block { widths: &[728, 1024], halves: true },
];
const MIDDLE: Block = Block { widths: &[728, 728, 728], halves: false };

/// Widths of the last two convolutions.
const TAIL: [usize; 2] = [1536, 2048];

fn build(settings: &Settings) -> Result<Graph, ArchitectureError> {
    settings.model_args.only(NAME, &[])?;
    settings.without_drop_path(NAME)?;
    let mut b = GraphBuilder::new();
    b.begin_stage("stem");
    let pixels = b.input("pixels", 4, Some(3));
    let x = conv_norm(&mut b, ["conv1", "bn1"], pixels, Conv2d::same(32, 3).padding(0).stride(2));
    let x = b.activation("act1", x, Activation::Relu);
    let x = conv_norm(&mut b, ["conv2", "bn2"], x, Conv2d::same(64, 3).padding(0));
    let mut x = b.activation("act2", x, Activation::Relu);
    b.end_stage(x);

    for (number, block) in (1..).zip(&BLOCKS) {
        let name = format!("block{number}");
        b.begin_stage(&name);
        x = block.build(&mut b, &name, x, number > 1);
        b.end_stage(x);
    }

    b.begin_stage("tail");
    for (number, channels) in (3..).zip(TAIL) {
        x = separable(&mut b, &format!("conv{number}"), x, channels);
        x = b.batch_norm(&format!("bn{number}"), x, BATCH_NORM_EPSILON);
        x = b.activation(&format!("act{number}"), x, Activation::Relu);
    }
    b.end_stage(x);
    Ok(classify(b, x, "fc", settings.classes, settings.drop_rate)?)
}

impl Block {
    /// Activations come before convolutions, but for the first of a network, which reads activated values. timm numbers the parts of
    /// `rep` through.
    fn build(&self, b: &mut GraphBuilder, name: &str, x: Value, begins_activated: bool) -> Value {
        let mut parts = (0..).map(|index: usize| format!("{name}.rep.{index}"));
        let mut part = move || parts.next().unwrap_or_default();
        let mut y = x;
        for (index, &channels) in self.widths.iter().enumerate() {
            if index > 0 || begins_activated {
                y = b.activation(&part(), y, Activation::Relu);
            }
            y = separable(b, &part(), y, channels);
            y = b.batch_norm(&part(), y, BATCH_NORM_EPSILON);
        }
        if !self.halves {
            return b.add(&format!("{name}.add"), Op::Add, &[y, x]);
        }
        let window = Window { kernel: [3; 2], stride: [2; 2], padding: [1; 4], ceil: false };
        let y = b.add(&part(), Op::MaxPool(window), &[y]);
        let skip = Conv2d::same(b.channels(y), 1).stride(2);
        let skip = conv_norm(b, [&format!("{name}.skip"), &format!("{name}.skipbn")], x, skip);
        b.add(&format!("{name}.add"), Op::Add, &[y, skip])
    }
}

/// A convolution of each channel, then one of each pixel.
fn separable(b: &mut GraphBuilder, name: &str, x: Value, channels: usize) -> Value {
    let x = depthwise(b, &format!("{name}.conv1"), x, 3, 1);
    b.conv2d(&format!("{name}.pointwise"), x, Conv2d::same(channels, 1))
}
