//! A recording as the report shows it: the spectrogram of its beginning, and its sound.

use tk_audio::data::Clip;
use tk_audio::features::FilterBank;
use tk_image::data::{Picture, thumbnail};

/// So much of a classified recording is shown, in seconds.
pub(crate) const SHOWN: f64 = 4.0;

/// Nothing above half of this rate in Hz is played, so that reports stay small.
const PLAYED_RATE: u32 = 16_000;

/// Rows of a spectrogram.
const BINS: usize = 96;

/// What is so many decibels below the loudest is black.
const RANGE: f32 = 60.0;

/// Columns are repeated to at least so many pixels.
const LEAST_WIDTH: usize = 96;

/// From quiet to loud.
const SHADES: [[f32; 3]; 5] =
    [[4.0, 4.0, 16.0], [78.0, 20.0, 110.0], [190.0, 55.0, 85.0], [245.0, 140.0, 60.0], [252.0, 250.0, 200.0]];

/// The spectrogram as a JPEG: time from left to right, mel filters upwards, louder is brighter. `None` where the sound is shorter than a frame.
pub(crate) fn spectrogram(clip: &Clip) -> Option<Vec<u8>> {
    let clip = clip.at_rate(PLAYED_RATE).ok()?;
    let frames = (clip.values().len() / (PLAYED_RATE as usize / 100)).max(1);
    let settings =
        FilterBank { num_mel_bins: BINS, max_length: frames, do_normalize: false, ..FilterBank::default() };
    let levels = settings.extractor().spectrogram(&clip).ok()?;
    let loudest = levels.iter().copied().fold(f32::MIN, f32::max);
    // Levels are natural logarithms of power.
    let range = RANGE / 10.0 * std::f32::consts::LN_10;
    let repeated = LEAST_WIDTH.div_ceil(frames);
    let rows = levels.chunks_exact(frames).rev();
    let columns = rows.flat_map(|row| row.iter().flat_map(|level| std::iter::repeat_n(level, repeated)));
    let pixels: Vec<u8> = columns.flat_map(|level| shade(1.0 + (level - loudest) / range)).collect();
    let picture = Picture::rgb8((frames * repeated) as u32, BINS as u32, &pixels).ok()?;
    thumbnail(&picture, (frames * repeated).max(BINS) as u32).ok()
}

/// The first seconds of the sound as a WAV file.
pub(crate) fn sound(clip: &Clip, seconds: f64) -> Option<Vec<u8>> {
    let first = (seconds * f64::from(clip.rate())) as usize;
    let beginning = Clip::samples(clip.values().get(..first).unwrap_or(clip.values()), clip.rate()).ok()?;
    beginning.at_rate(clip.rate().min(PLAYED_RATE)).ok()?.to_wav().ok()
}

/// The colour of a level from 0 to 1.
fn shade(level: f32) -> [u8; 3] {
    let place = level.clamp(0.0, 1.0) * (SHADES.len() - 1) as f32;
    let below = (place as usize).min(SHADES.len() - 2);
    let share = place - below as f32;
    std::array::from_fn(|channel| {
        let [low, high] = [SHADES[below][channel], SHADES[below + 1][channel]];
        (low + share * (high - low)).round() as u8
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_tone_is_a_bright_line_at_its_height() {
        for (frequency, rate) in [(500.0_f32, 8_000), (3_000.0, 44_100)] {
            let step = std::f32::consts::TAU * frequency / rate as f32;
            let samples: Vec<f32> = (0..rate).map(|at| 0.5 * (step * at as f32).sin()).collect();
            let clip = Clip::samples(&samples, rate as u32).unwrap();
            let picture = Picture::from_bytes(&spectrogram(&clip).unwrap()).unwrap();
            assert_eq!((picture.width(), picture.height()), (100, BINS as u32));
            let brightness = |row: usize| -> u32 {
                picture.pixels()[row * 300..(row + 1) * 300].iter().map(|&value| u32::from(value)).sum()
            };
            let brightest = (0..BINS).max_by_key(|&row| brightness(row)).unwrap();
            let mel = |hertz: f32| 1127.0 * (1.0 + hertz / 700.0).ln();
            let height = BINS as f32 * (mel(frequency) - mel(20.0)) / (mel(8_000.0) - mel(20.0));
            assert!((BINS as f32 - brightest as f32 - height).abs() < 3.0, "{brightest} {height}");
            let played = sound(&clip, 0.5).unwrap();
            assert_eq!(&played[..4], b"RIFF");
            assert!(played.len() <= 44 + PLAYED_RATE as usize, "{}", played.len());
        }
    }

    #[test]
    fn what_is_shorter_than_a_frame_has_no_picture_and_silence_is_dark() {
        assert_eq!(spectrogram(&Clip::samples(&[0.5; 10], 16_000).unwrap()), None);
        let silence = spectrogram(&Clip::samples(&[0.0; 16_000], 16_000).unwrap());
        assert!(silence.is_some());
        assert_eq!((shade(-1.0), shade(0.0), shade(2.0)), ([4, 4, 16], [4, 4, 16], [252, 250, 200]));
    }
}
