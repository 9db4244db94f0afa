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

    /// Tensors of one row each, `[1, …]`, below each other; smaller ones are padded with zeros at the end of every axis.
    ///
    /// # Errors
    /// When there are none, their axes differ in count, or they are f64.
    pub fn stacked(rows: &[&Self]) -> Result<Self> {
        let rank = rows.first().map_or(0, |row| row.shape.len());
        if rank == 0 || rows.iter().any(|row| row.shape.len() != rank || row.shape[0] != 1) {
            return Err(EngineError::Tensor {
                what: "rows to stack".into(),
                expected: "tensors [1, …] of as many axes".into(),
                found: format!("{:?}", rows.iter().map(|row| row.shape.as_slice()).collect::<Vec<_>>()),
            });
        }
        let mut shape: Vec<usize> =
            (0..rank).map(|axis| rows.iter().map(|row| row.shape[axis]).max().unwrap_or(0)).collect();
        let length: usize = shape[1..].iter().product();
        let mut data = Vec::with_capacity(rows.len() * length);
        for (position, row) in rows.iter().enumerate() {
            pad_onto(&mut data, row.as_f32()?, &row.shape[1..], &shape[1..]);
            data.resize((position + 1) * length, 0.0);
        }
        shape[0] = rows.len();
        Self::new(&shape, data)
    }
}

/// Appends numbers of one shape as those of a larger one, with zeros at the end of every axis.
fn pad_onto(data: &mut Vec<f32>, numbers: &[f32], from: &[usize], to: &[usize]) {
    let goal = data.len() + to.iter().product::<usize>();
    match from {
        [] | [_] => data.extend_from_slice(numbers),
        _ if from[1..] == to[1..] => data.extend_from_slice(numbers),
        [count, inner @ ..] => {
            let size = numbers.len() / (*count).max(1);
            numbers.chunks_exact(size.max(1)).for_each(|part| pad_onto(data, part, inner, &to[1..]));
        }
    }
    data.resize(goal, 0.0);
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

    #[test]
    fn smaller_rows_are_padded_at_the_end_of_every_axis() {
        let of =
            |shape: &[usize], value: f32| Tensor::new(shape, vec![value; shape.iter().product()]).unwrap();
        let stacked = Tensor::stacked(&[&of(&[1, 1, 2], 1.0), &of(&[1, 3, 2], 2.0)]).unwrap();
        assert_eq!(stacked.shape(), [2, 3, 2]);
        assert_eq!(stacked.to_f32(), [1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0]);
        let maps = Tensor::stacked(&[&of(&[1, 2, 1, 1], 1.0), &of(&[1, 1, 3, 1], 2.0)]).unwrap();
        assert_eq!(maps.shape(), [2, 2, 3, 1]);
        assert_eq!(maps.to_f32(), [1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 2.0, 2.0, 2.0, 0.0, 0.0, 0.0]);
        assert_eq!(Tensor::stacked(&[&of(&[1, 1], 1.0), &of(&[1, 1], 2.0)]).unwrap().to_f32(), [1.0, 2.0]);
        assert!(Tensor::stacked(&[]).is_err() && Tensor::stacked(&[&of(&[2, 1], 1.0)]).is_err());
    }
}
