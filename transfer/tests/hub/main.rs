//! Fetching weights from a server that speaks the hub's protocol and misbehaves, and finding them in the standard cache.
#![expect(clippy::unwrap_used, reason = "tests")]

mod server;

mod cache;
mod files;
mod misbehaviour;
mod pulling;
mod support;
