//! transformers' `config.json`: which encoder a folder of weights holds, its sizes, and the classes' names.
//!
//! Every field is kept, known or not, so that what is written opens with transformers as what was read did.

use serde_json::{Map, Value, json};
use tk_transfer::data::LabelKind;

use super::{Architecture, ArchitectureError, Settings, find};

/// The contents of a `config.json`.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    fields: Map<String, Value>,
}

/// A `config.json` that cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not a JSON object.
    #[error("config.json: {0}; expected what transformers writes: an object with `model_type`")]
    Json(#[from] serde_json::Error),
    /// It does not say which encoder it is about.
    #[error("config.json has no `model_type`; expected one of transformers', such as bert")]
    NoModelType,
    /// The classes' names are not names by number.
    #[error("config.json: `id2label` is not one text for each class from 0 on: {found}")]
    Labels {
        /// What it is.
        found: String,
    },
    /// Neither one class nor several.
    #[error(
        "config.json: `problem_type` is {found}; expected single_label_classification or multi_label_classification"
    )]
    ProblemType {
        /// What it is.
        found: String,
    },
    /// The encoder is unknown or cannot be built like this.
    #[error("config.json: {0}")]
    Architecture(#[from] ArchitectureError),
}

impl Config {
    /// Reads the file's text.
    ///
    /// # Errors
    /// When it is not a JSON object.
    pub fn from_json(text: &str) -> Result<Self, ConfigError> {
        Ok(Self { fields: serde_json::from_str(text)? })
    }

    /// The file's text.
    ///
    /// # Errors
    /// When a number cannot be written as JSON.
    pub fn to_json(&self) -> Result<String, ConfigError> {
        Ok(serde_json::to_string_pretty(&self.fields)? + "\n")
    }

    /// The encoder, and the settings to build it with.
    ///
    /// # Errors
    /// When it is unknown, or a setting is missing, out of range or not built here.
    pub fn encoder(&self) -> Result<(&'static Architecture, Settings), ConfigError> {
        let model_type = self.fields.get("model_type").and_then(Value::as_str);
        let architecture = find(model_type.ok_or(ConfigError::NoModelType)?)?;
        Ok((architecture, Settings::read(architecture, &self.fields)?))
    }

