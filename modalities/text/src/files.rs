//! Files of models: those of a folder, or those of the default that this library carries, which reads as a folder of its name would.

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};

use tk_transfer::checkpoint::{Checkpoint, CheckpointError};

/// The name under which the embedded default is asked for and shown; a folder of that name is `./text`.
pub const EMBEDDED: &str = "text";

macro_rules! carried {
    ($($name:literal),*) => {
        [$(($name, include_bytes!(concat!("../../../weights/text/", $name)).as_slice())),*]
    };
}

/// What is carried.
static CARRIED: [(&str, &[u8]); 7] = carried![
    "config.json",
    "model.safetensors",
    "modules.json",
    "1_Pooling/config.json",
    "sentence_bert_config.json",
    "tokenizer_config.json",
    "vocab.txt"
];

fn carried(path: &Path) -> Option<&'static [u8]> {
    let name = path.strip_prefix(EMBEDDED).ok()?;
    CARRIED.iter().find(|(carried, _)| Path::new(carried) == name).map(|(_, bytes)| *bytes)
}

/// Whether a path lies in the embedded default, in which nothing of the disk does.
fn is_within(path: &Path) -> bool {
    path.starts_with(EMBEDDED)
}

pub(crate) fn is_folder(path: &Path) -> bool {
    path == Path::new(EMBEDDED) || path.is_dir()
}

pub(crate) fn is_file(path: &Path) -> bool {
    if is_within(path) { carried(path).is_some() } else { path.is_file() }
}

pub(crate) fn read(path: &Path) -> io::Result<Cow<'static, [u8]>> {
    match carried(path) {
        Some(bytes) => Ok(bytes.into()),
        None if is_within(path) => Err(io::ErrorKind::NotFound.into()),
        None => std::fs::read(path).map(Cow::Owned),
    }
}

pub(crate) fn read_text(path: &Path) -> io::Result<String> {
    let text = String::from_utf8(read(path)?.into_owned());
    text.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.utf8_error()))
}

/// The file with a folder's weights, if it has one.
pub(crate) fn weights_in(folder: &Path) -> Option<PathBuf> {
    Checkpoint::NAMES.into_iter().map(|name| folder.join(name)).find(|path| is_file(path))
}

pub(crate) fn checkpoint(path: &Path) -> Result<Checkpoint, CheckpointError> {
    match carried(path) {
        Some(bytes) => Checkpoint::from_bytes(path.display().to_string(), bytes),
        None => Checkpoint::open(path),
    }
}
