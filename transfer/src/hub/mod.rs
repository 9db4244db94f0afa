//! Published weights: where they are kept, and how they come.
//!
//! They are kept as `huggingface_hub` keeps them ([`Hub`]), so that what is there already serves, and other tools find what comes. A
//! [`Repository`] is looked up without the network. With the feature `hub`, [`Remote::pull`] fetches one: resumable, verified, atomic.
//! Folders, address and token are values; nothing here reads the environment. Which weights suit which network is not here.

mod error;
mod repository;

mod cache;
mod choose;

#[cfg(feature = "hub")]
mod digest;
#[cfg(feature = "hub")]
mod remote;

#[cfg(feature = "hub")]
mod client;
#[cfg(feature = "hub")]
mod fetch;
#[cfg(feature = "hub")]
mod listing;
#[cfg(feature = "hub")]
mod pull;
#[cfg(feature = "hub")]
mod verify;

pub use cache::{Hub, Snapshot, folder_name};
pub use error::HubError;
pub use repository::{PREFIX, Repository};

#[cfg(feature = "hub")]
pub use pull::{Files, PullEvent};
#[cfg(feature = "hub")]
pub use remote::{Certificates, Patience, Proxy, Remote};
#[cfg(feature = "hub")]
pub use verify::{Checked, Verdict};
