//! `tk resume`: going on with a run that was stopped.

use std::time::Instant;

use transferkit::audio::Recordings;
use transferkit::classify::{Classify, Modality};
use transferkit::image::Photographs;
use transferkit::text::Texts;

use super::arguments::Resume;
use super::{Failure, console, environment, run_folder, train};

/// Runs the command.
pub fn run(arguments: Resume) -> Result<(), Failure> {
    match run_folder::task(&arguments.run)?.as_str() {
        Photographs::TASK => resume::<Photographs>(arguments),
        Texts::TASK => resume::<Texts>(arguments),
        Recordings::TASK => resume::<Recordings>(arguments),
        other => Err(Failure::error(format!(
            "`{}` is a run of task `{other}`, unknown here",
            arguments.run.display()
        ))),
    }
}

fn resume<M: Modality>(arguments: Resume) -> Result<(), Failure> {
    let began = Instant::now();
    let folder = arguments.run;
    let job = Classify::<M>::resume(&folder)?.hub(environment::hub());
    if run_folder::is_complete(&folder) {
        console::note(&format!("`{}` is complete: there is nothing to go on with", folder.display()));
        return console::line(&folder.display().to_string());
    }
    let data = job.open_data()?;
    train::train(job.began(began), &data, &folder, &arguments.work)
}
