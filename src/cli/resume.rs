//! `tk resume`: going on with a run that was stopped.

use std::path::Path;
use std::time::Instant;

use transferkit::audio::Recordings;
use transferkit::classify::{Job, Modality};
use transferkit::detect::Objects;
use transferkit::image::Photographs;
use transferkit::segment::Pixels;
use transferkit::speech::Speech;
use transferkit::structured::Structured;
use transferkit::tag::Tags;
use transferkit::text::Texts;

use super::arguments::Resume;
use super::{Failure, console, environment, run_folder, structured, train};

/// Runs the command.
pub fn run(arguments: Resume) -> Result<(), Failure> {
    match run_folder::task(&arguments.run)?.as_str() {
        Photographs::TASK => resume::<Photographs>(arguments),
        Texts::TASK => resume::<Texts>(arguments),
        Recordings::TASK => resume::<Recordings>(arguments),
        Tags::TASK => answering::<Tags>(&arguments),
        Speech::TASK => answering::<Speech>(&arguments),
        Objects::TASK => answering::<Objects>(&arguments),
        Pixels::TASK => answering::<Pixels>(&arguments),
        other => Err(Failure::error(format!(
            "`{}` is a run of task `{other}`, unknown here",
            arguments.run.display()
        ))),
    }
}

fn answering<T: Structured>(arguments: &Resume) -> Result<(), Failure> {
    match is_complete(&arguments.run)? {
        true => Ok(()),
        false => structured::resume::<T>(&arguments.run, &arguments.work),
    }
}

/// Whether there is nothing to go on with, which is then said.
fn is_complete(folder: &Path) -> Result<bool, Failure> {
    let is_complete = run_folder::is_complete(folder);
    if is_complete {
        console::note(&format!("`{}` is complete: there is nothing to go on with", folder.display()));
        console::line(&folder.display().to_string())?;
    }
    Ok(is_complete)
}

fn resume<M: Modality>(arguments: Resume) -> Result<(), Failure> {
    let began = Instant::now();
    let folder = arguments.run;
    let job = Job::<M>::resume(&folder)?.hub(environment::hub());
    if is_complete(&folder)? {
        return Ok(());
    }
    let data = job.open_data()?;
    train::train(job.began(began), &data, &folder, &arguments.work)
}
