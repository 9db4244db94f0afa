//! XLM-RoBERTa (Conneau et al. 2019, arXiv 1911.02116): RoBERTa over a hundred languages.

use super::Architecture;
use super::roberta::ROBERTA;

/// The encoder that transformers calls `xlm-roberta`.
pub(super) const XLM_ROBERTA: Architecture = Architecture {
    model_type: "xlm-roberta",
    encoder_class: "XLMRobertaModel",
    classifier_class: "XLMRobertaForSequenceClassification",
    ..ROBERTA
};
