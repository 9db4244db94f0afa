//! A layer of the transformer (arXiv 1706.03762) as BERT normalises it, after each residual sum (arXiv 1810.04805).

use tk_engine::graph::{Attention, GraphBuilder, Init, Kind, Op, Value};

use super::Settings;

/// One layer, given its number: vectors `[batch, length, width]` and a mask `[batch, 1, 1, length]`, which is added to attention's
/// scores, to vectors of the same shape.
pub(super) type Layer = fn(&mut GraphBuilder, &Settings, usize, [Value; 2]) -> Value;

/// How attention learns of distances. Given the name of a layer and query, key, value (`[batch, length, width]`) and mask
/// (`[batch, 1, 1, length]`), those that say it; their mask may be `[batch, heads, length, length]`.
pub(super) type Distances = fn(&mut GraphBuilder, &Settings, &str, [Value; 4]) -> [Value; 4];

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
    /// How attention learns of distances, where positions do not tell.
    pub(super) distances: Distances,
}

impl LayerNames {
    /// A [`Layer`].
    pub(super) fn build(
        &self,
        b: &mut GraphBuilder,
        settings: &Settings,
        layer: usize,
        [x, mask]: [Value; 2],
    ) -> Value {
        let layer = format!("{}.{layer}", self.prefix);
        let name = |part: &str| format!("{layer}.{part}");
        let [query, key, value] =
            self.projections.map(|part| linear(b, &name(part), x, settings.width, settings));
        let attention = Attention { heads: settings.heads, dropout: settings.attention_dropout };
        let operands = (self.distances)(b, settings, &layer, [query, key, value, mask]);
        let mixed = b.add(&name("attention"), Op::Attention(attention), &operands);
        let mut attended = linear(b, &name(self.mixed), mixed, settings.width, settings);
        if self.drops_attention_output {
            attended = dropout(b, &name("attention.dropout"), attended, settings.hidden_dropout);
        }
        let sum = b.add(&name("attention.add"), Op::Add, &[attended, x]);
        let x = norm(b, &name(self.attention_norm), sum, settings);

        let [up, down] = self.feed_forward;
        let wide = linear(b, &name(up), x, settings.hidden, settings);
        let wide = b.activation(&name("activation"), wide, settings.activation);
        let narrow = linear(b, &name(down), wide, settings.width, settings);
        let narrow = dropout(b, &name("dropout"), narrow, settings.hidden_dropout);
        let sum = b.add(&name("add"), Op::Add, &[narrow, x]);
        norm(b, &name(self.norm), sum, settings)
    }
}

/// A linear layer, `[…, in]` to `[…, out]`, whose weight starts as transformers starts it.
pub(super) fn linear(b: &mut GraphBuilder, name: &str, x: Value, out: usize, settings: &Settings) -> Value {
    b.linear_from(name, x, out, Init::Normal(settings.initializer_range))
}

/// A [`linear`] layer without bias.
pub(super) fn product(b: &mut GraphBuilder, name: &str, x: Value, out: usize, settings: &Settings) -> Value {
    let shape = [out, b.channels(x)];
    let init = Init::Normal(settings.initializer_range);
    let weight = b.parameter(&format!("{name}.weight"), &shape, Kind::Weight, init);
    b.add(name, Op::Linear, &[x, weight])
}

/// Dropout, if the rate is above 0.
pub(super) fn dropout(b: &mut GraphBuilder, name: &str, x: Value, rate: f64) -> Value {
    if rate > 0.0 { b.add(name, Op::Dropout { rate }, &[x]) } else { x }
}

/// A layer-norm, which shifts unless the settings say otherwise.
pub(super) fn norm(b: &mut GraphBuilder, name: &str, x: Value, settings: &Settings) -> Value {
    if settings.norm_bias {
        return b.layer_norm(name, x, settings.epsilon);
    }
    let shape = [b.channels(x)];
    let weight = b.parameter(&format!("{name}.weight"), &shape, Kind::NormWeight, Init::Ones);
    b.add(name, Op::LayerNorm { epsilon: settings.epsilon }, &[x, weight])
}
