//! Opening: a classifier's weights get a new head, a folder that was saved here keeps its own where the classes are the same.

use std::path::Path;

use tk_engine::{Parameters, Tensor};
use tk_transfer::checkpoint::{Checkpoint, Need, ParameterRequest, Target, load_into};

use super::{Config, Graft, GraftError, Grafted};
use crate::framing::Input;
use crate::model::{Head, Model, Origin};

/// Which classes a network's head tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeadChoice<'a> {
    /// Those that it was trained for.
    Published,
    /// These. A head that was trained for the same ones, in the same order, is kept; the seed decides the values of another.
    Classes {
        /// Their names.
        names: &'a [String],
        /// The seed.
        seed: u64,
    },
}

/// Whether a folder holds a network with a grafted head of this kind.
pub fn is_grafted<H: Graft>(folder: &Path) -> bool {
    let text = std::fs::read_to_string(folder.join("config.json")).unwrap_or_default();
    let config: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    config.get("task").and_then(serde_json::Value::as_str) == Some(H::TASK)
}

impl<H: Graft> Grafted<H> {
    /// A new head on a classifier's backbone; the seed decides its values.
    ///
    /// # Errors
    /// When the weights cannot be had, or the backbone does not leave the maps that the head needs.
    pub fn on_backbone(origin: &Origin, head: H, input: Input, labels: &[String], seed: u64) -> Result<Self, GraftError> {
        // One class: the classifier's own head is dropped in any case.
        let model = Model::open(origin, Head::New { classes: 1, seed })?;
        let graph = head.graft(&model.graph, model.architecture, labels.len())?;
        let mut parameters = Parameters::default();
        for spec in graph.parameters() {
            if let Ok(value) = model.parameters.get(&spec.name) {
                parameters.set(&spec.name, value.clone());
            }
        }
        parameters.initialise(&graph, seed);
        Ok(Self {
            name: model.name,
            architecture: model.architecture,
            settings: model.settings,
            head,
            graph,
            parameters,
            input,
            labels: labels.to_vec(),
            report: model.report,
            digest: model.digest,
            base: model.base,
            low_rank: None,
            adapter: None,
        })
    }

    /// A folder that [`Grafted::save`] wrote.
    ///
    /// # Errors
    /// When files are missing, damaged, or of something else.
    pub fn open(folder: &Path, choice: &HeadChoice<'_>) -> Result<Self, GraftError> {
        let config = Config::<H>::read(folder)?;
        let weights = Checkpoint::find_in(folder).ok_or_else(|| GraftError::Missing {
            path: folder.to_owned(),
            reason: "it has no model.safetensors".into(),
        })?;
        let (architecture, settings) = config.backbone.network()?;
        let backbone = architecture.build(&settings)?;
        let (labels, seed) = match *choice {
            HeadChoice::Published => (config.label_names.clone(), 0),
            HeadChoice::Classes { names, seed } => (names.to_vec(), seed),
        };
        let is_kept = labels == config.label_names;
        let graph = config.head.graft(&backbone, architecture, labels.len())?;
        let name = tk_transfer::hub::folder_name(folder);
        let stages = graph.parameter_stages();
        let head = graph.stages().len() - 1;
        let fitting = |at: usize| stages[at] != head || is_kept;
        // Of another head what does not depend on the classes is kept too: the checkpoint says what fits.
        let checkpoint = Checkpoint::open(&weights)?;
        let request = |(at, spec): (usize, &tk_engine::graph::ParameterSpec)| {
            let fits = checkpoint.info(&spec.name).is_some_and(|info| info.shape == spec.shape);
            ParameterRequest {
                name: spec.name.clone(),
                shape: spec.shape.clone(),
                need: if fitting(at) || fits { Need::Required } else { Need::NewHead },
            }
        };
        let requests: Vec<ParameterRequest> = graph.parameters().iter().enumerate().map(request).collect();
        let rules = config.head.rules();
        let target = Target { model: &name, parameters: &requests, rules: &rules };
        let loaded = load_into(&target, &checkpoint)?;
        let mut parameters = Parameters::default();
        for (parameter, values) in loaded.values {
            let index = graph.parameter(&parameter);
            let shape = index.map(|index| graph.parameters()[index].shape.clone()).unwrap_or_default();
            parameters.set(&parameter, Tensor::new(&shape, values)?);
        }
        parameters.initialise(&graph, seed);
        Ok(Self {
            name,
            architecture,
            settings,
            head: config.head,
            graph,
            parameters,
            input: config.input,
            labels,
            report: Some(loaded.report),
            digest: checkpoint.digest().to_hex().to_string(),
            base: std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned()).display().to_string(),
            low_rank: None,
            adapter: None,
        })
    }
}
