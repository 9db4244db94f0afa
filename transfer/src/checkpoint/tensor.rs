//! Where a stored tensor lies in its file, checked once when the file is opened.

use std::fmt;
use std::ops::Range;

use super::CheckpointProblem;
use super::dtype::Dtype;

/// More dimensions than any real tensor; bounds the work that a damaged file can ask for.
pub(super) const MAX_RANK: usize = 32;

/// Element type and shape of a stored tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Element type in the file.
    pub dtype: Dtype,
    /// Size of each dimension, outermost first; empty for a scalar.
    pub shape: Vec<usize>,
}

impl TensorInfo {
    /// Number of elements.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }
}

impl fmt::Display for TensorInfo {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {:?}", self.dtype, self.shape)
    }
}

/// A tensor and its place. Invariant: every element lies within the bytes of its file.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) name: String,
    pub(super) info: TensorInfo,
    /// Index of the file among the checkpoint's files.
    pub(super) file: usize,
    /// Bytes from the tensor's first element to behind its last.
    pub(super) bytes: Range<usize>,
    /// Elements from one index to the next in each dimension; `None` when contiguous.
    pub(super) strides: Option<Vec<usize>>,
}

/// What a file claims about a tensor: a strided window of a storage.
pub(super) struct Claim<'a> {
    pub(super) name: &'a str,
    pub(super) dtype: Dtype,
    pub(super) shape: &'a [u64],
    pub(super) strides: &'a [u64],
    /// Elements before the first.
    pub(super) offset: u64,
    /// Bytes of the storage within the file.
    pub(super) storage: Range<usize>,
}

impl Stored {
    /// Checks a claim against the bytes that exist; `file` is left at 0.
    pub(super) fn check(claim: &Claim<'_>) -> Result<Self, CheckpointProblem> {
        let fault = |what: String| CheckpointProblem::Layout { tensor: claim.name.to_owned(), what };
        let Claim { shape, strides, .. } = *claim;
        if shape.len() > MAX_RANK {
            return Err(fault(format!("{} dimensions, more than {MAX_RANK}", shape.len())));
        }
        if shape.len() != strides.len() {
            return Err(fault(format!("{} dimensions but {} strides", shape.len(), strides.len())));
        }
        let available = (claim.storage.len() / claim.dtype.size()) as u64;
        let elements = checked_elements(shape).ok_or_else(|| fault(format!("shape {shape:?} overflows")))?;
        let last = last_index(claim).ok_or_else(|| fault(format!("strides {strides:?} overflow")))?;
        if elements > 0 && last >= available {
            return Err(fault(format!(
                "shape {shape:?} with strides {strides:?} from element {} needs {} elements, its storage holds {available}",
                claim.offset,
                last.saturating_add(1),
            )));
        }
        if elements > 0 && overlaps(shape, strides) {
            return Err(fault(format!("strides {strides:?} let elements of shape {shape:?} overlap")));
        }
        // From here on everything is smaller than the file, so it fits `usize`.
        let shape: Vec<usize> = shape.iter().map(|&size| size as usize).collect();
        let strides: Vec<usize> = strides.iter().map(|&stride| stride as usize).collect();
        let size = claim.dtype.size();
        let bytes = if elements == 0 {
            claim.storage.start..claim.storage.start
        } else {
            claim.storage.start + claim.offset as usize * size
                ..claim.storage.start + (last as usize + 1) * size
        };
        let strides = (elements > 0 && !is_contiguous(&shape, &strides)).then_some(strides);
        let info = TensorInfo { dtype: claim.dtype, shape };
        Ok(Self { name: claim.name.to_owned(), info, file: 0, bytes, strides })
    }

    /// Values in row-major order of the shape, given the bytes of the tensor's file.
    pub(super) fn values(&self, file: &[u8]) -> Vec<f32> {
        let stored = self.info.dtype.decode(file.get(self.bytes.clone()).unwrap_or_default());
        let Some(strides) = &self.strides else { return stored };
        let mut values = Vec::with_capacity(self.info.elements());
        let mut index = vec![0; self.info.shape.len()];
        let mut place = 0;
        for _ in 0..self.info.elements() {
            values.extend(stored.get(place));
            // Advance like an odometer: the innermost dimension that is not at its end.
            for ((position, &size), &stride) in index.iter_mut().zip(&self.info.shape).zip(strides).rev() {
                *position += 1;
                place += stride;
                if *position < size {
                    break;
                }
                place -= size * stride;
                *position = 0;
            }
        }
        values
    }
}

