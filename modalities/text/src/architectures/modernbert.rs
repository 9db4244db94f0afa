//! ModernBERT (Warner et al. 2024, arXiv 2412.13663): rotary positions, local and global attention in turn, gated feed-forward layers,
//! norms before what they feed and hardly a bias.

use serde_json::Value as Json;
use tk_engine::graph::{Activation, Attention, GraphBuilder, Op, Rotary, SliceRange, Value};
use tk_transfer::checkpoint::Rule;

use super::bert::{BERT, SPELLING};
use super::embeddings::{Embeddings, Positions};
use super::encoder::{dropout, linear, norm, product};
use super::settings::{Reader, Spelling};
use super::{Architecture, ArchitectureError, Field, Settings, own};

/// The encoder that transformers calls `modernbert`.
pub(super) const MODERNBERT: Architecture = Architecture {
    model_type: "modernbert",
    encoder_class: "ModernBertModel",
    classifier_class: "ModernBertForSequenceClassification",
    prefix: "model.",
    pooler_modules: &["head"],
    adapted: &["Wqkv"],
    renames: &[Rule::Prefix { from: "model.", to: "" }],
    spelling: Spelling {
        token_types: None,
        activation: "hidden_activation",
        epsilon: Some("norm_eps"),
        usual_epsilon: 1e-5,
        norm_bias: Some("norm_bias"),
        hidden_dropout: "embedding_dropout",
        attention_dropout: "attention_dropout",
        classifier_default: Some(0.0),
        usual_dropout: 0.0,
        pooling: Some("classifier_pooling"),
        padding: 50_283,
        own: |read| Ok(own::Own::ModernBert(Own::read(read)?)),
        ..SPELLING
    },
    embeddings: Embeddings {
        words: "embeddings.tok_embeddings",
        norm: "embeddings.norm",
        reads_token_types: false,
        positions: Positions::InAttention,
    },
    layer,
    published_pooler: head,
    token_pooler: Some(head),
    ..BERT
};

/// ModernBERT's own settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Own {
    /// How each layer attends.
    pub layers: Vec<Reach>,
    /// Biases of attention's linear layers.
    pub attention_bias: Bias,
    /// Biases of the feed-forward layers.
    pub feed_forward_bias: Bias,
    /// Dropout between these.
    pub feed_forward_dropout: f64,
    /// The bias of the published head's first layer.
    pub classifier_bias: Bias,
    /// The activation behind it.
    pub classifier_activation: Activation,
}

/// How far a layer's attention reaches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reach {
    /// The base of rotary angles.
    pub base: f64,
    /// How many tokens to either side are seen; `None` where all are.
    pub local: Option<usize>,
}

/// Whether linear layers have biases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bias {
    /// They have.
    Some,
    /// They have not.
    None,
}

impl Bias {
    fn read(read: &Reader<'_>, name: &str) -> Result<Self, ArchitectureError> {
        Ok(if read.flag(name)? { Self::Some } else { Self::None })
    }

    /// What builds such a layer.
    fn layer(self) -> fn(&mut GraphBuilder, &str, Value, usize, &Settings) -> Value {
        match self {
            Self::Some => linear,
            Self::None => product,
        }
    }
}

/// transformers' names of the kinds of attention.
const GLOBAL: &str = "full_attention";
const LOCAL: &str = "sliding_attention";

impl Own {
    fn read(read: &Reader<'_>) -> Result<Self, ArchitectureError> {
        read.refuse_other("rope_scaling", "none", |_| false)?;
        let global = base(read, GLOBAL, "global_rope_theta", 160_000.0)?;
        let local = base(read, LOCAL, "local_rope_theta", 10_000.0)?;
        let window = match read.given("local_attention") {
            Some(_) => read.size("local_attention")?,
            None => 128,
        };
        let reach = |is_local: bool| match is_local {
            true => Reach { base: local, local: Some(window / 2) },
            false => Reach { base: global, local: None },
        };
        let count = read.size("num_hidden_layers")?;
        let layers = match read.given("layer_types") {
            None => {
                let every = match read.given("global_attn_every_n_layers") {
                    Some(_) => read.size("global_attn_every_n_layers")?,
                    None => 3,
                };
                (0..count).map(|layer| reach(layer % every > 0)).collect()
            }
            Some(kinds) => {
                let kind = |kind: &Json| match kind.as_str() {
                    Some(GLOBAL) => Some(reach(false)),
                    Some(LOCAL) => Some(reach(true)),
                    _ => None,
                };
                let layers: Option<Vec<Reach>> = kinds.as_array().into_iter().flatten().map(kind).collect();
                let expected = "full_attention or sliding_attention for each layer";
                layers
                    .filter(|layers| layers.len() == count)
                    .ok_or_else(|| read.error("layer_types", expected, kinds))?
            }
        };
        Ok(Self {
            layers,
            attention_bias: Bias::read(read, "attention_bias")?,
            feed_forward_bias: Bias::read(read, "mlp_bias")?,
            feed_forward_dropout: read.rate("mlp_dropout", 0.0)?,
            classifier_bias: Bias::read(read, "classifier_bias")?,
            classifier_activation: read.activation("classifier_activation")?,
        })
    }
}

