//! The element types that checkpoints store, under the names that safetensors and PyTorch give them.
//!
//! Eight-bit floats, complex numbers and quantised types are not here: no listed model publishes weights in them.

use std::fmt;

use half::{bf16, f16};

/// Type of the elements of a stored tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dtype {
    /// IEEE double precision.
    F64,
    /// IEEE single precision.
    F32,
    /// IEEE half precision.
    F16,
    /// The upper half of an IEEE single.
    Bf16,
    /// Signed, 64 bits.
    I64,
    /// Signed, 32 bits.
    I32,
    /// Signed, 16 bits.
    I16,
    /// Signed, 8 bits.
    I8,
    /// Unsigned, 64 bits.
    U64,
    /// Unsigned, 32 bits.
    U32,
    /// Unsigned, 16 bits.
    U16,
    /// Unsigned, 8 bits.
    U8,
    /// One byte, zero or one.
    Bool,
}

/// Our type, its name in safetensors, its name in `torch`, and the class of its storages there (newer types have none).
const NAMES: [(Dtype, &str, &str, &str); 13] = [
    (Dtype::F64, "F64", "float64", "DoubleStorage"),
    (Dtype::F32, "F32", "float32", "FloatStorage"),
    (Dtype::F16, "F16", "float16", "HalfStorage"),
    (Dtype::Bf16, "BF16", "bfloat16", "BFloat16Storage"),
    (Dtype::I64, "I64", "int64", "LongStorage"),
    (Dtype::I32, "I32", "int32", "IntStorage"),
    (Dtype::I16, "I16", "int16", "ShortStorage"),
    (Dtype::I8, "I8", "int8", "CharStorage"),
    (Dtype::U64, "U64", "uint64", ""),
    (Dtype::U32, "U32", "uint32", ""),
    (Dtype::U16, "U16", "uint16", ""),
    (Dtype::U8, "U8", "uint8", "ByteStorage"),
    (Dtype::Bool, "BOOL", "bool", "BoolStorage"),
];

impl Dtype {
    /// Bytes per element.
    pub fn size(self) -> usize {
        match self {
            Self::F64 | Self::I64 | Self::U64 => 8,
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::F16 | Self::Bf16 | Self::I16 | Self::U16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }

    /// The type that safetensors calls `name`, such as `BF16`.
    pub fn from_safetensors(name: &str) -> Option<Self> {
        NAMES.iter().find(|row| row.1 == name).map(|row| row.0)
    }

    /// The type that PyTorch calls `torch.NAME`, such as `bfloat16`.
    pub fn from_torch(name: &str) -> Option<Self> {
        NAMES.iter().find(|row| row.2 == name).map(|row| row.0)
    }

    /// The type of the elements in PyTorch's storage class `name`, such as `BFloat16Storage`.
    pub fn from_storage_class(name: &str) -> Option<Self> {
        NAMES.iter().find(|row| !name.is_empty() && row.3 == name).map(|row| row.0)
    }

    /// The name in safetensors' header.
    pub fn safetensors_name(self) -> &'static str {
        NAMES.iter().find(|row| row.0 == self).map_or("", |row| row.1)
    }

    /// Values of the little-endian elements in `bytes`, rounded to f32; an incomplete last element is left out.
    pub(super) fn decode(self, bytes: &[u8]) -> Vec<f32> {
        fn each<const N: usize>(bytes: &[u8], convert: impl Fn([u8; N]) -> f32) -> Vec<f32> {
            bytes.as_chunks::<N>().0.iter().map(|element| convert(*element)).collect()
        }
        match self {
            Self::F64 => each(bytes, |b| f64::from_le_bytes(b) as f32),
            Self::F32 => each(bytes, f32::from_le_bytes),
            Self::F16 => each(bytes, |b| f16::from_le_bytes(b).to_f32()),
            Self::Bf16 => each(bytes, |b| bf16::from_le_bytes(b).to_f32()),
            Self::I64 => each(bytes, |b| i64::from_le_bytes(b) as f32),
            Self::I32 => each(bytes, |b| i32::from_le_bytes(b) as f32),
            Self::I16 => each(bytes, |b| f32::from(i16::from_le_bytes(b))),
            Self::I8 => each(bytes, |b| f32::from(i8::from_le_bytes(b))),
            Self::U64 => each(bytes, |b| u64::from_le_bytes(b) as f32),
            Self::U32 => each(bytes, |b| u32::from_le_bytes(b) as f32),
            Self::U16 => each(bytes, |b| f32::from(u16::from_le_bytes(b))),
            Self::U8 => each(bytes, |b: [u8; 1]| f32::from(b[0])),
            Self::Bool => each(bytes, |b: [u8; 1]| f32::from(u8::from(b[0] != 0))),
        }
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.safetensors_name().to_ascii_lowercase())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn names_lead_back_to_their_type() {
        for (dtype, safetensors, torch, storage) in NAMES {
            assert_eq!(Dtype::from_safetensors(safetensors), Some(dtype));
            assert_eq!(Dtype::from_torch(torch), Some(dtype));
            if !storage.is_empty() {
                assert_eq!(Dtype::from_storage_class(storage), Some(dtype));
            }
            let theirs: safetensors::Dtype = serde_json::from_str(&format!("\"{safetensors}\"")).unwrap();
            assert_eq!(theirs.bitsize(), 8 * dtype.size(), "{dtype}");
        }
        assert_eq!(Dtype::from_safetensors("F8_E4M3"), None);
        assert_eq!(Dtype::from_storage_class(""), None);
    }

    #[test]
    fn decodes_every_type() {
        for (dtype, bytes, expected) in [
            (Dtype::F64, (-1.5f64).to_le_bytes().to_vec(), -1.5),
            (Dtype::F32, 0.1f32.to_le_bytes().to_vec(), 0.1),
            (Dtype::F16, vec![0x00, 0xc0], -2.0),
            (Dtype::Bf16, vec![0x80, 0x3f], 1.0),
            (Dtype::I64, (-3i64).to_le_bytes().to_vec(), -3.0),
            (Dtype::I32, 70_000i32.to_le_bytes().to_vec(), 70_000.0),
            (Dtype::I16, (-300i16).to_le_bytes().to_vec(), -300.0),
            (Dtype::I8, vec![0xff], -1.0),
            (Dtype::U64, (1u64 << 40).to_le_bytes().to_vec(), 1_099_511_627_776.0),
            (Dtype::U32, u32::MAX.to_le_bytes().to_vec(), 4_294_967_296.0),
            (Dtype::U16, vec![0xff, 0xff], 65_535.0),
            (Dtype::U8, vec![0xff], 255.0),
            (Dtype::Bool, vec![1], 1.0),
        ] {
            assert_eq!(bytes.len(), dtype.size(), "{dtype}");
            assert_eq!(dtype.decode(&bytes), [expected], "{dtype}");
        }
    }
}
