//! ELECTRA (Clark et al. 2020, arXiv 2003.10555): BERT's layers over tables that may be narrower.

use tk_engine::graph::Activation;
use tk_transfer::checkpoint::Rule;

use super::Architecture;
use super::bert::{BERT, BETA, GAMMA, SPELLING};
use super::encoder::{dropout, linear};
use super::settings::Spelling;

/// The encoder that transformers calls `electra`: the discriminator.
pub(super) const ELECTRA: Architecture = Architecture {
    model_type: "electra",
    encoder_class: "ElectraModel",
    classifier_class: "ElectraForSequenceClassification",
    prefix: "electra.",
    renames: &[Rule::Prefix { from: "electra.", to: "" }, GAMMA, BETA],
    published_layer: "classifier.out_proj",
    spelling: Spelling { embedding_width: Some("embedding_size"), ..SPELLING },
    published_pooler: |b, settings, x| {
        let x = dropout(b, "classifier.dense.dropout", x, settings.classifier_dropout);
        let x = linear(b, "classifier.dense", x, settings.width, settings);
        b.activation("classifier.dense.activation", x, Activation::Gelu)
    },
    ..BERT
};
