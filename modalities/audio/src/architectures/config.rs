//! `config.json` as transformers writes it for networks that classify recordings.

use serde_json::{Map, Value, json};
use tk_transfer::data::LabelKind;

use super::Settings;
use super::speech::ArchitectureError;

/// What a configuration says; fields that are not looked at are kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    fields: Map<String, Value>,
    family: (&'static str, &'static str),
}

/// A configuration that cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not a JSON object.
    #[error("config.json: {0}; expected what transformers writes: an object with `model_type`")]
    Json(#[from] serde_json::Error),
    /// Another network.
    #[error(
        "config.json: `model_type` is {found}; expected audio-spectrogram-transformer, wav2vec2, hubert or whisper"
    )]
    Other {
        /// Which.
        found: String,
    },
    /// A field that is missing, or not as it must be.
    #[error("config.json: `{field}` is {found}; expected {expected}")]
    Field {
        /// Which.
        field: &'static str,
        /// What it may be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// A setting of a network for speech.
    #[error(transparent)]
    Architecture(#[from] ArchitectureError),
}

/// The names of networks in `model_type`, with transformers' classes of them with a classifier.
pub const FAMILIES: [(&str, &str); 4] = [
    ("audio-spectrogram-transformer", "ASTForAudioClassification"),
    ("wav2vec2", "Wav2Vec2ForSequenceClassification"),
    ("hubert", "HubertForSequenceClassification"),
    ("whisper", "WhisperForAudioClassification"),
];

/// Whether a `model_type` is one of those that are known here.
pub fn is_known(model_type: &str) -> bool {
    FAMILIES.iter().any(|(known, _)| *known == model_type)
}

impl Config {
    /// Reads the file's text.
    ///
    /// # Errors
    /// When it is not a JSON object, or of another network.
    pub fn from_json(text: &str) -> Result<Self, ConfigError> {
        let fields: Map<String, Value> = serde_json::from_str(text)?;
        let found = fields.get("model_type");
        let family = FAMILIES.into_iter().find(|(name, _)| found.and_then(Value::as_str) == Some(name));
        match family {
            Some(family) => Ok(Self { fields, family }),
            None => Err(ConfigError::Other {
                found: found.map_or_else(|| "missing".to_owned(), Value::to_string),
            }),
        }
    }

    /// The network's name in `model_type`.
    pub fn model_type(&self) -> &'static str {
        self.family.0
    }

    /// transformers' class of the network with a classifier.
    pub fn class(&self) -> &'static str {
        self.family.1
    }

    /// The file's text.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn to_json(&self) -> Result<String, ConfigError> {
        Ok(serde_json::to_string_pretty(&self.fields)? + "\n")
    }

    /// What AST is built with, as many classes as its labels.
    ///
    /// # Errors
    /// When a field is missing, or not as it must be.
    pub fn settings(&self) -> Result<Settings, ConfigError> {
        match self.fields.get("hidden_act") {
            None => {}
            Some(Value::String(name)) if name == "gelu" => {}
            Some(other) => return Err(wrong("hidden_act", "\"gelu\"", Some(other))),
        }
        let settings = Settings {
            width: self.size("hidden_size", 768)?,
            layers: self.size("num_hidden_layers", 12)?,
            heads: self.size("num_attention_heads", 12)?,
            hidden: self.size("intermediate_size", 3072)?,
            patch: self.size("patch_size", 16)?,
            strides: [self.size("frequency_stride", 10)?, self.size("time_stride", 10)?],
            bins: self.size("num_mel_bins", 128)?,
            frames: self.size("max_length", 1024)?,
            epsilon: self.number("layer_norm_eps", 1e-12)?,
            has_biases: self.fields.get("qkv_bias").and_then(Value::as_bool).unwrap_or(true),
            initializer_range: self.number("initializer_range", 0.02)?,
            dropout: self.number("hidden_dropout_prob", 0.0)?,
            attention_dropout: self.number("attention_probs_dropout_prob", 0.0)?,
            classes: self.labels()?.map_or(2, |labels| labels.len()),
        };
        let given = |name: &'static str| self.fields.get(name);
        if !settings.width.is_multiple_of(settings.heads) {
            let field = "num_attention_heads";
            return Err(wrong(field, "a divisor of the width", given(field)));
        }
        if settings.patch > settings.bins.min(settings.frames) {
            return Err(wrong("patch_size", "no more than bins and frames", given("patch_size")));
        }
        if !(0.0..1.0).contains(&settings.dropout) || !(0.0..1.0).contains(&settings.attention_dropout) {
            let field = "hidden_dropout_prob";
            return Err(wrong(field, "at least 0 and below 1", given(field)));
        }
        Ok(settings)
    }

    /// Whether the weights were saved with a head.
    pub fn has_head(&self) -> bool {
        let names = self.fields.get("architectures").and_then(Value::as_array);
        names.is_some_and(|names| names.iter().any(|name| name == self.class()))
    }

    /// The classes' names in the order of the logits, where the file has any.
    ///
    /// # Errors
    /// When `id2label` is not one text for each number from 0 on.
    pub fn labels(&self) -> Result<Option<Vec<String>>, ConfigError> {
        let Some(given) = self.fields.get("id2label").filter(|value| !value.is_null()) else {
            return Ok(None);
        };
        let fail = || wrong("id2label", "one text for each class from 0 on", Some(given));
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
            Some(kind) => serde_json::from_value(kind.clone()).map_err(|_| {
                wrong("problem_type", "single_label_classification or multi_label_classification", Some(kind))
            }),
        }
    }

    /// The same network with these sizes, saved in f32, with these classes.
    #[must_use]
    pub fn with_classes(&self, sizes: &[(&str, usize)], labels: &[String], kind: LabelKind) -> Self {
        let mut fields = self.fields.clone();
        for name in ["dtype", "torch_dtype"] {
            if let Some(dtype) = fields.get_mut(name) {
                *dtype = json!("float32");
            }
        }
        // Follows from the names; an old one would contradict them.
        fields.remove("num_labels");
        let numbered = || labels.iter().enumerate();
        let by_number: Map<String, Value> =
            numbered().map(|(class, label)| (class.to_string(), json!(label))).collect();
        let by_name: Map<String, Value> =
            numbered().map(|(class, label)| (label.clone(), json!(class))).collect();
        for (name, value) in [
            ("architectures", json!([self.class()])),
            ("id2label", Value::Object(by_number)),
            ("label2id", Value::Object(by_name)),
            ("problem_type", json!(kind)),
        ] {
            fields.insert(name.into(), value);
        }
        for (name, size) in sizes {
            fields.insert((*name).into(), json!(size));
        }
        Self { fields, family: self.family }
    }

    fn size(&self, field: &'static str, otherwise: usize) -> Result<usize, ConfigError> {
        let Some(value) = self.fields.get(field) else { return Ok(otherwise) };
        let size = value.as_u64().and_then(|size| usize::try_from(size).ok());
        size.filter(|size| (1..=1 << 20).contains(size))
            .ok_or_else(|| wrong(field, "a whole number above 0", Some(value)))
    }

    fn number(&self, field: &'static str, otherwise: f64) -> Result<f64, ConfigError> {
        let Some(value) = self.fields.get(field) else { return Ok(otherwise) };
        let number = value.as_f64().filter(|number| number.is_finite() && *number >= 0.0);
        number.ok_or_else(|| wrong(field, "a number, at least 0", Some(value)))
    }
}

