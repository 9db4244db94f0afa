//! What a model or a run is for, told from its folder.

use std::path::Path;

use tk_image::detection::Detection;
use tk_image::grafted::Graft;
use tk_image::segmentation::Segmentation;
use transferkit::audio::Recordings;
use transferkit::classify::Modality;
use transferkit::detect::Objects;
use transferkit::segment::Pixels;
use transferkit::speech::Speech;
use transferkit::tag::Tags;
use transferkit::text::Texts;

use super::run_folder;

/// What samples a model takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Photographs.
    Photographs,
    /// Texts.
    Texts,
    /// Texts, whose words get tags.
    Tags,
    /// Recordings, which get classes.
    Recordings,
    /// Recordings, which are transcribed.
    Speech,
    /// Photographs, in which objects are found.
    Objects,
    /// Photographs, whose pixels get classes.
    Pixels,
}

/// The kind of what is in a folder, if it is one: a run's by its task, another folder's by whether it holds a network for recordings or an
/// encoder of texts, else photographs.
pub fn of(folder: &Path) -> Kind {
    if run_folder::holds_run(folder) {
        return match run_folder::task(folder).as_deref() {
            Ok(Texts::TASK) => Kind::Texts,
            Ok(Tags::TASK) => Kind::Tags,
            Ok(Recordings::TASK) => Kind::Recordings,
            Ok(Speech::TASK) => Kind::Speech,
            Ok(Objects::TASK) => Kind::Objects,
            Ok(Pixels::TASK) => Kind::Pixels,
            _ => Kind::Photographs,
        };
    }
    // A word is an embedded default's name before it is a folder's.
    match folder.to_str() {
        Some(tk_audio::recognition::EMBEDDED) => return Kind::Speech,
        Some(tk_audio::model::EMBEDDED) => return Kind::Recordings,
        Some(tk_text::EMBEDDED) => return Kind::Texts,
        _ => {}
    }
    let config = std::fs::read_to_string(folder.join("config.json")).unwrap_or_default();
    let config: serde_json::Value = serde_json::from_str(&config).unwrap_or_default();
    match config.get("task").and_then(serde_json::Value::as_str) {
        Some(<Detection as Graft>::TASK) => return Kind::Objects,
        Some(<Segmentation as Graft>::TASK) => return Kind::Pixels,
        _ => {}
    }
    // transformers names networks by `model_type`, timm by `architecture`.
    match config.get("model_type").and_then(serde_json::Value::as_str) {
        Some("wav2vec2" | "hubert") if is_for(&config, "ForCTC") => Kind::Speech,
        Some(name) if tk_audio::architectures::is_known(name) => Kind::Recordings,
        Some(_) if is_for(&config, "ForTokenClassification") => Kind::Tags,
        Some(_) if config.get("architecture").is_none() => Kind::Texts,
        _ if ["modules.json", "adapter_config.json"].iter().any(|name| folder.join(name).is_file()) => {
            Kind::Texts
        }
        _ => Kind::Photographs,
    }
}

/// Whether a network was published with the head that ends the names of transformers' classes so.
fn is_for(config: &serde_json::Value, head: &str) -> bool {
    let classes = config.get("architectures").and_then(serde_json::Value::as_array);
    classes.is_some_and(|classes| {
        classes.iter().any(|class| class.as_str().is_some_and(|class| class.ends_with(head)))
    })
}