/// Strides of a contiguous tensor, in elements; saturating, since [`Stored::check`] judges the shape.
pub(super) fn contiguous_strides(shape: &[u64]) -> Vec<u64> {
    let mut strides = vec![1u64; shape.len()];
    for at in (1..shape.len()).rev() {
        strides[at - 1] = strides[at].saturating_mul(shape[at].max(1));
    }
    strides
}

/// Number of elements of a shape, unless it overflows. A zero anywhere makes it zero, but only if the rest is sane.
pub(super) fn checked_elements(shape: &[u64]) -> Option<u64> {
    let nonzero =
        shape.iter().filter(|&&size| size > 0).try_fold(1u64, |product, &size| product.checked_mul(size))?;
    // `usize` products of the shape must not overflow either, in bytes of the widest type.
    if nonzero > (isize::MAX as u64) / 8 {
        return None;
    }
    Some(if shape.contains(&0) { 0 } else { nonzero })
}

/// Index in the storage of a tensor's last element.
fn last_index(claim: &Claim<'_>) -> Option<u64> {
    claim.shape.iter().zip(claim.strides).try_fold(claim.offset, |last, (&size, &stride)| {
        last.checked_add(size.saturating_sub(1).checked_mul(stride)?)
    })
}

/// Whether two indices might share an element: sorted by stride, each stride must step over all that is smaller.
/// (Sufficient, not necessary; PyTorch's own test `has_internal_overlap` is as strict.)
fn overlaps(shape: &[u64], strides: &[u64]) -> bool {
    let mut dimensions: Vec<(u64, u64)> =
        strides.iter().copied().zip(shape.iter().copied()).filter(|&(_, size)| size > 1).collect();
    dimensions.sort_unstable();
    let mut reach = 0;
    for (stride, size) in dimensions {
        if stride <= reach {
            return true;
        }
        reach += stride * (size - 1);
    }
    false
}

/// Whether the elements lie in row-major order without gaps; strides of dimensions of size one do not matter.
fn is_contiguous(shape: &[usize], strides: &[usize]) -> bool {
    let mut expected = 1;
    for (&size, &stride) in shape.iter().zip(strides).rev() {
        if size != 1 && stride != expected {
            return false;
        }
        expected *= size;
    }
    true
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn claim<'a>(shape: &'a [u64], strides: &'a [u64], offset: u64) -> Claim<'a> {
        Claim { name: "w", dtype: Dtype::U8, shape, strides, offset, storage: 2..14 }
    }

    #[test]
    fn reads_strided_windows_in_row_major_order() {
        let file: Vec<u8> = (0..16).collect();
        for (shape, strides, offset, expected) in [
            (&[2, 3][..], &[3, 1][..], 0, &[2u8, 3, 4, 5, 6, 7][..]),
            (&[3, 2], &[1, 3], 1, &[3, 6, 4, 7, 5, 8]),
            (&[2, 1, 2], &[6, 99, 2], 0, &[2, 4, 8, 10]),
            (&[2, 2], &[1, 2], 8, &[10, 12, 11, 13]),
            (&[], &[], 11, &[13]),
            (&[0, 5], &[5, 1], 0, &[]),
            (&[1, 12], &[0, 1], 0, &[2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]),
        ] {
            let stored = Stored::check(&claim(shape, strides, offset)).unwrap();
            let expected: Vec<f32> = expected.iter().map(|&value| f32::from(value)).collect();
            assert_eq!(stored.values(&file), expected, "{shape:?} {strides:?}");
        }
    }

    #[test]
    fn refuses_what_does_not_fit() {
        let many = vec![1; 33];
        for (shape, strides, offset, expected) in [
            (&[13][..], &[1][..], 0, "needs 13 elements, its storage holds 12"),
            (&[2], &[1], 11, "needs 13 elements"),
            (&[], &[], 12, "needs 13 elements"),
            (&[1 << 40], &[0], 0, "overlap"),
            (&[2, 3], &[2, 1], 0, "overlap"),
            (&[2, 2], &[1, 1], 0, "overlap"),
            (&[u64::MAX, 2], &[0, 0], 0, "overflow"),
            (&[0, u64::MAX, 2], &[0, 0, 0], 0, "overflow"),
            (&[2, 2], &[u64::MAX, 1], 1, "overflow"),
            (&[2], &[1, 1], 0, "1 dimensions but 2 strides"),
            (&many, &many, 0, "33 dimensions"),
        ] {
            let error = Stored::check(&claim(shape, strides, offset)).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn contiguous_strides_count_from_the_innermost() {
        assert_eq!(contiguous_strides(&[2, 3, 4]), [12, 4, 1]);
        assert_eq!(contiguous_strides(&[]), [0u64; 0]);
        assert_eq!(contiguous_strides(&[5, 0]), [1, 1]);
    }
}
