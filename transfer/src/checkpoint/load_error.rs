//! Why a checkpoint does not serve a model, in one line.

use std::fmt;

use super::CheckpointError;

/// At most so many names are listed in a message.
pub(super) const MAX_LISTED: usize = 5;

/// At most so many shapes, which take more room.
const MAX_SHAPES: usize = 3;

/// A checkpoint does not serve a model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// Most parameters are missing or of other shapes: weights of another architecture.
    #[error("`{checkpoint}` does not fit {model}: {fitting} of {parameters} parameters found; {first}")]
    OtherArchitecture {
        /// Path of the checkpoint.
        checkpoint: String,
        /// Name of the model.
        model: String,
        /// Parameters that the checkpoint has in the right shape.
        fitting: usize,
        /// Parameters that it must have.
        parameters: usize,
        /// The first that is missing or of another shape, in words.
        first: String,
    },
    /// Some parameters are missing or of other shapes.
    #[error("`{checkpoint}` does not fit {model}: {fitting} of {parameters} parameters found; {}; choose the model that it was made for",
            List { missing, mismatched })]
    Incomplete {
        /// Path of the checkpoint.
        checkpoint: String,
        /// Name of the model.
        model: String,
        /// Parameters that the checkpoint has in the right shape.
        fitting: usize,
        /// Parameters that it must have.
        parameters: usize,
        /// Parameters that it lacks, each with the most similar name that nothing else uses.
        missing: Vec<(String, Option<String>)>,
        /// Parameters that it has in another shape: name, expected, found.
        mismatched: Vec<(String, Vec<usize>, Vec<usize>)>,
    },
    /// Two tensors of the checkpoint become one parameter.
    #[error("`{checkpoint}` has two tensors for the parameter `{name}`: `{first}` and `{second}`")]
    Ambiguous {
        /// Path of the checkpoint.
        checkpoint: String,
        /// The parameter.
        name: String,
        /// A tensor.
        first: String,
        /// Another.
        second: String,
    },
    /// A rename rule of an architecture is wrong.
    #[error("the rename rule `{pattern}` is not a regular expression: {message}")]
    Rule {
        /// The rule.
        pattern: &'static str,
        /// What is wrong with it.
        message: String,
    },
    /// The checkpoint itself.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

/// The first missing and misshapen parameters, in words.
struct List<'a> {
    missing: &'a [(String, Option<String>)],
    mismatched: &'a [(String, Vec<usize>, Vec<usize>)],
}

impl fmt::Display for List<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let missing = self.missing.iter().map(|(name, similar)| match similar {
            Some(similar) => format!("`{name}` (nearest: `{similar}`)"),
            None => format!("`{name}`"),
        });
        let mismatched = self
            .mismatched
            .iter()
            .map(|(name, expected, found)| format!("`{name}` (expected {expected:?}, found {found:?})"));
        let mut separator = "";
        for (what, count, items) in [
            ("missing", self.missing.len(), missing.take(MAX_LISTED).collect::<Vec<_>>()),
            ("of another shape", self.mismatched.len(), mismatched.take(MAX_SHAPES).collect()),
        ] {
            if count > 0 {
                write!(formatter, "{separator}{count} {what}: {}", items.join(", "))?;
                if count > items.len() {
                    write!(formatter, " and {} more", count - items.len())?;
                }
                separator = "; ";
            }
        }
        Ok(())
    }
}
