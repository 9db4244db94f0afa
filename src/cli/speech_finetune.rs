//! `tk speech-finetune`: recordings with transcripts in, a recogniser out.

use std::path::Path;
use std::time::Instant;

use tk_audio::recognition::EMBEDDED;
use tk_transfer::data::Labelled;
use tk_transfer::prefix::PrefixStore;
use toml::Value;
use transferkit::classify::{Error, ModeName, Settings};
use transferkit::report::ReportData;
use transferkit::speech::{Finetune, Run, Scored, Speech};

use super::arguments::{SpeechFinetune, Train, Work};
use super::show::quoted;
use super::train::{self, Finished, Usual, said};
use super::{Failure, console, environment, leaderboard};

/// Where runs go when nothing is said.
const USUAL: Usual = Usual { task: Speech::TASK, model: EMBEDDED, mode: ModeName::Partial };

/// Runs the command.
pub fn run(arguments: SpeechFinetune) -> Result<(), Failure> {
    let mut own = said(
        &[
            ("words", &arguments.words),
            ("spelling", &arguments.spelling),
            ("vocabulary", &arguments.vocabulary),
            ("augment", &arguments.augment),
        ],
        &[],
    );
    own.extend(arguments.max_seconds.map(|seconds| ("max-seconds".to_owned(), Value::Float(seconds))));
    if arguments.from_scratch {
        own.insert("from-scratch".into(), Value::Boolean(true));
    }
    let settings = train::settings(&arguments.train, Some(&arguments.data), own)?;
    if leaderboard::models(&settings).is_some() {
        return Err(Failure::usage("-m takes one model here")
            .help("several are compared by image-classify, text-classify and audio-classify"));
    }
    start(&arguments.train, settings)
}

fn start(arguments: &Train, settings: Settings) -> Result<(), Failure> {
    let began = Instant::now();
    train::ready(arguments, &settings)?;
    if arguments.dry_run {
        let machine = environment::machine(arguments.work.threads)?;
        let job: Finetune<'_> = train::job(settings).machine(machine).cache(PrefixStore::none());
        return train::tell(arguments, job.outlook(&job.open_data()?)?);
    }
    let check = || {
        let job: Finetune<'_> = train::job(settings.clone());
        Ok(job.outlook(&job.open_data()?).map(|_| ())?)
    };
    let Some(folder) = train::place(arguments, &settings, USUAL, check)? else { return Ok(()) };
    learn(train::job(settings).began(began), &folder, &arguments.work)
}

/// Goes on with the run in a folder.
pub fn resume(folder: &Path, work: &Work) -> Result<(), Failure> {
    learn(Finetune::resume(folder)?.hub(environment::hub()).began(Instant::now()), folder, work)
}

/// Trains, saves and shows, stopping at signals.
fn learn(job: Finetune<'_>, folder: &Path, work: &Work) -> Result<(), Failure> {
    let data = job.open_data()?;
    let root = quoted(&data.root().display().to_string());
    let next = |run: &Run| match run.summary().mode.as_str() {
        "full" | "lora" => format!("tk predict {} recording.wav", quoted(&folder.display().to_string())),
        _ => format!("tk speech-finetune {root} --mode full"),
    };
    let run = train::finish(job, folder, work, |job| job.fit(&data), next)?;
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
        console::note(&format!("aside    {aside} recordings could not be used; see quarantine.json"));
    }
    console::note(&format!("next     {}", next(&run)));
    console::line(&folder.display().to_string())
}

impl Finished for Run {
    fn report_mut(&mut self) -> &mut ReportData {
        self.report_mut()
    }

    fn save(&self, folder: &Path) -> Result<(), Error> {
        self.save(folder)
    }
}
