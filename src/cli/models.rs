//! `tk models`: which there are, what is published of them, and of which stages they consist.

use std::path::Path;

use serde_json::{Value, json};
use tk_audio::recognition::{SpeechModel, SymbolChoice};
use tk_engine::Graph;
use tk_image::architectures::{Settings, find};
use tk_image::catalog::{self, Entry};
use tk_image::data::Preprocess;
use tk_image::grafted::{Graft, Grafted, HeadChoice};
use tk_image::model::{EMBEDDED, Head, Model};
use transferkit::dense::Dense;
use transferkit::detect::Objects;
use transferkit::image::{Error, resolve_model};
use transferkit::segment::Pixels;

use super::arguments::{Models, ModelsAction, Network};
use super::kind::{self, Kind};
use super::weights::{self, Located};
use super::{Failure, console, published};

/// Runs the command.
pub fn run(arguments: Models) -> Result<(), Failure> {
    match arguments.action {
        ModelsAction::List { json } => list(json),
        ModelsAction::Show { model, network, json } => show(&model, &network, json),
        ModelsAction::Pull { names, network } => published::pull(&names, &network),
        ModelsAction::Verify { names, json } => published::verify(&names, json),
    }
}

fn list(json: bool) -> Result<(), Failure> {
    if json {
        return catalog::entries().iter().try_for_each(console::json);
    }
    for (name, what) in weights::EMBEDDED {
        console::line(&format!("{name:<42} embedded, the default for {what}: nothing to download"))?;
    }
    for entry in catalog::entries() {
        let (name, size, licence) = (&entry.name, entry.size, &entry.licence);
        let millions = entry.parameters as f64 / 1e6;
        let top1 = entry.top1.map_or_else(|| "      ".to_owned(), |top1| format!("{top1:>4.1} %"));
        console::line(&format!("{name:<42} {millions:>6.1} M parameters  {size:>3} px  {top1}  {licence}"))?;
    }
    Ok(())
}

/// What is shown of a model.
struct Shown {
    architecture: &'static str,
    graph: Graph,
    preprocess: Preprocess,
    /// 0 where the weights come without a classifier.
    classes: usize,
    features: usize,
    labels: Option<Vec<String>>,
    loaded: String,
}

impl Shown {
    /// A model with its weights; a network's name alone is shown without them.
    fn find(name: &str, network: &Network) -> Result<Self, Failure> {
        match find(name) {
            Ok(_) if name != EMBEDDED => Self::of_catalog(name),
            _ => Self::of_weights(name, network),
        }
    }

    fn of_catalog(name: &str) -> Result<Self, Failure> {
        let fail = |error| Failure::from(Error::from(tk_image::model::ModelError::from(error)));
        let architecture = find(name).map_err(fail)?;
        let entry = catalog::find(name);
        let classes = entry.map_or(1000, |entry| entry.classes);
        let graph = architecture.build(&Settings::classes(classes.max(1))).map_err(fail)?;
        let weight = graph.parameter(&format!("{}.weight", architecture.head));
        Ok(Self {
            architecture: architecture.name,
            features: weight.map_or(0, |index| graph.parameters()[index].shape[1]),
            graph,
            preprocess: entry.map_or_else(|| architecture.preprocess(), Entry::preprocess),
            classes,
            labels: None,
            loaded: "shown without weights".to_owned(),
        })
    }

    fn of_weights(name: &str, network: &Network) -> Result<Self, Failure> {
        let Located { hub, .. } = weights::locate(name, network)?;
        let model = Model::open(&resolve_model(name, &hub)?, Head::Published).map_err(Error::from)?;
        Ok(Self {
            architecture: model.architecture.name,
            features: model.feature_count(),
            classes: if model.has_head { model.settings.classes } else { 0 },
            loaded: model.report.as_ref().map_or_else(String::new, ToString::to_string),
            graph: model.graph,
            preprocess: model.preprocess,
            labels: model.labels,
        })
    }
}

/// Each stage's name and its count of numbers.
fn stages(graph: &Graph) -> Vec<(&str, usize)> {
    let stage_of = graph.parameter_stages();
    let count = |wanted: usize| -> usize {
        let specs = graph.parameters().iter().zip(&stage_of);
        specs
            .filter(|(_, stage)| **stage == wanted)
            .map(|(spec, _)| spec.shape.iter().product::<usize>())
            .sum()
    };
    let named = graph.stages().iter().enumerate();
    named.map(|(index, stage)| (stage.name.as_str(), count(index))).collect()
}

/// The stages as lines.
fn stage_lines(graph: &Graph) -> Result<(), Failure> {
    console::line("stages, from input to output, as --freeze and --unfreeze name them:")?;
    stages(graph)
        .iter()
        .try_for_each(|(name, numbers)| console::line(&format!("  {name:<16} {numbers:>11} numbers")))
}

/// Shows a recogniser.
fn show_speech(name: &str, folder: &Path, as_json: bool) -> Result<(), Failure> {
    let model = SpeechModel::open(folder, &SymbolChoice::Published, 0).map_err(Error::from)?;
    let (architecture, rate) = (&model.speech.model_type, model.front_end.sampling_rate);
    let symbols = model.vocabulary.symbols();
    if as_json {
        let stages = stages(&model.graph).into_iter();
        let stages: Vec<Value> =
            stages.map(|(name, numbers)| json!({ "name": name, "parameters": numbers })).collect();
        return console::json(&json!({
            "name": name, "architecture": architecture, "rate": rate, "symbols": symbols, "stages": stages,
        }));
    }
    let loaded = model.report.as_ref().map_or_else(String::new, ToString::to_string);
    console::line(&format!("{name}: {architecture}, {rate} Hz, {} symbols; {loaded}", symbols.len()))?;
    stage_lines(&model.graph)
}

