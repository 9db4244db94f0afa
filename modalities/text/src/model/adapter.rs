//! PEFT's adapters of encoders: low-rank pairs (LoRA, arXiv 2106.09685) beside linear layers.
//!
//! A pair of the layer `NAME` is `NAME.lora_A.weight`, `[rank, in]`, and `NAME.lora_B.weight`, `[out, rank]`; the layer's weight then
//! counts as `weight + alpha / rank · B A`. Variants that compute anything else are refused.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use tk_engine::Tensor;
use tk_engine::graph::Op;
use tk_transfer::checkpoint::{Checkpoint, Need, ParameterRequest, Rule, Target, load_into};
use tk_transfer::low_rank::{Adapted, Adapter, AdapterError, merge};

use super::open::set_all;
use super::sentence::read_json;
use super::{Model, ModelError};
use crate::architectures::{Architecture, Head};
use crate::files;

const CONFIG_FILE: &str = Adapter::CONFIG_FILE;
const WEIGHTS_FILES: [&str; 2] = [Adapter::WEIGHTS_FILE, "adapter_model.bin"];

/// What PEFT puts before every name of the model that it adapts.
const WRAPPER: &str = "base_model.model.";

/// The ends of the names of a pair.
const DOWN: &str = "lora_A.weight";
const UP: &str = "lora_B.weight";

/// Writes an adapter that PEFT opens on the same base: the pairs, and every layer of the published head.
///
/// # Errors
/// When the head is not transformers' own, a pair is incomplete or does not fit its layer, or a file cannot be written.
pub fn save_adapter(folder: &Path, model: &Model, adapter: &Adapter) -> Result<(), AdapterError> {
    let task = match model.head {
        Head::Published { .. } => "SEQ_CLS",
        Head::Tokens { .. } => "TOKEN_CLS",
        head => {
            let problem = format!("PEFT knows the published head only, and this model's is {head:?}");
            return Err(AdapterError::Unfit { problem });
        }
    };
    // A pooler that the base lacks is as new as the head: without it the adapter would not say what the model computes.
    let is_new = |name: &str| model.report.initialised.iter().any(|new| new.name == name);
    let (mut whole, mut modules) = (Vec::new(), model.architecture.head_modules.to_vec());
    for spec in model.graph.parameters() {
        let name = spec.name.as_str();
        if model.architecture.is_of_head(name) {
            whole.push(name);
        } else if is_new(name) {
            whole.push(name);
            let module = name.split('.').next().unwrap_or_default();
            if !modules.contains(&module) {
                modules.push(module);
            }
        }
    }
    let published = |name: &str| model.architecture.published_name(name);
    let (graph, parameters) = (&model.graph, &model.parameters);
    let task = Some(task);
    adapter.save(folder, &Adapted { graph, parameters, whole, modules, task, published: &published })
}

/// The folder of an adapter's base, by what the adapter says; `None` where the folder is no adapter.
pub(super) fn base_of(folder: &Path) -> Result<Option<PathBuf>, ModelError> {
    let file = folder.join(CONFIG_FILE);
    if !files::is_file(&file) || files::is_file(&folder.join("config.json")) {
        return Ok(None);
    }
    let config: Map<String, Value> = read_json(&file)?;
    let base = config.get("base_model_name_or_path").and_then(Value::as_str).unwrap_or_default();
    // As PEFT reads it, from where the program runs; or beside the adapter.
    let places = [PathBuf::from(base), folder.join(base)];
    match places.into_iter().find(|place| !base.is_empty() && files::is_folder(place)) {
        Some(place) => Ok(Some(place)),
        None => {
            let reason = format!("an adapter whose base `{base}` is no folder here; give the base's folder");
            Err(ModelError::missing(folder, reason))
        }
    }
}

/// An adapter as it is stored.
pub(super) struct Opened {
    config_file: PathBuf,
    checkpoint: Checkpoint,
    rank: usize,
    scale: f64,
}

impl Opened {
    /// Reads an adapter's files.
    pub(super) fn read(folder: &Path) -> Result<Self, ModelError> {
        let config_file = folder.join(CONFIG_FILE);
        if !config_file.is_file() {
            return Err(ModelError::missing(folder, format!("it has no {CONFIG_FILE}")));
        }
        let config: Map<String, Value> = read_json(&config_file)?;
        let fail = |name: &str, expected: &str, found: &Value| {
            let problem = format!("`{name}`: expected {expected}, found {found}");
            Err(ModelError::malformed(&config_file, problem))
        };
        let given = |name: &str| config.get(name).filter(|value| !is_off(value));
        for (name, known) in [("peft_type", "LORA"), ("bias", "none")] {
            if let Some(value) = given(name)
                && value.as_str() != Some(known)
            {
                return fail(name, known, value);
            }
        }
        for name in REFUSED {
            if let Some(value) = given(name) {
                return fail(name, "it to be off", value);
            }
        }
        let rank = match config.get("r").and_then(Value::as_u64).and_then(|rank| usize::try_from(rank).ok()) {
            Some(rank) if rank > 0 => rank,
            _ => return fail("r", "a whole number of at least 1", config.get("r").unwrap_or(&Value::Null)),
        };
        let Some(alpha) = config.get("lora_alpha").and_then(Value::as_f64) else {
            return fail("lora_alpha", "a number", config.get("lora_alpha").unwrap_or(&Value::Null));
        };
        let divisor = if given("use_rslora").is_some() { (rank as f64).sqrt() } else { rank as f64 };
        let weights = WEIGHTS_FILES.into_iter().map(|name| folder.join(name)).find(|path| path.is_file());
        let weights = weights.ok_or_else(|| {
            ModelError::missing(folder, format!("it has none of {}", WEIGHTS_FILES.join(", ")))
        })?;
        Ok(Self { config_file, checkpoint: Checkpoint::open(weights)?, rank, scale: alpha / divisor })
    }

