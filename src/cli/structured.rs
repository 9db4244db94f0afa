//! The commands of tasks whose answers are more than one class, from arguments to the finished run.

use std::path::Path;
use std::time::Instant;

use tk_transfer::data::Labelled;
use tk_transfer::prefix::PrefixStore;
use toml::Value;
use transferkit::classify::{Error, Job, Settings};
use transferkit::report::ReportData;
use transferkit::structured::{self, Run, Scored, Structured};

use super::arguments::{Evaluate, Train, Work};
use super::evaluate::Gate;
use super::show::quoted;
use super::train::{self, Finished, Usual};
use super::{Failure, console, environment, evaluate, leaderboard, run_folder};

/// What was said, with whether the model's values are left.
pub fn scratched(mut own: toml::Table, from_scratch: bool) -> toml::Table {
    if from_scratch {
        own.insert("from-scratch".into(), Value::Boolean(true));
    }
    own
}

/// Begins a run.
pub fn start<T: Structured>(arguments: &Train, data: &Path, own: toml::Table) -> Result<(), Failure> {
    let began = Instant::now();
    let settings = train::settings(arguments, Some(data), own)?;
    if leaderboard::models(&settings).is_some() {
        return Err(Failure::usage("-m takes one model here")
            .help("several are compared by image-classify, text-classify and audio-classify"));
    }
    train::ready(arguments, &settings)?;
    if arguments.dry_run {
        let machine = environment::machine(arguments.work.threads)?;
        let job: Job<'_, T> = train::job(settings).machine(machine).cache(PrefixStore::none());
        return train::tell(arguments, structured::outlook(&job, &structured::open_data(&job)?)?);
    }
    let check = || {
        let job: Job<'_, T> = train::job(settings.clone());
        Ok(structured::outlook(&job, &structured::open_data(&job)?).map(|_| ())?)
    };
    let usual = Usual { task: T::TASK, model: T::DEFAULT, mode: T::MODE };
    let Some(folder) = train::place(arguments, &settings, usual, check)? else { return Ok(()) };
    learn(train::job::<T>(settings).began(began), &folder, &arguments.work)
}

/// Goes on with the run in a folder.
pub fn resume<T: Structured>(folder: &Path, work: &Work) -> Result<(), Failure> {
    learn(Job::<T>::resume(folder)?.hub(environment::hub()).began(Instant::now()), folder, work)
}

/// Trains, saves and shows, stopping at signals.
fn learn<T: Structured>(job: Job<'_, T>, folder: &Path, work: &Work) -> Result<(), Failure> {
    let data = structured::open_data(&job)?;
    let root = quoted(&data.root().display().to_string());
    let next = |run: &Run<T>| match run.summary().mode.as_str() {
        "full" | "lora" => {
            format!("tk predict {} {}", quoted(&folder.display().to_string()), T::EXAMPLE)
        }
        _ => format!("tk {} {root} --mode full", T::TASK),
    };
    let run = train::finish(job, folder, work, |job| structured::fit(job, &data), next)?;
    if work.json {
        let mut summary = serde_json::json!({ "event": "summary", "run": folder });
        if let (Some(fields), Ok(serde_json::Value::Object(more))) =
            (summary.as_object_mut(), serde_json::to_value(run.summary()))
        {
            fields.extend(more);
        }
        return console::json(&summary);
    }
    let unchanged = run.audits().iter().map(|report| report.frozen.len()).max().unwrap_or(0);
    let trained = run.audits().iter().map(|report| report.trained.len()).max().unwrap_or(0);
    let scores = run.validation().map_or_else(|| "not scored".to_owned(), Scored::line);
    console::line(&format!("{scores}   audit ok: {unchanged} tensors unchanged, {trained} trained"))?;
    if let Some(tested) = run.test() {
        console::line(&format!("test     {}", tested.line()))?;
    }
    let aside = run.quarantine().count();
    if aside > 0 {
        console::note(&format!("aside    {aside} {} could not be used; see quarantine.json", T::SAMPLES));
    }
    console::note(&format!("next     {}", next(&run)));
    console::line(&folder.display().to_string())
}

/// Scores a model on samples whose answers are known.
pub fn score<T: Structured>(arguments: &Evaluate, gates: &[Gate], model: &T::Model) -> Result<(), Failure> {
    let folder = Path::new(&arguments.run);
    let settings =
        if run_folder::holds_run(folder) { run_folder::settings(folder)? } else { Settings::default() };
    let data = T::open_data(&arguments.data, &settings.for_data(&arguments.data))?;
    T::check(model, &data)?;
    let (positions, part) = evaluate::part(&data);
    let (scored, aside) = T::evaluate(model, &data, &positions, &settings)?;
    evaluate::known(gates, scored.metrics())?;
    let before = data.set_aside();
    let before = before.iter().map(|(file, reason)| (file.as_str(), reason.as_str()));
    for (file, reason) in before.chain(aside.iter()) {
        console::note(&format!("aside    {file}: {reason}"));
    }
    if arguments.json {
        console::json(&serde_json::json!({
            "part": part,
            "samples": scored.samples(),
            "metrics": scored.metrics(),
            "intervals": scored.intervals(),
            T::ANSWERS: scored.lines(),
            "failed": aside.len(),
        }))?;
    } else {
        console::note(&format!("data     {} {} ({part})", scored.samples(), T::SAMPLES));
        scored.details(T::told(model)).iter().try_for_each(|line| console::line(line))?;
        console::line(&scored.line())?;
    }
    evaluate::hold(gates, scored.metrics())
}

impl<T: Structured> Finished for Run<T> {
    fn report_mut(&mut self) -> &mut ReportData {
        self.report_mut()
    }

    fn save(&self, folder: &Path) -> Result<(), Error> {
        self.save(folder)
    }
}
