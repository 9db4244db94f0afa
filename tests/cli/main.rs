//! The command line as its users meet it: the program is run, and what it prints, leaves and returns is looked at.
#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

#[expect(dead_code, reason = "the server misbehaves in more ways where fetching itself is tested")]
#[path = "../../transfer/tests/hub/server.rs"]
mod server;

mod bad_input;
mod bad_models;
mod bad_places;
mod demo;
mod found;
mod hub;
mod leaderboard;
mod modes;
mod multi_label;
mod photographs;
mod precision;
mod recordings;
mod speech;
mod stopping;
mod tags;
mod texts;
mod use_of_runs;
