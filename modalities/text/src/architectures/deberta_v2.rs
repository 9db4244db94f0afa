//! DeBERTa-v3 (He et al. 2020 and 2021, arXiv 2006.03654 and 2111.09543): BERT's layers with disentangled attention and no table of
//! positions. Of the family that transformers calls `deberta-v2`, what version 3 was published with is built here.

use tk_engine::graph::{Activation, Dimension, GraphBuilder, Init, Kind, Op, Value};
use tk_transfer::checkpoint::Rule;

use super::bert::{BERT, EMBEDDINGS, LAYERS, SPELLING};
use super::embeddings::{Embeddings, Positions};
use super::encoder::{LayerNames, dropout, linear, norm};
use super::settings::{Reader, Spelling};
use super::{Architecture, ArchitectureError, Settings, own};

/// The encoder that transformers calls `deberta-v2`.
pub(super) const DEBERTA_V2: Architecture = Architecture {
    model_type: "deberta-v2",
    encoder_class: "DebertaV2Model",
    classifier_class: "DebertaV2ForSequenceClassification",
    prefix: "deberta.",
    pooler_modules: &["pooler"],
    adapted: &["query_proj", "value_proj"],
    renames: &[Rule::Prefix { from: "deberta.", to: "" }],
    spelling: Spelling {
        token_types: None,
        usual_epsilon: 1e-7,
        classifier_dropout: "cls_dropout",
        own: |read| Ok(own::Own::DebertaV2(Own::read(read)?)),
        ..SPELLING
    },
    embeddings: Embeddings { positions: Positions::InAttention, ..EMBEDDINGS },
    layer: |b, settings, layer, values| {
        let names = LayerNames {
            projections: [QUERY, KEY, "attention.self.value_proj"],
            distances: disentangled,
            ..LAYERS
        };
        names.build(b, settings, layer, values)
    },
    published_pooler: |b, settings, x| {
        let own::Own::DebertaV2(own) = &settings.own else { return x };
        let x = dropout(b, "pooler.dropout", x, own.pooler_dropout);
        let x = linear(b, "pooler.dense", x, settings.width, settings);
        b.activation("pooler.activation", x, own.pooler_activation)
    },
    ..BERT
};

const QUERY: &str = "attention.self.query_proj";
const KEY: &str = "attention.self.key_proj";

/// DeBERTa's own settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Own {
    /// Distances to either side that have vectors, in the end those of many distances.
    pub buckets: usize,
    /// Distances from here on have none.
    pub farthest: usize,
    /// Dropout before the pooler's linear layer.
    pub pooler_dropout: f64,
    /// The activation behind it.
    pub pooler_activation: Activation,
}

impl Own {
    fn read(read: &Reader<'_>) -> Result<Self, ArchitectureError> {
        for (name, wanted) in
            [("relative_attention", true), ("share_att_key", true), ("position_biased_input", false)]
        {
            let expected = if wanted { "true, as in DeBERTa-v3" } else { "false, as in DeBERTa-v3" };
            read.require(name, expected, |value| value.as_bool() == Some(wanted))?;
        }
        read.require("norm_rel_ebd", "layer_norm, as in DeBERTa-v3", |value| {
            value.as_str() == Some("layer_norm")
        })?;
        read.require("pos_att_type", "p2c and c2p, as in DeBERTa-v3", |value| {
            let mut kinds: Vec<&str> = match value.as_array() {
                Some(kinds) => kinds.iter().filter_map(serde_json::Value::as_str).collect(),
                None => value.as_str().unwrap_or_default().split('|').map(str::trim).collect(),
            };
            kinds.sort_unstable();
            kinds == ["c2p", "p2c"]
        })?;
        read.refuse_other("type_vocab_size", "0, as in DeBERTa-v3", |value| value.as_u64() == Some(0))?;
        read.refuse_other("conv_kernel_size", "no convolution, as in DeBERTa-v3", |value| {
            value.as_u64() == Some(0)
        })?;
        let width = read.size("hidden_size")?;
        let is_width = |value: &serde_json::Value| value.as_u64() == Some(width as u64);
        for name in ["embedding_size", "pooler_hidden_size"] {
            read.refuse_other(name, "the encoder's width", is_width)?;
        }
        read.refuse_other("attention_head_size", "heads that share the width", |value| {
            let heads = read.size("num_attention_heads").unwrap_or(1);
            value.as_u64() == Some((width / heads) as u64)
        })?;
        let given = read.given("max_relative_positions").and_then(serde_json::Value::as_i64);
        Ok(Self {
            buckets: read.size("position_buckets")?,
            farthest: match given.and_then(|given| usize::try_from(given).ok()) {
                Some(farthest) if farthest > 0 => farthest,
                _ => read.size("max_position_embeddings")?,
            },
            pooler_dropout: read.rate("pooler_dropout", 0.0)?,
            pooler_activation: read.activation("pooler_hidden_act")?,
        })
    }

