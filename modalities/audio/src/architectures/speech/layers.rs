//! Linear layers as transformers starts them, and layers of the transformer (arXiv 1706.03762).

use tk_engine::graph::{Activation, Attention, GraphBuilder, Init, Kind, Op, Value};

/// The sizes and rates of a transformer's layers.
#[derive(Clone, Debug, PartialEq)]
pub struct Layers {
    /// The width of every vector.
    pub width: usize,
    /// The count of layers.
    pub count: usize,
    /// The count of heads of attention.
    pub heads: usize,
    /// The width between the two linear layers of a layer.
    pub hidden: usize,
    /// The activation within a layer.
    pub activation: Activation,
    /// What layer-norm adds to the variance.
    pub epsilon: f64,
    /// The deviation that new weights are drawn with.
    pub initializer_range: f64,
    /// Dropout of vectors.
    pub dropout: f64,
    /// Dropout of attention's shares.
    pub attention_dropout: f64,
    /// Dropout between the two linear layers of a layer.
    pub activation_dropout: f64,
}

/// How an architecture calls the parts of a layer.
pub(super) struct LayerNames {
    /// The projections to query, key and value.
    pub(super) projections: [&'static str; 3],
    /// Whether the projection to keys has a bias.
    pub(super) has_key_bias: bool,
    /// The projection of what attention has mixed.
    pub(super) mixed: &'static str,
    /// The norms: attention's, and the feed-forward part's.
    pub(super) norms: [&'static str; 2],
    /// The linear layers to the hidden width and back.
    pub(super) feed_forward: [&'static str; 2],
}

/// Where a layer normalises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Norm {
    /// What each branch reads (arXiv 2002.04745).
    Before,
    /// Each residual sum.
    After,
}

impl Layers {
    /// One layer, whose parameters are named `PREFIX.PART`: `[batch, length, width]` to the same, with a mask that is added to
    /// attention's scores, if any.
    pub(super) fn layer(
        &self,
        b: &mut GraphBuilder,
        (prefix, names): (&str, &LayerNames),
        norm: Norm,
        x: Value,
        mask: Option<Value>,
    ) -> Value {
        let name = |part: &str| format!("{prefix}.{part}");
        let [attention_norm, norm_of_hidden] = names.norms.map(&name);

        let read = match norm {
            Norm::Before => b.layer_norm(&attention_norm, x, self.epsilon),
            Norm::After => x,
        };
        let [query, key, value] = names.projections.map(&name);
        let mut operands = vec![
            self.linear(b, &query, read, self.width),
            match names.has_key_bias {
                true => self.linear(b, &key, read, self.width),
                false => {
                    let init = Init::Normal(self.initializer_range);
                    let weight = b.parameter(&format!("{key}.weight"), &[self.width; 2], Kind::Weight, init);
                    b.add(&key, Op::Linear, &[read, weight])
                }
            },
            self.linear(b, &value, read, self.width),
        ];
        operands.extend(mask);
        let attention = Attention { heads: self.heads, dropout: self.attention_dropout };
        let mixed = b.add(&name("mix"), Op::Attention(attention), &operands);
        let mixed = self.linear(b, &name(names.mixed), mixed, self.width);
        let mixed = dropout(b, &name("mix.dropout"), mixed, self.dropout);
        let mut x = b.add(&name("mix.add"), Op::Add, &[mixed, x]);
        if norm == Norm::After {
            x = b.layer_norm(&attention_norm, x, self.epsilon);
        }

        let read = match norm {
            Norm::Before => b.layer_norm(&norm_of_hidden, x, self.epsilon),
            Norm::After => x,
        };
        let [up, down] = names.feed_forward;
        let wide = self.linear(b, &name(up), read, self.hidden);
        let wide = b.activation(&name("activation"), wide, self.activation);
        let wide = dropout(b, &name("activation.dropout"), wide, self.activation_dropout);
        let narrow = self.linear(b, &name(down), wide, self.width);
        let narrow = dropout(b, &name("dropout"), narrow, self.dropout);
        let sum = b.add(&name("add"), Op::Add, &[narrow, x]);
        match norm {
            Norm::Before => sum,
            Norm::After => b.layer_norm(&norm_of_hidden, sum, self.epsilon),
        }
    }

    /// A linear layer, `[…, in]` to `[…, out]`, whose weight starts as transformers starts it.
    pub(super) fn linear(&self, b: &mut GraphBuilder, name: &str, x: Value, out: usize) -> Value {
        b.linear_from(name, x, out, Init::Normal(self.initializer_range))
    }
}

/// Dropout, if the rate is above 0.
pub(super) fn dropout(b: &mut GraphBuilder, name: &str, x: Value, rate: f64) -> Value {
    if rate > 0.0 { b.add(name, Op::Dropout { rate }, &[x]) } else { x }
}
