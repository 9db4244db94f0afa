//! `tk models`: which there are, and of which stages they consist.

use tk_image::architectures::find;
use tk_image::catalog;
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
    if json {
        return catalog::entries().iter().try_for_each(console::json);
    }
    console::line(&format!("{EMBEDDED:<42} embedded, the default: nothing to download"))?;
    for entry in catalog::entries() {
        let (name, size, licence) = (&entry.name, entry.size, &entry.licence);
        let millions = entry.parameters as f64 / 1e6;
        let top1 = entry.top1.map_or_else(|| "      ".to_owned(), |top1| format!("{top1:>4.1} %"));
        console::line(&format!("{name:<42} {millions:>6.1} M parameters  {size:>3} px  {top1}  {licence}"))?;
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
