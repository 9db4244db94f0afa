//! Mixup (Zhang et al., arXiv 1710.09412): samples are blended with others of their batch, and so are their targets.

use tk_engine::random::Stream;
use tk_engine::{Result, Tensor};

/// How the samples of a batch are blended: each with a partner.
#[derive(Clone, Debug, PartialEq)]
pub struct Mix {
    /// The share of the sample itself, in 0–1; the rest is its partner's.
    pub share: f32,
    /// The partner of each sample, by its place in the batch.
    pub partners: Vec<usize>,
}

impl Mix {
    /// A random blend of so many samples: the share follows the Beta distribution of `alpha` and `alpha`.
    pub fn draw(alpha: f64, samples: usize, mut stream: Stream) -> Self {
        let [own, others] = [(); 2].map(|()| log_gamma(alpha, &mut stream));
        let share = (1.0 / (1.0 + (others - own).exp())) as f32;
        let mut partners: Vec<usize> = (0..samples).collect();
        stream.shuffle(&mut partners);
        Self { share, partners }
    }

    /// Rows blended with those of their partners.
    ///
    /// # Errors
    /// When a tensor is not f32 or has another count of rows.
    pub fn rows(&self, tensor: &Tensor) -> Result<Tensor> {
        let values = tensor.as_f32()?;
        let width = values.len() / self.partners.len().max(1);
        let blended = self.partners.iter().enumerate().flat_map(|(row, &partner)| {
            let of = |row: usize| values.iter().skip(row * width).take(width);
            of(row).zip(of(partner)).map(|(&own, &other)| self.share * own + (1.0 - self.share) * other)
        });
        Tensor::new(tensor.shape(), blended.collect())
    }
}

/// The logarithm of a number from the Gamma distribution of this shape (Marsaglia, Tsang 2000): of the shape plus one, and brought down
/// by a power of a uniform number. Small shapes give numbers that only their logarithms can tell from zero.
fn log_gamma(shape: f64, stream: &mut Stream) -> f64 {
    let d = shape + 2.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let normal = stream.normal();
        let cube = (1.0 + c * normal).powi(3);
        let uniform = 1.0 - stream.unit();
        if cube > 0.0 && uniform.ln() < 0.5 * normal * normal + d * (1.0 - cube + cube.ln()) {
            return (d * cube).ln() + (1.0 - stream.unit()).ln() / shape;
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn shares_have_the_moments_of_their_distribution() {
        const COUNT: u64 = 20_000;
        for alpha in [0.05, 0.2, 1.0, 4.0] {
            let share =
                |at: u64| f64::from(Mix::draw(alpha, 2, Stream::new(1, &["mix".into(), at.into()])).share);
            let shares: Vec<f64> = (0..COUNT).map(share).collect();
            let mean = shares.iter().sum::<f64>() / COUNT as f64;
            let variance = shares.iter().map(|share| (share - 0.5).powi(2)).sum::<f64>() / COUNT as f64;
            let expected = 1.0 / (4.0 * (2.0 * alpha + 1.0));
            // Five standard errors of the mean; of the variance at most as many, since it is bounded by a quarter.
            let error = (expected / COUNT as f64).sqrt();
            assert!((mean - 0.5).abs() < 5.0 * error, "{alpha}: {mean}");
            assert!((variance - expected).abs() < 5.0 * 0.25 / (COUNT as f64).sqrt(), "{alpha}: {variance}");
            assert!(shares.iter().all(|share| (0.0..=1.0).contains(share)));
        }
    }

    #[test]
    fn rows_are_blended_with_their_partners() {
        let mix = Mix { share: 0.75, partners: vec![1, 2, 0] };
        let tensor = Tensor::new(&[3, 2], vec![0.0, 4.0, 8.0, 0.0, 0.0, 0.0]).unwrap();
        assert_eq!(mix.rows(&tensor).unwrap().to_f32(), [2.0, 3.0, 6.0, 0.0, 0.0, 1.0]);
        let drawn = |step: u64| Mix::draw(1.0, 9, Stream::new(2, &["mix".into(), step.into()]));
        assert_eq!(drawn(3), drawn(3));
        assert_ne!(drawn(3), drawn(4));
        let mut partners = drawn(3).partners;
        partners.sort_unstable();
        assert_eq!(partners, (0..9).collect::<Vec<_>>());
    }
}
