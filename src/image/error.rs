//! What goes wrong, and of which kind it is.

use std::path::PathBuf;

use tk_image::architectures::ArchitectureError;
use tk_image::classifier::ClassifierError;
use tk_image::model::ModelError;
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
    /// The data cannot be used.
    #[error(transparent)]
    Data(Box<tk_image::DataError>),
    /// The data cannot be divided, or too much of it is damaged.
    #[error(transparent)]
    Division(Box<tk_transfer::data::DataError>),
    /// Data that does not fit what it is used with.
    #[error("{0}")]
    Misfit(String),
    /// A photograph cannot be read.
    #[error(transparent)]
    Picture(#[from] tk_image::OpenError),
    /// The model cannot be had.
    #[error(transparent)]
    Model(Box<ModelError>),
    /// The classifier cannot be loaded or saved.
    #[error(transparent)]
    Classifier(Box<ClassifierError>),
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
            Self::Data(error) if matches!(**error, tk_image::DataError::NotAFolder { .. }) => Kind::Usage,
            Self::Data(_) | Self::Division(_) | Self::Misfit(_) | Self::Picture(_) => Kind::Data,
            Self::Model(error) if is_unknown(error) => Kind::Usage,
            Self::Adapt(error) => adapt_kind(error),
            _ => Kind::Failure,
        }
    }

    /// The way out, where the message does not say it.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Usage { help, .. } => help.clone(),
            Self::Changed { what, .. } => Some(format!("put the {what} back, or start anew with --force")),
            Self::Model(error) if is_unknown(error) => Some("`tk models list` shows all of them".into()),
            Self::Freeze(_) => Some("`tk models show MODEL` prints its stages".into()),
            _ => None,
        }
    }
}

/// Whether there is no architecture of the name.
fn is_unknown(error: &ModelError) -> bool {
    matches!(error, ModelError::Architecture(ArchitectureError::Unknown { .. }))
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

boxed!(
    Data(tk_image::DataError),
    Division(tk_transfer::data::DataError),
    Model(ModelError),
    Classifier(ClassifierError),
    Adapt(AdaptError)
);

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
