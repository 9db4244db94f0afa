//! Residual networks (He et al. 2015, arXiv 1512.03385), with the stride in the 3×3 convolution of a bottleneck, as torchvision,
//! timm and most published weights have it; variants C, D and T (arXiv 1812.01187) change the stem and the shortcut.
//!
//! Stages: `stem`, `layer1` … `layer4`, `pool`, `head`. torchvision's names are timm's.

use tk_engine::blocks::{BATCH_NORM_EPSILON, classify, conv_norm, residual};
use tk_engine::graph::{Activation, AveragePool, Conv2d, Divisor, Init, Kind, Op, Window};
use tk_engine::{Graph, GraphBuilder, Value};

use super::architecture::Builder;
use super::{Architecture, ArchitectureError, Body, Family, FineTuning, Settings, StemType};

/// Residual networks.
pub(super) static FAMILY: Family =
    Family { name: "resnet", body: Body::Map, fine_tuning: FineTuning::CONVOLUTIONAL, networks: &NETWORKS };

static NETWORKS: [Architecture; 12] = [
    resnet("resnet10t", |s| build(&T10, s)),
    resnet("resnet14t", |s| build(&T14, s)),
    resnet("resnet18", |s| build(&R18, s)),
    resnet("resnet18d", |s| build(&D18, s)),
    resnet("resnet26", |s| build(&R26, s)),
    resnet("resnet26d", |s| build(&D26, s)),
    resnet("resnet34", |s| build(&R34, s)),
    resnet("resnet34d", |s| build(&D34, s)),
    resnet("resnet50", |s| build(&R50, s)),
    resnet("resnet50d", |s| build(&D50, s)),
    resnet("resnet101", |s| build(&R101, s)),
    resnet("resnet152", |s| build(&R152, s)),
];

const fn resnet(name: &'static str, graph: Builder) -> Architecture {
    Architecture { name, family: &FAMILY, head: "fc", renames: &[], graph }
}

const R18: Shape = Shape::plain("resnet18", Block::Basic, [2, 2, 2, 2]);
const R26: Shape = Shape::plain("resnet26", Block::Bottleneck, [2, 2, 2, 2]);
const R34: Shape = Shape::plain("resnet34", Block::Basic, [3, 4, 6, 3]);
const R50: Shape = Shape::plain("resnet50", Block::Bottleneck, [3, 4, 6, 3]);
const R101: Shape = Shape::plain("resnet101", Block::Bottleneck, [3, 4, 23, 3]);
const R152: Shape = Shape::plain("resnet152", Block::Bottleneck, [3, 8, 36, 3]);
const D18: Shape = Shape::deep("resnet18d", Block::Basic, [2, 2, 2, 2], StemType::Deep);
const D26: Shape = Shape::deep("resnet26d", Block::Bottleneck, [2, 2, 2, 2], StemType::Deep);
const D34: Shape = Shape::deep("resnet34d", Block::Basic, [3, 4, 6, 3], StemType::Deep);
const D50: Shape = Shape::deep("resnet50d", Block::Bottleneck, [3, 4, 6, 3], StemType::Deep);
const T10: Shape = Shape::deep("resnet10t", Block::Basic, [1, 1, 1, 1], StemType::DeepTiered);
const T14: Shape = Shape::deep("resnet14t", Block::Bottleneck, [1, 1, 1, 1], StemType::DeepTiered);

/// What tells one network of the family from another.
struct Shape {
    name: &'static str,
    block: Block,
    /// Blocks in each stage.
    layers: [usize; 4],
    stem: StemType,
    /// The width of a deep stem's first convolutions.
    stem_width: usize,
    /// Whether shortcuts are halved by an average pool.
    average_down: bool,
}

impl Shape {
    const fn plain(name: &'static str, block: Block, layers: [usize; 4]) -> Self {
        Self { name, block, layers, stem: StemType::Plain, stem_width: 64, average_down: false }
    }

    const fn deep(name: &'static str, block: Block, layers: [usize; 4], stem: StemType) -> Self {
        Self { name, block, layers, stem, stem_width: 32, average_down: true }
    }
}

/// The residual branch.
#[derive(Clone, Copy, PartialEq)]
enum Block {
    /// Two 3×3 convolutions.
    Basic,
    /// 1×1 to the stage's width, 3×3, 1×1 to four times the width.
    Bottleneck,
}

impl Block {
    /// Output channels for each of the stage's width.
    fn expansion(self) -> usize {
        match self {
            Self::Basic => 1,
            Self::Bottleneck => 4,
        }
    }
}