/// The base of rotary angles of a kind of attention, by its name in `rope_parameters` or, in older files, a name of its own.
fn base(read: &Reader<'_>, kind: &str, older: &str, usual: f64) -> Result<f64, ArchitectureError> {
    let given = read.given("rope_parameters").and_then(|all| all.get(kind)).filter(|given| !given.is_null());
    let Some(given) = given else { return read.positive(older, usual) };
    let field = |name: &str| given.get(name).filter(|value| !value.is_null());
    let is_plain = field("rope_type").is_none_or(|kind| kind.as_str() == Some("default"));
    let base = field("rope_theta").map_or(Some(usual), Json::as_f64);
    let expected = "a `rope_theta` above 0 and `rope_type` default for each kind of attention";
    base.filter(|&base| is_plain && base > 0.0).ok_or_else(|| read.error("rope_parameters", expected, given))
}

/// A [`super::encoder::Layer`]; the last one's result is normalised.
fn layer(b: &mut GraphBuilder, settings: &Settings, layer: usize, [x, mask]: [Value; 2]) -> Value {
    let own::Own::ModernBert(own) = &settings.own else { return x };
    let Some(&Reach { base, local }) = own.layers.get(layer) else { return x };
    let name = |part: &str| format!("layers.{layer}.{part}");
    let width = settings.width;
    // The embeddings are normalised already.
    let normal = if layer == 0 { x } else { norm(b, &name("attn_norm"), x, settings) };
    let linear = own.attention_bias.layer();
    let all = linear(b, &name("attn.Wqkv"), normal, 3 * width, settings);
    let [query, key, value] = [0, 1, 2].map(|part| {
        let range = SliceRange::Fixed { start: part * width, length: width };
        b.add(&name(["attn.query", "attn.key", "attn.value"][part]), Op::Slice { axis: 2, range }, &[all])
    });
    let turn = Op::Rotary(Rotary { heads: settings.heads, base });
    let query = b.add(&name("attn.query.turned"), turn.clone(), &[query]);
    let key = b.add(&name("attn.key.turned"), turn, &[key]);
    let mask = local.map_or(mask, |reach| near(b, &name("attn.near"), mask, reach));
    let attention = Attention { heads: settings.heads, dropout: settings.attention_dropout };
    let mixed = b.add(&name("attn.mixed"), Op::Attention(attention), &[query, key, value, mask]);
    let mixed = linear(b, &name("attn.Wo"), mixed, width, settings);
    let mixed = dropout(b, &name("attn.dropout"), mixed, settings.attention_dropout);
    let x = b.add(&name("attn.add"), Op::Add, &[mixed, x]);

    let normal = norm(b, &name("mlp_norm"), x, settings);
    let linear = own.feed_forward_bias.layer();
    let both = linear(b, &name("mlp.Wi"), normal, 2 * settings.hidden, settings);
    let [wide, gate] = [0, 1].map(|part| {
        let range = SliceRange::Fixed { start: part * settings.hidden, length: settings.hidden };
        b.add(&name(["mlp.input", "mlp.gate"][part]), Op::Slice { axis: 2, range }, &[both])
    });
    let wide = b.activation(&name("mlp.activation"), wide, settings.activation);
    let gated = b.add(&name("mlp.gated"), Op::Multiply, &[wide, gate]);
    let gated = dropout(b, &name("mlp.dropout"), gated, own.feed_forward_dropout);
    let narrow = linear(b, &name("mlp.Wo"), gated, width, settings);
    let x = b.add(&name("mlp.add"), Op::Add, &[narrow, x]);
    if layer + 1 == settings.layers { norm(b, "final_norm", x, settings) } else { x }
}

