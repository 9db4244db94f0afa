//! What goes wrong, and of which kind it is.

use std::path::PathBuf;

use tk_transfer::adapt::AdaptError;
use tk_transfer::atomic::WriteError;
use tk_transfer::fit::FitError;
use tk_transfer::freeze::FreezeError;
use tk_transfer::probe::ProbeError;

/// An error of the library. [`Error::kind`] says what it means for the caller.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What was asked for has no meaning; `help` is the way out.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// What to do instead.
        help: Option<String>,
    },
    /// What a modality reports of its files, models and settings.
    #[error("{source}")]
    Modality {
        /// What it reports.
        source: Box<dyn std::error::Error + Send + Sync>,
        /// What it means.
        kind: Kind,
        /// The way out, where the message does not say it.
        help: Option<String>,
    },
    /// The data cannot be divided, or too much of it is damaged.
    #[error(transparent)]
    Division(Box<tk_transfer::data::DataError>),
    /// Data that does not fit what it is used with.
    #[error("{0}")]
    Misfit(String),
    /// Adapting stopped.
    #[error(transparent)]
    Adapt(Box<AdaptError>),
    /// The selection of what is frozen does not fit.
    #[error(transparent)]
    Freeze(#[from] FreezeError),
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] tk_engine::EngineError),
    /// Predictions cannot be scored.
    #[error(transparent)]
    Metrics(#[from] tk_transfer::metrics::MetricsError),
    /// The cache cannot be used.
    #[error(transparent)]
    Cache(#[from] tk_transfer::prefix::PrefixError),
    /// A file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A run's folder cannot be used.
    #[error("`{}`: {reason}", path.display())]
    Folder {
        /// The folder or file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// What a run was begun with is not what is there now.
    #[error("the {what} changed since the run began: digest {before} became {after}")]
    Changed {
        /// `data` or `weights`.
        what: &'static str,
        /// The digest in `run.toml`.
        before: String,
        /// The digest now.
        after: String,
    },
}

/// What an error means for the caller, and with which code the command line exits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Something failed (1).
    Failure,
    /// The question has no meaning (2).
    Usage,
    /// The data cannot be used (3).
    Data,
    /// The audit found a broken promise (5).
    Audit,
    /// Stopped from outside; the run can be resumed (75).
    Interrupted,
}

impl Error {
    /// What a modality reports, with its meaning and the way out.
    pub(crate) fn modality(
        source: impl std::error::Error + Send + Sync + 'static,
        kind: Kind,
        help: Option<&str>,
    ) -> Self {
        Self::Modality { source: Box::new(source), kind, help: help.map(str::to_owned) }
    }

    /// An error about what was asked for.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), help: None }
    }

    /// An error about what was asked for, with the way out.
    pub(crate) fn usage_with(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), help: Some(help.into()) }
    }

    /// What it means for the caller.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Usage { .. } | Self::Freeze(_) => Kind::Usage,
            Self::Modality { kind, .. } => *kind,
            Self::Division(_) | Self::Misfit(_) => Kind::Data,
            Self::Adapt(error) => adapt_kind(error),
            _ => Kind::Failure,
        }
    }

    /// The way out, where the message does not say it.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Usage { help, .. } | Self::Modality { help, .. } => help.clone(),
            Self::Changed { what, .. } => Some(format!("put the {what} back, or start anew with --force")),
            Self::Freeze(_) => Some("`tk models show MODEL` prints its stages".into()),
            _ => None,
        }
    }
}

/// The large ones are boxed, so that results stay small where all goes well.
macro_rules! boxed {
    ($($variant:ident($error:ty)),*) => {$(
        impl From<$error> for Error {
            fn from(error: $error) -> Self {
                Self::$variant(Box::new(error))
            }
        }
    )*};
}

boxed!(Division(tk_transfer::data::DataError), Adapt(AdaptError));

fn adapt_kind(error: &AdaptError) -> Kind {
    match error {
        AdaptError::Interrupted | AdaptError::Fit(FitError::Interrupted { .. }) => Kind::Interrupted,
        AdaptError::Audit(_) | AdaptError::Fit(FitError::Audit(_)) => Kind::Audit,
        AdaptError::Fit(FitError::Freeze(_)) => Kind::Usage,
        AdaptError::Probe(ProbeError::EmptyClass { .. }) => Kind::Data,
        AdaptError::NothingReadable(_) | AdaptError::Data(_) | AdaptError::Fit(FitError::Empty) => Kind::Data,
        _ => Kind::Failure,
    }
}
