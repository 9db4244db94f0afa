//! The safetensors format: eight bytes of header length, a JSON header, the tensors.
//!
//! The header is read here and not by the `safetensors` crate because that one forgets the header's order, lets the
//! second of two equal names win, and cannot say which tensor is at fault or how many bytes are missing. Layout:
//! <https://huggingface.co/docs/safetensors>.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};

use super::CheckpointProblem;
use super::dtype::Dtype;
use super::tensor::{Claim, MAX_RANK, Stored, checked_elements, contiguous_strides};

/// Longest header that the format allows.
const MAX_HEADER_BYTES: u64 = 100_000_000;

/// What a safetensors file holds, in the order of its bytes.
#[derive(Debug)]
pub(super) struct Contents {
    pub(super) tensors: Vec<Stored>,
    pub(super) metadata: BTreeMap<String, String>,
}

/// Whether a file that begins so can only be safetensors.
pub(super) fn is_likely(file: &[u8]) -> bool {
    file.get(8) == Some(&b'{') && header_bytes(file).is_some_and(|length| length <= MAX_HEADER_BYTES)
}

/// Length of the header as the file announces it.
pub(super) fn header_bytes(file: &[u8]) -> Option<u64> {
    file.first_chunk::<8>().map(|bytes| u64::from_le_bytes(*bytes))
}

/// Reads the header of a whole file and checks it against the file's length.
pub(super) fn read(file: &[u8]) -> Result<Contents, CheckpointProblem> {
    let found = file.len() as u64;
    let length = header_bytes(file).ok_or(CheckpointProblem::Truncated { expected: 8, found })?;
    if length > MAX_HEADER_BYTES {
        return Err(CheckpointProblem::Header(format!(
            "it claims {length} bytes, at most {MAX_HEADER_BYTES} are legal"
        )));
    }
    let start = 8 + length as usize;
    let json = file.get(8..start).ok_or(CheckpointProblem::Truncated { expected: start as u64, found })?;
    let header: Header =
        serde_json::from_slice(json).map_err(|error| CheckpointProblem::Header(error.to_string()))?;

    let mut names = HashSet::new();
    for (name, _) in &header.tensors {
        if !names.insert(name.as_str()) {
            return Err(CheckpointProblem::DuplicateName(name.clone()));
        }
    }
    let end = check_tiling(&header.tensors)?;
    let expected = (start as u64).saturating_add(end);
    if found < expected {
        return Err(CheckpointProblem::Truncated { expected, found });
    }
    if found > expected {
        let what = format!("its tensors end at byte {expected}, the file at byte {found}");
        return Err(CheckpointProblem::Header(what));
    }
    let tensors =
        header.tensors.iter().map(|(name, entry)| place(name, entry, start)).collect::<Result<_, _>>()?;
    Ok(Contents { tensors, metadata: header.metadata })
}

/// Checks that the tensors, in order of their offsets, lie side by side from zero; returns where the last one ends.
fn check_tiling(tensors: &[(String, Entry)]) -> Result<u64, CheckpointProblem> {
    let mut end = 0;
    let mut previous = "the header";
    for (name, Entry { data_offsets: [from, to], .. }) in tensors {
        let fault = |what: String| CheckpointProblem::Layout { tensor: name.clone(), what };
        if from > to {
            return Err(fault(format!("it begins at byte {from} and ends at byte {to}")));
        }
        if *from < end {
            return Err(fault(format!(
                "it begins at byte {from}, within `{previous}`, which ends at byte {end}"
            )));
        }
        if *from > end {
            return Err(fault(format!("{} bytes before it belong to no tensor", from - end)));
        }
        (end, previous) = (*to, name.as_str());
    }
    Ok(end)
}

fn place(name: &str, entry: &Entry, start: usize) -> Result<Stored, CheckpointProblem> {
    let dtype = Dtype::from_safetensors(&entry.dtype).ok_or_else(|| CheckpointProblem::UnknownDtype {
        tensor: name.to_owned(),
        dtype: entry.dtype.clone(),
    })?;
    let [from, to] = entry.data_offsets;
    if entry.shape.len() > MAX_RANK {
        let what = format!("it has {} dimensions", entry.shape.len());
        return Err(CheckpointProblem::Layout { tensor: name.to_owned(), what });
    }
    let needed = checked_elements(&entry.shape).map(|elements| elements * dtype.size() as u64);
    if needed != Some(to - from) {
        let what = format!("{dtype} {:?} does not fill the {} bytes given to it", entry.shape, to - from);
        return Err(CheckpointProblem::Layout { tensor: name.to_owned(), what });
    }
    // The offsets were compared with the file's length, so they fit.
    let storage = start + from as usize..start + to as usize;
    let strides = contiguous_strides(&entry.shape);
    Stored::check(&Claim { name, dtype, shape: &entry.shape, strides: &strides, offset: 0, storage })
}

