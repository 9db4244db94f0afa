//! Sums and maxima over a row for vector loops: sixteen lanes side by side, folded at the end, so that the compiler may use whole
//! registers though sums of floats have an order.

/// Numbers that are handled side by side.
pub(super) const LANES: usize = 16;

/// The greatest number of a row of whole lanes; NaN is passed over, and of no number it is −∞.
#[inline(always)]
pub(super) fn greatest(row: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for chunk in row.as_chunks::<LANES>().0 {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane = if x > *lane { x } else { *lane };
        }
    }
    let mut greatest = f32::NEG_INFINITY;
    for lane in lanes {
        greatest = if lane > greatest { lane } else { greatest };
    }
    greatest
}

/// `Σ f(a)`.
#[inline(always)]
pub(super) fn sum(a: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0; LANES];
    let (chunks, rest) = a.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, &a) in lanes.iter_mut().zip(chunk) {
            *lane += f(a);
        }
    }
    for (lane, &a) in lanes.iter_mut().zip(rest) {
        *lane += f(a);
    }
    fold(lanes)
}

/// `Σ f(a, b)` over rows of one length.
#[inline(always)]
pub(super) fn sum2(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [0.0; LANES];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (a, b) in a.iter().zip(b) {
        for ((lane, &a), &b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += f(a, b);
        }
    }
    for ((lane, &a), &b) in lanes.iter_mut().zip(a_rest).zip(b_rest) {
        *lane += f(a, b);
    }
    fold(lanes)
}

/// The sum of all lanes, halves added to halves.
#[inline(always)]
fn fold(mut lanes: [f32; LANES]) -> f32 {
    let mut width = LANES / 2;
    while width > 0 {
        let mut lane = 0;
        while lane < width {
            lanes[lane] += lanes[lane + width];
            lane += 1;
        }
        width /= 2;
    }
    lanes[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_counts_once() {
        for length in [0, 1, 15, 16, 17, 40] {
            let row: Vec<f32> = (1..=length).map(|number| number as f32).collect();
            let total = (length * (length + 1) / 2) as f32;
            assert_eq!(sum(&row, |x| x), total);
            assert_eq!(sum2(&row, &row, |a, b| a + b), 2.0 * total);
        }
        assert_eq!(greatest(&[-3.0; 32]), -3.0);
        assert_eq!(greatest(&[]), f32::NEG_INFINITY);
    }
}