    /// transformers' classes that the weights were saved from, such as `BertModel`.
    pub fn classes_of_model(&self) -> Vec<&str> {
        let names = self.fields.get("architectures").and_then(Value::as_array);
        names.into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// The classes' names in the order of the logits, where the file has any.
    ///
    /// # Errors
    /// When `id2label` is not one text for each number from 0 on.
    pub fn labels(&self) -> Result<Option<Vec<String>>, ConfigError> {
        let Some(given) = self.fields.get("id2label").filter(|value| !value.is_null()) else {
            return Ok(None);
        };
        let fail = || ConfigError::Labels { found: given.to_string() };
        let names = given.as_object().ok_or_else(fail)?;
        let labels: Option<Vec<String>> = (0..names.len())
            .map(|class| names.get(&class.to_string()).and_then(Value::as_str).map(str::to_owned))
            .collect();
        labels.map(Some).ok_or_else(fail)
    }

    /// Whether classes exclude each other, by `problem_type`; they do when nothing is said.
    ///
    /// # Errors
    /// When it is something else than classification.
    pub fn kind(&self) -> Result<LabelKind, ConfigError> {
        match self.fields.get("problem_type") {
            None | Some(Value::Null) => Ok(LabelKind::Single),
            Some(kind) => serde_json::from_value(kind.clone())
                .map_err(|_| ConfigError::ProblemType { found: kind.to_string() }),
        }
    }

    /// The same encoder, saved from transformers' class of this name, in f32, with these classes, which exclude each other or not.
    #[must_use]
    pub fn with_classes(&self, class_of_model: &str, labels: &[String], kind: LabelKind) -> Self {
        let mut fields = self.fields.clone();
        fields.insert("architectures".into(), json!([class_of_model]));
        for name in ["dtype", "torch_dtype"] {
            if let Some(dtype) = fields.get_mut(name) {
                *dtype = json!("float32");
            }
        }
        // Follows from the names; an old one would contradict them.
        fields.remove("num_labels");
        if !labels.is_empty() || kind == LabelKind::Multi {
            fields.insert("problem_type".into(), json!(kind));
        }
        if !labels.is_empty() {
            let numbered = || labels.iter().enumerate();
            let by_number: Map<String, Value> =
                numbered().map(|(class, label)| (class.to_string(), json!(label))).collect();
            let by_name: Map<String, Value> =
                numbered().map(|(class, label)| (label.clone(), json!(class))).collect();
            fields.insert("id2label".into(), Value::Object(by_number));
            fields.insert("label2id".into(), Value::Object(by_name));
        }
        Self { fields }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use tk_engine::graph::Activation;

    use super::*;

    const BERT: &str = r#"{"model_type":"bert","vocab_size":50,"hidden_size":8,"num_hidden_layers":2,
        "num_attention_heads":2,"intermediate_size":16,"max_position_embeddings":12,"type_vocab_size":2}"#;

    /// The configuration above with some fields replaced; null stands for their absence.
    fn changed(changes: Value) -> Config {
        let mut config = Config::from_json(BERT).unwrap();
        config.fields.extend(changes.as_object().unwrap().clone());
        config
    }

    #[test]
    fn what_is_not_given_is_as_transformers_has_it() {
        let (architecture, settings) = changed(json!({})).encoder().unwrap();
        assert_eq!((architecture.model_type, settings.heads, settings.hidden), ("bert", 2, 16));
        assert_eq!((settings.activation, settings.epsilon), (Activation::Gelu, 1e-12));
        assert_eq!((settings.hidden_dropout, settings.classifier_dropout), (0.1, 0.1));
        let roberta = changed(json!({"model_type": "roberta", "hidden_act": "gelu_new"}));
        let (architecture, settings) = roberta.encoder().unwrap();
        assert_eq!((architecture.max_length(&settings), settings.padding), (10, 1));
        assert_eq!(settings.activation, Activation::GeluTanh);
    }

    #[test]
    fn what_cannot_be_built_is_refused() {
        for (changes, expected) in [
            (json!({"model_type": null}), "config.json has no `model_type`; expected one of transformers'"),
            (json!({"model_type": "gpt2"}), "unknown model_type `gpt2`"),
            (
                json!({"hidden_size": null}),
                "`hidden_size` of bert: expected a whole number of at least 1, found nothing",
            ),
            (
                json!({"hidden_size": 9}),
                "expected a number of heads that divides the width, found 2 heads for width 9",
            ),
            (json!({"num_hidden_layers": 0}), "`num_hidden_layers` of bert"),
            (json!({"hidden_act": "swish2"}), "expected gelu, gelu_new or relu, found \"swish2\""),
            (json!({"hidden_dropout_prob": 1.0}), "expected a probability in [0, 1), found 1.0"),
            (
                json!({"position_embedding_type": "relative_key"}),
                "expected \"absolute\", found \"relative_key\"",
            ),
            (json!({"is_decoder": true}), "these are encoders"),
            (json!({"model_type": "roberta", "max_position_embeddings": 2}), "room for at least one token"),
        ] {
            let error = changed(changes).encoder().unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert!(matches!(Config::from_json("[]"), Err(ConfigError::Json(_))));
    }

    #[test]
    fn classes_are_written_as_transformers_reads_them() {
        let config = changed(json!({"torch_dtype": "float16", "num_labels": 7, "own": 1}));
        assert_eq!(config.labels().unwrap(), None);
        let labels = ["no".to_owned(), "yes".to_owned()];
        let written = config.with_classes("BertForSequenceClassification", &labels, LabelKind::Multi);
        let read = Config::from_json(&written.to_json().unwrap()).unwrap();
        assert_eq!(read.labels().unwrap().unwrap(), labels);
        assert_eq!((read.kind().unwrap(), config.kind().unwrap()), (LabelKind::Multi, LabelKind::Single));
        assert!(changed(json!({"problem_type": "regression"})).kind().is_err());
        assert_eq!(read.classes_of_model(), ["BertForSequenceClassification"]);
        assert_eq!(read.fields["label2id"], json!({"no": 0, "yes": 1}));
        assert_eq!(read.fields["torch_dtype"], json!("float32"));
        assert_eq!((read.fields.get("num_labels"), read.fields["own"].as_u64()), (None, Some(1)));
        for wrong in [json!(["a"]), json!({"0": "a", "2": "b"}), json!({"0": 1})] {
            assert!(changed(json!({"id2label": wrong})).labels().is_err());
        }
    }
}
