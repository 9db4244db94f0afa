//! `tk completions`: what makes a shell complete commands and flags.

use clap::CommandFactory;

use super::arguments::{Arguments, Completions};
use super::{Failure, console};

/// Runs the command.
pub fn run(arguments: &Completions) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Arguments::command(), "tk", &mut script);
    console::line(String::from_utf8_lossy(&script).trim_end())
}
