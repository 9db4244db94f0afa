//! Why weights cannot be had.

use std::io;
#[cfg(feature = "hub")]
use std::path::Path;
use std::path::PathBuf;

/// At most so many names are listed in a message.
const LISTED: usize = 12;

/// Weights that cannot be had. [`HubError::help`] is the way out.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// A name that no repository can have.
    #[error("`{name}` is no repository: {reason}; expected ORG/NAME or ORG/NAME@REVISION")]
    Name {
        /// What was said.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// No folder was given to keep weights in.
    #[error("there is no folder to keep weights in")]
    NoCache,
    /// 401 or 403.
    #[error("{address} refuses ({status}{}): it is private, gated or not there", code.as_ref().map(|code| format!(", {code}")).unwrap_or_default())]
    Refused {
        /// What was asked.
        address: String,
        /// The status.
        status: u16,
        /// The server's word for it, such as `GatedRepo`.
        code: Option<String>,
        /// Whether a token was sent.
        had_token: bool,
    },
    /// 404, or a file that a repository does not list.
    #[error("{what} is not at {address}{}", listed(exists))]
    NotFound {
        /// What is missing, such as a file.
        what: String,
        /// Where it was looked for.
        address: String,
        /// What is there instead; empty where that is not known.
        exists: Vec<String>,
    },
    /// 429 or 5xx, again and again.
    #[error("{address} is busy (status {status} after {attempts} attempts)")]
    Busy {
        /// What was asked.
        address: String,
        /// The last status.
        status: u16,
        /// How often it was asked.
        attempts: u32,
        /// After how many seconds the server wants to be asked again.
        retry_after_seconds: Option<u64>,
    },
    /// The server cannot be reached, or connections are cut again and again.
    #[error("{address}: {reason} (after {attempts} attempts)")]
    Unreachable {
        /// What was asked.
        address: String,
        /// What happened last.
        reason: String,
        /// How often it was tried without getting any further.
        attempts: u32,
    },
    /// The server says what the protocol does not have.
    #[error("{address}: {problem}")]
    Protocol {
        /// What was asked.
        address: String,
        /// What is wrong, what was expected.
        problem: String,
    },
    /// A file of another length than the server announced. Nothing was kept.
    #[error("{address} has {found} bytes; {expected} were announced; nothing was kept")]
    Length {
        /// The file.
        address: String,
        /// The announced length.
        expected: u64,
        /// What came.
        found: u64,
    },
    /// A file whose digest is wrong. Nothing was kept.
    #[error("{address} is damaged: digest {found}, expected {expected}; nothing was kept")]
    Digest {
        /// The file.
        address: String,
        /// The announced digest.
        expected: String,
        /// That of what came.
        found: String,
    },
    /// A file or folder of the cache cannot be read or written.
    #[error("`{}`: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file of the cache cannot be written.
    #[error(transparent)]
    Write(#[from] crate::atomic::WriteError),
}

impl HubError {
    /// The way out, where the message does not say it.
    pub fn help(&self) -> Option<String> {
        Some(match self {
            Self::Name { .. } => "repositories are called as in the address of their page".into(),
            Self::Refused { had_token: true, code: Some(code), .. } if code == "GatedRepo" => {
                "accept its conditions on its page with the account of your token, then pull again".into()
            }
            Self::Refused { had_token: false, .. } => {
                "check the name; for what is private or gated put a token into HF_TOKEN".into()
            }
            Self::Refused { .. } => "check the name, and that the token in use may read it".into(),
            Self::Busy { retry_after_seconds: Some(seconds), .. } => format!("try again in {seconds} seconds"),
            Self::Busy { .. } => "try again later; what was fetched so far is kept".into(),
            Self::Unreachable { .. } => {
                "check the network, and HTTPS_PROXY and SSL_CERT_FILE where a proxy is used; what was fetched so far is kept".into()
            }
            Self::Length { .. } | Self::Digest { .. } => {
                "try again; if it stays so, the server's copy or a proxy between is broken".into()
            }
            _ => return None,
        })
    }

    #[cfg(feature = "hub")]
    pub(super) fn io(path: &Path) -> impl Fn(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path: path.clone(), source }
    }

    #[cfg(feature = "hub")]
    pub(super) fn protocol(address: &str, problem: impl Into<String>) -> Self {
        Self::Protocol { address: address.to_owned(), problem: problem.into() }
    }
}

fn listed(exists: &[String]) -> String {
    let more = exists.len().saturating_sub(LISTED);
    let names: Vec<&str> = exists.iter().take(LISTED).map(String::as_str).collect();
    match (names.is_empty(), more) {
        (true, _) => String::new(),
        (_, 0) => format!("; there are {}", names.join(", ")),
        _ => format!("; there are {} and {more} more", names.join(", ")),
    }
}
