//! Where a frame stands, from its neighbours: a weight-normed convolution in groups (arXiv 1602.07868, 2006.11477).

use tk_engine::graph::{Activation, Convolution, GraphBuilder, Init, Kind, Op, Reduction, Unary, Value};

/// The convolution that embeds positions.
#[derive(Clone, Debug, PartialEq)]
pub struct Positions {
    /// Taps of the kernel.
    pub kernel: usize,
    /// In how many groups channels are convolved.
    pub groups: usize,
    /// The activation behind it.
    pub activation: Activation,
}

const NAME: &str = "encoder.pos_conv_embed.conv";

impl Positions {
    /// The embeddings of `x`, `[batch, length, width]`, of the same shape.
    pub(super) fn build(&self, b: &mut GraphBuilder, x: Value) -> Value {
        let (width, name) = (b.channels(x), |part: &str| format!("{NAME}.{part}"));
        let weight = self.weight(b, width);
        let bias = b.parameter(&name("bias"), &[width], Kind::Bias, Init::Zeros);
        // An even kernel would make one frame more than there are; the last one is dropped.
        let (left, right) = (self.kernel / 2, (self.kernel - 1) / 2);
        let walk = Convolution {
            stride: [1; 2],
            padding: [0, 0, left, right],
            dilation: [1; 2],
            groups: self.groups,
        };
        let convolved = b.add(NAME, Op::Convolution(walk), &[x, weight, bias]);
        b.activation(&name("activation"), convolved, self.activation)
    }

    /// `g · v / ‖v‖`, `[width, width / groups, kernel]`, where the norm is that of each tap.
    fn weight(&self, b: &mut GraphBuilder, width: usize) -> Value {
        let (group, name) = (width / self.groups, |part: &str| format!("{NAME}.{part}"));
        let deviation = 2.0 / ((self.kernel * group) as f64).sqrt();
        // A new weight is `v` itself: its length is what such numbers are expected to have.
        let length = Init::Constant(deviation * ((width * group) as f64).sqrt());
        let g = b.parameter(
            &name("parametrizations.weight.original0"),
            &[1, 1, self.kernel],
            Kind::Weight,
            length,
        );
        let shape = [width, group, self.kernel];
        let init = Init::Normal(deviation);
        let v = b.parameter(&name("parametrizations.weight.original1"), &shape, Kind::Weight, init);
        let squares = b.add(&name("squares"), Op::Unary(Unary::Square), &[v]);
        let sum = b.add(&name("sum"), Op::Reduce { reduction: Reduction::Sum, axes: vec![0, 1] }, &[squares]);
        let norm = b.add(&name("norm"), Op::Unary(Unary::SquareRoot), &[sum]);
        let scale = b.add(&name("scale"), Op::Divide, &[g, norm]);
        b.add(&name("weight"), Op::Multiply, &[v, scale])
    }
}