/// The widths of the published stages.
const CHANNELS: [usize; 4] = [64, 128, 256, 512];

/// The width of the plain stem, whatever the stages' widths are.
const PLAIN_STEM: usize = 64;

fn build(shape: &Shape, settings: &Settings) -> Result<Graph, ArchitectureError> {
    let args = &settings.model_args;
    args.only(shape.name, &["layers", "channels", "stem_width", "stem_type", "avg_down"])?;
    let layers = args.layers.as_deref().unwrap_or(&shape.layers);
    let channels = args.channels.as_deref().unwrap_or(&CHANNELS);
    check_sizes(shape.name, "layers", layers)?;
    check_sizes(shape.name, "channels", channels)?;
    let stem_width = args.stem_width.unwrap_or(shape.stem_width);
    if stem_width < 4 {
        return Err(ArchitectureError::Setting {
            architecture: shape.name,
            setting: "stem_width",
            expected: "at least 4",
            found: stem_width.to_string(),
        });
    }
    let average_down = args.avg_down.unwrap_or(shape.average_down);

    let mut b = GraphBuilder::new();
    let mut x = stem(&mut b, args.stem_type.unwrap_or(shape.stem), stem_width);
    let blocks: usize = layers.iter().sum();
    let mut built = 0;
    for (stage, (&width, &count)) in channels.iter().zip(layers).enumerate() {
        let name = format!("layer{}", stage + 1);
        b.begin_stage(&name);
        for index in 0..count {
            let stride = if stage > 0 && index == 0 { 2 } else { 1 };
            // The linear decay rule: the first block is never dropped, the last with the full rate.
            let drop_path = settings.drop_path * built as f64 / (blocks - 1).max(1) as f64;
            let step = Step { block: shape.block, width, stride, average_down, drop_path };
            x = step.build(&mut b, &format!("{name}.{index}"), x);
            built += 1;
        }
        b.end_stage(x);
    }
    Ok(classify(b, x, "fc", settings.classes, settings.drop_rate)?)
}

fn check_sizes(
    architecture: &'static str,
    setting: &'static str,
    sizes: &[usize],
) -> Result<(), ArchitectureError> {
    match sizes.len() == CHANNELS.len() && !sizes.contains(&0) {
        true => Ok(()),
        false => Err(ArchitectureError::Setting {
            architecture,
            setting,
            expected: "four numbers above 0",
            found: format!("{sizes:?}"),
        }),
    }
}

/// `[batch, height, width, 3]` to a quarter of height and width.
fn stem(b: &mut GraphBuilder, stem: StemType, width: usize) -> Value {
    b.begin_stage("stem");
    let pixels = b.input("pixels", 4, Some(3));
    let first = match stem {
        StemType::Plain => None,
        StemType::Deep => Some(width),
        StemType::DeepTiered => Some(3 * (width / 4)),
    };
    let x = match first {
        None => conv_norm(b, ["conv1", "bn1"], pixels, Conv2d::same(PLAIN_STEM, 7).stride(2)),
        Some(first) => {
            let x = conv_norm(b, ["conv1.0", "conv1.1"], pixels, Conv2d::same(first, 3).stride(2));
            let x = b.activation("conv1.2", x, Activation::Relu);
            let x = conv_norm(b, ["conv1.3", "conv1.4"], x, Conv2d::same(width, 3));
            let x = b.activation("conv1.5", x, Activation::Relu);
            conv_norm(b, ["conv1.6", "bn1"], x, Conv2d::same(2 * width, 3))
        }
    };
    let x = b.activation("act1", x, Activation::Relu);
    let window = Window { kernel: [3, 3], stride: [2, 2], padding: [1; 4], ceil: false };
    let x = b.add("maxpool", Op::MaxPool(window), &[x]);
    b.end_stage(x)
}

/// One residual block.
struct Step {
    block: Block,
    /// The stage's width, before the block's expansion.
    width: usize,
    stride: usize,
    average_down: bool,
    drop_path: f64,
}

