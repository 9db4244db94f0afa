//! `tk text-classify`: labelled texts in, a classifier out.

use transferkit::text::Texts;

use super::Failure;
use super::arguments::TextClassify;
use super::train::{self, said};

/// Runs the command.
pub fn run(arguments: TextClassify) -> Result<(), Failure> {
    let own = said(&[("pooling", &arguments.pooling)], &[("max-tokens", arguments.max_tokens)]);
    let settings = train::settings(&arguments.train, Some(&arguments.data), own)?;
    train::run::<Texts>(&arguments.train, settings)
}
