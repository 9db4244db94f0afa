//! PEFT's adapter folder: `adapter_config.json` and `adapter_model.safetensors`.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};
use tk_engine::{EngineError, Graph, Parameters, Tensor};

use crate::atomic::{WriteError, write_bytes_atomic};
use crate::checkpoint::{Precision, SaveError, SaveTensor, save};

/// What PEFT puts before every name of the model that it adapts.
const WRAPPER: &str = "base_model.model.";

/// The ends of the names of a pair.
const DOWN: &str = "lora_A.weight";
const UP: &str = "lora_B.weight";

/// Trained low-rank pairs, apart from the weights that they adapt.
#[derive(Clone, Debug)]
pub struct Adapter {
    /// `NAME.lora_A.weight` and `NAME.lora_B.weight` for each adapted layer; other parameters are ignored.
    pub pairs: Parameters,
    /// The rank of every pair.
    pub rank: usize,
    /// What pairs are scaled by, times the rank.
    pub alpha: f64,
    /// Where the base is, for whoever opens the adapter: a folder, a file, or a name.
    pub base: String,
}

/// The model that an adapter is written for.
pub struct Adapted<'a> {
    /// The graph without pairs.
    pub graph: &'a Graph,
    /// Every parameter's value.
    pub parameters: &'a Parameters,
    /// Parameters that are written whole, those of a new head.
    pub whole: Vec<&'a str>,
    /// The modules that these are of, as PEFT's `modules_to_save` names them.
    pub modules: Vec<&'a str>,
    /// PEFT's name of the task, where it has one.
    pub task: Option<&'a str>,
    /// The published name of a parameter.
    pub published: &'a dyn Fn(&str) -> String,
}

/// An adapter that cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum AdapterError {
    /// PEFT could not read it back.
    #[error("cannot save an adapter: {problem}")]
    Unfit {
        /// What is wrong.
        problem: String,
    },
    /// The configuration cannot be written as JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// Weights cannot be written.
    #[error(transparent)]
    Save(#[from] SaveError),
    /// A file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A parameter has no value.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl Adapter {
    /// The adapter's configuration, and that of a folder of one.
    pub const CONFIG_FILE: &'static str = "adapter_config.json";

    /// The adapter's weights.
    pub const WEIGHTS_FILE: &'static str = "adapter_model.safetensors";

    /// Writes the adapter's folder, each file aside and then renamed: the pairs, and what is written whole.
    ///
    /// # Errors
    /// When a pair is incomplete or does not fit its layer, or a file cannot be written.
    pub fn save(&self, folder: &Path, model: &Adapted<'_>) -> Result<(), AdapterError> {
        let unfit = |problem: String| AdapterError::Unfit { problem };
        let names = self.pairs.iter();
        let layers: BTreeSet<&str> =
            names.filter_map(|(name, _)| name.strip_suffix(DOWN)?.strip_suffix('.')).collect();
        if layers.is_empty() {
            return Err(unfit("there is no low-rank pair".into()));
        }
        let mut tensors: Vec<(String, &Tensor)> = Vec::new();
        for layer in &layers {
            let index = model.graph.parameter(&format!("{layer}.weight"));
            let weight = index.and_then(|index| model.graph.parameters().get(index));
            let weight = weight.ok_or_else(|| unfit(format!("the model has no layer `{layer}`")))?;
            let [out, inner @ ..] = &weight.shape[..] else {
                return Err(unfit(format!("`{layer}` has a weight without axes")));
            };
            let mut up = vec![1; weight.shape.len()];
            up.iter_mut().zip([*out, self.rank]).for_each(|(size, wanted)| *size = wanted);
            for (part, shape) in [(DOWN, [&[self.rank], inner].concat()), (UP, up)] {
                let name = format!("{layer}.{part}");
                let tensor = self.pairs.get(&name)?;
                if tensor.shape() != shape {
                    return Err(unfit(format!("`{name}`: expected {shape:?}, found {:?}", tensor.shape())));
                }
                tensors.push((name, tensor));
            }
        }
        for name in &model.whole {
            tensors.push(((*name).to_owned(), model.parameters.get(name)?));
        }
        for (name, _) in &mut tensors {
            *name = format!("{WRAPPER}{}", (model.published)(name));
        }
        let mut saved = Vec::new();
        for (name, tensor) in &tensors {
            saved.push(SaveTensor { name, shape: tensor.shape(), values: tensor.as_f32()? });
        }
        save(&folder.join(Self::WEIGHTS_FILE), &saved, Precision::F32, &Default::default())?;
        let config = json!({
            "base_model_name_or_path": self.base,
            "bias": "none",
            "fan_in_fan_out": false,
            "inference_mode": true,
            "init_lora_weights": true,
            "lora_alpha": self.alpha,
            "lora_dropout": 0.0,
            "modules_to_save": model.modules,
            "peft_type": "LORA",
            "r": self.rank,
            "target_modules": target_modules(model, &layers),
            "task_type": model.task,
        });
        let text = serde_json::to_string_pretty(&config)? + "\n";
        Ok(write_bytes_atomic(&folder.join(Self::CONFIG_FILE), text.as_bytes())?)
    }
}

