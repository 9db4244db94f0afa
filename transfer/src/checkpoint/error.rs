//! What can be wrong with a checkpoint file.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// A checkpoint could not be read; prints as one line that begins with its path.
#[derive(Debug, thiserror::Error)]
#[error("`{path}` {problem}", path = path.display(), problem = OneLine(problem))]
pub struct CheckpointError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: CheckpointProblem,
}

/// Text in which control characters are escaped: names come from the file, and may hold anything.
struct OneLine<T>(T);

impl<T: fmt::Display> fmt::Display for OneLine<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.to_string().chars() {
            match character.is_control() {
                true => write!(formatter, "{}", character.escape_default())?,
                false => fmt::Write::write_char(formatter, character)?,
            }
        }
        Ok(())
    }
}

/// What is wrong with a checkpoint file; each prints as the rest of a sentence that begins with the path.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointProblem {
    /// The file system refused.
    #[error("cannot be read: {0}")]
    Io(io::Error),
    /// Neither of the known formats.
    #[error(
        "is not a checkpoint: {found}; known are safetensors, its index of shards (.json) and PyTorch's .pth/.bin/.pt"
    )]
    UnknownFormat {
        /// What it looks like.
        found: String,
    },
    /// The file ends early.
    #[error("is truncated: expected {expected} bytes, found {found}; copy or download it again")]
    Truncated {
        /// Bytes that its header announces (at least).
        expected: u64,
        /// Bytes that are there.
        found: u64,
    },
    /// A safetensors header that breaks the format's rules.
    #[error("has a damaged safetensors header: {0}")]
    Header(String),
    /// One name twice.
    #[error("holds the name `{0}` twice")]
    DuplicateName(String),
    /// An element type that is not supported.
    #[error(
        "stores `{tensor}` as {dtype}, which is not supported; convert it to one of f64, f32, f16, bf16, or integers"
    )]
    UnknownDtype {
        /// The tensor, or the storage.
        tensor: String,
        /// The type's name in the file.
        dtype: String,
    },
    /// Shape, strides, offset and stored bytes contradict each other.
    #[error("describes tensor `{tensor}` impossibly: {what}")]
    Layout {
        /// The tensor.
        tensor: String,
        /// The contradiction.
        what: String,
    },
    /// A zip archive that is not one of PyTorch's, or damaged.
    #[error("is a zip archive that cannot be read as a PyTorch checkpoint: {0}")]
    Archive(String),
    /// The pickle calls something that is not a tensor or plain container.
    #[error(
        "carries code: it would call `{function}` (byte {offset} of its pickle). Nothing was run. \
         Ask its author for safetensors, or for the file that `torch.save(model.state_dict(), …)` writes"
    )]
    Code {
        /// Full name of what it would call.
        function: String,
        /// Where in the pickle.
        offset: usize,
    },
    /// The pickle holds a whole object, such as a model.
    #[error(
        "is a whole pickled object of class `{class}` (byte {offset} of its pickle), which only its own Python code can \
         open. Save the tensors alone: safetensors, or `torch.save(model.state_dict(), …)`"
    )]
    Instance {
        /// Full name of the class.
        class: String,
        /// Where in the pickle.
        offset: usize,
    },
    /// A pickle that breaks the rules of its format.
    #[error("has a damaged pickle: {what} at byte {offset}")]
    Pickle {
        /// What is wrong.
        what: String,
        /// Where in the pickle.
        offset: usize,
    },
    /// A well-formed file without weights.
    #[error("holds no named tensors, but {0}")]
    NoTensors(String),
    /// A shard of a sharded checkpoint.
    #[error("names the shard `{shard}`, which {problem}")]
    Shard {
        /// File name of the shard.
        shard: String,
        /// What is wrong with it.
        problem: Box<CheckpointProblem>,
    },
    /// A damaged index of shards.
    #[error("is not an index of shards: {0}")]
    Index(String),
    /// A name that is not in the file.
    #[error("has no tensor `{name}`{}", Nearest(nearest))]
    NoSuchTensor {
        /// The name asked for.
        name: String,
        /// The most similar name that exists.
        nearest: Option<String>,
    },
}

/// `; nearest: …`, or nothing.
struct Nearest<'a>(&'a Option<String>);

impl fmt::Display for Nearest<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(name) => write!(formatter, "; nearest: `{name}`"),
            None => Ok(()),
        }
    }
}
