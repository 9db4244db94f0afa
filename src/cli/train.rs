//! What every command that adapts a model does: settings, the run's folder, training, saving, showing.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tk_transfer::data::Labelled;
use tk_transfer::prefix::PrefixStore;
use toml::{Table, Value};
use transferkit::classify::{Error, Job, Modality, ModeName, Outlook, Run, Settings};
use transferkit::report::ReportData;

use super::arguments::{Network, Train, Work};
use super::run_folder::{self, Existing};
use super::show::{self, Show, quoted};
use super::{Failure, console, environment, leaderboard, weights};

/// Runs a command on the data that settings name.
pub fn run<M: Modality>(arguments: &Train, settings: Settings) -> Result<(), Failure> {
    let began = Instant::now();
    ready(arguments, &settings)?;
    if let Some(models) = leaderboard::models(&settings) {
        return leaderboard::run::<M>(arguments, &settings, &models);
    }
    if arguments.dry_run {
        return dry_run::<M>(arguments, settings);
    }
    let check = || {
        let job = job::<M>(settings.clone());
        Ok(job.outlook(&job.open_data()?).map(|_| ())?)
    };
    let Some(folder) = place(arguments, &settings, Usual::of::<M>(), check)? else { return Ok(()) };
    let job = job::<M>(settings).began(began);
    let data = job.open_data()?;
    train(job, &data, &folder, &arguments.work)
}

/// A job that finds published weights.
pub fn job<'a, T>(settings: Settings) -> Job<'a, T> {
    Job::from_settings(settings).hub(environment::hub())
}

/// Fetches the hub's repositories that settings name, where they are not here. A dry run writes nothing, so it fetches nothing.
pub fn ready(arguments: &Train, settings: &Settings) -> Result<(), Failure> {
    let network = Network { offline: arguments.network.offline || arguments.dry_run };
    weights::ready(settings.model.as_deref().unwrap_or_default(), &network).map(|_| ())
}

/// Where a task's runs go when nothing is said: its name, its default model, and its default mode.
#[derive(Clone, Copy, Debug)]
pub struct Usual {
    /// The task.
    pub task: &'static str,
    /// What its runs are named after where no model is said.
    pub model: &'static str,
    /// The mode where none is said or implied.
    pub mode: ModeName,
}

impl Usual {
    /// That of classification.
    pub fn of<M: Modality>() -> Self {
        Self { task: M::TASK, model: M::DEFAULT, mode: ModeName::Features }
    }
}

/// The folder where a run goes, made free where that was asked for; `None` when the run there is complete and was to be resumed. `check` is
/// what is checked before an old run is replaced: what would fail anyway shall not cost it.
pub fn place(
    arguments: &Train,
    settings: &Settings,
    usual: Usual,
    check: impl FnOnce() -> Result<(), Failure>,
) -> Result<Option<PathBuf>, Failure> {
    let existing = match (arguments.resume, arguments.force) {
        (true, _) => Existing::Resume,
        (_, true) => Existing::Replace,
        _ => Existing::Refuse,
    };
    let folder = arguments.out.clone().unwrap_or_else(|| default_folder(settings, usual));
    run_folder::check(&folder, existing)?;
    if existing == Existing::Resume && run_folder::is_complete(&folder) {
        console::note(&format!("`{}` is complete: there is nothing to go on with", folder.display()));
        return console::line(&folder.display().to_string()).map(|()| None);
    }
    if existing == Existing::Replace && run_folder::holds_run(&folder) {
        check()?;
        run_folder::remove(&folder)?;
    }
    Ok(Some(folder))
}

/// Trains, saves and shows, stopping at signals.
pub fn train<M: Modality>(
    job: Job<'_, M>,
    data: &M::Dataset,
    folder: &Path,
    work: &Work,
) -> Result<(), Failure> {
    let run = fit_and_save(job, data, folder, work)?;
    if work.json {
        let mut summary = serde_json::json!({ "event": "summary", "run": folder });
        if let (Some(fields), Ok(serde_json::Value::Object(more))) =
            (summary.as_object_mut(), serde_json::to_value(run.summary()))
        {
            fields.extend(more);
        }
        return console::json(&summary);
    }
    show::close(&run, folder, &data.root().display().to_string())
}

/// Trains and saves, stopping at signals.
pub fn fit_and_save<M: Modality>(
    job: Job<'_, M>,
    data: &M::Dataset,
    folder: &Path,
    work: &Work,
) -> Result<Run<M>, Failure> {
    let root = data.root().display().to_string();
    finish(job, folder, work, |job| job.fit(data), |run| show::next(run, folder, &root))
}

/// A finished run, as it is saved and told.
pub trait Finished {
    /// What its report tells.
    fn report_mut(&mut self) -> &mut ReportData;

    /// Writes its folder.
    fn save(&self, folder: &Path) -> Result<(), Error>;
}

impl<M: Modality> Finished for Run<M> {
    fn report_mut(&mut self) -> &mut ReportData {
        self.report_mut()
    }

    fn save(&self, folder: &Path) -> Result<(), Error> {
        self.save(folder)
    }
}

