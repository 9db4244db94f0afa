//! Where weights come from, and how patiently they are waited for.

use std::time::Duration;

pub use ureq::Proxy;

/// A server that speaks the hub's protocol. It cannot be printed, since its token is a secret.
#[derive(Clone)]
pub struct Remote {
    /// Its address, such as `https://huggingface.co`.
    pub endpoint: String,
    /// Sent to this server alone.
    pub token: Option<String>,
    /// Through which proxy it is reached.
    pub proxy: Option<Proxy>,
    /// Which certificates are trusted.
    pub certificates: Certificates,
    /// How patiently it is asked.
    pub patience: Patience,
}

/// Which certificates are trusted.
#[derive(Clone, Debug, Default)]
pub enum Certificates {
    /// Those of Mozilla's list.
    #[default]
    Public,
    /// Those in the text of a PEM file, as of a proxy that reads along.
    Pem(Vec<u8>),
}

/// How long and how often a server is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Attempts without getting any further before giving up.
    pub attempts: u32,
    /// The pause after the first of them; each later one is twice as long.
    pub pause: Duration,
    /// No pause is longer, also where the server asks for one.
    pub longest_pause: Duration,
    /// A connection on which nothing comes for so long is given up.
    pub silence: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            attempts: 5,
            pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(60),
            silence: Duration::from_secs(30),
        }
    }
}

impl Patience {
    /// The pause after an attempt, counted from 1.
    pub(super) fn pause_after(&self, attempt: u32) -> Duration {
        self.pause.saturating_mul(1 << attempt.saturating_sub(1).min(16)).min(self.longest_pause)
    }
}

impl Remote {
    /// A server without a token, reached directly.
    pub fn new(endpoint: impl Into<String>) -> Self {
        Self {
            endpoint: endpoint.into().trim_end_matches('/').to_owned(),
            token: None,
            proxy: None,
            certificates: Certificates::default(),
            patience: Patience::default(),
        }
    }
}
