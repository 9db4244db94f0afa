//! BERT (Devlin et al. 2018, arXiv 1810.04805); MiniLM (arXiv 2002.10957) is one.

use tk_engine::graph::Activation;
use tk_transfer::checkpoint::Rule;

use super::Architecture;
use super::embeddings::{Embeddings, Positions};
use super::encoder::{LayerNames, linear};
use super::own::Own;
use super::settings::Spelling;

/// The encoder that transformers calls `bert`.
pub(super) const BERT: Architecture = Architecture {
    model_type: "bert",
    encoder_class: "BertModel",
    classifier_class: "BertForSequenceClassification",
    prefix: "bert.",
    head_modules: &["classifier"],
    pooler_modules: &[],
    adapted: &["query", "value"],
    renames: &[Rule::Prefix { from: "bert.", to: "" }, GAMMA, BETA],
    published_layer: "classifier",
    spelling: SPELLING,
    embeddings: Embeddings { reads_token_types: true, ..EMBEDDINGS },
    layer: |b, settings, layer, values| LAYERS.build(b, settings, layer, values),
    published_pooler: |b, settings, x| {
        let x = linear(b, "pooler.dense", x, settings.width, settings);
        b.activation("pooler.activation", x, Activation::Tanh)
    },
    token_pooler: None,
};

/// TensorFlow's name of a norm's scale, which old checkpoints keep.
pub(super) const GAMMA: Rule = Rule::Pattern { from: r"\.gamma$", to: ".weight" };

/// TensorFlow's name of a norm's shift.
pub(super) const BETA: Rule = Rule::Pattern { from: r"\.beta$", to: ".bias" };

/// BERT's names of its settings, which RoBERTa has too.
pub(super) const SPELLING: Spelling = Spelling {
    width: "hidden_size",
    layers: "num_hidden_layers",
    heads: "num_attention_heads",
    hidden: "intermediate_size",
    embedding_width: None,
    token_types: Some("type_vocab_size"),
    activation: "hidden_act",
    epsilon: Some("layer_norm_eps"),
    usual_epsilon: 1e-12,
    norm_bias: None,
    hidden_dropout: "hidden_dropout_prob",
    attention_dropout: "attention_probs_dropout_prob",
    classifier_dropout: "classifier_dropout",
    classifier_default: None,
    usual_dropout: 0.1,
    pooling: None,
    padding: 0,
    own: |_| Ok(Own::None),
};

/// BERT's names of embeddings, which most have, without token types to read.
pub(super) const EMBEDDINGS: Embeddings = Embeddings {
    words: "embeddings.word_embeddings",
    norm: "embeddings.LayerNorm",
    reads_token_types: false,
    positions: Positions::FromZero,
};

/// BERT's names within a layer, which RoBERTa has too.
pub(super) const LAYERS: LayerNames = LayerNames {
    prefix: "encoder.layer",
    projections: ["attention.self.query", "attention.self.key", "attention.self.value"],
    mixed: "attention.output.dense",
    attention_norm: "attention.output.LayerNorm",
    drops_attention_output: true,
    feed_forward: ["intermediate.dense", "output.dense"],
    norm: "output.LayerNorm",
    distances: |_, _, _, operands| operands,
};
