//! From the vectors of tokens to one of the text, and to logits.

use tk_engine::Graph;
use tk_engine::graph::{Dimension, GraphBuilder, GraphError, Op, SliceRange, Value};

use super::encoder::{dropout, linear};
use super::{Architecture, Field, Head, Pooling, Settings};

/// What a published head does between vectors, `[…, width]`, and its last dropout and linear layer.
pub(super) type Builder = fn(&mut GraphBuilder, &Settings, Value) -> Value;

/// The stages `pooler` (where every token is told of, only if the architecture has something to do there) and, with classes, `classifier`
/// over the vectors of tokens, `[batch, length, width]`; and the graph.
pub(super) fn finish(
    mut b: GraphBuilder,
    architecture: &Architecture,
    settings: &Settings,
    head: Head,
    hidden: Value,
) -> Result<Graph, GraphError> {
    if let Head::Tokens { classes } = head {
        let mut x = hidden;
        if let Some(pooler) = architecture.token_pooler {
            b.begin_stage("pooler");
            x = pooler(&mut b, settings, x);
            b.end_stage(x);
        }
        let name = architecture.head_name(head).unwrap_or_default();
        return finish_with_classifier(b, settings, name, classes, x);
    }
    b.begin_stage("pooler");
    let mut x = match settings.pooling(head) {
        Pooling::Mean => mean(&mut b, hidden, settings.width),
        Pooling::Cls => first(&mut b, hidden, settings.width),
    };
    if let Head::Published { .. } = head {
        x = (architecture.published_pooler)(&mut b, settings, x);
    }
    b.end_stage(x);
    let (Some(classes), Some(name)) = (head.classes(), architecture.head_name(head)) else {
        return b.finish(&[("embedding", x)]);
    };
    finish_with_classifier(b, settings, name, classes, x)
}

/// The stage `classifier` over vectors, `[…, width]`, whose output is `logits`; and the graph.
fn finish_with_classifier(
    mut b: GraphBuilder,
    settings: &Settings,
    name: &str,
    classes: usize,
    x: Value,
) -> Result<Graph, GraphError> {
    b.begin_stage("classifier");
    let x = dropout(&mut b, "classifier.dropout", x, settings.classifier_dropout);
    let logits = linear(&mut b, name, x, classes, settings);
    b.end_stage(logits);
    b.finish(&[("logits", logits)])
}

/// The mean over tokens by given weights: `[batch, length, width]` to `[batch, width]`.
fn mean(b: &mut GraphBuilder, hidden: Value, width: usize) -> Value {
    let weights = b.input(Field::PoolingWeights.name(), 3, None);
    let sum = b.add("pooler.mean", Op::MatMul { transpose_right: false }, &[weights, hidden]);
    b.add("pooler.embedding", Op::Reshape(vec![Dimension::Same(0), Dimension::Size(width)]), &[sum])
}

/// The first token: `[batch, length, width]` to `[batch, width]`.
fn first(b: &mut GraphBuilder, hidden: Value, width: usize) -> Value {
    let range = SliceRange::Fixed { start: 0, length: 1 };
    let first = b.add("pooler.first", Op::Slice { axis: 1, range }, &[hidden]);
    b.add("pooler.embedding", Op::Reshape(vec![Dimension::Same(0), Dimension::Size(width)]), &[first])
}
