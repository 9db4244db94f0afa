//! `tk text-classify`: labelled texts in, a classifier out.

use toml::Value;
use transferkit::text::Texts;

use super::Failure;
use super::arguments::TextClassify;
use super::train::{self, said};

/// Runs the command.
pub fn run(arguments: TextClassify) -> Result<(), Failure> {
    let mut own = said(
        &[("pooling", &arguments.pooling)],
        &[("max-tokens", arguments.max_tokens), ("lora-rank", arguments.lora_rank)],
    );
    own.extend(arguments.lora_alpha.map(|alpha| ("lora-alpha".to_owned(), Value::Float(alpha))));
    let settings = train::settings(&arguments.train, Some(&arguments.data), own)?;
    train::run::<Texts>(&arguments.train, settings)
}
