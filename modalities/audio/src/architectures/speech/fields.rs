//! Settings from the fields of a `config.json`. What is absent, or null, has transformers' default.

use serde_json::{Map, Value};
use tk_engine::graph::Activation;

use super::ArchitectureError;

/// The fields of a file, and whose they are.
pub(super) struct Fields {
    pub(super) model_type: String,
    fields: Map<String, Value>,
}

impl Fields {
    /// Reads the file's text; its `model_type` must be one of those given.
    pub(super) fn read(
        text: &str,
        model_types: &[&str],
        expected: &'static str,
    ) -> Result<Self, ArchitectureError> {
        let fields: Map<String, Value> = serde_json::from_str(text)?;
        let found = fields.get("model_type").cloned().unwrap_or(Value::Null);
        match found.as_str().filter(|model_type| model_types.contains(model_type)) {
            Some(model_type) => Ok(Self { model_type: model_type.to_owned(), fields }),
            None => Err(ArchitectureError::ModelType { expected, found: found.to_string() }),
        }
    }

    /// The error that a setting is not as it must be.
    pub(super) fn error(
        &self,
        setting: &str,
        expected: &'static str,
        found: impl ToString,
    ) -> ArchitectureError {
        ArchitectureError::Setting {
            architecture: self.model_type.clone(),
            setting: setting.to_owned(),
            expected,
            found: found.to_string(),
        }
    }

    /// Refuses any value but one: what changes the arithmetic and is not built here.
    pub(super) fn only(
        &self,
        name: &str,
        known: &Value,
        expected: &'static str,
    ) -> Result<(), ArchitectureError> {
        match self.given(name) {
            Some(value) if value != known => Err(self.error(name, expected, value)),
            _ => Ok(()),
        }
    }

    /// A size of at least 1.
    pub(super) fn size(&self, name: &str, default: usize) -> Result<usize, ArchitectureError> {
        self.given(name).map_or(Ok(default), |value| self.as_size(name, value))
    }

    /// Sizes of at least 1, at least one of them.
    pub(super) fn sizes(&self, name: &str, default: &[usize]) -> Result<Vec<usize>, ArchitectureError> {
        let Some(value) = self.given(name) else { return Ok(default.to_vec()) };
        let fail = || self.error(name, "a list of whole numbers of at least 1", value);
        let list = value.as_array().filter(|list| !list.is_empty()).ok_or_else(fail)?;
        list.iter().map(|value| self.as_size(name, value)).collect()
    }

    /// A claim.
    pub(super) fn flag(&self, name: &str, default: bool) -> Result<bool, ArchitectureError> {
        self.given(name).map_or(Ok(default), |value| {
            value.as_bool().ok_or_else(|| self.error(name, "true or false", value))
        })
    }

    /// A probability below 1.
    pub(super) fn rate(&self, name: &str, default: f64) -> Result<f64, ArchitectureError> {
        self.number(name, default, "a probability in [0, 1)", |rate| (0.0..1.0).contains(&rate))
    }

    /// A number above 0.
    pub(super) fn positive(&self, name: &str, default: f64) -> Result<f64, ArchitectureError> {
        self.number(name, default, "a number above 0", |number| number > 0.0 && number.is_finite())
    }

    /// A text.
    pub(super) fn text<'a>(&'a self, name: &str, default: &'a str) -> Result<&'a str, ArchitectureError> {
        self.given(name)
            .map_or(Ok(default), |value| value.as_str().ok_or_else(|| self.error(name, "a text", value)))
    }

    /// An activation, GELU unless told otherwise.
    pub(super) fn activation(&self, name: &str) -> Result<Activation, ArchitectureError> {
        match self.text(name, "gelu")? {
            "gelu" => Ok(Activation::Gelu),
            "gelu_new" | "gelu_pytorch_tanh" => Ok(Activation::GeluTanh),
            "relu" => Ok(Activation::Relu),
            other => Err(self.error(name, "gelu, gelu_new or relu", other)),
        }
    }

    fn given(&self, name: &str) -> Option<&Value> {
        self.fields.get(name).filter(|value| !value.is_null())
    }

    fn as_size(&self, name: &str, value: &Value) -> Result<usize, ArchitectureError> {
        let size = value.as_u64().and_then(|number| usize::try_from(number).ok()).filter(|&size| size > 0);
        size.ok_or_else(|| self.error(name, "a whole number of at least 1", value))
    }

    fn number(
        &self,
        name: &str,
        default: f64,
        expected: &'static str,
        fits: impl Fn(f64) -> bool,
    ) -> Result<f64, ArchitectureError> {
        let Some(value) = self.given(name) else { return Ok(default) };
        value.as_f64().filter(|&number| fits(number)).ok_or_else(|| self.error(name, expected, value))
    }
}
