//! `tk audio-classify`: labelled recordings in, a classifier out.

use toml::Value;
use transferkit::audio::Recordings;

use super::Failure;
use super::arguments::AudioClassify;
use super::train::{self, said};

/// Runs the command.
pub fn run(arguments: AudioClassify) -> Result<(), Failure> {
    let mut own = said(&[("augment", &arguments.augment)], &[]);
    for (key, number) in [("max-seconds", arguments.max_seconds), ("mixup", arguments.mixup)] {
        own.extend(number.map(|number| (key.to_owned(), Value::Float(number))));
    }
    let settings = train::settings(&arguments.train, Some(&arguments.data), own)?;
    train::run::<Recordings>(&arguments.train, settings)
}
