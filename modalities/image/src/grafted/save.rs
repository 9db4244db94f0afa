//! Saving: weights under torchvision's names, and `config.json`.

use std::collections::BTreeMap;
use std::path::Path;

use tk_transfer::atomic::write_bytes_atomic;
use tk_transfer::checkpoint::{Precision, SaveTensor, save};
use tk_transfer::low_rank::Adapted;

use super::{Config, Graft, GraftError, Grafted};
use crate::architectures;

/// Where PEFT's adapter lies in a run's folder.
const ADAPTER_FOLDER: &str = "adapter";

impl<H: Graft> Grafted<H> {
    /// Writes `model.safetensors` and `config.json`, and the adapter if there is one; each file is written aside and renamed.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn save(&self, folder: &Path, precision: Precision) -> Result<(), GraftError> {
        let mut tensors = Vec::new();
        for spec in self.graph.parameters() {
            let (name, less) = self.on_disk(&spec.name);
            let values = self.parameters.get(&spec.name)?.to_f32();
            let values: Vec<f32> = values.into_iter().map(|value| value - less).collect();
            tensors.push((name, &spec.shape, values));
        }
        let tensors: Vec<SaveTensor<'_>> =
            tensors.iter().map(|(name, shape, values)| SaveTensor { name, shape, values }).collect();
        save(&folder.join("model.safetensors"), &tensors, precision, &BTreeMap::new())?;
        let text = serde_json::to_string_pretty(&self.config()?)? + "\n";
        write_bytes_atomic(&folder.join("config.json"), text.as_bytes())?;
        let Some(adapter) = &self.adapter else { return Ok(()) };
        let folder = folder.join(ADAPTER_FOLDER);
        std::fs::create_dir_all(&folder)
            .map_err(|source| tk_transfer::atomic::WriteError { path: folder.clone(), source })?;
        let head = self.graph.stages().len() - 1;
        let stages = self.graph.parameter_stages();
        let of_head = self.graph.parameters().iter().zip(stages).filter(|(_, stage)| *stage == head);
        let adapted = Adapted {
            graph: &self.graph,
            parameters: &self.parameters,
            whole: of_head.map(|(spec, _)| spec.name.as_str()).collect(),
            modules: vec!["head"],
            task: None,
            published: &|name| self.published_name(name),
        };
        Ok(adapter.save(&folder, &adapted)?)
    }

    fn config(&self) -> Result<Config<H>, GraftError> {
        let labels = (0..self.settings.classes).map(|class| class.to_string()).collect();
        // The backbone's own head is not there; its pixels are described by `input`.
        let preprocess = self.architecture.preprocess();
        let mut backbone =
            architectures::Config::new(self.architecture, &self.settings, &preprocess, labels)?;
        backbone.label_names = None;
        Ok(Config {
            task: H::TASK.to_owned(),
            label_names: self.labels.clone(),
            head: self.head.clone(),
            input: self.input.clone(),
            backbone,
        })
    }
}
