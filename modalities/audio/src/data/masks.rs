//! Bands of a spectrogram that training does not see (SpecAugment, Park et al. 2019, arXiv 1904.08779).

use tk_engine::random::Stream;

/// How wide masked bands may be, and how far a sound may be moved in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Masks {
    /// The widest band of frequencies, in bins.
    pub bins: usize,
    /// The widest band of time, in frames.
    pub frames: usize,
    /// The largest shift in time, in frames; what leaves on one side enters on the other.
    pub shift: usize,
}

impl Masks {
    /// The share of masks for 128 bins and 1,024 frames that fits other sizes. Of waveforms, which have one bin, none is moved.
    pub fn scaled(&self, bins: usize, frames: usize) -> Self {
        let shift = if bins > 1 { self.shift * frames / 1024 } else { 0 };
        Self { bins: self.bins * bins / 128, frames: self.frames * frames / 1024, shift }
    }

    /// Moves a spectrogram, `[bins, frames]`, and fills a band of each kind with its mean.
    pub fn apply(&self, spectrogram: &mut [f32], frames: usize, stream: &mut Stream) {
        if frames == 0 || spectrogram.is_empty() {
            return;
        }
        let bins = spectrogram.len() / frames;
        if self.shift > 0 {
            let shift = stream.below(2 * self.shift.min(frames) + 1) % frames;
            spectrogram.chunks_exact_mut(frames).for_each(|row| row.rotate_left(shift));
        }
        let mean = (spectrogram.iter().map(|&value| f64::from(value)).sum::<f64>() / spectrogram.len() as f64)
            as f32;
        let mut band = |widest: usize, size: usize| {
            let width = stream.below(widest.min(size) + 1);
            let start = stream.below(size - width + 1);
            start..start + width
        };
        let (masked_bins, masked_frames) = (band(self.bins, bins), band(self.frames, frames));
        for (bin, row) in spectrogram.chunks_exact_mut(frames).enumerate() {
            match masked_bins.contains(&bin) {
                true => row.fill(mean),
                false => row[masked_frames.clone()].fill(mean),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_are_masked_no_wider_than_said_and_the_same_for_a_seed() {
        let masks = Masks { bins: 3, frames: 5, shift: 0 };
        let plain: Vec<f32> = (0..10 * 20).map(|index| index as f32).collect();
        let mut seen = [0usize; 2];
        for seed in 0..40 {
            let view = |seed: u64| {
                let mut spectrogram = plain.clone();
                masks.apply(&mut spectrogram, 20, &mut Stream::new(seed, &["masks".into()]));
                spectrogram
            };
            let found = view(seed);
            assert_eq!(found, view(seed));
            let mean = 99.5;
            let whole = found.chunks(20).filter(|row| row.iter().all(|value| *value == mean)).count();
            let columns = (0..20).filter(|&frame| (0..10).all(|bin| found[bin * 20 + frame] == mean)).count();
            assert!(whole <= 3 && columns <= 5, "{whole} {columns}");
            seen = [seen[0].max(whole), seen[1].max(columns)];
            let changed = found.iter().zip(&plain).filter(|(a, b)| a != b).count();
            assert!(changed <= 3 * 20 + 5 * 10, "{changed}");
        }
        assert_eq!(seen, [3, 5], "the widest come up");
    }

    #[test]
    fn nothing_changes_without_masks_and_a_shift_loses_nothing() {
        let plain: Vec<f32> = (0..30).map(|index| index as f32).collect();
        let mut spectrogram = plain.clone();
        Masks::default().apply(&mut spectrogram, 10, &mut Stream::new(1, &["masks".into()]));
        assert_eq!(spectrogram, plain);
        let masks = Masks { shift: 4, ..Masks::default() };
        masks.apply(&mut spectrogram, 10, &mut Stream::new(3, &["masks".into()]));
        let mut sorted = spectrogram.clone();
        sorted.sort_by(f32::total_cmp);
        assert_eq!(sorted, plain);
    }
}
