//! A recogniser's folder, as transformers' `Wav2Vec2ForCTC` (or `HubertForCTC`) and `Wav2Vec2Processor` open it.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value};
use tk_transfer::atomic::{WriteError, write_bytes_atomic};
use tk_transfer::bundle::Bundle;
use tk_transfer::checkpoint::{Precision, SaveTensor, save};
use tk_transfer::classification::HeadForm;
use tk_transfer::low_rank::Adapted;

use super::{Recognizer, RecognizerError};

/// Where PEFT's adapter lies in a run's folder.
const ADAPTER_FOLDER: &str = "adapter";

impl Recognizer {
    /// Writes the folder in a precision; each file is written aside and renamed. `fields` is what only this toolkit knows, `card` the text of
    /// `README.md`.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn save(
        &self,
        folder: &Path,
        precision: Precision,
        fields: Map<String, Value>,
        card: &str,
    ) -> Result<(), RecognizerError> {
        let model = self.model();
        let published = |name: &str| model.speech.published_name(name);
        let names: Vec<String> = model.graph.parameters().iter().map(|spec| published(&spec.name)).collect();
        let mut tensors = Vec::new();
        for (spec, name) in model.graph.parameters().iter().zip(&names) {
            let values = model.parameters.get(&spec.name)?.as_f32()?;
            tensors.push(SaveTensor { name, shape: &spec.shape, values });
        }
        save(&folder.join("model.safetensors"), &tensors, precision, &BTreeMap::new())?;
        let write = |name: &str, value: &Value| -> Result<(), RecognizerError> {
            Ok(write_bytes_atomic(&folder.join(name), format!("{value:#}\n").as_bytes())?)
        };
        write("config.json", &Value::Object(model.written_config()))?;
        let mut front_end = serde_json::to_value(&model.front_end)?;
        if let Some(fields) = front_end.as_object_mut() {
            fields.insert("return_attention_mask".into(), model.is_masked().into());
            for (key, value) in
                [("feature_size", 1.into()), ("padding_value", 0.0.into()), ("padding_side", "right".into())]
            {
                fields.entry(key).or_insert(value);
            }
        }
        write("preprocessor_config.json", &front_end)?;
        model.vocabulary.save(folder)?;
        if let Some(adapter) = &model.adapter {
            let folder = folder.join(ADAPTER_FOLDER);
            std::fs::create_dir_all(&folder).map_err(|source| WriteError { path: folder.clone(), source })?;
            let head = format!("{}.", model.head());
            let names = model.graph.parameters().iter().map(|spec| spec.name.as_str());
            let adapted = Adapted {
                graph: &model.graph,
                parameters: &model.parameters,
                whole: names.filter(|name| name.starts_with(&head)).collect(),
                modules: vec![model.head()],
                task: None,
                published: &published,
            };
            adapter.save(&folder, &adapted)?;
        }
        Bundle::new(HeadForm::Linear, fields).write(folder)?;
        Ok(write_bytes_atomic(&folder.join("README.md"), card.as_bytes())?)
    }
}
