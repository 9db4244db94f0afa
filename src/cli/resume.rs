//! `tk resume`: going on with a run that was stopped.

use std::time::Instant;

use transferkit::image::Classify;

use super::arguments::Resume;
use super::{Failure, console, image_classify, run_folder};

/// Runs the command.
pub fn run(arguments: Resume) -> Result<(), Failure> {
    let began = Instant::now();
    let folder = arguments.run;
    let job = Classify::resume(&folder)?;
    if run_folder::is_complete(&folder) {
        console::note(&format!("`{}` is complete: there is nothing to go on with", folder.display()));
        return console::line(&folder.display().to_string());
    }
    let data = image_classify::open(job.settings())?;
    image_classify::train(job.began(began), &data, &folder, &arguments.work)
}
