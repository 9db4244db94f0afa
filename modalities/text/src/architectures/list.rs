//! The list of encoders, and how one is found by `model_type`.

use super::{
    Architecture, ArchitectureError, bert, camembert, deberta_v2, distilbert, electra, modernbert, mpnet,
    roberta, xlm_roberta,
};

/// Every encoder for texts. Adding one is its constant in a file of its own, and a line here.
pub static ARCHITECTURES: &[Architecture] = &[
    bert::BERT,
    distilbert::DISTILBERT,
    roberta::ROBERTA,
    xlm_roberta::XLM_ROBERTA,
    camembert::CAMEMBERT,
    electra::ELECTRA,
    mpnet::MPNET,
    deberta_v2::DEBERTA_V2,
    modernbert::MODERNBERT,
];

/// The encoder of a `model_type`, as `config.json` gives it.
///
/// # Errors
/// When there is none; the message lists what there is.
pub fn find(model_type: &str) -> Result<&'static Architecture, ArchitectureError> {
    ARCHITECTURES.iter().find(|architecture| architecture.model_type == model_type).ok_or_else(|| {
        ArchitectureError::Unknown {
            model_type: model_type.to_owned(),
            known: ARCHITECTURES.iter().map(|architecture| architecture.model_type).collect(),
        }
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn model_types_are_unique_and_found() {
        for architecture in ARCHITECTURES {
            assert!(std::ptr::eq(find(architecture.model_type).unwrap(), architecture));
        }
    }

    #[test]
    fn an_unknown_model_type_lists_what_there_is() {
        let error = find("t5").unwrap_err().to_string();
        let start =
            "unknown model_type `t5`; encoders for texts are bert, distilbert, roberta, xlm-roberta, ";
        assert!(error.starts_with(start), "{error}");
    }
}
