//! Inference in parts of a batch.

use crate::{Result, Tensor};

/// How many samples run at once: few, so that a layer's activations are still in the cache when the next layer reads them.
const SAMPLES_AT_ONCE: usize = 4;

/// Small samples, such as sentences, run together until their inputs come to so many numbers: then reading the weights is what counts.
const NUMBERS_AT_ONCE: usize = 1024;

/// Runs a batch, few samples at once, and joins what they give. All at once where not every input is of the samples.
pub(super) fn in_parts(
    inputs: &[Tensor],
    mut run: impl FnMut(&[Tensor]) -> Result<Vec<Tensor>>,
) -> Result<Vec<Tensor>> {
    let batch = inputs.first().and_then(|tensor| tensor.shape().first().copied()).unwrap_or(0);
    let same_batch = inputs.iter().all(|tensor| tensor.shape().first() == Some(&batch));
    let numbers = inputs.first().map_or(0, Tensor::len) / batch.max(1);
    let at_once = SAMPLES_AT_ONCE.max(NUMBERS_AT_ONCE / numbers.max(1));
    if batch <= at_once || !same_batch {
        return run(inputs);
    }
    let mut parts = Vec::new();
    for start in (0..batch).step_by(at_once) {
        let end = (start + at_once).min(batch);
        let part: Vec<Tensor> = inputs.iter().map(|tensor| tensor.rows(start, end)).collect::<Result<_>>()?;
        parts.push(run(&part)?);
    }
    joined(&parts)
}

/// Joins the outputs of parts of a batch.
fn joined(parts: &[Vec<Tensor>]) -> Result<Vec<Tensor>> {
    let count = parts.first().map_or(0, Vec::len);
    (0..count)
        .map(|output| {
            let mut data = Vec::new();
            let mut rows = 0;
            for part in parts {
                data.extend_from_slice(part[output].as_f32()?);
                rows += part[output].shape().first().copied().unwrap_or(0);
            }
            let mut shape = parts[0][output].shape().to_vec();
            if let Some(first) = shape.first_mut() {
                *first = rows;
            }
            Tensor::new(&shape, data)
        })
        .collect()
}
