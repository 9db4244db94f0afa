//! DistilBERT (Sanh et al. 2019, arXiv 1910.01108): BERT's layers under other names, without token types.

use tk_engine::graph::Activation;
use tk_transfer::checkpoint::Rule;

use super::Architecture;
use super::bert::{self, BETA, EMBEDDINGS, GAMMA};
use super::encoder::{LayerNames, linear};
use super::settings::Spelling;

/// The encoder that transformers calls `distilbert`.
pub(super) const DISTILBERT: Architecture = Architecture {
    model_type: "distilbert",
    encoder_class: "DistilBertModel",
    classifier_class: "DistilBertForSequenceClassification",
    prefix: "distilbert.",
    head_modules: &["pre_classifier", "classifier"],
    pooler_modules: &[],
    adapted: &["q_lin", "v_lin"],
    renames: &[Rule::Prefix { from: "distilbert.", to: "" }, GAMMA, BETA],
    published_layer: "classifier",
    spelling: Spelling {
        width: "dim",
        layers: "n_layers",
        heads: "n_heads",
        hidden: "hidden_dim",
        token_types: None,
        activation: "activation",
        epsilon: None,
        hidden_dropout: "dropout",
        attention_dropout: "attention_dropout",
        classifier_dropout: "seq_classif_dropout",
        classifier_default: Some(0.2),
        ..bert::SPELLING
    },
    embeddings: EMBEDDINGS,
    layer: |b, settings, layer, values| LAYERS.build(b, settings, layer, values),
    published_pooler: |b, settings, x| {
        let x = linear(b, "pre_classifier", x, settings.width, settings);
        b.activation("pre_classifier.activation", x, Activation::Relu)
    },
    token_pooler: None,
};

/// DistilBERT's names within a layer.
const LAYERS: LayerNames = LayerNames {
    prefix: "transformer.layer",
    projections: ["attention.q_lin", "attention.k_lin", "attention.v_lin"],
    mixed: "attention.out_lin",
    attention_norm: "sa_layer_norm",
    drops_attention_output: false,
    feed_forward: ["ffn.lin1", "ffn.lin2"],
    norm: "output_layer_norm",
    distances: bert::LAYERS.distances,
};
