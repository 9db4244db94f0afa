//! PyTorch's files before version 1.6: five pickles in a row, then the storages.
//!
//! A magic number, a protocol version, facts about the machine, the object, and the list of storage keys; then for each key
//! the number of elements (8 bytes) and the elements. Tar archives (before version 0.2) are not read.

use std::collections::HashMap;
use std::ops::Range;

use super::CheckpointProblem;
use super::dtype::Dtype;
use super::pickle::{self, Graph, Value};
use super::state_dict::{self, StateDict};

/// The pickled magic number 0x1950a86a20f9469cfc6c, in protocol 2, as every such file begins.
const MAGIC: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19\x2e";

/// Protocol version that all such files carry.
const VERSION: i64 = 1001;

/// Whether a file begins with a pickle of protocol 2 to 5.
pub(super) fn is_pickle(file: &[u8]) -> bool {
    matches!(file, [0x80, 2..=5, ..])
}

/// Reads a whole file. One that is a pickle but not PyTorch's is read too, to say what it holds.
pub(super) fn read(file: &[u8]) -> Result<StateDict, CheckpointProblem> {
    if !file.starts_with(MAGIC) {
        let alone = pickle::run(file, 0)?;
        return state_dict::read(&alone.graph, alone.top, |_| {
            Err("its bytes are not in this file".to_owned())
        });
    }
    let version = pickle::run(file, MAGIC.len())?;
    if version.top != Value::Int(VERSION) {
        return Err(damage(
            format!("legacy format version {:?}, known is {VERSION}", version.top),
            MAGIC.len(),
        ));
    }
    let machine = pickle::run(file, version.end)?;
    let facts = machine.graph.entries(machine.top).unwrap_or_default();
    if facts.contains(&(Value::Text("little_endian"), Value::Bool(false))) {
        return Err(damage("big-endian numbers".to_owned(), version.end));
    }
    let object = pickle::run(file, machine.end)?;
    let keys = pickle::run(file, object.end)?;
    let storages = storages(file, &object.graph, keys.graph.items(keys.top).unwrap_or_default(), keys.end)?;
    state_dict::read(&object.graph, object.top, |storage| {
        storages.get(storage.key).cloned().ok_or_else(|| format!("the file has no storage {}", storage.key))
    })
}

/// The place of each storage's elements; their sizes are known only from the object that refers to them.
fn storages<'a>(
    file: &'a [u8],
    graph: &Graph<'a>,
    keys: &[Value<'a>],
    start: usize,
) -> Result<HashMap<&'a str, Range<usize>>, CheckpointProblem> {
    let mut claims: HashMap<&str, (Option<Dtype>, u64)> = HashMap::new();
    for storage in graph.storages() {
        let claim = (storage.dtype, storage.elements);
        if *claims.entry(storage.key).or_insert(claim) != claim {
            return Err(damage(format!("storage {} described in two ways", storage.key), start));
        }
    }
    let mut places = HashMap::new();
    let mut position = start;
    for key in keys {
        let &Value::Text(key) = key else {
            return Err(damage("a storage key that is not text".to_owned(), start));
        };
        let truncated = |expected: u64| CheckpointProblem::Truncated { expected, found: file.len() as u64 };
        let count = file.get(position..).and_then(|rest| rest.first_chunk::<8>());
        let count = u64::from_le_bytes(*count.ok_or_else(|| truncated(position as u64 + 8))?);
        position += 8;
        let &(dtype, elements) =
            claims.get(key).ok_or_else(|| damage(format!("storage {key}, which nothing uses"), position))?;
        if count != elements {
            return Err(damage(
                format!("storage {key} of {count} elements, described as {elements}"),
                position,
            ));
        }
        let length = count.checked_mul(dtype.map_or(1, Dtype::size) as u64);
        let end = length.and_then(|length| length.checked_add(position as u64));
        let end = end.ok_or_else(|| damage(format!("storage {key} of {count} elements"), position))?;
        if end > file.len() as u64 {
            return Err(truncated(end));
        }
        if places.insert(key, position..end as usize).is_some() {
            return Err(CheckpointProblem::DuplicateName(key.to_owned()));
        }
        position = end as usize;
    }
    Ok(places)
}

fn damage(what: String, offset: usize) -> CheckpointProblem {
    CheckpointProblem::Pickle { what, offset }
}
