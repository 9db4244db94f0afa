//! What tells attention how far apart tokens are: turned queries and keys, numbers by distance.

use candle_core::{D, Result, Tensor, bail};

use crate::graph::Rotary;

/// `x`, `[batch, length, width]`, each head turned by its positions' angles.
pub(super) fn rotary(x: &Tensor, rotary: Rotary) -> Result<Tensor> {
    let (batch, length, width) = x.dims3()?;
    let half = width / rotary.heads / 2;
    let table = |curve: fn(f64) -> f64| {
        let values: Vec<f64> = rotary.angles(length, half).map(curve).collect();
        Tensor::from_vec(values, (length, 1, half), x.device())?.to_dtype(x.dtype())
    };
    let (cosine, sine) = (table(f64::cos)?, table(f64::sin)?);
    let heads = x.reshape((batch, length, rotary.heads, 2 * half))?;
    let (first, second) = (heads.narrow(3, 0, half)?, heads.narrow(3, half, half)?);
    let turned = [
        (first.broadcast_mul(&cosine)? - second.broadcast_mul(&sine)?)?,
        (second.broadcast_mul(&cosine)? + first.broadcast_mul(&sine)?)?,
    ];
    Tensor::cat(&turned, 3)?.reshape((batch, length, width))
}

/// `x`, `[…, length, columns]`, to `[…, length, length]`: of each row the columns of the distances from it.
pub(super) fn by_distance(x: &Tensor, columns: &[usize]) -> Result<Tensor> {
    let length = x.dim(D::Minus2)?;
    let reach = (columns.len() / 2) as i64;
    let mut picks = Vec::with_capacity(length * length);
    for row in 0..length as i64 {
        for other in 0..length as i64 {
            let place = (other - row).clamp(-reach, reach) + reach;
            let Some(&column) = columns.get(place as usize) else { bail!("no columns of distances") };
            picks.push(column as u32);
        }
    }
    let mut shape = x.dims().to_vec();
    if let Some(last) = shape.last_mut() {
        *last = length;
    }
    let picks = Tensor::from_vec(picks, (length, length), x.device())?.broadcast_as(shape)?.contiguous()?;
    x.contiguous()?.gather(&picks, D::Minus1)
}
