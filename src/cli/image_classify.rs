//! `tk image-classify`: a folder per class or a table in, a classifier out.

use std::time::Instant;

use toml::Value;
use transferkit::image::{Photographs, Settings, draw_demo};

use super::arguments::ImageClassify;
use super::train::{self, Usual, said};
use super::{Failure, leaderboard};

/// Where the drawn data lie in a run's folder.
const DEMO: &str = "demo";

/// Runs the command.
pub fn run(arguments: ImageClassify) -> Result<(), Failure> {
    let texts = [("batch-norm", &arguments.batch_norm), ("augment", &arguments.augment)];
    let mut own = said(&texts, &[("size", arguments.size)]);
    own.extend(arguments.mixup.map(|alpha| ("mixup".to_owned(), Value::Float(alpha))));
    let settings = train::settings(&arguments.train, arguments.data.as_deref(), own)?;
    if arguments.demo {
        return demo(&arguments, settings);
    }
    if settings.data.is_none() {
        let help = match &arguments.train.multi {
            Some(taken) if taken != "auto" => {
                format!("--multi took `{taken}`: say DATA before it, or --multi=SEP")
            }
            _ => "tk image-classify PHOTOS, or tk image-classify --demo".to_owned(),
        };
        return Err(Failure::usage("no data: say the folder that holds a folder of photographs per class, or a table of paths and labels")
            .help(help));
    }
    train::run::<Photographs>(&arguments.train, settings)
}

/// Draws the data, and goes on with them.
fn demo(arguments: &ImageClassify, mut settings: Settings) -> Result<(), Failure> {
    if leaderboard::models(&settings).is_some() {
        return Err(Failure::usage("--demo takes one model").help("compare several on data of your own"));
    }
    let began = Instant::now();
    train::ready(&arguments.train, &settings)?;
    let failed = |error: std::io::Error| Failure::error(format!("no temporary folder: {error}"));
    let seed = settings.seed.unwrap_or(0);
    let draw =
        |folder: &std::path::Path| draw_demo(folder, seed).map_err(|error| Failure::error(error.to_string()));
    settings.data = None;
    if arguments.train.dry_run {
        let drawn = tempfile::tempdir().map_err(failed)?;
        draw(drawn.path())?;
        settings.data = Some(drawn.path().display().to_string());
        return train::dry_run::<Photographs>(&arguments.train, settings);
    }
    // The data do not exist yet, so there is nothing to check.
    let usual = Usual::of::<Photographs>();
    let Some(folder) = train::place(&arguments.train, &settings, usual, || Ok(()))? else { return Ok(()) };
    let drawn = folder.join(DEMO);
    draw(&drawn)?;
    settings.data = Some(drawn.display().to_string());
    let job = train::job::<Photographs>(settings).began(began);
    let data = job.open_data()?;
    train::train(job, &data, &folder, &arguments.train.work)
}
