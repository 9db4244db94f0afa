//! Writing safetensors that other tools open.
//!
//! The bytes are those of the `safetensors` crate (sorted by name, header padded to eight bytes), and depend on the tensors
//! and the metadata alone. The header is written here because that crate keeps metadata in an unordered map and the whole
//! file in memory.

use std::collections::{BTreeMap, HashSet};
use std::io::{self, Write};
use std::path::Path;

use half::{bf16, f16};
use serde_json::{Map, Value, json};

use super::dtype::Dtype;
use crate::atomic::{WriteError, write_atomic};

/// Elements that are converted at a time.
const BLOCK: usize = 1 << 16;

/// A tensor to be written.
#[derive(Debug, Clone, Copy)]
pub struct SaveTensor<'a> {
    /// Its published name.
    pub name: &'a str,
    /// Its shape.
    pub shape: &'a [usize],
    /// Its values in row-major order.
    pub values: &'a [f32],
}

/// Element type of a written file; narrower ones round to nearest, ties to even.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// Exact.
    F32,
    /// The range of f32, 8 bits of precision.
    Bf16,
    /// 11 bits of precision, up to 65504.
    F16,
}

/// Tensors could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SaveError {
    /// The shape and the number of values differ.
    #[error("cannot save `{name}`: shape {shape:?} has {expected} elements, {found} were given")]
    Shape {
        /// The tensor.
        name: String,
        /// Its shape.
        shape: Vec<usize>,
        /// Elements of that shape.
        expected: usize,
        /// Values given.
        found: usize,
    },
    /// Two tensors of one name, or one called `__metadata__`.
    #[error("cannot save two tensors under the name `{0}`")]
    DuplicateName(String),
    /// A finite value that would become infinite.
    #[error(
        "cannot save `{name}` in {precision}: its value {value} is beyond the largest, {largest}; save in f32"
    )]
    Overflow {
        /// The tensor.
        name: String,
        /// The element type.
        precision: Dtype,
        /// The value.
        value: f32,
        /// The largest that can be stored.
        largest: f32,
    },
    /// The file system.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Writes `tensors` to `path` in one step, with `metadata` beside the entry `format: pt` that transformers asks for.
