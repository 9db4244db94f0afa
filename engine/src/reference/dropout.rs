//! Dropout and drop-path: products with masks that are functions of seed, step, sample, node and element.

use candle_core::{Result, Tensor, bail};

use crate::StepKey;
use crate::random::Stream;

/// Each element zeroed with probability `rate`, the rest scaled by `1 / (1 - rate)`; position in a sample's stream: the element.
pub(super) fn dropout(x: &Tensor, rate: f64, node: &str, key: Option<&StepKey>) -> Result<Tensor> {
    match key {
        Some(key) => x * mask(x, rate, node, key, |element| element as u64)?,
        None => Ok(x.clone()),
    }
}

/// Each sample zeroed with probability `rate`, the rest scaled by `1 / (1 - rate)`; a sample's fate is position 0 of its stream.
pub(super) fn drop_path(x: &Tensor, rate: f64, node: &str, key: Option<&StepKey>) -> Result<Tensor> {
    match key {
        Some(key) => x * mask(x, rate, node, key, |_| 0)?,
        None => Ok(x.clone()),
    }
}

fn mask(x: &Tensor, rate: f64, node: &str, key: &StepKey, position: fn(usize) -> u64) -> Result<Tensor> {
    let (count, samples) = (x.elem_count(), key.samples.len());
    // A first axis of batch times heads is as good as one of the batch.
    if samples == 0 || !x.dim(0)?.is_multiple_of(samples) {
        bail!("{:?} does not divide among the {samples} samples of the step's key", x.dims());
    }
    let kept = 1.0 / (1.0 - rate);
    let mut mask = Vec::with_capacity(count);
    for &sample in &key.samples {
        let stream = Stream::new(key.seed, &[key.step.into(), sample.into(), node.into()]);
        mask.extend(
            (0..count / samples)
                .map(|element| if stream.unit_at(position(element)) >= rate { kept } else { 0.0 }),
        );
    }
    Tensor::from_vec(mask, x.dims(), x.device())?.to_dtype(x.dtype())
}