fn wrong(field: &'static str, expected: &'static str, found: Option<&Value>) -> ConfigError {
    ConfigError::Field {
        field,
        expected,
        found: found.map_or_else(|| "missing".to_owned(), Value::to_string),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn with(fields: Value) -> Config {
        let mut all = json!({"model_type": "audio-spectrogram-transformer", "own": 1});
        all.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        Config::from_json(&all.to_string()).unwrap()
    }

    #[test]
    fn what_is_published_is_read_and_written_with_other_classes() {
        let config =
            with(json!({"hidden_size": 192, "num_attention_heads": 3, "id2label": {"0": "a", "1": "b"}}));
        let settings = config.settings().unwrap();
        assert_eq!((settings.width, settings.heads, settings.classes, settings.frames), (192, 3, 2, 1024));
        assert!(!config.has_head());
        let labels = ["x", "y", "z"].map(str::to_owned);
        let written = config.with_classes(&[("max_length", 64)], &labels, LabelKind::Multi);
        let read = Config::from_json(&written.to_json().unwrap()).unwrap();
        let settings = read.settings().unwrap();
        assert_eq!((settings.frames, settings.classes, read.has_head()), (64, 3, true));
        assert_eq!(
            (read.labels().unwrap().unwrap(), read.kind().unwrap()),
            (labels.to_vec(), LabelKind::Multi)
        );
        assert_eq!(read.fields["own"], 1);
    }

    #[test]
    fn what_cannot_be_followed_is_named() {
        for (fields, expected) in [
            (json!({"hidden_size": 0}), "`hidden_size` is 0"),
            (json!({"num_attention_heads": 5}), "divisor"),
            (json!({"patch_size": 200}), "`patch_size` is 200"),
            (json!({"hidden_act": "relu"}), "`hidden_act` is \"relu\""),
            (json!({"id2label": {"1": "a"}}), "`id2label`"),
            (json!({"hidden_dropout_prob": 1.5}), "below 1"),
        ] {
            let error = with(fields).settings().unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        for text in ["{}", r#"{"model_type": "bert"}"#, "["] {
            assert!(Config::from_json(text).is_err());
        }
        assert!(with(json!({"problem_type": "regression"})).kind().is_err());
    }
}
