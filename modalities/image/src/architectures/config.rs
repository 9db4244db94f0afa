//! timm's `config.json`: which network a folder of weights holds, and what its pixels look like.
//!
//! A folder with this file and `model.safetensors` opens with `timm.create_model("local-dir:PATH", pretrained=True)`. Fields that
//! are not ours to interpret are kept as they are.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tk_engine::Graph;
use tk_transfer::data::LabelKind;

use super::{Architecture, ArchitectureError, Body, ImageSize, ModelArgs, Settings, find};
use crate::data::{Preprocess, PreprocessError};

/// The contents of a timm `config.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// timm's name of the network, without a tag.
    pub architecture: String,
    /// The count of classes.
    pub num_classes: usize,
    /// The count of features before the head.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub num_features: Option<usize>,
    /// The names of the classes in the order of the logits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_names: Option<Vec<String>>,
    /// What the network was built with besides its name.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub model_args: Map<String, Value>,
    /// Preprocessing, and the names of the first convolution and the classifier.
    pub pretrained_cfg: Map<String, Value>,
    /// Everything else.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A `config.json` that cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not JSON, or not the fields that timm writes.
    #[error("config.json: {0}; expected what timm writes: architecture, num_classes, pretrained_cfg")]
    Json(#[from] serde_json::Error),
    /// Arguments of the network that mean something else here, or nothing.
    #[error("config.json: `model_args.{field}` is {found}; expected {expected}")]
    ModelArgs {
        /// The argument's name.
        field: String,
        /// What it may be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// As many names as classes are needed.
    #[error("config.json: {names} label names for {classes} classes")]
    Labels {
        /// The count of names.
        names: usize,
        /// The count of classes.
        classes: usize,
    },
    /// The network is unknown or cannot be built like this.
    #[error("config.json: {0}")]
    Architecture(#[from] ArchitectureError),
    /// The preprocessing cannot be followed.
    #[error("config.json: {0}")]
    Preprocess(#[from] PreprocessError),
}

impl Config {
    /// The configuration of a network built with these settings, whose pixels are prepared like this, with the classes' names in
    /// the order of the logits.
    ///
    /// # Errors
    /// When the network cannot be built or there are not as many names as classes.
    pub fn new(
        architecture: &Architecture,
        settings: &Settings,
        preprocess: &Preprocess,
        label_names: Vec<String>,
    ) -> Result<Self, ConfigError> {
        check_labels(&label_names, settings.classes)?;
        let graph = architecture.build(settings)?;
        let mut model_args = match serde_json::to_value(&settings.model_args)? {
            Value::Object(map) => map,
            _ => Map::new(),
        };
        model_args.insert("num_classes".into(), json!(settings.classes));
        let mut pretrained_cfg = preprocess.to_timm();
        pretrained_cfg.insert("num_classes".into(), json!(settings.classes));
        pretrained_cfg.insert("first_conv".into(), json!(first_convolution(&graph)));
        pretrained_cfg.insert("classifier".into(), json!(architecture.head));
        Ok(Self {
            architecture: architecture.name.to_owned(),
            num_classes: settings.classes,
            num_features: features(&graph, architecture.head),
            label_names: Some(label_names),
            model_args,
            pretrained_cfg,
            other: Map::from_iter([(
                "global_pool".to_owned(),
                json!(architecture.family.body.global_pool()),
            )]),
        })
    }

    /// Reads the file's text. Old files, whose fields stand all on one level, are read too.
    ///
    /// # Errors
    /// When it is not JSON or lacks a field.
    pub fn from_json(text: &str) -> Result<Self, ConfigError> {
        let mut fields: Map<String, Value> = serde_json::from_str(text)?;
        if !fields.contains_key("pretrained_cfg") {
            let mut outer = Map::new();
            for name in ["architecture", "num_classes", "num_features", "label_names", "model_args"] {
                if let Some(value) = fields.get(name) {
                    outer.insert(name.into(), value.clone());
                }
            }
            if let Some(labels) = fields.remove("labels") {
                outer.insert("label_names".into(), labels);
            }
            for name in ["architecture", "num_features", "model_args"] {
                fields.remove(name);
            }
            outer.insert("pretrained_cfg".into(), Value::Object(fields));
            fields = outer;
        }
        if !fields.contains_key("num_classes")
            && let Some(classes) = fields.get("pretrained_cfg").and_then(|inner| inner.get("num_classes"))
        {
            fields.insert("num_classes".into(), classes.clone());
        }
        Ok(serde_json::from_value(Value::Object(fields))?)
    }

    /// The file's text.
    ///
    /// # Errors
    /// When a number cannot be written as JSON.
    pub fn to_json(&self) -> Result<String, ConfigError> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// The network, and the settings to build it with.
    ///
    /// # Errors
    /// When it is unknown, or its `model_args` ask for what it does not have here.
    pub fn network(&self) -> Result<(&'static Architecture, Settings), ConfigError> {
        let architecture = find(&self.architecture)?;
        let mut settings = Settings::classes(self.num_classes);
        let mut shape = Map::new();
        for (name, value) in &self.model_args {
            match name.as_str() {
                "num_classes" => expect(name, value, &json!(self.num_classes))?,
                "in_chans" => expect(name, value, &json!(3))?,
                "global_pool" => {
                    expect(name, value, &json!(architecture.family.body.global_pool()))?;
                }
                "drop_rate" => settings.drop_rate = rate(name, value)?,
                "drop_path_rate" => settings.drop_path = rate(name, value)?,
                _ => {
                    shape.insert(name.clone(), value.clone());
                }
            }
        }
        let found = Value::Object(shape.clone()).to_string();
        // timm too builds networks with embeddings of places for the size that their pixels have.
        let is_sized = architecture.family.body == Body::Tokens;
        if is_sized && !shape.contains_key("img_size") {
            shape.insert("img_size".into(), json!(ImageSize::from(self.preprocess()?.input_size)));
        }
        settings.model_args = serde_json::from_value::<ModelArgs>(Value::Object(shape)).map_err(|error| {
            ConfigError::ModelArgs {
                field: "*".into(),
                expected: format!("arguments that are known here ({error})"),
                found,
            }
        })?;
        Ok((architecture, settings))
    }

    /// The preprocessing.
    ///
    /// # Errors
    /// When a field is missing, out of range or not supported.
    pub fn preprocess(&self) -> Result<Preprocess, ConfigError> {
        Ok(Preprocess::from_timm(&self.pretrained_cfg)?)
    }

    /// Whether classes exclude each other, by transformers' `problem_type`; they do when nothing is said.
    ///
    /// # Errors
    /// When it is something else than classification.
    pub fn kind(&self) -> Result<LabelKind, ConfigError> {
        match self.other.get("problem_type") {
            None | Some(Value::Null) => Ok(LabelKind::Single),
            Some(kind) => Ok(serde_json::from_value(kind.clone())?),
        }
    }

    /// The same, of classes that exclude each other or not.
    #[must_use]
    pub fn with_kind(mut self, kind: LabelKind) -> Self {
        self.other.insert("problem_type".into(), json!(kind));
        self
    }

    /// The classes' names in the order of the logits, where the file has any.
    ///
    /// # Errors
    /// When there are not as many names as classes, or they are no texts.
    pub fn labels(&self) -> Result<Option<Vec<String>>, ConfigError> {
        let labels = match (&self.label_names, self.pretrained_cfg.get("label_names")) {
            (Some(labels), _) => labels.clone(),
            (None, None | Some(Value::Null)) => return Ok(None),
            (None, Some(inner)) => serde_json::from_value(inner.clone())?,
        };
        check_labels(&labels, self.num_classes)?;
        Ok(Some(labels))
    }
}

fn check_labels(labels: &[String], classes: usize) -> Result<(), ConfigError> {
    match labels.len() == classes {
        true => Ok(()),
        false => Err(ConfigError::Labels { names: labels.len(), classes }),
    }
}

fn expect(field: &str, value: &Value, expected: &Value) -> Result<(), ConfigError> {
    match value == expected {
        true => Ok(()),
        false => Err(ConfigError::ModelArgs {
            field: field.to_owned(),
            expected: expected.to_string(),
            found: value.to_string(),
        }),
    }
}

fn rate(field: &str, value: &Value) -> Result<f64, ConfigError> {
    value.as_f64().ok_or_else(|| ConfigError::ModelArgs {
        field: field.to_owned(),
        expected: "a probability".into(),
        found: value.to_string(),
    })
}

/// The name of the convolution that reads the pixels.
fn first_convolution(graph: &Graph) -> Option<&str> {
    let is_convolution = |op: &tk_engine::graph::Op| matches!(op, tk_engine::graph::Op::Convolution(_));
    graph.nodes().iter().find(|node| is_convolution(&node.op)).map(|node| node.name.as_str())
}

/// The inputs of the classifier.
fn features(graph: &Graph, head: &str) -> Option<usize> {
    let weight = graph.parameter(&format!("{head}.weight"))?;
    graph.parameters()[weight].shape.last().copied()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn labels(count: usize) -> Vec<String> {
        (0..count).map(|index| format!("class {index}")).collect()
    }

    #[test]
    fn what_is_written_is_read_back() {
        let model_args = ModelArgs { channels: Some(vec![36, 72, 144, 288]), ..ModelArgs::default() };
        for (name, settings, features, first) in [
            ("resnet18", Settings { model_args, ..Settings::classes(5) }, 288, "conv1"),
            ("resnet50d", Settings::classes(2), 2048, "conv1.0"),
            ("vgg16_bn", Settings::classes(3), 4096, "features.0"),
            ("mobilenetv2_050", Settings::classes(7), 1280, "conv_stem"),
        ] {
            let architecture = find(name).unwrap();
            let preprocess = &architecture.preprocess();
            let config = Config::new(architecture, &settings, preprocess, labels(settings.classes)).unwrap();
            assert_eq!(config.num_features, Some(features));
            assert_eq!(config.pretrained_cfg["first_conv"], first);
            let read = Config::from_json(&config.to_json().unwrap()).unwrap();
            assert_eq!(read, config);
            let (found, read_settings) = read.network().unwrap();
            assert_eq!((found.name, &read_settings), (name, &settings));
            assert_eq!(read.preprocess().unwrap(), *preprocess);
            assert_eq!(read.labels().unwrap(), Some(labels(settings.classes)));
        }
    }

    #[test]
    fn files_that_timm_writes_are_read() {
        let text = r#"{"architecture": "resnet18", "num_classes": 5, "num_features": 288, "global_pool": "avg",
            "model_args": {"num_classes": 5, "channels": [36, 72, 144, 288], "in_chans": 3, "global_pool": "avg"},
            "pretrained_cfg": {"tag": "a1_in1k", "custom_load": false, "input_size": [3, 224, 224],
                "test_input_size": [3, 288, 288], "fixed_input_size": false, "interpolation": "bicubic", "crop_pct": 0.95,
                "crop_mode": "center", "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "num_classes": 5,
                "pool_size": [7, 7], "first_conv": "conv1", "classifier": "fc", "license": "apache-2.0"}}"#;
        let config = Config::from_json(text).unwrap();
        let (architecture, settings) = config.network().unwrap();
        assert_eq!((architecture.name, settings.classes), ("resnet18", 5));
        assert_eq!(settings.model_args.channels, Some(vec![36, 72, 144, 288]));
        assert_eq!(config.preprocess().unwrap(), architecture.preprocess());
        assert_eq!(config.labels().unwrap(), None);
        assert_eq!(config.pretrained_cfg["license"], "apache-2.0");
    }

    #[test]
    fn files_of_one_level_are_read() {
        let text = r#"{"architecture": "vgg16", "num_classes": 2, "num_features": 4096, "labels": ["ant", "bee"],
            "input_size": [3, 224, 224], "interpolation": "bilinear", "crop_pct": 0.875, "mean": [0.5, 0.5, 0.5],
            "std": [0.5, 0.5, 0.5], "first_conv": "features.0", "classifier": "head.fc"}"#;
        let config = Config::from_json(text).unwrap();
        assert_eq!(config.network().unwrap().0.name, "vgg16");
        assert_eq!(config.preprocess().unwrap().mean, [0.5; 3]);
        assert_eq!(config.labels().unwrap().unwrap(), ["ant", "bee"]);
    }

    #[test]
    fn what_cannot_be_followed_is_an_error() {
        let with = |model_args: &str, rest: &str| {
            format!(
                r#"{{"architecture": "resnet18", "num_classes": 2, "model_args": {model_args}, "pretrained_cfg": {{}}{rest}}}"#
            )
        };
        for (text, part) in [
            ("[]".to_owned(), "config.json"),
            (r#"{"architecture": "resnet18"}"#.to_owned(), "num_classes"),
            (with(r#"{"in_chans": 1}"#, ""), "`model_args.in_chans` is 1; expected 3"),
            (with(r#"{"num_classes": 3}"#, ""), "`model_args.num_classes` is 3; expected 2"),
            (with(r#"{"output_stride": 8}"#, ""), "unknown field `output_stride`"),
            (with("{}", r#", "label_names": ["one"]"#), "1 label names for 2 classes"),
            (with("{}", "").replace("resnet18", "swin_tiny"), "unknown architecture"),
        ] {
            let error = Config::from_json(&text)
                .and_then(|config| config.labels().and_then(|_| config.network()))
                .unwrap_err()
                .to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
