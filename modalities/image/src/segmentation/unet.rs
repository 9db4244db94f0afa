//! A decoder like U-Net's (Ronneberger et al. 2015, arXiv 1505.04597) over any backbone's maps: coarse ones are enlarged and joined with finer
//! ones, step by step. Made for few pictures: it keeps edges, and its group-norms need no large batch.

use serde::{Deserialize, Serialize};
use tk_engine::Value;
use tk_engine::graph::{Activation, Conv2d, GraphBuilder, Interpolation, Op};

use super::logits;

/// What group-norm adds to the variance.
const EPSILON: f64 = 1e-5;

/// How wide the decoder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unet {
    /// Channels of the finest step; each coarser one has twice as many, at most 256.
    pub width: usize,
    /// Groups of channels that are normalised together.
    pub groups: usize,
}

impl Default for Unet {
    fn default() -> Self {
        Self { width: 64, groups: 8 }
    }
}

/// The most channels of a step.
const WIDEST: usize = 256;

impl Unet {
    /// Maps from fine to coarse to `[batch, height, width, classes]` of the finest.
    pub(super) fn build(&self, b: &mut GraphBuilder, maps: &[Value], classes: usize) -> Value {
        let mut coarse_first = maps.iter().enumerate().rev();
        let Some((_, &coarsest)) = coarse_first.next() else { return Value::at(0) };
        let mut x = coarsest;
        for (step, &map) in coarse_first {
            let name = format!("decoder.{step}");
            let of = |part: &str| format!("{name}.{part}");
            let width = (self.width << step).min(WIDEST);
            let up = b.add(&of("up"), Op::ResizeLike(Interpolation::Nearest), &[x, map]);
            let joined = b.add(&of("joined"), Op::Concat { axis: 3 }, &[up, map]);
            let y = self.unit(b, &of("0"), joined, width);
            x = self.unit(b, &of("1"), y, width);
        }
        logits(b, "classifier", x, classes)
    }

    fn unit(&self, b: &mut GraphBuilder, name: &str, x: Value, width: usize) -> Value {
        let x = b.conv2d(&format!("{name}.conv"), x, Conv2d::same(width, 3));
        let x = b.group_norm(&format!("{name}.norm"), x, self.groups, EPSILON);
        b.activation(&format!("{name}.act"), x, Activation::Relu)
    }
}
