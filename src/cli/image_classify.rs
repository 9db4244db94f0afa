//! `tk image-classify`: a folder per class in, a classifier out.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use toml::{Table, Value};
use transferkit::image::{Classify, Dataset, Outlook, PrefixStore, Settings, draw_demo};

use super::arguments::{ImageClassify, Work};
use super::run_folder::{self, Existing};
use super::show::{self, Show, quoted};
use super::{Failure, console, environment};

/// Where the drawn data lie in a run's folder.
const DEMO: &str = "demo";

/// Runs the command.
pub fn run(arguments: ImageClassify) -> Result<(), Failure> {
    let began = Instant::now();
    let mut settings = settings(&arguments)?;
    if let Some(data) = &arguments.data {
        settings.data = Some(data.to_str().map(str::to_owned).ok_or_else(|| not_text(data))?);
    }
    if !arguments.demo && settings.data.is_none() {
        return Err(Failure::usage("no data: say the folder that holds a folder of photographs per class")
            .help("tk image-classify PHOTOS, or tk image-classify --demo"));
    }
    if arguments.dry_run {
        return dry_run(&arguments, settings);
    }
    let existing = match (arguments.resume, arguments.force) {
        (true, _) => Existing::Resume,
        (_, true) => Existing::Replace,
        _ => Existing::Refuse,
    };
    let folder = arguments.out.clone().unwrap_or_else(|| default_folder(&settings, arguments.demo));
    run_folder::check(&folder, existing)?;
    if existing == Existing::Resume && run_folder::is_complete(&folder) {
        console::note(&format!("`{}` is complete: there is nothing to go on with", folder.display()));
        return console::line(&folder.display().to_string());
    }
    if existing == Existing::Replace && run_folder::holds_run(&folder) {
        if !arguments.demo {
            // What would fail anyway shall not cost the old run.
            open(&settings).and_then(|data| Ok(Classify::from_settings(settings.clone()).outlook(&data)?))?;
        }
        run_folder::remove(&folder)?;
    }
    let seed = settings.seed.unwrap_or(0);
    if arguments.demo {
        let drawn = folder.join(DEMO);
        draw_demo(&drawn, seed).map_err(|error| Failure::error(error.to_string()))?;
        settings.data = Some(drawn.display().to_string());
    }
    let data = open(&settings)?;
    let job = Classify::from_settings(settings).began(began);
    train(job, &data, &folder, &arguments.work)
}

/// Trains, saves and shows, stopping at signals. Shared with `tk resume`.
pub fn train(job: Classify<'_>, data: &Dataset, folder: &Path, work: &Work) -> Result<(), Failure> {
    if !(work.checkpoint_every.is_finite() && work.checkpoint_every >= 0.0) {
        return Err(Failure::usage("--checkpoint-every takes seconds, at least 0"));
    }
    let stop = environment::stop_flag()?;
    let show = Show::new(work.json);
    let cache = environment::cache(work.cache.clone());
    let job = limited(job, &stop, work)?.cache(cache).checkpoint(folder).observe(|event| show.event(event));
    let result = job.fit(data).map_err(Failure::from);
    // A reader that went away does not cost the run.
    let shown = show.finish();
    let mut run = result.map_err(|failure| interrupted(failure, folder))?;
    let root = data.root().display().to_string();
    let next = show::next(&run, folder, &root);
    let report = run.report_mut();
    report.command = std::env::args().map(|word| quoted(&word)).collect::<Vec<_>>().join(" ");
    report.next = Some(next);
    run.save(folder)?;
    shown?;
    if work.json {
        let mut summary = serde_json::json!({ "event": "summary", "run": folder });
        if let (Some(fields), Ok(serde_json::Value::Object(more))) =
            (summary.as_object_mut(), serde_json::to_value(run.summary()))
        {
            fields.extend(more);
        }
        return console::json(&summary);
    }
    show::close(&run, folder, &root)
}

fn limited<'a>(job: Classify<'a>, stop: &'a AtomicBool, work: &Work) -> Result<Classify<'a>, Failure> {
    let every = Duration::from_secs_f64(work.checkpoint_every);
    Ok(job.machine(environment::machine(work.threads)?).cancel(stop).checkpoint_every(every))
}

fn interrupted(failure: Failure, folder: &Path) -> Failure {
    match failure.is_interrupted() {
        true => failure.help(format!("tk resume {} goes on", quoted(&folder.display().to_string()))),
        false => failure,
    }
}

/// Opens the data that settings name. A photograph in its place gets the command that was meant.
pub fn open(settings: &Settings) -> Result<Dataset, Failure> {
    let path = settings.data.as_deref().unwrap_or_default();
    if Path::new(path).is_file() {
        return Err(Failure::usage(format!(
            "`{path}` is a file; training takes a folder that holds a folder per class"
        ))
        .help(format!("to classify it: tk predict small {}", quoted(path))));
    }
    Ok(Dataset::open(path).map_err(transferkit::image::Error::from)?)
}

