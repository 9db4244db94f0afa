//! `tk text-tag`: sentences with tagged words in, a tagger out.

use transferkit::tag::Tags;

use super::arguments::TextTag;
use super::train::said;
use super::{Failure, structured};

/// Runs the command.
pub fn run(arguments: &TextTag) -> Result<(), Failure> {
    let own = said(&[], &[("max-tokens", arguments.max_tokens)]);
    structured::start::<Tags>(&arguments.train, &arguments.data, own)
}