    /// The row of a distance, query − key, among those of the table: exact in the middle, logarithmic beyond half of the buckets.
    fn row(&self, distance: i64) -> usize {
        let (buckets, middle) = (self.buckets as i64, self.buckets as i64 / 2);
        let steps = distance.abs();
        let bucket = if steps <= middle {
            distance
        } else {
            let log = |steps: f64| (steps / middle as f64).ln();
            let share = log(steps as f64) / log((self.farthest - 1) as f64);
            ((share * (middle - 1) as f64).ceil() as i64 + middle) * distance.signum()
        };
        usize::try_from((bucket + buckets).clamp(0, 2 * buckets - 1)).unwrap_or(0)
    }
}

/// What content says of positions and positions of content, added to the mask: `[batch, heads, length, length]`. Vectors of distances go
/// through the layer's own projections to queries and keys (arXiv 2006.03654, equation 4; 2111.09543 for the shared projections), and
/// scores are divided by the root of three times a head's channels, since they are sums of three.
///
/// transformers also drops entries of the vectors of distances in training. Here they stay: what is dropped is a sample's, and these
/// vectors are no sample's.
fn disentangled(
    b: &mut GraphBuilder,
    settings: &Settings,
    layer: &str,
    [query, key, value, mask]: [Value; 4],
) -> [Value; 4] {
    let own::Own::DebertaV2(own) = &settings.own else { return [query, key, value, mask] };
    let name = |part: &str| format!("{layer}.attention.self.{part}");
    let third = Op::Affine { scale: 3f64.sqrt().recip(), shift: 0.0 };
    let vectors = distances(b, settings, own);
    let query = b.add(&name("scaled"), third.clone(), &[query]);
    let queries = by_head(b, settings, &name("queries"), query);
    let keys = by_head(b, settings, &name("keys"), key);

    let asked = again(b, &format!("{layer}.{KEY}"), vectors);
    let asked = like_samples(b, settings, &name("distance_keys"), asked, queries);
    let asking = again(b, &format!("{layer}.{QUERY}"), vectors);
    let asking = b.add(&name("distance_queries.scaled"), third, &[asking]);
    let asking = like_samples(b, settings, &name("distance_queries"), asking, keys);

    let reach = own.farthest as i64;
    let product = Op::MatMul { transpose_right: true };
    let to_positions = b.add(&name("to_positions"), product.clone(), &[queries, asked]);
    let columns = (-reach..=reach).map(|distance| own.row(-distance)).collect();
    let to_positions = b.add(&name("to_positions.scores"), Op::ByDistance { columns }, &[to_positions]);
    // Rows are keys here, and other positions are queries.
    let to_content = b.add(&name("to_content"), product, &[keys, asking]);
    let columns = (-reach..=reach).map(|distance| own.row(distance)).collect();
    let to_content = b.add(&name("to_content.scores"), Op::ByDistance { columns }, &[to_content]);
    let to_content = b.add(&name("to_content.turned"), Op::Permute(vec![0, 1, 3, 2]), &[to_content]);

    let sum = b.add(&name("distances"), Op::Add, &[to_positions, to_content]);
    let head = (settings.width / settings.heads) as f64;
    let sum = b.add(&name("distances.scaled"), Op::Affine { scale: head.sqrt().recip(), shift: 0.0 }, &[sum]);
    [query, key, value, b.add(&name("distances.add"), Op::Add, &[sum, mask])]
}

/// The vectors of distances, `[2 · buckets, width]`, normalised; all layers share them.
fn distances(b: &mut GraphBuilder, settings: &Settings, own: &Own) -> Value {
    const NORM: &str = "encoder.LayerNorm";
    if let Ok(there) = b.node(NORM) {
        return there;
    }
    let shape = [2 * own.buckets, settings.width];
    let init = Init::Normal(settings.initializer_range);
    let table = b.parameter("encoder.rel_embeddings.weight", &shape, Kind::Weight, init);
    norm(b, NORM, table, settings)
}

