//! Tensors at the edge of the engine: a shape and shared numbers, f32 or f64.
//!
//! No arithmetic here; that is what graphs are for. Indices (token ids, labels) travel as whole f32 numbers, exact up to 2²⁴.

use std::sync::Arc;

use crate::{EngineError, Result};

/// A shape and its numbers, in row-major order. Cheap to clone.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    shape: Vec<usize>,
    data: Data,
}

/// The numbers of a tensor.
#[derive(Clone, Debug, PartialEq)]
enum Data {
    F32(Arc<Vec<f32>>),
    F64(Arc<Vec<f64>>),
}

impl Tensor {
    /// A tensor of single-precision numbers.
    ///
    /// # Errors
    /// When the shape and the count of numbers differ.
    pub fn new(shape: &[usize], data: Vec<f32>) -> Result<Self> {
        check(shape, data.len())?;
        Ok(Self { shape: shape.to_vec(), data: Data::F32(Arc::new(data)) })
    }

    /// A tensor of double-precision numbers, for the reference executor.
    ///
    /// # Errors
    /// When the shape and the count of numbers differ.
    pub fn new_f64(shape: &[usize], data: Vec<f64>) -> Result<Self> {
        check(shape, data.len())?;
        Ok(Self { shape: shape.to_vec(), data: Data::F64(Arc::new(data)) })
    }

    /// Zeros, f32.
    pub fn zeros(shape: &[usize]) -> Self {
        Self { shape: shape.to_vec(), data: Data::F32(Arc::new(vec![0.0; shape.iter().product()])) }
    }

    /// The size of each axis.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The count of numbers.
    pub fn len(&self) -> usize {
        match &self.data {
            Data::F32(data) => data.len(),
            Data::F64(data) => data.len(),
        }
    }

    /// Whether there are no numbers.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The numbers of an f32 tensor.
    ///
    /// # Errors
    /// When the tensor is f64.
    pub fn as_f32(&self) -> Result<&[f32]> {
        match &self.data {
            Data::F32(data) => Ok(data),
            Data::F64(_) => Err(precision("f32", "f64")),
        }
    }

    /// The numbers of an f64 tensor.
    ///
    /// # Errors
    /// When the tensor is f32.
    pub fn as_f64(&self) -> Result<&[f64]> {
        match &self.data {
            Data::F64(data) => Ok(data),
            Data::F32(_) => Err(precision("f64", "f32")),
        }
    }

    /// The numbers as f32, rounded where they are f64.
    pub fn to_f32(&self) -> Vec<f32> {
        match &self.data {
            Data::F32(data) => data.to_vec(),
            Data::F64(data) => data.iter().map(|&value| value as f32).collect(),
        }
    }

    /// The numbers as f64.
    pub fn to_f64(&self) -> Vec<f64> {
        match &self.data {
            Data::F32(data) => data.iter().map(|&value| f64::from(value)).collect(),
            Data::F64(data) => data.to_vec(),
        }
    }

    /// The numbers of an f32 tensor for writing; copied first when they are shared.
    ///
    /// # Errors
    /// When the tensor is f64.
    pub fn as_f32_mut(&mut self) -> Result<&mut [f32]> {
        match &mut self.data {
            Data::F32(data) => Ok(Arc::<Vec<f32>>::make_mut(data).as_mut_slice()),
            Data::F64(_) => Err(precision("f32", "f64")),
        }
    }

    /// The same numbers under another shape.
    ///
    /// # Errors
    /// When the counts differ.
    pub fn reshaped(mut self, shape: &[usize]) -> Result<Self> {
        check(shape, self.len())?;
        self.shape = shape.to_vec();
        Ok(self)
    }

    /// Rows `[start, end)` of the first axis, copied.
    ///
    /// # Errors
    /// When the rows do not exist or the tensor is f64.
    pub fn rows(&self, start: usize, end: usize) -> Result<Self> {
        let count = self.shape.first().copied().unwrap_or(0);
        if start > end || end > count {
            return Err(EngineError::Tensor {
                what: "rows of a tensor".into(),
                expected: format!("a range within 0..{count}"),
                found: format!("{start}..{end}"),
            });
        }
        let row: usize = self.shape[1..].iter().product();
        let mut shape = self.shape.clone();
        shape[0] = end - start;
        Self::new(&shape, self.as_f32()?[start * row..end * row].to_vec())
    }
}

fn check(shape: &[usize], count: usize) -> Result<()> {
    let expected: usize = shape.iter().product();
    if expected == count {
        return Ok(());
    }
    Err(EngineError::Tensor {
        what: format!("a tensor of shape {shape:?}"),
        expected: format!("{expected} numbers"),
        found: format!("{count}"),
    })
}

fn precision(expected: &str, found: &str) -> EngineError {
    EngineError::Tensor {
        what: "a tensor's precision".into(),
        expected: expected.into(),
        found: found.into(),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn shape_and_count_must_agree() {
        assert!(Tensor::new(&[2, 3], vec![0.0; 6]).is_ok());
        let error = Tensor::new(&[2, 3], vec![0.0; 5]).unwrap_err();
        assert_eq!(error.to_string(), "a tensor of shape [2, 3]: expected 6 numbers, found 5");
    }

    #[test]
    fn rows_are_copied_from_the_first_axis() {
        let tensor = Tensor::new(&[3, 2], vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
        assert_eq!(tensor.rows(1, 3).unwrap().as_f32().unwrap(), [2.0, 3.0, 4.0, 5.0]);
        assert!(tensor.rows(2, 4).is_err());
    }
}