/// The JSON header, tensors sorted by offset.
struct Header {
    metadata: BTreeMap<String, String>,
    tensors: Vec<(String, Entry)>,
}

#[derive(Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: [u64; 2],
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeaderVisitor)
    }
}

/// Keeps every entry, equal names too, so that they can be refused.
struct HeaderVisitor;

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = Header;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
        let mut metadata = None;
        let mut tensors: Vec<(String, Entry)> = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            if name != "__metadata__" {
                let entry =
                    map.next_value().map_err(|error| A::Error::custom(format!("`{name}`: {error}")))?;
                tensors.push((name, entry));
            } else if metadata.replace(map.next_value()?).is_some() {
                return Err(A::Error::custom("`__metadata__` stands there twice"));
            }
        }
        tensors.sort_by_key(|(_, entry)| entry.data_offsets);
        Ok(Header { metadata: metadata.unwrap_or_default(), tensors })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
    }

    #[test]
    fn reads_in_the_order_of_the_bytes() {
        let header = r#"{"b":{"dtype":"F32","shape":[2],"data_offsets":[2,10]},"__metadata__":{"format":"pt"},
            "a":{"dtype":"BF16","shape":[1,1],"data_offsets":[0,2]},"n":{"dtype":"I64","shape":[],"data_offsets":[10,18]}}"#;
        let data =
            [&[0x80, 0x3f][..], &2f32.to_le_bytes(), &3f32.to_le_bytes(), &7i64.to_le_bytes()].concat();
        let file = file(header, &data);
        assert!(is_likely(&file));
        let contents = read(&file).unwrap();
        let read: Vec<(&str, String, Vec<f32>)> =
            contents.tensors.iter().map(|t| (t.name.as_str(), t.info.to_string(), t.values(&file))).collect();
        assert_eq!(
            read,
            [
                ("a", "bf16 [1, 1]".to_owned(), vec![1.0]),
                ("b", "f32 [2]".to_owned(), vec![2.0, 3.0]),
                ("n", "i64 []".to_owned(), vec![7.0]),
            ]
        );
        assert_eq!(contents.metadata["format"], "pt");
    }

    #[test]
    fn refuses_every_kind_of_damage() {
        let one = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
        let two = |second: &str| {
            file(&format!(r#"{{"a":{{"dtype":"F32","shape":[2],"data_offsets":[0,8]}},{second}}}"#), &[0; 12])
        };
        let mut absurd = file(one, &[0; 8]);
        absurd[7] = 0x40;
        let length = 8 + one.len();
        for (bytes, expected) in [
            (file(one, &[0; 5]), format!("truncated: expected {} bytes, found {}", length + 8, length + 5)),
            (file(one, &[0; 8])[..20].to_vec(), format!("truncated: expected {length} bytes, found 20")),
            (vec![1, 2, 3], "truncated: expected 8 bytes, found 3".to_owned()),
            (absurd, "at most 100000000 are legal".to_owned()),
            (file(one, &[0; 9]), "the file at byte".to_owned()),
            (
                two(r#""a":{"dtype":"U8","shape":[4],"data_offsets":[8,12]}"#),
                "holds the name `a` twice".to_owned(),
            ),
            (
                two(r#""b":{"dtype":"F8_E4M3","shape":[4],"data_offsets":[8,12]}"#),
                "stores `b` as F8_E4M3".to_owned(),
            ),
            (
                two(r#""b":{"dtype":"U8","shape":[5],"data_offsets":[7,12]}"#),
                "`b` impossibly: it begins at byte 7, within `a`, which ends at byte 8".to_owned(),
            ),
            (
                two(r#""b":{"dtype":"U8","shape":[3],"data_offsets":[9,12]}"#),
                "1 bytes before it belong".to_owned(),
            ),
            (
                two(r#""b":{"dtype":"U8","shape":[4],"data_offsets":[12,8]}"#),
                "begins at byte 12 and ends".to_owned(),
            ),
            (
                two(r#""b":{"dtype":"U8","shape":[5],"data_offsets":[8,12]}"#),
                "u8 [5] does not fill the 4".to_owned(),
            ),
            (
                two(r#""b":{"dtype":"F64","shape":[4294967296,4294967296],"data_offsets":[8,12]}"#),
                "does not fill".to_owned(),
            ),
            (
                two(r#""b":{"dtype":"U8","shape":[-4],"data_offsets":[8,12]}"#),
                "safetensors header: `b`".to_owned(),
            ),
            (two(r#""b":{"dtype":"U8","data_offsets":[8,12]}"#), "missing field `shape`".to_owned()),
            (two(r#""b":7"#), "damaged safetensors header".to_owned()),
            (file("{\"a", &[]), "damaged safetensors header: EOF".to_owned()),
            (file("[]", &[]), "damaged safetensors header".to_owned()),
        ] {
            let error = read(&bytes).unwrap_err().to_string();
            assert!(error.contains(&expected), "expected {expected}, got {error}");
        }
    }
}
