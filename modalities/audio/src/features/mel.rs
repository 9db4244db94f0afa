//! Triangular filters on the mel scale, kept where they are not zero.

use std::ops::Range;

/// Filters over the bins of a power spectrum.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct MelFilters {
    filters: Vec<(Range<usize>, Vec<f64>)>,
}

/// Kaldi's mel scale.
fn mel(hertz: f64) -> f64 {
    1127.0 * (1.0 + hertz / 700.0).ln()
}

impl MelFilters {
    /// Kaldi's filters: `count` triangles whose corners are evenly spaced in mel between two frequencies, and whose sides are straight in
    /// mel, over the `fft_length / 2 + 1` bins of a spectrum. transformers' `mel_filter_bank` with `mel_scale="kaldi"` and
    /// `triangularize_in_mel_space=True`.
    pub fn kaldi(count: usize, fft_length: usize, rate: u32, [lowest, highest]: [f64; 2]) -> Self {
        let bin = f64::from(rate) / fft_length as f64;
        let step = (mel(highest) - mel(lowest)) / (count + 1) as f64;
        let corner = |index: usize| mel(lowest) + step * index as f64;
        let filter = |index: usize| {
            let weight = |at: usize| {
                let place = mel(bin * at as f64);
                let (up, down) = ((place - corner(index)) / step, (corner(index + 2) - place) / step);
                up.min(down).max(0.0)
            };
            let bins = 0..fft_length / 2 + 1;
            let is_inside = |at: &usize| weight(*at) > 0.0;
            let range = match (bins.clone().find(is_inside), bins.rev().find(is_inside)) {
                (Some(first), Some(last)) => first..last + 1,
                _ => 0..0,
            };
            (range.clone(), range.map(weight).collect())
        };
        Self { filters: (0..count).map(filter).collect() }
    }

    /// What each filter lets through of a spectrum.
    pub fn apply<'a>(&'a self, spectrum: &'a [f64]) -> impl Iterator<Item = f64> + 'a {
        self.filters.iter().map(|(range, weights)| {
            let bins = spectrum.get(range.clone()).unwrap_or_default();
            bins.iter().zip(weights).map(|(power, weight)| power * weight).sum()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_share_what_lies_between_their_peaks() {
        let filters = MelFilters::kaldi(20, 512, 16_000, [20.0, 8000.0]);
        for bin in 30..200 {
            let mut spectrum = vec![0.0; 257];
            spectrum[bin] = 1.0;
            let through: Vec<f64> = filters.apply(&spectrum).collect();
            assert!((through.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{bin}");
            assert!(through.iter().filter(|share| **share > 0.0).count() <= 2, "{bin}");
        }
    }

    #[test]
    fn a_filter_between_two_bins_lets_nothing_through() {
        // With 128 filters over 257 bins the first few have no bin.
        let filters = MelFilters::kaldi(128, 512, 16_000, [20.0, 8000.0]);
        let through: Vec<f64> = filters.apply(&[1.0; 257]).collect();
        assert_eq!(through.len(), 128);
        assert!(through.contains(&0.0) && through.iter().any(|share| *share > 0.0));
    }
}
