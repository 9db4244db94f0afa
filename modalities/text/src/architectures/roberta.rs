//! RoBERTa (Liu et al. 2019, arXiv 1907.11692): BERT's layers, positions counted after the padding token's, no token types to read.

use tk_engine::graph::Activation;
use tk_transfer::checkpoint::Rule;

use super::Architecture;
use super::bert::{BERT, BETA, EMBEDDINGS, GAMMA, SPELLING};
use super::embeddings::{Embeddings, Positions};
use super::encoder::{dropout, linear};
use super::settings::Spelling;

/// The encoder that transformers calls `roberta`.
pub(super) const ROBERTA: Architecture = Architecture {
    model_type: "roberta",
    encoder_class: "RobertaModel",
    classifier_class: "RobertaForSequenceClassification",
    prefix: "roberta.",
    renames: &[Rule::Prefix { from: "roberta.", to: "" }, GAMMA, BETA],
    published_layer: "classifier.out_proj",
    spelling: Spelling { padding: 1, ..SPELLING },
    embeddings: Embeddings { positions: Positions::AfterPadding, ..EMBEDDINGS },
    published_pooler: |b, settings, x| {
        let x = dropout(b, "classifier.dense.dropout", x, settings.classifier_dropout);
        let x = linear(b, "classifier.dense", x, settings.width, settings);
        b.activation("classifier.dense.activation", x, Activation::Tanh)
    },
    ..BERT
};