/// Does a job, stopping at signals, and saves what it leaves; `next` is the command that is worth trying then.
pub fn finish<T, R: Finished>(
    job: Job<'_, T>,
    folder: &Path,
    work: &Work,
    fit: impl FnOnce(&Job<'_, T>) -> Result<R, Error>,
    next: impl FnOnce(&R) -> String,
) -> Result<R, Failure> {
    if !(work.checkpoint_every.is_finite() && work.checkpoint_every >= 0.0) {
        return Err(Failure::usage("--checkpoint-every takes seconds, at least 0"));
    }
    let stop = environment::stop_flag()?;
    let show = Show::new(work.json);
    let cache = environment::cache(work.cache.clone());
    let every = Duration::from_secs_f64(work.checkpoint_every);
    let job = job.machine(environment::machine(work.threads)?).cancel(&stop).checkpoint_every(every);
    let job = job.cache(cache).checkpoint(folder).observe(|event| show.event(event));
    let result = fit(&job).map_err(Failure::from);
    // A reader that went away does not cost the run.
    let shown = show.finish();
    let mut run = result.map_err(|failure| interrupted(failure, folder))?;
    let next = next(&run);
    let report = run.report_mut();
    report.command = std::env::args().map(|word| quoted(&word)).collect::<Vec<_>>().join(" ");
    report.next = Some(next);
    run.save(folder)?;
    shown.map(|()| run)
}

fn interrupted(failure: Failure, folder: &Path) -> Failure {
    match failure.is_interrupted() {
        true => failure.help(format!("tk resume {} goes on", quoted(&folder.display().to_string()))),
        false => failure,
    }
}

/// Tells what would be done.
pub fn dry_run<M: Modality>(arguments: &Train, settings: Settings) -> Result<(), Failure> {
    let machine = environment::machine(arguments.work.threads)?;
    let job = job::<M>(settings).machine(machine).cache(PrefixStore::none());
    tell(arguments, job.outlook(&job.open_data()?)?)
}

/// Tells what would be done.
pub fn tell(arguments: &Train, outlook: Outlook) -> Result<(), Failure> {
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

/// Settings by precedence: flags, then `--set`, then `--config`. `own` are the flags that the task alone has.
pub fn settings(arguments: &Train, data: Option<&Path>, own: Table) -> Result<Settings, Failure> {
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
    table.extend(own);
    let mut settings = Settings::from_table(table, "settings")?;
    if let Some(data) = data {
        settings.data = Some(data.to_str().map(str::to_owned).ok_or_else(|| not_text(data))?);
    }
    Ok(settings)
}

/// The value of a text: a TOML value where it is one, else the text itself.
fn value(text: &str) -> Value {
    let parsed: Option<Table> = format!("value = {text}").parse().ok();
    parsed.and_then(|mut table| table.remove("value")).unwrap_or_else(|| Value::String(text.to_owned()))
}

/// What was said by flags, under the keys of `run.toml`.
fn flags(arguments: &Train) -> Table {
    let texts = [
        ("input", &arguments.input),
        ("label", &arguments.label),
        ("multi", &arguments.multi),
        ("split", &arguments.split),
        ("group", &arguments.group),
        ("model", &arguments.model),
        ("mode", &arguments.mode),
        ("head", &arguments.head),
        ("head-init", &arguments.head_init),
        ("unfreeze", &arguments.unfreeze),
        ("freeze", &arguments.freeze),
        ("schedule", &arguments.schedule),
        ("monitor", &arguments.monitor),
        ("precision", &arguments.precision),
        ("balance", &arguments.balance),
        ("val", &arguments.val),
        ("test", &arguments.test),
        ("max-bad", &arguments.max_bad),
    ];
    let integers = [
        ("lora-rank", arguments.lora_rank),
        ("epochs", arguments.epochs),
        ("patience", arguments.patience),
        ("batch", arguments.batch),
        ("accumulate", arguments.accumulate),
        ("limit", arguments.limit),
        ("seed", arguments.seed),
    ];
    let numbers = [
        ("lora-alpha", arguments.lora_alpha),
        ("lr", arguments.lr),
        ("weight-decay", arguments.weight_decay),
        ("warmup", arguments.warmup),
        ("layer-decay", arguments.layer_decay),
        ("moving-average", arguments.ema),
    ];
    let mut table = said(&texts, &integers);
    table.extend(
        numbers.into_iter().filter_map(|(key, number)| Some((key.to_owned(), Value::Float(number?)))),
    );
    table
}

/// Texts and integers that were said.
pub fn said(texts: &[(&str, &Option<String>)], integers: &[(&str, Option<i64>)]) -> Table {
    let texts = texts.iter().filter_map(|(key, text)| Some((*key, Value::String(text.as_ref()?.clone()))));
    let integers = integers.iter().filter_map(|(key, number)| Some((*key, Value::Integer((*number)?))));
    texts.chain(integers).map(|(key, value)| (key.to_owned(), value)).collect()
}

fn default_folder(settings: &Settings, usual: Usual) -> PathBuf {
    let data = settings.data.as_deref().unwrap_or("demo");
    let model = settings.model.as_deref().unwrap_or(usual.model);
    let implied =
        if settings.unfreeze.is_some() || settings.freeze.is_some() { ModeName::Partial } else { usual.mode };
    let mode = settings.mode.unwrap_or(implied).name();
    run_folder::default_name(data, &format!("{}-{}-{mode}", usual.task, run_folder::plain(model)))
}

fn not_text(path: &Path) -> Failure {
    Failure::usage(format!("`{}` is not UTF-8; rename it", path.display()))
}
