//! `tk speech-finetune`: recordings with transcripts in, a recogniser out.

use toml::Value;
use transferkit::speech::Speech;

use super::Failure;
use super::arguments::SpeechFinetune;
use super::structured::{self, scratched};
use super::train::said;

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
    structured::start::<Speech>(&arguments.train, &arguments.data, scratched(own, arguments.from_scratch))
}