impl Step {
    fn build(&self, b: &mut GraphBuilder, name: &str, x: Value) -> Value {
        let convolutions = match self.block {
            Block::Basic => {
                vec![Conv2d::same(self.width, 3).stride(self.stride), Conv2d::same(self.width, 3)]
            }
            Block::Bottleneck => vec![
                Conv2d::same(self.width, 1),
                Conv2d::same(self.width, 3).stride(self.stride),
                Conv2d::same(self.width * self.block.expansion(), 1),
            ],
        };
        let last = convolutions.len();
        let mut y = x;
        for (index, conv) in (1..).zip(convolutions) {
            let (conv_name, norm) = (format!("{name}.conv{index}"), format!("{name}.bn{index}"));
            y = b.conv2d(&conv_name, y, conv);
            if index == last {
                // A branch starts as nothing, so that a new network starts as its shortcuts (timm's `zero_init_last`). Declared
                // first, the scale keeps this initial value when the norm asks for it.
                let scale = [conv.out_channels];
                b.parameter(&format!("{norm}.weight"), &scale, Kind::NormWeight, Init::Zeros);
            }
            y = b.batch_norm(&norm, y, BATCH_NORM_EPSILON);
            if index < last {
                y = b.activation(&format!("{name}.act{index}"), y, Activation::Relu);
            }
        }
        let shortcut = self.shortcut(b, name, x);
        let sum = residual(b, name, y, shortcut, self.drop_path);
        b.activation(&format!("{name}.act{last}"), sum, Activation::Relu)
    }

    /// The input itself where it fits, else a 1×1 convolution of it.
    fn shortcut(&self, b: &mut GraphBuilder, name: &str, x: Value) -> Value {
        let out = self.width * self.block.expansion();
        if self.stride == 1 && b.channels(x) == out {
            return x;
        }
        let of = |index: usize| format!("{name}.downsample.{index}");
        if !self.average_down {
            let conv = Conv2d::same(out, 1).stride(self.stride);
            return conv_norm(b, [&of(0), &of(1)], x, conv);
        }
        let x = match self.stride {
            1 => x,
            stride => {
                let window = Window { kernel: [2, 2], stride: [stride; 2], padding: [0; 4], ceil: true };
                b.add(&of(0), Op::AveragePool(AveragePool { window, divisor: Divisor::Inside }), &[x])
            }
        };
        conv_norm(b, [&of(1), &of(2)], x, Conv2d::same(out, 1))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::super::ModelArgs;
    use super::super::find;
    use super::*;

    #[test]
    fn narrower_stages_keep_the_stem() {
        let model_args = ModelArgs { channels: Some(vec![36, 72, 144, 288]), ..ModelArgs::default() };
        let graph =
            find("resnet18").unwrap().build(&Settings { model_args, ..Settings::classes(5) }).unwrap();
        let shape = |name: &str| graph.parameters()[graph.parameter(name).unwrap()].shape.clone();
        assert_eq!(shape("conv1.weight"), [64, 3, 7, 7]);
        assert_eq!(shape("layer1.0.downsample.0.weight"), [36, 64, 1, 1]);
        assert_eq!(shape("fc.weight"), [5, 288]);
    }

    #[test]
    fn residual_branches_start_as_nothing() {
        let graph = find("resnet50").unwrap().build(&Settings::classes(2)).unwrap();
        let init = |name: &str| graph.parameters()[graph.parameter(name).unwrap()].init;
        assert_eq!(init("layer3.2.bn3.weight"), Init::Zeros);
        assert_eq!(init("layer3.2.bn2.weight"), Init::Ones);
        assert_eq!(init("layer3.0.downsample.1.weight"), Init::Ones);
    }

    #[test]
    fn drop_path_grows_linearly_to_its_rate() {
        let graph =
            find("resnet18").unwrap().build(&Settings { drop_path: 0.7, ..Settings::classes(2) }).unwrap();
        let rates: Vec<f64> = graph
            .nodes()
            .iter()
            .filter_map(|node| match node.op {
                Op::DropPath { rate } => Some(rate),
                _ => None,
            })
            .collect();
        assert_eq!(rates.len(), 7);
        for (rate, expected) in rates.iter().zip([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]) {
            assert!((rate - expected).abs() < 1e-12, "{rates:?}");
        }
    }

    #[test]
    fn shapes_that_cannot_be_built_are_refused() {
        for (model_args, setting) in [
            (ModelArgs { channels: Some(vec![8, 16, 32]), ..ModelArgs::default() }, "channels"),
            (ModelArgs { layers: Some(vec![1, 1, 0, 1]), ..ModelArgs::default() }, "layers"),
            (ModelArgs { stem_width: Some(0), ..ModelArgs::default() }, "stem_width"),
        ] {
            let error = find("resnet18")
                .unwrap()
                .build(&Settings { model_args, ..Settings::classes(2) })
                .unwrap_err();
            assert!(error.to_string().contains(setting), "{error}");
        }
    }
}
