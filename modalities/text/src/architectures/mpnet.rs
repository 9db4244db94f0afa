//! MPNet (Song et al. 2020, arXiv 2004.09297): BERT's layers without token types, whose attention adds a bias that grows coarser with
//! distance, as T5's does (arXiv 1910.10683). All layers share its table.

use tk_engine::graph::{Activation, Dimension, GraphBuilder, Init, Kind, Op, Value};
use tk_transfer::checkpoint::Rule;

use super::bert::{BERT, EMBEDDINGS, LAYERS, SPELLING};
use super::embeddings::{Embeddings, Positions};
use super::encoder::{LayerNames, dropout, linear};
use super::own::Own;
use super::settings::Spelling;
use super::{Architecture, Settings};

/// The encoder that transformers calls `mpnet`.
pub(super) const MPNET: Architecture = Architecture {
    model_type: "mpnet",
    encoder_class: "MPNetModel",
    classifier_class: "MPNetForSequenceClassification",
    prefix: "mpnet.",
    adapted: &["attn.q", "attn.v"],
    renames: &[Rule::Prefix { from: "mpnet.", to: "" }],
    published_layer: "classifier.out_proj",
    spelling: Spelling {
        token_types: None,
        classifier_dropout: SPELLING.hidden_dropout,
        padding: 1,
        own: |read| {
            read.refuse_other("relative_attention_num_buckets", "32", |value| {
                value.as_u64() == Some(BUCKETS as u64)
            })?;
            Ok(Own::None)
        },
        ..SPELLING
    },
    embeddings: Embeddings { positions: Positions::AfterPadding, ..EMBEDDINGS },
    layer: |b, settings, layer, values| {
        let names = LayerNames {
            projections: ["attention.attn.q", "attention.attn.k", "attention.attn.v"],
            mixed: "attention.attn.o",
            attention_norm: "attention.LayerNorm",
            distances: biased,
            ..LAYERS
        };
        names.build(b, settings, layer, values)
    },
    published_pooler: |b, settings, x| {
        let x = dropout(b, "classifier.dense.dropout", x, settings.classifier_dropout);
        let x = linear(b, "classifier.dense", x, settings.width, settings);
        b.activation("classifier.dense.activation", x, Activation::Tanh)
    },
    ..BERT
};

/// Rows of the table of biases: a half for keys before the query or at it, a half for those behind.
const BUCKETS: usize = 32;

/// Distances from here on share the last bucket of their half.
const FARTHEST: usize = 128;

/// The row of a distance, key − query: exact near by, logarithmic farther away.
fn bucket(distance: i64) -> usize {
    const HALF: usize = BUCKETS / 2;
    const EXACT: usize = HALF / 2;
    let steps = usize::try_from(distance.unsigned_abs()).unwrap_or(FARTHEST);
    let row = match steps {
        0..EXACT => steps,
        _ => {
            let far = (steps as f64 / EXACT as f64).ln() / (FARTHEST as f64 / EXACT as f64).ln();
            (EXACT + (far * (HALF - EXACT) as f64) as usize).min(HALF - 1)
        }
    };
    if distance > 0 { row + HALF } else { row }
}

/// Adds the bias of each head and distance to the mask: `[batch, heads, length, length]`.
fn biased(
    b: &mut GraphBuilder,
    settings: &Settings,
    layer: &str,
    [query, key, value, mask]: [Value; 4],
) -> [Value; 4] {
    let shape = [BUCKETS, settings.heads];
    let init = Init::Normal(settings.initializer_range);
    let table = b.parameter("encoder.relative_attention_bias.weight", &shape, Kind::Weight, init);
    let name = |part: &str| format!("{layer}.bias.{part}");
    // Every row of what is picked from is the same; the mask says how many there are.
    let by_head = b.add(&name("by_head"), Op::Permute(vec![1, 0]), &[table]);
    let row = [Dimension::Size(1), Dimension::Same(0), Dimension::Size(1), Dimension::Same(1)];
    let by_head = b.add(&name("row"), Op::Reshape(row.to_vec()), &[by_head]);
    let upright = b.add(&name("upright"), Op::Permute(vec![0, 1, 3, 2]), &[mask]);
    let rows = b.add(&name("rows"), Op::ExpandLike { axis: 2 }, &[by_head, upright]);
    let reach = FARTHEST as i64;
    let columns = (-reach..=reach).map(bucket).collect();
    let bias = b.add(&name("scores"), Op::ByDistance { columns }, &[rows]);
    [query, key, value, b.add(&name("add"), Op::Add, &[bias, mask])]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_those_of_transformers() {
        // Where the bucket changes, by `MPNetEncoder.relative_position_bucket`.
        let first = [0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 23, 32, 46, 64, 91];
        for (number, &first) in first.iter().enumerate() {
            assert_eq!(bucket(-first), number, "{first} before");
            assert_eq!(bucket(first), if first == 0 { 0 } else { number + 16 }, "{first} behind");
        }
        assert_eq!([bucket(-90), bucket(-500), bucket(500)], [14, 15, 31]);
    }
}