fn dry_run(arguments: &ImageClassify, mut settings: Settings) -> Result<(), Failure> {
    let drawn =
        tempfile::tempdir().map_err(|error| Failure::error(format!("no temporary folder: {error}")))?;
    if arguments.demo {
        draw_demo(drawn.path(), settings.seed.unwrap_or(0))
            .map_err(|error| Failure::error(error.to_string()))?;
        settings.data = Some(drawn.path().display().to_string());
    }
    let data = open(&settings)?;
    let machine = environment::machine(arguments.work.threads)?;
    let outlook =
        Classify::from_settings(settings).machine(machine).cache(PrefixStore::none()).outlook(&data)?;
    if arguments.work.json {
        return console::json(&outlook);
    }
    let Outlook { data, model, plan, stages, parameters, memory_bytes, .. } = outlook;
    console::line(&format!("data     {data}\nmodel    {model}\nplan     {plan}"))?;
    for (name, numbers, trained) in stages {
        let role = match (numbers, trained) {
            (0, _) => "no parameters",
            (_, 0) => "frozen",
            (numbers, trained) if numbers == trained => "trains",
            _ => "trains in part",
        };
        console::line(&format!("         {name:<16} {numbers:>10}  {role}"))?;
    }
    let [total, trained] = parameters;
    let megabytes = memory_bytes as f64 / 1e6;
    console::line(&format!(
        "memory   about {megabytes:.0} MB; {trained} of {total} numbers train; nothing was written"
    ))
}

/// Settings by precedence: flags, then `--set`, then `--config`.
fn settings(arguments: &ImageClassify) -> Result<Settings, Failure> {
    let mut table = Table::new();
    if let Some(path) = &arguments.config {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|error| Failure::usage(format!("--config {name}: {error}")))?;
        let mut settings = Settings::from_toml(&text, &name)?;
        settings.provenance = None;
        table = settings.to_table()?;
    }
    for pair in &arguments.set {
        let Some((key, text)) = pair.split_once('=') else {
            return Err(Failure::usage(format!("--set {pair}: expected KEY=VALUE, such as clip=1.0")));
        };
        table.insert(key.trim().to_owned(), value(text.trim()));
    }
    table.extend(flags(arguments));
    Ok(Settings::from_table(table, "settings")?)
}

/// The value of a text: a TOML value where it is one, else the text itself.
fn value(text: &str) -> Value {
    let parsed: Option<Table> = format!("value = {text}").parse().ok();
    parsed.and_then(|mut table| table.remove("value")).unwrap_or_else(|| Value::String(text.to_owned()))
}

/// What was said by flags, under the keys of `run.toml`.
fn flags(arguments: &ImageClassify) -> Table {
    let texts = [
        ("model", &arguments.model),
        ("mode", &arguments.mode),
        ("head", &arguments.head),
        ("head-init", &arguments.head_init),
        ("unfreeze", &arguments.unfreeze),
        ("freeze", &arguments.freeze),
        ("batch-norm", &arguments.batch_norm),
        ("schedule", &arguments.schedule),
        ("augment", &arguments.augment),
        ("val", &arguments.val),
        ("test", &arguments.test),
        ("max-bad", &arguments.max_bad),
    ];
    let integers = [
        ("epochs", arguments.epochs),
        ("batch", arguments.batch),
        ("accumulate", arguments.accumulate),
        ("size", arguments.size),
        ("limit", arguments.limit),
        ("seed", arguments.seed),
    ];
    let numbers = [
        ("lr", arguments.lr),
        ("weight-decay", arguments.weight_decay),
        ("warmup", arguments.warmup),
        ("layer-decay", arguments.layer_decay),
    ];
    let texts = texts.into_iter().filter_map(|(key, text)| Some((key, Value::String(text.clone()?))));
    let integers = integers.into_iter().filter_map(|(key, number)| Some((key, Value::Integer(number?))));
    let numbers = numbers.into_iter().filter_map(|(key, number)| Some((key, Value::Float(number?))));
    texts.chain(integers).chain(numbers).map(|(key, value)| (key.to_owned(), value)).collect()
}

fn default_folder(settings: &Settings, demo: bool) -> PathBuf {
    let data = if demo { DEMO } else { settings.data.as_deref().unwrap_or_default() };
    let model = settings.model.as_deref().unwrap_or("small");
    let implied =
        if settings.unfreeze.is_some() || settings.freeze.is_some() { "partial" } else { "features" };
    run_folder::default_name(data, model, settings.mode.map_or(implied, |mode| mode.name()))
}

fn not_text(path: &Path) -> Failure {
    Failure::usage(format!("`{}` is not UTF-8; rename it", path.display()))
}
