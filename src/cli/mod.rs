//! The command line: one file for each command, and what they share.
//!
//! Results go to standard output, everything else to standard error. Exit codes: 0 done, 1 error, 2 usage, 3 data, 4 a metric's gate,
//! 5 a failed audit, 75 interrupted and resumable, 130 interrupted twice.

mod arguments;
mod failure;

mod console;
mod environment;
mod inputs;
mod kind;
mod lines;
mod recordings;
mod run_folder;
mod show;
mod texts;
mod weights;

mod audio_classify;
mod dense;
mod image_classify;
mod leaderboard;
mod resume;
mod speech_finetune;
mod structured;
mod text_classify;
mod text_tag;
mod train;

mod embed;
mod evaluate;
mod events;
mod found;
mod predict;
mod tags;
mod transcribe;

mod bench;
mod cache;
mod completions;
mod models;
mod published;

use std::process::ExitCode;

use clap::Parser;

use arguments::{Arguments, Command};
use failure::Failure;

/// What `tk` alone prints: the first steps, ready to paste.
const FIRST_STEPS: &str = "\
tk image-classify --demo                          # try it: data that it draws itself
tk image-classify PHOTOS --out R                  # a folder per class in, a classifier out
tk predict R photo.jpg                            # what it says of a photograph
tk text-classify REVIEWS.csv -m ENCODER           # a table of texts in, a classifier out
tk speech-finetune SPEECH.csv --out S             # a table of recordings and texts in, a recogniser out";

/// Runs the command and says how it ended.
pub fn main() -> ExitCode {
    environment::ignore_file_size_signal();
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // `--help` and `--version` arrive here too, and are no failure.
            if !error.use_stderr() {
                let _ = error.print();
                return ExitCode::SUCCESS;
            }
            return finish(Err(Failure::from(error)));
        }
    };
    let Some(command) = arguments.command else {
        return finish(console::line(FIRST_STEPS));
    };
    finish(match command {
        Command::ImageClassify(arguments) => image_classify::run(*arguments),
        Command::ImageDetect(arguments) => dense::detect(*arguments),
        Command::ImageSegment(arguments) => dense::segment(*arguments),
        Command::TextClassify(arguments) => text_classify::run(*arguments),
        Command::TextTag(arguments) => text_tag::run(&arguments),
        Command::AudioClassify(arguments) => audio_classify::run(*arguments),
        Command::SpeechFinetune(arguments) => speech_finetune::run(*arguments),
        Command::Resume(arguments) => resume::run(arguments),
        Command::Predict(arguments) => predict::run(arguments),
        Command::Evaluate(arguments) => evaluate::run(arguments),
        Command::Embed(arguments) => embed::run(arguments),
        Command::Models(arguments) => models::run(arguments),
        Command::Cache(arguments) => cache::run(arguments),
        Command::Bench(arguments) => bench::run(arguments),
        Command::Completions(arguments) => completions::run(&arguments),
    })
}

fn finish(result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.print();
            ExitCode::from(failure.code)
        }
    }
}
