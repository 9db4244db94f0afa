//! What two architectures share: a normalised convolution, one of each channel, and the end of a classifier.

use crate::graph::{Conv2d, Graph, GraphBuilder, GraphError, Init, Op, Value};

/// The epsilon that PyTorch's batch-norm has unless told otherwise.
pub const BATCH_NORM_EPSILON: f64 = 1e-5;

/// The last stage of every classifier: dropout, if any, and one linear layer.
pub const HEAD_STAGE: &str = "head";

/// The stage before [`HEAD_STAGE`]: its result, `[batch, features]`, is what probes learn from.
pub const POOL_STAGE: &str = "pool";

/// A convolution named `names[0]`, then a batch-norm named `names[1]`: `[batch, height, width, in]` to `[…, out]`.
pub fn conv_norm(b: &mut GraphBuilder, names: [&str; 2], x: Value, conv: Conv2d) -> Value {
    let y = b.conv2d(names[0], x, conv);
    b.batch_norm(names[1], y, BATCH_NORM_EPSILON)
}

/// A square convolution of each channel, padded so that the size stays (for odd kernels and stride 1), whose initial weights reckon
/// with the fan-out within a channel: the kernel's size.
pub fn depthwise(b: &mut GraphBuilder, name: &str, x: Value, kernel: usize, stride: usize) -> Value {
    let channels = b.channels(x);
    let init = Init::Normal((2.0 / (kernel * kernel) as f64).sqrt());
    b.conv2d(name, x, Conv2d::same(channels, kernel).stride(stride).groups(channels).init(init))
}

/// `shortcut + branch`, where training drops the whole branch of a sample with the given probability
/// (stochastic depth, arXiv 1603.09382).
pub fn residual(b: &mut GraphBuilder, name: &str, branch: Value, shortcut: Value, drop_path: f64) -> Value {
    let branch = match drop_path > 0.0 {
        true => b.add(&format!("{name}.drop_path"), Op::DropPath { rate: drop_path }, &[branch]),
        false => branch,
    };
    b.add(&format!("{name}.add"), Op::Add, &[branch, shortcut])
}

/// The end of a classifier over a feature map `[batch, height, width, features]`: the stages [`POOL_STAGE`] and [`HEAD_STAGE`], whose
/// linear layer is named `name`; one output `logits`, `[batch, classes]`.
///
/// # Errors
/// When the graph is malformed.
pub fn classify(
    mut b: GraphBuilder,
    map: Value,
    name: &str,
    classes: usize,
    dropout: f64,
) -> Result<Graph, GraphError> {
    b.begin_stage(POOL_STAGE);
    let features = b.add("global_pool", Op::GlobalAveragePool, &[map]);
    b.end_stage(features);
    head(b, features, name, classes, dropout)
}

/// The stage [`HEAD_STAGE`] over features `[batch, features]`, and the finished graph with its one output `logits`, `[batch, classes]`.
///
/// # Errors
/// When the graph is malformed.
pub fn head(
    mut b: GraphBuilder,
    features: Value,
    name: &str,
    classes: usize,
    dropout: f64,
) -> Result<Graph, GraphError> {
    b.begin_stage(HEAD_STAGE);
    let features = match dropout > 0.0 {
        true => b.add(&format!("{name}.dropout"), Op::Dropout { rate: dropout }, &[features]),
        false => features,
    };
    let logits = b.linear(name, features, classes);
    b.end_stage(logits);
    b.finish(&[("logits", logits)])
}

/// The same network with a new, untrained head for another count of classes. The linear layer keeps its name, so that
/// checkpoints keep theirs; dropout before it stays as it was.
///
/// # Errors
/// When the graph has no stage [`HEAD_STAGE`] after another one, or no linear layer in it.
pub fn replace_head(graph: &Graph, classes: usize) -> Result<Graph, GraphError> {
    let index = graph.stage(HEAD_STAGE)?;
    let of_head = || graph.nodes().iter().filter(|node| node.stage == index);
    let linear = of_head()
        .find(|node| node.op == Op::Linear)
        .ok_or(GraphError::Missing("a linear layer in its stage `head` for that to be replaced"))?;
    let dropout = of_head().find_map(|node| match node.op {
        Op::Dropout { rate } => Some(rate),
        _ => None,
    });
    let last = index.checked_sub(1).ok_or(GraphError::Missing("a stage before its head"))?;
    let b = GraphBuilder::from_stages(graph, last);
    let features = b.stage_output(&graph.stages()[last].name)?;
    head(b, features, &linear.name, classes, dropout.unwrap_or(0.0))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn classifier(classes: usize, dropout: f64) -> Graph {
        let mut b = GraphBuilder::new();
        b.begin_stage("stem");
        let x = b.input("pixels", 4, Some(3));
        let y = conv_norm(&mut b, ["conv", "bn"], x, Conv2d::same(3, 3));
        let y = residual(&mut b, "block", y, x, dropout);
        b.end_stage(y);
        classify(b, y, "fc", classes, dropout).unwrap()
    }

    #[test]
    fn a_replaced_head_is_the_head_that_would_have_been_built() {
        for dropout in [0.0, 0.2] {
            assert_eq!(replace_head(&classifier(7, dropout), 2).unwrap(), classifier(2, dropout));
        }
    }

    #[test]
    fn a_rate_of_zero_adds_no_node() {
        let drops = |graph: &Graph| {
            graph
                .nodes()
                .iter()
                .filter(|node| matches!(node.op, Op::Dropout { .. } | Op::DropPath { .. }))
                .count()
        };
        assert_eq!(drops(&classifier(2, 0.0)), 0);
        assert_eq!(drops(&classifier(2, 0.1)), 2);
    }

    #[test]
    fn a_graph_without_a_head_is_refused() {
        let mut b = GraphBuilder::new();
        b.begin_stage("stem");
        let x = b.input("pixels", 4, Some(3));
        b.end_stage(x);
        let graph = b.finish(&[("x", x)]).unwrap();
        assert!(matches!(replace_head(&graph, 2), Err(GraphError::UnknownStage { .. })));
    }
}
