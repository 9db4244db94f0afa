//! An opened checkpoint: which tensors it holds, and their values.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};

use super::bytes::Bytes;
use super::error::{CheckpointError, CheckpointProblem};
use super::nearest::nearest;
use super::sharded::Index;
use super::tensor::{Stored, TensorInfo};
use super::{safetensors, torch_legacy, torch_zip};

/// Prefixes that wrappers put before every name: data parallelism and `torch.compile`.
const WRAPPERS: [&str; 2] = ["module.", "_orig_mod."];

/// How a checkpoint is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One safetensors file.
    Safetensors,
    /// A JSON index and several safetensors files.
    ShardedSafetensors,
    /// A zip archive written by PyTorch 1.6 or later.
    TorchZip,
    /// A PyTorch file of before 1.6.
    TorchLegacy,
}

impl fmt::Display for Format {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Safetensors => "safetensors",
            Self::ShardedSafetensors => "sharded safetensors",
            Self::TorchZip => "PyTorch",
            Self::TorchLegacy => "PyTorch (before 1.6)",
        })
    }
}

/// A file of published weights, opened: its directory is read and checked, its tensors are read when asked for.
///
/// The file stays mapped into memory, so it must not be changed in place meanwhile.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
    format: Format,
    files: Vec<Bytes>,
    tensors: Vec<Stored>,
    index: HashMap<String, usize>,
    metadata: BTreeMap<String, String>,
    container: Option<String>,
    ignored: Vec<String>,
    dropped_prefix: String,
}

impl Checkpoint {
    /// What files with a model's weights are called in its folder, the preferred first.
    pub const NAMES: [&str; 3] = ["model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"];

    /// The file with the weights in a model's folder, if there is one.
    pub fn find_in(folder: &Path) -> Option<PathBuf> {
        Self::NAMES.into_iter().map(|name| folder.join(name)).find(|path| path.is_file())
    }

    /// Opens the checkpoint at `path`. Its contents decide the format, not its extension.
    ///
    /// # Errors
    ///
    /// [`CheckpointError`] when the file cannot be read, is of no known format, is damaged, or would run code.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, CheckpointError> {
        let path = path.as_ref();
        let fail = |problem| CheckpointError { path: path.to_owned(), problem };
        let file = Bytes::map(path).map_err(|error| fail(CheckpointProblem::Io(error)))?;
        if is_index(&file) { open_shards(path, file) } else { read(file) }
            .and_then(|contents| Self::new(path.to_owned(), contents))
            .map_err(fail)
    }

    /// Reads a checkpoint from memory, such as weights embedded in the program; `label` stands for a path in messages.
    ///
    /// # Errors
    ///
    /// As [`Checkpoint::open`]; an index of shards is refused, since the shards lie elsewhere.
    pub fn from_bytes(
        label: impl Into<PathBuf>,
        bytes: impl Into<Cow<'static, [u8]>>,
    ) -> Result<Self, CheckpointError> {
        let path = label.into();
        let contents = read(Bytes::Given(bytes.into()));
        contents
            .and_then(|contents| Self::new(path.clone(), contents))
            .map_err(|problem| CheckpointError { path, problem })
    }

    fn new(path: PathBuf, contents: Contents) -> Result<Self, CheckpointProblem> {
        let Contents { format, files, mut tensors, metadata, container, ignored } = contents;
        if tensors.is_empty() {
            return Err(CheckpointProblem::NoTensors("an empty header".to_owned()));
        }
        let dropped_prefix = drop_wrappers(&mut tensors);
        let index = tensors.iter().enumerate().map(|(at, tensor)| (tensor.name.clone(), at)).collect();
        Ok(Self { path, format, files, tensors, index, metadata, container, ignored, dropped_prefix })
    }

    /// The path as it was given, or the label of embedded bytes.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How the checkpoint is stored.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Number of tensors.
    pub fn len(&self) -> usize {
        self.tensors.len()
    }

    /// Whether there are no tensors; an opened checkpoint has at least one.
    pub fn is_empty(&self) -> bool {
        self.tensors.is_empty()
    }

    /// Names of the tensors in the order of the file, without the wrappers' prefixes.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.tensors.iter().map(|tensor| tensor.name.as_str())
    }

    /// Element type and shape of the tensor `name`, if it exists.
    pub fn info(&self, name: &str) -> Option<&TensorInfo> {
        self.stored(name).map(|tensor| &tensor.info)
    }

    /// Values of the tensor `name`, in row-major order of its shape however they were stored, rounded to f32.
    ///
    /// # Errors
    ///
    /// [`CheckpointProblem::NoSuchTensor`].
    pub fn f32(&self, name: &str) -> Result<Vec<f32>, CheckpointError> {
        let Some(tensor) = self.stored(name) else {
            let nearest = nearest(name, self.names()).map(str::to_owned);
            let problem = CheckpointProblem::NoSuchTensor { name: name.to_owned(), nearest };
            return Err(CheckpointError { path: self.path.clone(), problem });
        };
        Ok(tensor.values(self.files.get(tensor.file).map_or(&[], |file| file)))
    }

    /// Size of all files of the checkpoint in bytes.
    pub fn bytes_on_disk(&self) -> u64 {
        self.files.iter().map(|file| file.len() as u64).sum()
    }

    /// BLAKE3 digest of the file's contents; of a sharded checkpoint, of the digests of its index and its shards in the
    /// order of their names. Reads every byte.
    pub fn digest(&self) -> blake3::Hash {
        match &self.files[..] {
            [file] => blake3::hash(file),
            files => {
                let mut hasher = blake3::Hasher::new();
                for file in files {
                    hasher.update(blake3::hash(file).as_bytes());
                }
                hasher.finalize()
            }
        }
    }

    /// The `__metadata__` of a safetensors file; empty for other formats.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// The entry of a PyTorch file that was taken for the weights, such as `state_dict`; `None` when the whole file is.
    pub fn container(&self) -> Option<&str> {
        self.container.as_deref()
    }

    /// Entries of a PyTorch file that are not weights, such as `epoch` and `optimizer`.
    pub fn ignored(&self) -> &[String] {
        &self.ignored
    }

    /// What stood before every name and was dropped, such as `module.`; else empty.
    pub fn dropped_prefix(&self) -> &str {
        &self.dropped_prefix
    }

    fn stored(&self, name: &str) -> Option<&Stored> {
        self.index.get(name).and_then(|&at| self.tensors.get(at))
    }
}