/// Shows an encoder of texts, with its own head where it has one.
fn show_encoder(name: &str, folder: &Path, as_json: bool) -> Result<(), Failure> {
    let files = tk_text::model::Folder::open(folder).map_err(Error::from)?;
    let start = match files.head().map_err(Error::from)? {
        Some(_) => tk_text::model::Start::Stored,
        None => {
            let head = tk_text::architectures::Head::Embedding { pooling: files.pooling() };
            tk_text::model::Start::New { head, seed: 0 }
        }
    };
    let model = tk_text::model::Model::open(folder, start).map_err(Error::from)?;
    let (architecture, classes) = (model.architecture.model_type, model.head.classes().unwrap_or(0));
    if as_json {
        let stages = stages(&model.graph).into_iter();
        let stages: Vec<Value> =
            stages.map(|(name, numbers)| json!({ "name": name, "parameters": numbers })).collect();
        return console::json(&json!({
            "name": name, "architecture": architecture, "tokens": model.max_length, "features": model.feature_count(),
            "classes": classes, "labels": model.labels, "stages": stages,
        }));
    }
    let (tokens, features, loaded) = (model.max_length, model.feature_count(), &model.report);
    console::line(&format!(
        "{name}: {architecture}, {tokens} tokens, {features} features, {classes} classes; {loaded}"
    ))?;
    stage_lines(&model.graph)
}

/// A network with a head on its maps.
fn show_grafted<T: Dense>(name: &str, folder: &Path, as_json: bool) -> Result<(), Failure> {
    let model = Grafted::<T::Head>::open(folder, &HeadChoice::Published).map_err(Error::from)?;
    let (architecture, head) = (model.architecture.name, Graft::name(&model.head));
    if as_json {
        let stages = stages(&model.graph).into_iter();
        let stages: Vec<Value> =
            stages.map(|(name, numbers)| json!({ "name": name, "parameters": numbers })).collect();
        return console::json(&json!({
            "name": name, "architecture": architecture, "head": head, "labels": model.labels, "input": model.input, "stages": stages,
        }));
    }
    let loaded = model.report.as_ref().map_or_else(String::new, ToString::to_string);
    console::line(&format!("{name}: {head} on {architecture}, {}; {loaded}", model.labels.join(", ")))?;
    stage_lines(&model.graph)
}

fn show(name: &str, network: &Network, as_json: bool) -> Result<(), Failure> {
    // Names of networks for photographs are shown without weights, so nothing is looked for.
    if find(name).is_err() {
        let located = weights::locate(name, network)?;
        match kind::of(&located.folder) {
            Kind::Speech => return show_speech(name, &located.folder, as_json),
            Kind::Texts | Kind::Tags => return show_encoder(name, &located.folder, as_json),
            Kind::Objects => return show_grafted::<Objects>(name, &located.folder, as_json),
            Kind::Pixels => return show_grafted::<Pixels>(name, &located.folder, as_json),
            _ => {}
        }
    }
    let shown = Shown::find(name, network)?;
    let published = catalog::find(name.split_once('@').map_or(name, |(name, _)| name));
    let [height, width] = shown.preprocess.input_size;
    if as_json {
        let stages = stages(&shown.graph).into_iter();
        let stages: Vec<Value> =
            stages.map(|(name, numbers)| json!({ "name": name, "parameters": numbers })).collect();
        return console::json(&json!({
            "name": name,
            "architecture": shown.architecture,
            "input": [height, width],
            "classes": shown.classes,
            "labels": shown.labels,
            "features": shown.features,
            "published": published,
            "stages": stages,
        }));
    }
    let Shown { architecture, features, classes, loaded, .. } = &shown;
    console::line(&format!(
        "{name}: {architecture}, {width}×{height} pixels, {features} features, {classes} classes; {loaded}"
    ))?;
    if let Some(entry) = published {
        facts(entry).iter().try_for_each(|(what, said)| console::line(&format!("  {what:<12} {said}")))?;
    }
    stage_lines(&shown.graph)
}

/// What the catalog says of an entry, as lines.
fn facts(entry: &Entry) -> Vec<(&'static str, String)> {
    let place = match (&entry.repository, &entry.file, &entry.url) {
        (Some(repository), Some(file), _) => format!("{repository} {file}"),
        (.., url) => url.clone().unwrap_or_default(),
    };
    let interpolation = format!("{:?}", entry.interpolation).to_lowercase();
    let mut facts = vec![
        ("published", format!("{}, {place}", entry.name)),
        ("licence", entry.licence.clone()),
        ("parameters", entry.parameters.to_string()),
        ("pixels", format!("{}, {interpolation}, crop {}", entry.size, entry.crop)),
        ("mean, std", format!("{:?}, {:?}", entry.mean, entry.std)),
    ];
    if let Some(size) = entry.test_size {
        let crop = entry.test_crop.unwrap_or(entry.crop);
        facts.push(("at best", format!("{size} pixels, crop {crop}: --size {size}")));
    }
    if let (Some(top1), Some(size)) = (entry.top1, entry.top1_size) {
        facts.push(("top-1", format!("{top1} % on ImageNet-1k at {size} pixels")));
    }
    facts
}
