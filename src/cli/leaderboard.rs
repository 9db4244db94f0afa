//! `-m a,b,c`: the same data, division and probe with several models, best first.

use std::path::Path;
use std::time::Instant;

use serde::Serialize;
use tk_transfer::atomic::write_bytes_atomic;
use transferkit::classify::{Modality, ModeName, Settings, Summary};

use super::arguments::Train;
use super::run_folder::{self, Existing};
use super::{Failure, console, train};

/// Where the table is kept beside the runs.
const FILE: &str = "leaderboard.json";

/// What a leaderboard is ordered by: the first of these that was measured.
const METRICS: [&str; 2] = ["accuracy", "map"];

/// The models of a list; nothing where one model is said, or a path that is there.
pub fn models(settings: &Settings) -> Option<Vec<String>> {
    let said = settings.model.as_deref().filter(|said| said.contains(',') && !Path::new(said).exists())?;
    Some(said.split(',').map(|name| name.trim().to_owned()).collect())
}

/// One model's line.
#[derive(Serialize)]
struct Line {
    run: String,
    #[serde(flatten)]
    summary: Summary,
}

impl Line {
    fn metric(&self) -> Option<&'static str> {
        METRICS.into_iter().find(|name| self.summary.metrics.contains_key(*name))
    }

    fn score(&self) -> Option<f64> {
        self.summary.metrics.get(self.metric()?).copied()
    }

    fn interval(&self) -> [f64; 2] {
        let interval = self.metric().and_then(|name| self.summary.intervals.get(name));
        interval.map_or([f64::NEG_INFINITY, f64::INFINITY], |interval| [interval.low, interval.high])
    }
}

/// Runs each model in features mode and shows the table. Runs that are complete are not repeated with `--resume`.
pub fn run<M: Modality>(arguments: &Train, settings: &Settings, models: &[String]) -> Result<(), Failure> {
    if settings.mode.is_some_and(|mode| mode != ModeName::Features)
        || settings.unfreeze.is_some()
        || settings.freeze.is_some()
    {
        return Err(Failure::usage("several models are compared in features mode only")
            .help("compare them frozen, then fine-tune the best: -m NAME --mode partial"));
    }
    let folder = arguments.out.clone().unwrap_or_else(|| {
        let data = settings.data.as_deref().unwrap_or("demo");
        run_folder::default_name(data, &format!("{}-leaderboard", M::TASK))
    });
    let jobs = jobs(settings, models, &folder)?;
    if arguments.dry_run {
        return jobs.into_iter().try_for_each(|(settings, _)| train::dry_run::<M>(arguments, settings));
    }
    // Everything that would be refused is refused before the first model runs.
    let data = train::job::<M>(settings.clone()).open_data()?;
    for (settings, run) in &jobs {
        run_folder::check(run, existing(arguments))?;
        train::job::<M>(settings.clone()).outlook(&data)?;
    }
    let mut lines = Vec::new();
    for (settings, run) in jobs {
        let summary = match run_folder::is_complete(&run) && arguments.resume {
            true => read(&run)?,
            false => {
                if existing(arguments) == Existing::Replace {
                    run_folder::remove(&run)?;
                }
                let job = train::job::<M>(settings).began(Instant::now());
                train::fit_and_save(job, &data, &run, &arguments.work)?.summary().clone()
            }
        };
        lines.push(Line { run: run.display().to_string(), summary });
    }
    // A stable sort: equals stay in the order in which they were said.
    lines.sort_by(|a, b| b.score().unwrap_or(0.0).total_cmp(&a.score().unwrap_or(0.0)));
    let text = serde_json::to_string_pretty(&lines).map_err(|error| Failure::error(error.to_string()))?;
    let path = folder.join(FILE);
    write_bytes_atomic(&path, (text + "\n").as_bytes()).map_err(|error| Failure::error(error.to_string()))?;
    if arguments.work.json {
        return console::json(&serde_json::json!({ "event": "leaderboard", "runs": lines }));
    }
    show(&lines)
}

/// What each model is asked to do, and where it goes.
fn jobs(
    settings: &Settings,
    models: &[String],
    folder: &Path,
) -> Result<Vec<(Settings, std::path::PathBuf)>, Failure> {
    let jobs: Vec<_> = models
        .iter()
        .map(|model| (settings_of(settings, model), folder.join(run_folder::plain(model))))
        .collect();
    for (position, (_, run)) in jobs.iter().enumerate() {
        if models[position].is_empty() {
            return Err(Failure::usage("-m has an empty name between commas"));
        }
        if jobs[..position].iter().any(|(_, other)| other == run) {
            let name = &models[position];
            return Err(Failure::usage(format!(
                "-m: two models would be called `{}`",
                run_folder::plain(name)
            ))
            .help("rename a folder or file, or run them apart"));
        }
    }
    Ok(jobs)
}

fn settings_of(settings: &Settings, model: &str) -> Settings {
    Settings { model: Some(model.to_owned()), ..settings.clone() }
}

fn existing(arguments: &Train) -> Existing {
    match (arguments.resume, arguments.force) {
        (true, _) => Existing::Resume,
        (_, true) => Existing::Replace,
        _ => Existing::Refuse,
    }
}

fn read(run: &Path) -> Result<Summary, Failure> {
    let path = run.join("summary.json");
    let failed = |reason: String| Failure::error(format!("`{}`: {reason}", path.display()));
    let text = std::fs::read_to_string(&path).map_err(|error| failed(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| failed(error.to_string()))
}

/// The table, best first, the best run's folder last.
fn show(lines: &[Line]) -> Result<(), Failure> {
    let Some(best) = lines.first() else { return Ok(()) };
    let metric = best.metric().unwrap_or("score");
    console::line(&format!("{metric:<20} seconds  parameters  model"))?;
    for line in lines {
        let score = line.score().map_or_else(|| "not scored".to_owned(), |score| format!("{score:.3}"));
        let [low, high] = line.interval();
        let interval = if low.is_finite() { format!("({low:.2}–{high:.2})") } else { String::new() };
        let seconds = line.summary.seconds.get("total").copied().unwrap_or_default();
        let millions = line.summary.parameters.get("total").copied().unwrap_or_default() as f64 / 1e6;
        let model = &line.summary.model;
        console::line(&format!(
            "{:<20} {seconds:>7.1}  {millions:>8.1} M  {model}",
            format!("{score} {interval}")
        ))?;
    }
    let [low, _] = best.interval();
    let close = lines.iter().skip(1).filter(|line| line.interval()[1] >= low).count();
    if close > 0 {
        console::note(&format!(
            "{close} of the others lie within the best one's interval or overlap it: more samples would tell them apart"
        ));
    }
    console::line(&best.run)
}