/// A layer of the graph applied to something else as well.
fn again(b: &mut GraphBuilder, layer: &str, x: Value) -> Value {
    let width = b.channels(x);
    let weight = b.parameter(&format!("{layer}.weight"), &[width, width], Kind::Weight, Init::Zeros);
    let bias = b.parameter(&format!("{layer}.bias"), &[width], Kind::Bias, Init::Zeros);
    b.add(&format!("{layer}.of_distances"), Op::Linear, &[x, weight, bias])
}

/// `[batch, length, width]` to `[batch, heads, length, width / heads]`.
fn by_head(b: &mut GraphBuilder, settings: &Settings, name: &str, x: Value) -> Value {
    let head = settings.width / settings.heads;
    let split =
        [Dimension::Same(0), Dimension::Same(1), Dimension::Size(settings.heads), Dimension::Size(head)];
    let x = b.add(&format!("{name}.split"), Op::Reshape(split.to_vec()), &[x]);
    b.add(name, Op::Permute(vec![0, 2, 1, 3]), &[x])
}

/// Vectors of distances, `[rows, width]`, by head for every sample: `[batch, heads, rows, width / heads]`.
fn like_samples(b: &mut GraphBuilder, settings: &Settings, name: &str, x: Value, like: Value) -> Value {
    let one = [Dimension::Size(1), Dimension::Same(0), Dimension::Same(1)];
    let x = b.add(&format!("{name}.one"), Op::Reshape(one.to_vec()), &[x]);
    let x = by_head(b, settings, &format!("{name}.by_head"), x);
    b.add(name, Op::ExpandLike { axis: 0 }, &[x, like])
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use serde_json::json;

    use super::super::Config;
    use super::*;

    #[test]
    fn rows_are_those_of_transformers() {
        // By `make_log_bucket_position`, shifted and clamped: (buckets, farthest, distance, row).
        for (buckets, farthest, distance, row) in ROWS {
            let own = Own { buckets, farthest, pooler_dropout: 0.0, pooler_activation: Activation::Gelu };
            assert_eq!(own.row(distance), row, "{buckets} buckets, distance {distance}");
        }
    }

    #[test]
    fn other_members_of_the_family_are_refused() {
        let read = |change: (&str, serde_json::Value)| {
            let mut fields = json!({
                "model_type": "deberta-v2", "vocab_size": 9, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
                "intermediate_size": 4, "max_position_embeddings": 6, "relative_attention": true, "position_buckets": 4,
                "norm_rel_ebd": "layer_norm", "share_att_key": true, "pos_att_type": "p2c|c2p", "type_vocab_size": 0,
                "position_biased_input": false,
            });
            fields[change.0] = change.1;
            Config::from_json(&fields.to_string()).unwrap().encoder().map(|(_, settings)| settings.own)
        };
        let plain = read(("max_relative_positions", json!(-1))).unwrap();
        let own::Own::DebertaV2(own) = plain.clone() else { panic!("{plain:?}") };
        assert_eq!((own.buckets, own.farthest, own.pooler_activation), (4, 6, Activation::Gelu));
        assert_eq!(read(("pos_att_type", json!(["c2p", "p2c"]))).unwrap(), plain);
        for (name, value) in [
            ("relative_attention", json!(null)),
            ("share_att_key", json!(false)),
            ("position_biased_input", json!(true)),
            ("norm_rel_ebd", json!("none")),
            ("pos_att_type", json!("p2c")),
            ("type_vocab_size", json!(2)),
            ("conv_kernel_size", json!(3)),
            ("embedding_size", json!(4)),
            ("attention_head_size", json!(8)),
            ("position_buckets", json!(0)),
        ] {
            let error = read((name, value)).unwrap_err().to_string();
            assert!(error.contains(&format!("`{name}` of deberta-v2: expected ")), "{error}");
        }
    }

    const ROWS: [(usize, usize, i64, usize); 21] = [
        (256, 512, 0, 256),
        (256, 512, 1, 257),
        (256, 512, -128, 128),
        (256, 512, 128, 384),
        (256, 512, 129, 385),
        (256, 512, -130, 126),
        (256, 512, 200, 425),
        (256, 512, -300, 49),
        (256, 512, 510, 511),
        (256, 512, 511, 511),
        (256, 512, -511, 1),
        (4, 12, -11, 1),
        (4, 12, -3, 1),
        (4, 12, 2, 6),
        (4, 12, 3, 7),
        (4, 12, 5, 7),
        (4, 12, 11, 7),
        (32, 64, 16, 48),
        (32, 64, 17, 49),
        (32, 64, -40, 5),
        (32, 64, 63, 63),
    ];
}