/// What PEFT finds just these layers by, among the modules that have parameters: their last words, else their names, else a
/// pattern of their published names. It takes a listed name for every module that ends in it.
fn target_modules(model: &Adapted<'_>, layers: &BTreeSet<&str>) -> Value {
    let mut modules = BTreeSet::new();
    for spec in model.graph.parameters() {
        let mut name = spec.name.as_str();
        while let Some((module, _)) = name.rsplit_once('.') {
            modules.insert(module);
            name = module;
        }
    }
    let finds_just_these = |names: &BTreeSet<&str>| {
        let is_found = |module: &str| {
            module.match_indices('.').any(|(at, _)| names.contains(&module[at + 1..]))
                || names.contains(module)
        };
        modules.iter().copied().filter(|module| is_found(module)).eq(layers.iter().copied())
    };
    let last: BTreeSet<&str> =
        layers.iter().map(|layer| layer.rsplit('.').next().unwrap_or_default()).collect();
    // A bare number is the place of a module in a list, where modules without parameters stand too.
    let is_number = |name: &&str| name.bytes().all(|byte| byte.is_ascii_digit());
    if !last.iter().any(is_number) && finds_just_these(&last) {
        return json!(last);
    }
    if finds_just_these(layers) {
        return json!(layers);
    }
    let pattern = |layer: &&str| {
        let published = (model.published)(&format!("{layer}.weight"));
        regex::escape(published.strip_suffix(".weight").unwrap_or(&published))
    };
    json!(layers.iter().map(pattern).collect::<Vec<_>>().join("|"))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use tk_engine::GraphBuilder;

    /// A chain of linear layers of these names.
    fn graph(names: &[&str]) -> Graph {
        let mut b = GraphBuilder::new();
        b.begin_stage("body");
        let mut x = b.input("x", 2, Some(2));
        for name in names {
            x = b.linear(name, x, 2);
        }
        b.end_stage(x);
        b.finish(&[("y", x)]).unwrap()
    }

    #[test]
    fn targets_are_just_the_layers() {
        // layers of the model, those with pairs, what PEFT is told
        for (all, adapted, expected) in [
            (&["a.q", "a.v", "b.q", "b.v", "fc"][..], &["a.q", "a.v", "b.q", "b.v"][..], json!(["q", "v"])),
            (&["a.q", "b.q", "fc"], &["a.q"], json!(["a.q"])),
            (&["a.0.c", "a.0.down.0", "fc"], &["a.0.c", "a.0.down.0"], json!(["a.0.c", "a.0.down.0"])),
            (&["conv", "b.c", "a.conv", "fc"], &["conv", "b.c"], json!(r"top\.b\.c|top\.conv")),
        ] {
            let model = Adapted {
                graph: &graph(all),
                parameters: &Parameters::default(),
                whole: Vec::new(),
                modules: Vec::new(),
                task: None,
                published: &|name| format!("top.{name}"),
            };
            assert_eq!(target_modules(&model, &adapted.iter().copied().collect()), expected, "{all:?}");
        }
    }
}
