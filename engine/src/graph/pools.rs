//! Networks whose max-pools have other windows, which costs no parameter: published weights stay as they are.

use super::{Graph, Op, Window};

impl Graph {
    /// The same network with other windows of its max-pools: `change` is given each one's number, in the order of nodes, and its window.
    #[must_use]
    pub fn with_max_pools(&self, change: impl Fn(usize, Window) -> Window) -> Self {
        let mut graph = self.clone();
        let windows = graph.nodes.iter_mut().filter_map(|node| match &mut node.op {
            Op::MaxPool(window) => Some(window),
            _ => None,
        });
        for (number, window) in windows.enumerate() {
            *window = change(number, *window);
        }
        graph
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::super::GraphBuilder;
    use super::*;

    #[test]
    fn pools_are_counted_and_the_rest_stays() {
        let window = Window { kernel: [2; 2], stride: [2; 2], padding: [0; 4], ceil: false };
        let mut b = GraphBuilder::new();
        b.begin_stage("all");
        let mut x = b.input("pixels", 4, Some(3));
        for name in ["a", "b"] {
            x = b.add(name, Op::MaxPool(window), &[x]);
        }
        b.end_stage(x);
        let graph = b.finish(&[("map", x)]).unwrap();
        let side = |graph: &Graph| graph.infer(&[vec![1, 14, 14, 3]]).unwrap().last().unwrap()[1];
        // The pool whose windows may be partly inside, and the side of what comes out of 14 by 7.
        for (of, expected) in [(None, 3), (Some(0), 3), (Some(1), 4)] {
            let changed =
                graph.with_max_pools(|number, window| Window { ceil: of == Some(number), ..window });
            assert_eq!(side(&changed), expected, "{of:?}");
        }
    }
}
