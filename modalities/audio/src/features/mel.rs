//! Triangular filters on a mel scale, kept where they are not zero.

use std::ops::Range;

/// A formula from hertz to mels, and the filters that are made with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scale {
    /// Kaldi's: triangles whose sides are straight in mel and whose peaks are 1. transformers' `mel_filter_bank` with
    /// `mel_scale="kaldi"` and `triangularize_in_mel_space=True`.
    Kaldi,
    /// Slaney's: linear up to 1 kHz and logarithmic above; triangles whose sides are straight in hertz and whose areas are equal.
    /// transformers' `mel_filter_bank` with `mel_scale="slaney"` and `norm="slaney"`.
    Slaney,
}

/// Filters over the bins of a power spectrum.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct MelFilters {
    filters: Vec<(Range<usize>, Vec<f64>)>,
}

/// Where Slaney's scale bends, in hertz and in mels, and by how much the logarithm of a frequency grows with each mel above.
const BEND_HERTZ: f64 = 1000.0;
const BEND_MELS: f64 = 15.0;

fn slaney_step() -> f64 {
    6.4f64.ln() / 27.0
}

impl Scale {
    fn mel(self, hertz: f64) -> f64 {
        match self {
            Self::Kaldi => 1127.0 * (1.0 + hertz / 700.0).ln(),
            Self::Slaney if hertz < BEND_HERTZ => hertz * BEND_MELS / BEND_HERTZ,
            Self::Slaney => BEND_MELS + (hertz / BEND_HERTZ).ln() / slaney_step(),
        }
    }

    /// Where a mel lies on the axis along which the sides of triangles are straight.
    fn along(self, mel: f64) -> f64 {
        match self {
            Self::Kaldi => mel,
            Self::Slaney if mel < BEND_MELS => mel * BEND_HERTZ / BEND_MELS,
            Self::Slaney => BEND_HERTZ * ((mel - BEND_MELS) * slaney_step()).exp(),
        }
    }
}

impl MelFilters {
    /// `count` triangles whose corners are evenly spaced in mel between two frequencies, over the `fft_length / 2 + 1` bins of a spectrum.
    pub fn new(
        scale: Scale,
        count: usize,
        fft_length: usize,
        rate: u32,
        [lowest, highest]: [f64; 2],
    ) -> Self {
        let bin = f64::from(rate) / fft_length as f64;
        let step = (scale.mel(highest) - scale.mel(lowest)) / (count + 1) as f64;
        let corner = |index: usize| scale.along(scale.mel(lowest) + step * index as f64);
        let place = |at: usize| match scale {
            Scale::Kaldi => scale.mel(bin * at as f64),
            Scale::Slaney => bin * at as f64,
        };
        let filter = |index: usize| {
            let [left, middle, right] = [corner(index), corner(index + 1), corner(index + 2)];
            let height = if scale == Scale::Slaney { 2.0 / (right - left) } else { 1.0 };
            let weight = |at: usize| {
                let (up, down) =
                    ((place(at) - left) / (middle - left), (right - place(at)) / (right - middle));
                height * up.min(down).max(0.0)
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
        let filters = MelFilters::new(Scale::Kaldi, 20, 512, 16_000, [20.0, 8000.0]);
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
        let filters = MelFilters::new(Scale::Kaldi, 128, 512, 16_000, [20.0, 8000.0]);
        let through: Vec<f64> = filters.apply(&[1.0; 257]).collect();
        assert_eq!(through.len(), 128);
        assert!(through.contains(&0.0) && through.iter().any(|share| *share > 0.0));
    }

    #[test]
    fn slaneys_filters_have_equal_areas() {
        // A triangle of area 1 over bins of 4 Hz sums to a quarter, but for narrow ones that few bins meet.
        let filters = MelFilters::new(Scale::Slaney, 40, 4000, 16_000, [0.0, 8000.0]);
        let through: Vec<f64> = filters.apply(&[1.0; 2001]).collect();
        assert!(through.iter().all(|energy| (energy - 0.25).abs() < 0.01), "{through:?}");
    }

    #[test]
    fn slaneys_scale_goes_there_and_back_over_its_bend() {
        for hertz in [0.0, 20.0, 999.0, 1000.0, 1001.0, 7999.0] {
            assert!((Scale::Slaney.along(Scale::Slaney.mel(hertz)) - hertz).abs() < 1e-9, "{hertz}");
        }
    }
}
