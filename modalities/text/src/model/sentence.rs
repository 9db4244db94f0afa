//! sentence-transformers' folders: which modules follow the encoder.
//!
//! Read and written are an encoder, pooling, at most one linear layer, and normalisation at the end.

use std::path::{Component, Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::ModelError;
use crate::architectures::Pooling;
use crate::files;

/// The list of modules.
pub(super) const MODULES_FILE: &str = "modules.json";

/// The folder of the pooling's settings, and that of the linear layer, as they are written.
pub(super) const POOLING_FOLDER: &str = "1_Pooling";
pub(super) const DENSE_FOLDER: &str = "2_Dense";

/// The activation of a linear layer that is a classifier's last.
const IDENTITY: &str = "torch.nn.modules.linear.Identity";

/// What follows the encoder.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Modules {
    /// Where the encoder's files are.
    pub(super) encoder: PathBuf,
    /// How its vectors become one; `None` when nothing pools them.
    pub(super) pooling: Option<Pooling>,
    /// The linear layer.
    pub(super) dense: Option<Dense>,
    /// Whether embeddings are divided by their length.
    pub(super) is_normalized: bool,
}

/// A linear layer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Dense {
    /// Its folder.
    pub(super) folder: PathBuf,
    /// The sizes of what it reads and writes.
    pub(super) features: [usize; 2],
    /// Whether it has a bias.
    pub(super) has_bias: bool,
    /// Whether nothing follows it, so that what it writes are logits.
    pub(super) is_plain: bool,
}

#[derive(Deserialize)]
struct Module {
    path: String,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct DenseConfig {
    in_features: usize,
    out_features: usize,
    #[serde(default = "yes")]
    bias: bool,
    #[serde(default)]
    activation_function: Option<String>,
    #[serde(default)]
    use_residual: bool,
}

fn yes() -> bool {
    true
}

impl Modules {
    /// What a folder says; `None` where it is not sentence-transformers'.
    pub(super) fn read(folder: &Path) -> Result<Option<Self>, ModelError> {
        let file = folder.join(MODULES_FILE);
        if !files::is_file(&file) {
            return Ok(None);
        }
        let listed: Vec<Module> = read_json(&file)?;
        let mut modules =
            Self { encoder: folder.to_owned(), pooling: None, dense: None, is_normalized: false };
        for (position, module) in listed.iter().enumerate() {
            let path = inside(folder, &module.path)
                .ok_or_else(|| ModelError::malformed(&file, format!("`{}` leads elsewhere", module.path)))?;
            let kind = module.kind.rsplit('.').next().unwrap_or_default();
            match (kind, position) {
                ("Transformer", 0) => modules.encoder = path,
                ("Pooling", 1) => modules.pooling = Some(read_pooling(&path.join("config.json"))?),
                ("Dense", 2) => modules.dense = Some(read_dense(path)?),
                ("Normalize", 2..) if !modules.is_normalized => modules.is_normalized = true,
                _ => {
                    let expected =
                        "expected Transformer, Pooling and perhaps Dense and Normalize, in this order";
                    let found = format!("module {position} is a {}; {expected}", module.kind);
                    return Err(ModelError::malformed(&file, found));
                }
            }
        }
        Ok(Some(modules))
    }
}

/// The text of `modules.json`.
pub(super) fn modules_json(has_dense: bool, is_normalized: bool) -> Value {
    let mut kinds = vec![("", "Transformer"), (POOLING_FOLDER, "Pooling")];
    kinds.extend(has_dense.then_some((DENSE_FOLDER, "Dense")));
    kinds.extend(is_normalized.then_some(("2_Normalize", "Normalize")));
    let module = |(index, (path, kind)): (usize, (&str, &str))| {
        let kind = format!("sentence_transformers.models.{kind}");
        json!({"idx": index, "name": index.to_string(), "path": path, "type": kind})
    };
    kinds.into_iter().enumerate().map(module).collect()
}

/// The text of the pooling's `config.json`, with names that every version reads.
pub(super) fn pooling_json(pooling: Pooling, width: usize) -> Value {
    json!({
        "word_embedding_dimension": width,
        "pooling_mode_cls_token": pooling == Pooling::Cls,
        "pooling_mode_mean_tokens": pooling == Pooling::Mean,
        "pooling_mode_max_tokens": false,
        "pooling_mode_mean_sqrt_len_tokens": false,
    })
}

/// The text of the linear layer's `config.json`.
pub(super) fn dense_json(features: [usize; 2]) -> Value {
    let [reads, writes] = features;
    json!({
        "in_features": reads,
        "out_features": writes,
        "bias": true,
        "activation_function": IDENTITY,
    })
}

/// Reads a JSON file.
pub(super) fn read_json<T: DeserializeOwned>(file: &Path) -> Result<T, ModelError> {
    let text = files::read_text(file).map_err(|error| ModelError::malformed(file, error))?;
    serde_json::from_str(&text).map_err(|error| ModelError::malformed(file, error))
}

/// The one mode that is on. Older files have a flag for each, newer ones `pooling_mode`.
fn read_pooling(file: &Path) -> Result<Pooling, ModelError> {
    let fields: serde_json::Map<String, Value> = read_json(file)?;
    let mut modes: Vec<&str> = match fields.get("pooling_mode") {
        Some(Value::Array(modes)) => modes.iter().filter_map(Value::as_str).collect(),
        Some(mode) => mode.as_str().into_iter().collect(),
        None => Vec::new(),
    };
    let flags = fields.iter().filter(|(_, value)| value.as_bool() == Some(true));
    modes.extend(flags.filter_map(|(name, _)| name.strip_prefix("pooling_mode_")));
    match modes[..] {
        ["mean" | "mean_tokens"] => Ok(Pooling::Mean),
        ["cls" | "cls_token"] => Ok(Pooling::Cls),
        _ => Err(ModelError::malformed(file, format!("pools by {modes:?}; expected mean or cls alone"))),
    }
}

fn read_dense(folder: PathBuf) -> Result<Dense, ModelError> {
    let file = folder.join("config.json");
    let config: DenseConfig = read_json(&file)?;
    if config.use_residual {
        return Err(ModelError::malformed(&file, "`use_residual` is true; expected a plain linear layer"));
    }
    // Without a name it is the default, a hyperbolic tangent.
    let is_plain = config.activation_function.is_some_and(|name| name.ends_with(".Identity"));
    let features = [config.in_features, config.out_features];
    Ok(Dense { folder, features, has_bias: config.bias, is_plain })
}

/// A path below the folder, without a way out of it.
fn inside(folder: &Path, path: &str) -> Option<PathBuf> {
    let path = Path::new(path);
    let stays = path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    stays.then(|| folder.join(path))
}
