//! Random changes of brightness, contrast, saturation and hue, as torchvision's `ColorJitter` defines them on float images.

use serde::{Deserialize, Serialize};
use tk_engine::random::Stream;

/// How far colours are changed. Zero leaves a property alone.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Jitter {
    /// The picture is blended with black by a factor of 1 ± this.
    pub brightness: f32,
    /// The picture is blended with its mean grey by a factor of 1 ± this.
    pub contrast: f32,
    /// The picture is blended with its own grey version by a factor of 1 ± this.
    pub saturation: f32,
    /// Hues are turned by ± this part of the colour circle, at most 0.5.
    pub hue: f32,
}

impl Jitter {
    /// Changes pixels (`[…, 3]`, f32 in 0–1) in place, the four properties in random order. Always takes the same number of values
    /// from the stream.
    pub fn apply(&self, pixels: &mut [f32], stream: &mut Stream) {
        let mut order = [0, 1, 2, 3];
        stream.shuffle(&mut order);
        let mut factor = |strength: f32| {
            let strength = f64::from(strength);
            stream.range((1.0 - strength).max(0.0), 1.0 + strength) as f32
        };
        let [brightness, contrast, saturation] =
            [self.brightness, self.contrast, self.saturation].map(&mut factor);
        let hue = stream.range(-f64::from(self.hue), f64::from(self.hue)) as f32;
        for property in order {
            match property {
                0 if self.brightness > 0.0 => scale(pixels, brightness, 0.0),
                1 if self.contrast > 0.0 => scale(pixels, contrast, (1.0 - contrast) * mean_grey(pixels)),
                2 if self.saturation > 0.0 => saturate(pixels, saturation),
                3 if self.hue > 0.0 => turn_hue(pixels, hue),
                _ => {}
            }
        }
    }
}

/// The grey of a colour by the weights of ITU-R BT.601, as torchvision rounds them.
fn grey(red: f32, green: f32, blue: f32) -> f32 {
    0.2989 * red + 0.587 * green + 0.114 * blue
}

/// Every pixel replaced by its grey.
pub(crate) fn to_grey(pixels: &mut [f32]) {
    for pixel in pixels.chunks_exact_mut(3) {
        pixel.fill(grey(pixel[0], pixel[1], pixel[2]));
    }
}

fn mean_grey(pixels: &[f32]) -> f32 {
    let sum: f64 = pixels.chunks_exact(3).map(|pixel| f64::from(grey(pixel[0], pixel[1], pixel[2]))).sum();
    (sum / (pixels.len() / 3).max(1) as f64) as f32
}

fn scale(pixels: &mut [f32], factor: f32, offset: f32) {
    for value in pixels {
        *value = (*value * factor + offset).clamp(0.0, 1.0);
    }
}

fn saturate(pixels: &mut [f32], factor: f32) {
    for pixel in pixels.chunks_exact_mut(3) {
        let grey = (1.0 - factor) * grey(pixel[0], pixel[1], pixel[2]);
        for value in pixel {
            *value = (*value * factor + grey).clamp(0.0, 1.0);
        }
    }
}

/// Turns hues by a part of the colour circle, through hue, saturation and value.
fn turn_hue(pixels: &mut [f32], turn: f32) {
    for pixel in pixels.chunks_exact_mut(3) {
        let [red, green, blue] = [pixel[0], pixel[1], pixel[2]];
        let value = red.max(green).max(blue);
        let chroma = value - red.min(green).min(blue);
        if chroma == 0.0 {
            continue;
        }
        // The hue in sixths of the circle: which channel is largest, and how the other two compare.
        let hue = if value == red {
            (green - blue) / chroma
        } else if value == green {
            2.0 + (blue - red) / chroma
        } else {
            4.0 + (red - green) / chroma
        };
        let hue = (hue + 6.0 * turn).rem_euclid(6.0);
        for (channel, rank) in pixel.iter_mut().zip([5.0, 3.0, 1.0]) {
            let distance = (hue + rank) % 6.0;
            *channel = value - chroma * distance.min(4.0 - distance).clamp(0.0, 1.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: &[f32], expected: &[f32]) -> bool {
        found.len() == expected.len() && found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 2e-6)
    }

    /// torchvision 0.29 `adjust_*` on a float tensor of the two pixels below, in the order of the cases.
    const EXPECTED: [[f32; 6]; 6] = [
        [0.3, 0.75, 1.0, 1.0, 0.9, 0.15],
        [0.36465, 0.51465, 0.71465, 0.66465, 0.5646501, 0.31465],
        [0.09764799, 0.517648, 1.0, 0.878912, 0.598912, 0.0],
        [0.3199994, 0.2, 0.9, 0.58, 0.8, 0.1],
        [0.7800006, 0.9, 0.2, 0.3200004, 0.1, 0.8],
        [0.45588, 0.45588, 0.45588, 0.60272, 0.60272, 0.60272],
    ];

    #[test]
    fn each_change_is_torchvisions() {
        let pixels = [0.2f32, 0.5, 0.9, 0.8, 0.6, 0.1];
        type Case = (&'static str, fn(&mut [f32]), [f32; 6]);
        let cases: [Case; 6] = [
            ("brightness 1.5", |p| scale(p, 1.5, 0.0), EXPECTED[0]),
            ("contrast 0.5", |p| scale(p, 0.5, 0.5 * mean_grey(p)), EXPECTED[1]),
            ("saturation 1.4", |p| saturate(p, 1.4), EXPECTED[2]),
            ("hue 0.1", |p| turn_hue(p, 0.1), EXPECTED[3]),
            ("hue -0.4", |p| turn_hue(p, -0.4), EXPECTED[4]),
            ("grey", to_grey, EXPECTED[5]),
        ];
        for (name, change, expected) in cases {
            let mut changed = pixels;
            change(&mut changed);
            assert!(close(&changed, &expected), "{name}: {changed:?}, expected {expected:?}");
        }
    }

    #[test]
    fn nothing_to_change_changes_nothing_and_randomness_is_the_streams() {
        let original: Vec<f32> = (0..60).map(|index| index as f32 / 60.0).collect();
        let run = |jitter: Jitter, seed: u64| {
            let mut pixels = original.clone();
            let mut stream = Stream::new(seed, &["jitter".into()]);
            jitter.apply(&mut pixels, &mut stream);
            (pixels, stream)
        };
        let none = Jitter { brightness: 0.0, contrast: 0.0, saturation: 0.0, hue: 0.0 };
        let all = Jitter { brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1 };
        assert_eq!(run(none, 1).0, original);
        assert_eq!(run(all, 1), run(all, 1));
        assert_ne!(run(all, 1).0, run(all, 2).0);
        assert_eq!(run(all, 1).1, run(none, 1).1);
        assert!(run(all, 3).0.iter().all(|value| (0.0..=1.0).contains(value)));
    }
}
