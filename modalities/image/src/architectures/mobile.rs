//! What mobile networks share, in timm's naming: depthwise separable convolutions and inverted residuals (Sandler et al. 2018,
//! arXiv 1801.04381) with squeeze-and-excitation in them (Hu et al. 2017, arXiv 1709.01507), row by row of a paper's table.

use tk_engine::blocks::{BATCH_NORM_EPSILON, conv_norm, depthwise, residual};
use tk_engine::graph::{Activation, Conv2d, Op, Reduction};
use tk_engine::{GraphBuilder, Value};
use tk_transfer::checkpoint::Rule;

/// Blocks one after the other: the first has the stride, and all have the same number of channels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Row {
    /// How many.
    pub count: usize,
    /// Height and width of the kernel.
    pub kernel: usize,
    pub stride: usize,
    /// Channels within a block for each that comes in. With 1 nothing is widened.
    pub expansion: f64,
    /// Channels of the result.
    pub channels: usize,
    pub activation: Activation,
    pub squeeze: Option<Squeeze>,
}

/// Channels are scaled by what their means over the picture say, which passes through few channels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Squeeze {
    pub width: SqueezeWidth,
    pub activation: Activation,
    /// Makes the factors, in 0–1.
    pub gate: Activation,
}

/// How many channels the means pass through.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum SqueezeWidth {
    /// A quarter of those that come into the block.
    QuarterOfIncoming,
    /// A quarter of those within the block, rounded as widths are.
    QuarterOfWide,
}

impl Row {
    /// One block with kernels of 3, not widened, with ReLU: settings that other rows change.
    pub const PLAIN: Self = Self {
        count: 1,
        kernel: 3,
        stride: 1,
        expansion: 1.0,
        channels: 0,
        activation: Activation::Relu,
        squeeze: None,
    };
}

/// The nearest multiple of 8, at least 8, and the next one when that would lose more than a tenth.
pub(super) fn round_to_eight(width: f64) -> usize {
    let rounded = (((width + 4.0) / 8.0).floor() * 8.0).max(8.0);
    let rounded = if rounded < 0.9 * width { rounded + 8.0 } else { rounded };
    rounded as usize
}

/// The stage `stem` over the input `pixels`: a 3×3 convolution that halves.
pub(super) fn stem(b: &mut GraphBuilder, channels: usize, activation: Activation) -> Value {
    b.begin_stage("stem");
    let pixels = b.input("pixels", 4, Some(3));
    let x = unit(b, ["conv_stem", "bn1"], pixels, Conv2d::same(channels, 3).stride(2), activation);
    b.end_stage(x)
}

/// The stages `blocks.0` and on. Drop path grows from block to block towards its rate.
pub(super) fn trunk(b: &mut GraphBuilder, mut x: Value, stages: &[Vec<Row>], drop_path: f64) -> Value {
    let blocks: usize = stages.iter().flatten().map(|row| row.count).sum();
    let mut built = 0;
    for (stage, rows) in stages.iter().enumerate() {
        b.begin_stage(&format!("blocks.{stage}"));
        let in_stage = rows.iter().flat_map(|row| (0..row.count).map(move |index| (row, index)));
        for (position, (row, index)) in in_stage.enumerate() {
            let stride = if index == 0 { row.stride } else { 1 };
            let block = Block { row, stride, drop_path: drop_path * built as f64 / blocks as f64 };
            x = block.build(b, &format!("blocks.{stage}.{position}"), x);
            built += 1;
        }
        b.end_stage(x);
    }
    x
}

/// The stage `conv_head`: a 1×1 convolution that widens for the classifier.
pub(super) fn conv_head(b: &mut GraphBuilder, x: Value, channels: usize, activation: Activation) -> Value {
    b.begin_stage("conv_head");
    let x = unit(b, ["conv_head", "bn2"], x, Conv2d::same(channels, 1), activation);
    b.end_stage(x)
}

/// A convolution with its norm and activation.
pub(super) fn unit(
    b: &mut GraphBuilder,
    names: [&str; 2],
    x: Value,
    conv: Conv2d,
    activation: Activation,
) -> Value {
    let x = conv_norm(b, names, x, conv);
    b.activation(&format!("{}.act", names[1]), x, activation)
}

/// Widen by a 1×1 convolution (unless the expansion is 1), filter each channel, narrow by a 1×1 convolution without activation.
struct Block<'a> {
    row: &'a Row,
    stride: usize,
    drop_path: f64,
}

