//! CamemBERT (Martin et al. 2019, arXiv 1911.03894): RoBERTa in French.

use super::Architecture;
use super::roberta::ROBERTA;

/// The encoder that transformers calls `camembert`.
pub(super) const CAMEMBERT: Architecture = Architecture {
    model_type: "camembert",
    encoder_class: "CamembertModel",
    classifier_class: "CamembertForSequenceClassification",
    ..ROBERTA
};