/// What any of the formats yields.
struct Contents {
    format: Format,
    files: Vec<Bytes>,
    tensors: Vec<Stored>,
    metadata: BTreeMap<String, String>,
    container: Option<String>,
    ignored: Vec<String>,
}

fn is_index(file: &[u8]) -> bool {
    file.trim_ascii_start().starts_with(b"{") && !safetensors::is_likely(file)
}

/// Reads a file that stands alone.
fn read(file: Bytes) -> Result<Contents, CheckpointProblem> {
    if safetensors::is_likely(&file) {
        let safetensors::Contents { tensors, metadata } = safetensors::read(&file)?;
        return Ok(Contents {
            format: Format::Safetensors,
            files: vec![file],
            tensors,
            metadata,
            container: None,
            ignored: Vec::new(),
        });
    }
    let (format, weights) = if file.starts_with(torch_zip::MAGIC) {
        (Format::TorchZip, torch_zip::read(&file)?)
    } else if torch_legacy::is_pickle(&file) {
        (Format::TorchLegacy, torch_legacy::read(&file)?)
    } else {
        return Err(unknown(&file));
    };
    Ok(Contents {
        format,
        files: vec![file],
        tensors: weights.tensors,
        metadata: BTreeMap::new(),
        container: weights.container,
        ignored: weights.ignored,
    })
}

/// Opens the shards beside an index, and takes from each the tensors that the index assigns to it.
fn open_shards(path: &Path, index_file: Bytes) -> Result<Contents, CheckpointProblem> {
    let index = Index::read(&index_file)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut contents = Contents {
        format: Format::ShardedSafetensors,
        files: vec![index_file],
        tensors: Vec::new(),
        metadata: BTreeMap::new(),
        container: None,
        ignored: Vec::new(),
    };
    for shard in index.shards() {
        let fail = |problem| CheckpointProblem::Shard { shard: shard.to_owned(), problem: Box::new(problem) };
        let file = Bytes::map(&folder.join(shard)).map_err(|error| fail(CheckpointProblem::Io(error)))?;
        let mut read = safetensors::read(&file).map_err(fail)?;
        let present: HashSet<&str> = read.tensors.iter().map(|tensor| tensor.name.as_str()).collect();
        if let Some(name) = index.tensors_of(shard).find(|name| !present.contains(name)) {
            return Err(fail(CheckpointProblem::NoSuchTensor { name: name.to_owned(), nearest: None }));
        }
        read.tensors.retain(|tensor| index.assigns(&tensor.name, shard));
        for tensor in &mut read.tensors {
            tensor.file = contents.files.len();
        }
        contents.tensors.append(&mut read.tensors);
        contents.metadata.append(&mut read.metadata);
        contents.files.push(file);
    }
    Ok(contents)
}

/// Drops prefixes that all names share because a wrapper put them there; returns what was dropped.
fn drop_wrappers(tensors: &mut [Stored]) -> String {
    let mut dropped = String::new();
    // One round for each wrapper; more would only serve files that were made to cost time.
    for _ in WRAPPERS {
        let shared = |wrapper: &&&str| tensors.iter().all(|tensor| tensor.name.starts_with(**wrapper));
        let Some(wrapper) = WRAPPERS.iter().find(shared) else { break };
        for tensor in tensors.iter_mut() {
            tensor.name.drain(..wrapper.len());
        }
        dropped.push_str(wrapper);
    }
    dropped
}

/// Says what a file of no known format looks like.
fn unknown(file: &[u8]) -> CheckpointProblem {
    let text = file.trim_ascii_start();
    let begins =
        |start: &str| text.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start.as_bytes()));
    let found = if file.is_empty() {
        "it is empty".to_owned()
    } else if begins("<!doctype") || begins("<html") || begins("<?xml") {
        "it is a web page, so its download went wrong".to_owned()
    } else if begins("version https://git-lfs") {
        "it is a Git LFS pointer; `git lfs pull` fetches the file itself".to_owned()
    } else if file.starts_with(b"\x89HDF") {
        "it is an HDF5 file (Keras); convert it to safetensors".to_owned()
    } else if file.starts_with(b"GGUF") {
        "it is a GGUF file; convert it to safetensors".to_owned()
    } else if begins("{") {
        "it is JSON".to_owned()
    } else if file.get(8) == Some(&b'{') {
        let length = safetensors::header_bytes(file).unwrap_or_default();
        format!("it would be safetensors, but its header claims {length} bytes")
    } else {
        format!("it begins with the bytes {:02x?}", file.get(..8).unwrap_or(file))
    };
    CheckpointProblem::UnknownFormat { found }
}
