//! Networks that keep finer maps: strides beyond a limit become dilations of what follows (atrous convolution; Chen et al. 2016,
//! arXiv 1606.00915), which costs no parameter, so published weights stay as they are.

use super::{Convolution, Graph, Op};

/// The dilation of the convolution whose stride is taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstDilation {
    /// What it had before, as ResNets have it in torchvision and timm.
    Former,
    /// That of the convolutions behind it, as torchvision's MobileNets have it.
    Latter,
}

impl Graph {
    /// The same network with maps that are nowhere coarser than one place for `output_stride` pixels.
    ///
    /// Strides are counted from the inputs through convolutions and pools. Padding grows with dilation, so that sizes stay.
    #[must_use]
    pub fn dilated(&self, output_stride: usize, first: FirstDilation) -> Self {
        let mut graph = self.clone();
        // For each value: pixels from one of its places to the next, and the dilation of what reads it.
        let mut grids: Vec<[usize; 2]> = Vec::with_capacity(graph.nodes.len());
        for position in 0..graph.nodes.len() {
            let node = &mut graph.nodes[position];
            let inputs = node.inputs.iter().map(|input| grids[input.index()]);
            let [stride, dilation] =
                inputs.fold([1, 1], |most, grid| [0, 1].map(|at| most[at].max(grid[at])));
            let own = match &node.op {
                Op::Convolution(walk) => walk.stride[0],
                Op::MaxPool(window) => window.stride[0],
                Op::AveragePool(pool) => pool.window.stride[0],
                _ => 1,
            };
            let is_dropped = own > 1 && stride * own > output_stride;
            let behind = if is_dropped { dilation * own } else { dilation };
            match &mut node.op {
                Op::Convolution(walk) => {
                    let by = if is_dropped && first == FirstDilation::Latter { behind } else { dilation };
                    *walk = spread(*walk, by);
                    if is_dropped {
                        walk.stride = [1; 2];
                    }
                }
                Op::MaxPool(window) if is_dropped => window.stride = [1; 2],
                Op::AveragePool(pool) if is_dropped => pool.window.stride = [1; 2],
                _ => {}
            }
            grids.push([if is_dropped { stride } else { stride * own }, behind]);
        }
        graph
    }
}

/// A walk whose taps lie further apart.
fn spread(walk: Convolution, by: usize) -> Convolution {
    Convolution { dilation: walk.dilation.map(|at| at * by), padding: walk.padding.map(|at| at * by), ..walk }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::super::{Conv2d, GraphBuilder};
    use super::*;

    fn graph() -> Graph {
        let mut b = GraphBuilder::new();
        b.begin_stage("all");
        let mut x = b.input("pixels", 4, Some(3));
        for (name, stride) in [("a", 2), ("b", 1), ("c", 2), ("d", 1), ("e", 2), ("f", 1)] {
            x = b.conv2d(name, x, Conv2d::same(4, 3).stride(stride));
        }
        b.end_stage(x);
        b.finish(&[("map", x)]).unwrap()
    }

    fn walks(graph: &Graph) -> Vec<[usize; 2]> {
        let of = |op: &Op| match op {
            Op::Convolution(walk) => Some([walk.stride[0], walk.dilation[0]]),
            _ => None,
        };
        graph.nodes().iter().filter_map(|node| of(&node.op)).collect()
    }

    #[test]
    fn strides_beyond_the_limit_become_dilations() {
        let plain = [[2, 1], [1, 1], [2, 1], [1, 1], [2, 1], [1, 1]];
        assert_eq!(walks(&graph().dilated(8, FirstDilation::Former)), plain);
        let cases = [
            (4, FirstDilation::Former, [[2, 1], [1, 1], [2, 1], [1, 1], [1, 1], [1, 2]]),
            (4, FirstDilation::Latter, [[2, 1], [1, 1], [2, 1], [1, 1], [1, 2], [1, 2]]),
            (2, FirstDilation::Former, [[2, 1], [1, 1], [1, 1], [1, 2], [1, 2], [1, 4]]),
        ];
        for (output_stride, first, expected) in cases {
            let dilated = graph().dilated(output_stride, first);
            assert_eq!(walks(&dilated), expected);
            let side = 32 / output_stride;
            let shapes = dilated.infer(&[vec![1, 32, 32, 3]]).unwrap();
            assert_eq!(shapes.last(), Some(&vec![1, side, side, 4]));
        }
    }
}
