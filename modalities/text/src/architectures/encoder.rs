//! A layer of the transformer (arXiv 1706.03762) as BERT normalises it, after each residual sum (arXiv 1810.04805).

use tk_engine::graph::{Attention, GraphBuilder, Init, Kind, Op, Value};

use super::Settings;

/// How an architecture calls the parts of a layer, after `PREFIX.NUMBER.`.
#[derive(Debug)]
pub(super) struct LayerNames {
    /// What all layers are in.
    pub(super) prefix: &'static str,
    /// The projections to query, key and value.
    pub(super) projections: [&'static str; 3],
    /// The projection of what attention has mixed.
    pub(super) mixed: &'static str,
    /// The norm after attention.
    pub(super) attention_norm: &'static str,
    /// Whether dropout acts on what attention adds.
    pub(super) drops_attention_output: bool,
    /// The linear layers to the hidden width and back.
    pub(super) feed_forward: [&'static str; 2],
    /// The norm at the end.
    pub(super) norm: &'static str,
}

impl LayerNames {
    /// One layer: `[batch, length, width]` to the same, with a mask `[batch, 1, 1, length]` that is added to attention's scores.
    pub(super) fn build(
        &self,
        b: &mut GraphBuilder,
        settings: &Settings,
        layer: usize,
        x: Value,
        mask: Value,
    ) -> Value {
        let name = |part: &str| format!("{}.{layer}.{part}", self.prefix);
        let [query, key, value] =
            self.projections.map(|part| linear(b, &name(part), x, settings.width, settings));
        let attention = Attention { heads: settings.heads, dropout: settings.attention_dropout };
        let mixed = b.add(&name("attention"), Op::Attention(attention), &[query, key, value, mask]);
        let mut attended = linear(b, &name(self.mixed), mixed, settings.width, settings);
        if self.drops_attention_output {
            attended = dropout(b, &name("attention.dropout"), attended, settings.hidden_dropout);
        }
        let sum = b.add(&name("attention.add"), Op::Add, &[attended, x]);
        let x = b.layer_norm(&name(self.attention_norm), sum, settings.epsilon);

        let [up, down] = self.feed_forward;
        let wide = linear(b, &name(up), x, settings.hidden, settings);
        let wide = b.activation(&name("activation"), wide, settings.activation);
        let narrow = linear(b, &name(down), wide, settings.width, settings);
        let narrow = dropout(b, &name("dropout"), narrow, settings.hidden_dropout);
        let sum = b.add(&name("add"), Op::Add, &[narrow, x]);
        b.layer_norm(&name(self.norm), sum, settings.epsilon)
    }
}

/// A linear layer, `[…, in]` to `[…, out]`, whose weight starts as transformers starts it.
pub(super) fn linear(b: &mut GraphBuilder, name: &str, x: Value, out: usize, settings: &Settings) -> Value {
    // Declared first, the weight keeps this initial value when the layer asks for it.
    let shape = [out, b.channels(x)];
    b.parameter(&format!("{name}.weight"), &shape, Kind::Weight, Init::Normal(settings.initializer_range));
    b.linear(name, x, out)
}

/// Dropout, if the rate is above 0.
pub(super) fn dropout(b: &mut GraphBuilder, name: &str, x: Value, rate: f64) -> Value {
    if rate > 0.0 { b.add(name, Op::Dropout { rate }, &[x]) } else { x }
}
