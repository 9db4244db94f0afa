//! PyTorch's files since version 1.6: an uncompressed zip archive with `NAME/data.pkl` and `NAME/data/KEY`.
//!
//! The storages are used where they lie in the mapped file; only the directory and the pickle are read when it is opened.
//! Checksums of the members are not verified: that would read every byte.

use std::collections::HashMap;
use std::io::Cursor;
use std::ops::Range;

use ::zip::read::{ArchiveOffset, Config};
use ::zip::{CompressionMethod, ZipArchive};

use super::CheckpointProblem;
use super::pickle;
use super::state_dict::{self, StateDict};

/// First bytes of a zip archive.
pub(super) const MAGIC: &[u8] = b"PK\x03\x04";

/// Reads the directory and the pickle of a whole file.
pub(super) fn read(file: &[u8]) -> Result<StateDict, CheckpointProblem> {
    let members = members(file)?;
    let pickle = members
        .keys()
        .filter(|name| **name == "data.pkl" || name.ends_with("/data.pkl"))
        .min_by_key(|name| (name.len(), name.as_str()))
        .ok_or_else(|| CheckpointProblem::Archive("it has no member `data.pkl`".to_owned()))?;
    let folder = pickle.strip_suffix("data.pkl").unwrap_or_default();
    let bytes_of =
        |name: &str| members.get(&format!("{folder}{name}")).and_then(|range| file.get(range.clone()));
    if bytes_of("byteorder").is_some_and(|order| order != b"little") {
        return Err(CheckpointProblem::Archive(
            "its numbers are big-endian; save it again on another machine".to_owned(),
        ));
    }
    let program = bytes_of("data.pkl").unwrap_or_default();
    let parsed = pickle::run(program, 0)?;
    state_dict::read(&parsed.graph, parsed.top, |storage| {
        let name = format!("{folder}data/{}", storage.key);
        let range = members.get(&name).ok_or_else(|| format!("the archive has no member `{name}`"))?;
        let size = storage.dtype.map_or(1, |dtype| dtype.size()) as u64;
        match storage.elements.checked_mul(size) {
            Some(needed) if needed <= range.len() as u64 => Ok(range.start..range.start + needed as usize),
            _ => {
                Err(format!("member `{name}` holds {} bytes, not {} elements", range.len(), storage.elements))
            }
        }
    })
}

/// Every member's name and place.
fn members(file: &[u8]) -> Result<HashMap<String, Range<usize>>, CheckpointProblem> {
    let fault = |what: String| CheckpointProblem::Archive(what);
    // Nothing stands before the archive. Searching for its start can go wrong: behind the directory PyTorch writes 76 bytes that
    // it has no need of, and a first entry of as many bytes passes for the search's proof that all is moved by them.
    let config = Config { archive_offset: ArchiveOffset::Known(0) };
    let mut archive = ZipArchive::with_config(config, Cursor::new(file))
        .map_err(|error| fault(format!("{error}; the file may be cut short, copy or download it again")))?;
    let mut members = HashMap::new();
    for index in 0..archive.len() {
        let member = archive.by_index_raw(index).map_err(|error| fault(error.to_string()))?;
        let name = member.name().map_err(|error| fault(error.to_string()))?.into_owned();
        if name.contains("/code/") && name.ends_with(".py") {
            return Err(fault(
                "it is a TorchScript program; save its tensors alone: safetensors, or `torch.save(model.state_dict(), …)`"
                    .to_owned(),
            ));
        }
        if member.compression() != CompressionMethod::Stored || member.encrypted() {
            return Err(fault(format!(
                "its member `{name}` is compressed; PyTorch stores members as they are"
            )));
        }
        let range = member.data_start().and_then(|start| {
            let start = usize::try_from(start).ok()?;
            let end = start.checked_add(usize::try_from(member.size()).ok()?)?;
            (end <= file.len()).then_some(start..end)
        });
        let range =
            range.ok_or_else(|| fault(format!("its member `{name}` lies beyond the end of the file")))?;
        if members.insert(name.clone(), range).is_some() {
            return Err(CheckpointProblem::DuplicateName(name));
        }
    }
    Ok(members)
}