impl Block<'_> {
    fn build(&self, b: &mut GraphBuilder, name: &str, x: Value) -> Value {
        let of = |part: &str| format!("{name}.{part}");
        let &Row { kernel, expansion, channels, activation, .. } = self.row;
        let incoming = b.channels(x);
        let is_widened = expansion > 1.0;
        // timm names the narrowing convolution of an unexpanded block as it names the widening one of others.
        let (narrow, norms) =
            if is_widened { ("conv_pwl", ["bn1", "bn2", "bn3"]) } else { ("conv_pw", ["", "bn1", "bn2"]) };
        let mut y = x;
        if is_widened {
            let wide = round_to_eight(incoming as f64 * expansion);
            y = unit(b, [&of("conv_pw"), &of(norms[0])], y, Conv2d::same(wide, 1), activation);
        }
        y = depthwise(b, &of("conv_dw"), y, kernel, self.stride);
        y = b.batch_norm(&of(norms[1]), y, BATCH_NORM_EPSILON);
        y = b.activation(&of(&format!("{}.act", norms[1])), y, activation);
        if let Some(squeeze) = &self.row.squeeze {
            y = squeeze.build(b, &of("se"), y, incoming);
        }
        y = conv_norm(b, [&of(narrow), &of(norms[2])], y, Conv2d::same(channels, 1));
        match self.stride == 1 && incoming == channels {
            true => residual(b, name, y, x, self.drop_path),
            false => y,
        }
    }
}

impl Squeeze {
    fn build(&self, b: &mut GraphBuilder, name: &str, x: Value, incoming: usize) -> Value {
        let of = |part: &str| format!("{name}.{part}");
        let wide = b.channels(x);
        let narrow = match self.width {
            SqueezeWidth::QuarterOfIncoming => incoming / 4,
            SqueezeWidth::QuarterOfWide => round_to_eight(wide as f64 / 4.0),
        };
        let mean = Op::Reduce { reduction: Reduction::Mean, axes: vec![1, 2] };
        let y = b.add(&of("mean"), mean, &[x]);
        let y = b.conv2d(&of("conv_reduce"), y, Conv2d::same(narrow, 1).with_bias());
        let y = b.activation(&of("act1"), y, self.activation);
        let y = b.conv2d(&of("conv_expand"), y, Conv2d::same(wide, 1).with_bias());
        let gate = b.activation(&of("gate"), y, self.gate);
        b.add(name, Op::Multiply, &[x, gate])
    }
}

/// What torchvision, which numbers the parts of a block by position, calls them in timm's names. Blocks that widen nothing are expected
/// as `….flat.…`, others as `….block.…`.
pub(super) const PARTS: [Rule; 12] = [
    Rule::Pattern { from: r"\.flat\.0\.0\.", to: ".conv_dw." },
    Rule::Pattern { from: r"\.flat\.0\.1\.", to: ".bn1." },
    Rule::Pattern { from: r"\.flat\.[12]\.0\.", to: ".conv_pw." },
    Rule::Pattern { from: r"\.flat\.[12]\.1\.", to: ".bn2." },
    Rule::Pattern { from: r"\.block\.0\.0\.", to: ".conv_pw." },
    Rule::Pattern { from: r"\.block\.0\.1\.", to: ".bn1." },
    Rule::Pattern { from: r"\.block\.1\.0\.", to: ".conv_dw." },
    Rule::Pattern { from: r"\.block\.1\.1\.", to: ".bn2." },
    Rule::Pattern { from: r"\.block\.[23]\.0\.", to: ".conv_pwl." },
    Rule::Pattern { from: r"\.block\.[23]\.1\.", to: ".bn3." },
    Rule::Pattern { from: r"\.(flat|block)\.[12]\.fc1\.", to: ".se.conv_reduce." },
    Rule::Pattern { from: r"\.(flat|block)\.[12]\.fc2\.", to: ".se.conv_expand." },
];

/// How many rules name the parts of blocks.
pub(super) const PART_RULES: usize = PARTS.len();

/// A network's rules, and after them those for the parts of blocks: all `N` of them.
pub(super) const fn with_parts<const N: usize>(rules: &[Rule]) -> [Rule; N] {
    let mut joined = [PARTS[0]; N];
    let mut index = 0;
    while index < N {
        joined[index] = if index < rules.len() { rules[index] } else { PARTS[index - rules.len()] };
        index += 1;
    }
    joined
}

#[cfg(test)]
mod tests {
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
            (88.08, 88),
            (448.0, 448),
        ] {
            assert_eq!(round_to_eight(width), rounded, "{width}");
        }
    }
}