///
/// # Errors
///
/// [`SaveError`]; the file that stood there before then still does.
pub fn save(
    path: &Path,
    tensors: &[SaveTensor<'_>],
    precision: Precision,
    metadata: &BTreeMap<String, String>,
) -> Result<(), SaveError> {
    let mut sorted: Vec<&SaveTensor<'_>> = tensors.iter().collect();
    sorted.sort_by_key(|tensor| tensor.name);
    check(&sorted, precision)?;
    let header = header(&sorted, precision, metadata);
    write_atomic(path, |writer| {
        writer.write_all(&(header.len() as u64).to_le_bytes())?;
        writer.write_all(&header)?;
        sorted.iter().try_for_each(|tensor| write_values(writer, tensor.values, precision))
    })?;
    Ok(())
}

impl Precision {
    fn dtype(self) -> Dtype {
        match self {
            Self::F32 => Dtype::F32,
            Self::Bf16 => Dtype::Bf16,
            Self::F16 => Dtype::F16,
        }
    }

    /// The value that is read back.
    fn round(self, value: f32) -> f32 {
        match self {
            Self::F32 => value,
            Self::Bf16 => bf16::from_f32(value).to_f32(),
            Self::F16 => f16::from_f32(value).to_f32(),
        }
    }

    fn largest(self) -> f32 {
        match self {
            Self::F32 => f32::MAX,
            Self::Bf16 => bf16::MAX.to_f32(),
            Self::F16 => f16::MAX.to_f32(),
        }
    }
}

fn check(tensors: &[&SaveTensor<'_>], precision: Precision) -> Result<(), SaveError> {
    let mut names = HashSet::from(["__metadata__"]);
    for SaveTensor { name, shape, values } in tensors {
        if !names.insert(name) {
            return Err(SaveError::DuplicateName((*name).to_owned()));
        }
        let expected = shape.iter().product();
        if expected != values.len() {
            let (name, shape, found) = ((*name).to_owned(), shape.to_vec(), values.len());
            return Err(SaveError::Shape { name, shape, expected, found });
        }
        if precision != Precision::F32
            && let Some(&value) = values.iter().find(|v| v.is_finite() && precision.round(**v).is_infinite())
        {
            let (name, largest) = ((*name).to_owned(), precision.largest());
            return Err(SaveError::Overflow { name, precision: precision.dtype(), value, largest });
        }
    }
    Ok(())
}

/// The JSON header, padded with spaces so that the tensors begin at a multiple of eight bytes.
fn header(tensors: &[&SaveTensor<'_>], precision: Precision, metadata: &BTreeMap<String, String>) -> Vec<u8> {
    let mut about = BTreeMap::from([("format", "pt")]);
    about.extend(metadata.iter().map(|(key, value)| (key.as_str(), value.as_str())));
    let mut entries = Map::new();
    entries.insert("__metadata__".to_owned(), json!(about));
    let mut start = 0;
    for tensor in tensors {
        let end = start + tensor.values.len() * precision.dtype().size();
        let entry = json!({
            "dtype": precision.dtype().safetensors_name(),
            "shape": tensor.shape,
            "data_offsets": [start, end],
        });
        entries.insert(tensor.name.to_owned(), entry);
        start = end;
    }
    let mut bytes = Value::Object(entries).to_string().into_bytes();
    bytes.resize(bytes.len().next_multiple_of(8), b' ');
    bytes
}

fn write_values(writer: &mut dyn Write, values: &[f32], precision: Precision) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(BLOCK.min(values.len()) * precision.dtype().size());
    for block in values.chunks(BLOCK) {
        buffer.clear();
        match precision {
            Precision::F32 => buffer.extend(block.iter().flat_map(|v| v.to_le_bytes())),
            Precision::Bf16 => buffer.extend(block.iter().flat_map(|v| bf16::from_f32(*v).to_le_bytes())),
            Precision::F16 => buffer.extend(block.iter().flat_map(|v| f16::from_f32(*v).to_le_bytes())),
        }
        writer.write_all(&buffer)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::checkpoint::Checkpoint;

    fn tensors() -> [SaveTensor<'static>; 4] {
        [
            SaveTensor { name: "fc.weight", shape: &[2, 3], values: &[1.0, -2.5, 0.1, 3e-5, 4.0, f32::NAN] },
            SaveTensor { name: "conv.weight", shape: &[1, 1, 1, 2], values: &[0.333_333, f32::INFINITY] },
            SaveTensor { name: "empty", shape: &[0, 4], values: &[] },
            SaveTensor { name: "scale", shape: &[], values: &[1.003_906_3] },
        ]
    }

    #[test]
    fn the_bytes_are_those_of_the_safetensors_crate() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.safetensors");
        for (precision, theirs) in [
            (Precision::F32, safetensors::Dtype::F32),
            (Precision::Bf16, safetensors::Dtype::BF16),
            (Precision::F16, safetensors::Dtype::F16),
        ] {
            save(&path, &tensors(), precision, &BTreeMap::new()).unwrap();
            let encoded: Vec<Vec<u8>> = tensors()
                .iter()
                .map(|tensor| match precision {
                    Precision::F32 => tensor.values.iter().flat_map(|v| v.to_le_bytes()).collect(),
                    Precision::Bf16 => {
                        tensor.values.iter().flat_map(|v| bf16::from_f32(*v).to_le_bytes()).collect()
                    }
                    Precision::F16 => {
                        tensor.values.iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect()
                    }
                })
                .collect();
            let views = tensors().into_iter().zip(&encoded).map(|(tensor, bytes)| {
                (
                    tensor.name,
                    safetensors::tensor::TensorView::new(theirs, tensor.shape.to_vec(), bytes).unwrap(),
                )
            });
            let format = [("format".to_owned(), "pt".to_owned())].into();
            assert_eq!(std::fs::read(&path).unwrap(), safetensors::serialize(views, Some(format)).unwrap());
        }
    }

    #[test]
    fn what_is_saved_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.safetensors");
        let metadata = BTreeMap::from([("b".to_owned(), "2".to_owned()), ("a".to_owned(), "é\"".to_owned())]);
        for precision in [Precision::F32, Precision::Bf16, Precision::F16] {
            save(&path, &tensors(), precision, &metadata).unwrap();
            let read = Checkpoint::open(&path).unwrap();
            assert_eq!(read.names().collect::<Vec<_>>(), ["conv.weight", "empty", "fc.weight", "scale"]);
            assert_eq!(read.metadata().keys().collect::<Vec<_>>(), ["a", "b", "format"]);
            for tensor in tensors() {
                assert_eq!(read.info(tensor.name).unwrap().shape, tensor.shape);
                let rounded: Vec<u32> = tensor.values.iter().map(|v| precision.round(*v).to_bits()).collect();
                let found: Vec<u32> = read.f32(tensor.name).unwrap().iter().map(|v| v.to_bits()).collect();
                assert_eq!(found, rounded, "{}", tensor.name);
            }
        }
    }

    #[test]
    fn narrow_types_round_to_nearest_even() {
        for (precision, value, expected) in [
            // 1 + 2^-8 lies between two neighbours in bf16, 1 + 3·2^-8 likewise: each goes to the even one.
            (Precision::Bf16, 1.0 + 1.0 / 256.0, 1.0),
            (Precision::Bf16, 1.0 + 3.0 / 256.0, 1.015_625),
            (Precision::F16, 2049.0, 2048.0),
            (Precision::F16, 2051.0, 2052.0),
            (Precision::F16, 65_519.0, 65_504.0),
        ] {
            assert_eq!(precision.round(value), expected, "{value}");
        }
    }

    #[test]
    fn what_cannot_be_stored_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.safetensors");
        let tensor = |name, shape, values| SaveTensor { name, shape, values };
        for (tensors, precision, expected) in [
            (vec![tensor("a", &[2], &[1.0])], Precision::F32, "shape [2] has 2 elements, 1 were given"),
            (vec![tensor("a", &[1], &[1.0]); 2], Precision::F32, "two tensors under the name `a`"),
            (
                vec![tensor("__metadata__", &[1], &[1.0])],
                Precision::F32,
                "two tensors under the name `__metadata__`",
            ),
            (vec![tensor("a", &[1], &[65_520.0])], Precision::F16, "`a` in f16: its value 65520 is beyond"),
            (vec![tensor("a", &[1], &[f32::MAX])], Precision::Bf16, "`a` in bf16"),
        ] {
            let error = save(&path, &tensors, precision, &BTreeMap::new()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let absent = folder.path().join("absent/m.safetensors");
        let error = save(&absent, &tensors(), Precision::F32, &BTreeMap::new()).unwrap_err().to_string();
        assert!(error.ends_with("no such folder; create it first"), "{error}");
    }
}