    /// The published head that the adapter brings.
    pub(super) fn head(&self, architecture: &Architecture) -> Result<Head, ModelError> {
        let layer = architecture.head_name(Head::Published { classes: 1 }).unwrap_or_default();
        let info = self.checkpoint.info(&format!("{WRAPPER}{layer}.weight"));
        match info.and_then(|info| info.shape.first()) {
            Some(&classes) => Ok(Head::Published { classes }),
            None => Err(ModelError::NoHead {
                path: self.checkpoint.path().to_owned(),
                found: "low-rank pairs alone".into(),
            }),
        }
    }

    /// Merges the pairs into a model's weights; with `and_head`, takes over the head too. Every tensor must have found its place.
    pub(super) fn merge_into(&self, model: &mut Model, and_head: bool) -> Result<(), ModelError> {
        let architecture = model.architecture;
        let linear = model.graph.nodes().iter().filter(|node| node.op == Op::Linear);
        let layers: Vec<String> = linear.map(|node| node.name.clone()).collect();
        let mut requests = Vec::new();
        for layer in &layers {
            let index = model.graph.parameter(&format!("{layer}.weight"));
            let spec = index.and_then(|index| model.graph.parameters().get(index));
            if let Some(&[out, width]) = spec.map(|spec| &spec.shape[..]) {
                for (part, shape) in [(DOWN, [self.rank, width]), (UP, [out, self.rank])] {
                    let (name, shape) = (format!("{layer}.{part}"), shape.to_vec());
                    requests.push(ParameterRequest { name, shape, need: Need::Optional });
                }
            }
        }
        let is_new = |name: &str| model.report.initialised.iter().any(|new| new.name == name);
        let is_replaced = |name: &str| model.report.replaced.iter().any(|old| old.name == name);
        let brought = model.graph.parameters().iter().filter(|spec| {
            and_head && (is_new(&spec.name) || is_replaced(&spec.name) || architecture.is_of_head(&spec.name))
        });
        requests.extend(brought.map(|spec| ParameterRequest {
            name: spec.name.clone(),
            shape: spec.shape.clone(),
            need: Need::Required,
        }));
        let rules: Vec<Rule> = UNWRAP.into_iter().chain(architecture.renames.iter().copied()).collect();
        let target = Target { model: &model.name, parameters: &requests, rules: &rules };
        let loaded = load_into(&target, &self.checkpoint)?;
        // A new head has no use for the adapter's, nor for the pooler before it.
        let is_head = |name: &String| {
            let name = name.strip_prefix(WRAPPER).unwrap_or(name);
            let name = name.strip_prefix(architecture.prefix).unwrap_or(name);
            !and_head && (architecture.is_of_head(name) || architecture.is_of_pooler(name))
        };
        if let Some(name) = loaded.report.unused.iter().find(|name| !is_head(name)) {
            let problem = format!("its tensor `{name}` has no place in {}", model.name);
            return Err(ModelError::malformed(&self.config_file, problem));
        }
        let (pairs, brought): (Vec<_>, Vec<_>) =
            loaded.values.into_iter().partition(|(name, _)| name.ends_with(DOWN) || name.ends_with(UP));
        let found = |name: &str| pairs.iter().position(|(pair, _)| pair == name);
        for layer in &layers {
            let parts = [DOWN, UP].map(|part| format!("{layer}.{part}"));
            let tensor = |name: &str, at: usize| {
                let shape = requests.iter().find(|request| request.name == name).map(|r| &r.shape[..]);
                let values = pairs.get(at).map(|(_, values)| values.clone()).unwrap_or_default();
                Tensor::new(shape.unwrap_or_default(), values)
            };
            match [found(&parts[0]), found(&parts[1])] {
                [None, None] => {}
                [Some(down), Some(up)] => {
                    let (down, up) = (tensor(&parts[0], down)?, tensor(&parts[1], up)?);
                    merge(&mut model.parameters, layer, [&down, &up], self.scale)?;
                }
                _ => {
                    let problem = format!("half of the low-rank pair of `{layer}` is missing");
                    return Err(ModelError::malformed(&self.config_file, problem));
                }
            }
        }
        let report = &mut model.report;
        report.loaded += brought.len();
        report.initialised.retain(|new| !brought.iter().any(|(name, _)| *name == new.name));
        report.replaced.retain(|old| !brought.iter().any(|(name, _)| *name == old.name));
        set_all(&mut model.parameters, &model.graph, brought)?;
        model.digest = format!("{} {}", model.digest, self.checkpoint.digest().to_hex());
        Ok(())
    }
}

/// Settings of PEFT that change the arithmetic, or which layers have which rank.
const REFUSED: [&str; 7] = [
    "fan_in_fan_out",
    "lora_bias",
    "use_dora",
    "use_qalora",
    "rank_pattern",
    "alpha_pattern",
    "trainable_token_indices",
];

/// How PEFT's names become those of the model.
const UNWRAP: [Rule; 2] = [
    Rule::Prefix { from: WRAPPER, to: "" },
    Rule::Pattern { from: r"\.modules_to_save(\.default)?\.", to: "." },
];

/// Whether a setting says nothing: absent, false, or empty.
fn is_off(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(on) => !on,
        Value::Object(map) => map.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}
