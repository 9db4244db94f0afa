//! From a model to a folder of transformers.

use std::collections::BTreeMap;
use std::path::Path;

use tk_engine::Tensor;
use tk_transfer::atomic::write_bytes_atomic;
use tk_transfer::checkpoint::{Precision, SaveTensor, save};

use super::{Model, ModelError};
use crate::architectures::speech::End;

impl Model {
    /// Writes weights, `config.json` and `preprocessor_config.json`, each aside and then renamed, as transformers' classifier of recordings
    /// with these classes. A linear layer over the embedding becomes one behind a projector that changes nothing: the mean of what such
    /// a projector gives is the embedding.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn save(&self, folder: &Path, classes: &[String]) -> Result<(), ModelError> {
        let mut tensors: Vec<(String, Tensor)> = self.kept.clone();
        for spec in self.graph.parameters() {
            let published = self.architecture.published_name(&spec.name);
            tensors.push((published, self.parameters.get(&spec.name)?.clone()));
        }
        let mut projected = self.architecture.projected();
        let has_linear = self.graph.parameter(&format!("{}.weight", self.head())).is_some();
        if matches!(self.end, End::Probe { .. }) && self.architecture.has_projector() && has_linear {
            projected = self.architecture.width();
            let mut identity = vec![0.0; projected * projected];
            identity.iter_mut().step_by(projected + 1).for_each(|value| *value = 1.0);
            tensors.push(("projector.weight".into(), Tensor::new(&[projected; 2], identity)?));
            tensors.push(("projector.bias".into(), Tensor::new(&[projected], vec![0.0; projected])?));
        }
        let mut written = Vec::with_capacity(tensors.len());
        for (name, tensor) in &tensors {
            written.push(SaveTensor { name, shape: tensor.shape(), values: tensor.as_f32()? });
        }
        save(&folder.join("model.safetensors"), &written, Precision::F32, &BTreeMap::new())?;
        let sizes = self.architecture.sizes(projected);
        let config = self.config.with_classes(&sizes, classes, self.kind).to_json();
        let config = config.map_err(|problem| ModelError::Config { path: folder.to_owned(), problem })?;
        write_bytes_atomic(&folder.join("config.json"), config.as_bytes())?;
        let front_end = self.front_end.to_json()?;
        Ok(write_bytes_atomic(&folder.join("preprocessor_config.json"), front_end.as_bytes())?)
    }
}
