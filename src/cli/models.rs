//! `tk models`: which there are, and of which stages they consist.

use tk_image::architectures::{ARCHITECTURES, Settings, find};
use tk_image::model::{EMBEDDED, Head, Model, Origin};
use transferkit::image::{Error, resolve_model};

use super::arguments::{Models, ModelsAction};
use super::{Failure, console};

/// Runs the command.
pub fn run(arguments: Models) -> Result<(), Failure> {
    match arguments.action {
        ModelsAction::List { json } => list(json),
        ModelsAction::Show { model, json } => show(&model, json),
    }
}

fn list(json: bool) -> Result<(), Failure> {
    if !json {
        console::line(&format!("{EMBEDDED:<18} embedded, the default: nothing to download"))?;
    }
    for architecture in ARCHITECTURES {
        let graph = architecture
            .build(&Settings::classes(1000))
            .map_err(|error| Failure::error(error.to_string()))?;
        let parameters: usize =
            graph.parameters().iter().map(|spec| spec.shape.iter().product::<usize>()).sum();
        let [side, _] = architecture.preset.preprocess.input_size;
        let (name, tag, licence) = (architecture.name, architecture.preset.tag, architecture.preset.licence);
        if json {
            let object = serde_json::json!({ "name": name, "weights": tag, "parameters": parameters, "size": side, "licence": licence });
            console::json(&object)?;
        } else {
            let millions = parameters as f64 / 1e6;
            console::line(&format!(
                "{name:<18} {millions:>6.1} M parameters  {side} px  {name}.{tag}  {licence}"
            ))?;
        }
    }
    if !json {
        console::note("weights of all but the first are given as -m NAME=FILE.safetensors (or .pth)");
    }
    Ok(())
}

fn show(name: &str, json: bool) -> Result<(), Failure> {
    // A bare architecture is shown without its weights.
    let origin = match find(name) {
        Ok(_) if name != EMBEDDED => Origin::Random(name.to_owned()),
        _ => resolve_model(name)?,
    };
    let model = Model::open(&origin, Head::Published).map_err(Error::from)?;
    let stages = model.graph.parameter_stages();
    let numbers = |wanted: usize| -> usize {
        let specs = model.graph.parameters().iter().zip(&stages).filter(|(_, stage)| **stage == wanted);
        specs.map(|(spec, _)| spec.shape.iter().product::<usize>()).sum()
    };
    let rows: Vec<(&str, usize)> = model
        .graph
        .stages()
        .iter()
        .enumerate()
        .map(|(index, stage)| (stage.name.as_str(), numbers(index)))
        .collect();
    let [height, width] = model.preprocess.input_size;
    if json {
        return console::json(&serde_json::json!({
            "name": name,
            "architecture": model.architecture.name,
            "input": [height, width],
            "classes": model.settings.classes,
            "labels": model.labels,
            "features": model.feature_count(),
            "stages": rows.iter().map(|(name, numbers)| serde_json::json!({ "name": name, "parameters": numbers })).collect::<Vec<_>>(),
        }));
    }
    let loaded = model.report.as_ref().map_or_else(|| "without weights".to_owned(), ToString::to_string);
    let (architecture, classes, features) =
        (model.architecture.name, model.settings.classes, model.feature_count());
    console::line(&format!(
        "{name}: {architecture}, {width}×{height} pixels, {features} features, {classes} classes; {loaded}"
    ))?;
    console::line("stages, from input to output, as --freeze and --unfreeze name them:")?;
    rows.iter().try_for_each(|(name, numbers)| console::line(&format!("  {name:<16} {numbers:>11} numbers")))
}
