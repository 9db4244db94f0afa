//! What a model or a run is for, told from its folder.

use std::path::Path;

use transferkit::classify::Modality;
use transferkit::text::Texts;

use super::run_folder;

/// What samples a model takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Photographs.
    Photographs,
    /// Texts.
    Texts,
}

/// The kind of what is in a folder, if it is one: a run's by its task, another folder's by whether it holds an encoder of texts, else photographs.
pub fn of(folder: &Path) -> Kind {
    let is_text = match run_folder::holds_run(folder) {
        true => run_folder::task(folder).is_ok_and(|task| task == Texts::TASK),
        false => {
            folder.join("modules.json").is_file()
                || folder.join("adapter_config.json").is_file()
                || names_text_encoder(&folder.join("config.json"))
        }
    };
    if is_text { Kind::Texts } else { Kind::Photographs }
}

/// Whether a configuration has transformers' `model_type`; timm's has `architecture`.
fn names_text_encoder(config: &Path) -> bool {
    let text = std::fs::read_to_string(config).unwrap_or_default();
    let config: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    config.get("model_type").is_some() && config.get("architecture").is_none()
}