/// What every published head does before its classifier: `[…, width]` to the same.
fn head(b: &mut GraphBuilder, settings: &Settings, x: Value) -> Value {
    let own::Own::ModernBert(own) = &settings.own else { return x };
    let x = own.classifier_bias.layer()(b, "head.dense", x, settings.width, settings);
    let x = b.activation("head.activation", x, own.classifier_activation);
    norm(b, "head.norm", x, settings)
}

/// A mask `[batch, 1, 1, length]` with what is farther than `reach` masked too: `[batch, 1, length, length]`.
fn near(b: &mut GraphBuilder, name: &str, mask: Value, reach: usize) -> Value {
    let rows = b.add(&format!("{name}.rows"), Op::Permute(vec![0, 1, 3, 2]), &[mask]);
    // The two columns that a distance can have, for every row.
    let constant = |shift: f32| Op::Affine { scale: 0.0, shift: shift.into() };
    let inside = b.add(&format!("{name}.inside"), constant(0.0), &[rows]);
    let outside = b.add(&format!("{name}.outside"), constant(Field::MASKED), &[rows]);
    let both = b.add(&format!("{name}.both"), Op::Concat { axis: 3 }, &[inside, outside]);
    let mut columns = vec![0; 2 * reach + 3];
    (columns[0], columns[2 * reach + 2]) = (1, 1);
    let near = b.add(name, Op::ByDistance { columns }, &[both]);
    b.add(&format!("{name}.add"), Op::Add, &[near, mask])
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use serde_json::json;

    use super::super::{Config, Pooling};
    use super::*;

    fn read(changes: &Json) -> Result<Settings, String> {
        let mut fields = json!({
            "model_type": "modernbert", "vocab_size": 9, "hidden_size": 8, "num_hidden_layers": 4, "num_attention_heads": 2,
            "intermediate_size": 4, "max_position_embeddings": 6,
        });
        fields.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let config = Config::from_json(&fields.to_string()).unwrap();
        config.encoder().map(|(_, settings)| settings).map_err(|error| error.to_string())
    }

    #[test]
    fn older_and_newer_files_say_the_same() {
        let plain = read(&json!({})).unwrap();
        let older = json!({
            "global_attn_every_n_layers": 3, "global_rope_theta": 160000.0, "local_rope_theta": 10000.0, "local_attention": 128,
            "classifier_pooling": "cls", "rope_scaling": null,
        });
        let kinds = [GLOBAL, LOCAL, LOCAL, GLOBAL];
        let newer = json!({
            "layer_types": kinds,
            "rope_parameters": {
                GLOBAL: {"rope_type": "default", "rope_theta": 160000.0}, LOCAL: {"rope_theta": 10000.0},
            },
        });
        assert_eq!((read(&older).unwrap(), read(&newer).unwrap()), (plain.clone(), plain.clone()));
        let own::Own::ModernBert(own) = &plain.own else { panic!("{plain:?}") };
        let (global, local) =
            (Reach { base: 160_000.0, local: None }, Reach { base: 10_000.0, local: Some(64) });
        assert_eq!(own.layers, [global, local, local, global]);
        assert_eq!((plain.norm_bias, plain.epsilon, plain.hidden_dropout), (false, 1e-5, 0.0));
        let biased = read(&json!({"norm_bias": true, "classifier_pooling": "mean"})).unwrap();
        assert_eq!((biased.norm_bias, biased.published_pooling), (true, Pooling::Mean));
    }

    #[test]
    fn what_cannot_be_built_is_refused() {
        for (changes, name) in [
            (json!({"rope_scaling": {"factor": 2.0}}), "rope_scaling"),
            (
                json!({"rope_parameters": {GLOBAL: {"rope_type": "yarn", "rope_theta": 1e4}}}),
                "rope_parameters",
            ),
            (json!({"layer_types": [GLOBAL]}), "layer_types"),
            (json!({"layer_types": [GLOBAL, LOCAL, LOCAL, "chunked_attention"]}), "layer_types"),
            (json!({"classifier_pooling": "max"}), "classifier_pooling"),
            (json!({"mlp_bias": 1}), "mlp_bias"),
        ] {
            let error = read(&changes).unwrap_err();
            assert!(error.contains(&format!("`{name}` of modernbert: expected ")), "{error}");
        }
    }
}
