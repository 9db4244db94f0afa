//! `tk image-detect` and `tk image-segment`: photographs with boxes or masks in, a detector or a segmenter out.

use std::path::Path;
use std::time::Instant;

use tk_image::model::EMBEDDED;
use tk_transfer::data::Labelled;
use tk_transfer::prefix::PrefixStore;
use toml::Value;
use transferkit::classify::{Error, Job, ModeName};
use transferkit::dense::{self, Dense, Run, Scored};
use transferkit::detect::Objects;
use transferkit::report::ReportData;
use transferkit::segment::Pixels;

use super::arguments::{ImageDetect, ImageSegment, Train, Work};
use super::show::quoted;
use super::train::{self, Finished, Usual, said};
use super::{Failure, console, environment, leaderboard};

/// Runs `tk image-detect`.
pub fn detect(arguments: ImageDetect) -> Result<(), Failure> {
    let ImageDetect { data, batch_norm, augment, size, from_scratch, train } = arguments;
    let own = said(&[("batch-norm", &batch_norm), ("augment", &augment)], &[("size", size)]);
    start::<Objects>(train, &data, scratched(own, from_scratch))
}

/// Runs `tk image-segment`.
pub fn segment(arguments: ImageSegment) -> Result<(), Failure> {
    let ImageSegment { data, masks, names, ignore, batch_norm, augment, size, from_scratch, train } =
        arguments;
    let texts = [("masks", &masks), ("names", &names), ("batch-norm", &batch_norm), ("augment", &augment)];
    let own = said(&texts, &[("size", size), ("ignore", ignore)]);
    start::<Pixels>(train, &data, scratched(own, from_scratch))
}

/// What was said, with whether the model's values are left.
fn scratched(mut own: toml::Table, from_scratch: bool) -> toml::Table {
    if from_scratch {
        own.insert("from-scratch".into(), Value::Boolean(true));
    }
    own
}

fn start<T: Dense>(mut arguments: Train, data: &Path, mut own: toml::Table) -> Result<(), Failure> {
    let began = Instant::now();
    // What stands on maps is another kind of head.
    own.extend(arguments.head.take().map(|head| ("graft".to_owned(), Value::String(head))));
    let settings = train::settings(&arguments, Some(data), own)?;
    if leaderboard::models(&settings).is_some() {
        return Err(Failure::usage("-m takes one model here")
            .help("several are compared by image-classify, text-classify and audio-classify"));
    }
    train::ready(&arguments, &settings)?;
    if arguments.dry_run {
        let machine = environment::machine(arguments.work.threads)?;
        let job: Job<'_, T> = train::job(settings).machine(machine).cache(PrefixStore::none());
        return train::tell(&arguments, dense::outlook(&job, &dense::open_data(&job)?)?);
    }
    let check = || {
        let job: Job<'_, T> = train::job(settings.clone());
        Ok(dense::outlook(&job, &dense::open_data(&job)?).map(|_| ())?)
    };
    let usual = Usual { task: T::TASK, model: EMBEDDED, mode: ModeName::Partial };
    let Some(folder) = train::place(&arguments, &settings, usual, check)? else { return Ok(()) };
    learn(train::job::<T>(settings).began(began), &folder, &arguments.work)
}

/// Goes on with the run in a folder.
pub fn resume<T: Dense>(folder: &Path, work: &Work) -> Result<(), Failure> {
    learn(Job::<T>::resume(folder)?.hub(environment::hub()).began(Instant::now()), folder, work)
}

/// Trains, saves and shows, stopping at signals.
fn learn<T: Dense>(job: Job<'_, T>, folder: &Path, work: &Work) -> Result<(), Failure> {
    let data = dense::open_data(&job)?;
    let root = quoted(&data.root().display().to_string());
    let next = |run: &Run<T>| match run.summary().mode.as_str() {
        "full" | "lora" => {
            format!("tk predict {} photo.jpg --draw seen", quoted(&folder.display().to_string()))
        }
        _ => format!("tk {} {root} --mode full", T::TASK),
    };
    let run = train::finish(job, folder, work, |job| dense::fit(job, &data), next)?;
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
        console::note(&format!("aside    {aside} photographs could not be used; see quarantine.json"));
    }
    console::note(&format!("next     {}", next(&run)));
    console::line(&folder.display().to_string())
}

impl<T: Dense> Finished for Run<T> {
    fn report_mut(&mut self) -> &mut ReportData {
        self.report_mut()
    }

    fn save(&self, folder: &Path) -> Result<(), Error> {
        self.save(folder)
    }
}
