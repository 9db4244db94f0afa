//! The size that a picture is brought to.

use serde::{Deserialize, Serialize};

use crate::data::{Interpolation, Size};

/// How large a picture becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "kind", deny_unknown_fields)]
pub enum Framing {
    /// Of this height and width, whatever its own are.
    Exact {
        /// Height in pixels.
        height: u32,
        /// Width in pixels.
        width: u32,
    },
    /// Its shorter side is brought to a length, unless its longer side would exceed another; then both are padded to a multiple, with
    /// the mean colour below and to the right.
    Shorter {
        /// The shorter side in pixels.
        least: u32,
        /// The most that the longer one may have.
        most: u32,
        /// What the padded sides are multiples of.
        multiple: u32,
    },
}

/// A picture's size on its way into a network, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Frame {
    /// Height and width of the picture itself.
    pub size: [usize; 2],
    /// Height and width with padding.
    pub padded: [usize; 2],
}

/// How pictures become a network's input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Their size.
    pub framing: Framing,
    /// How pixels between pixels are estimated.
    pub interpolation: Interpolation,
    /// Whether pictures are made smaller without weighing all pixels, as torchvision's detectors do; bilinear whatever is said above.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_aliased: bool,
    /// Subtracted from red, green and blue, which lie in 0–1.
    pub mean: [f32; 3],
    /// Divides red, green and blue after the subtraction.
    pub std: [f32; 3],
}

/// Sides in pixels that a frame may have.
const SIDES: std::ops::RangeInclusive<u32> = 16..=8192;

impl Framing {
    /// The shorter side of this length, the longer one at most five thirds of it, as torchvision's detectors have it (800 and 1333), padded to
    /// multiples of 32.
    pub fn shorter(side: u32) -> Self {
        Self::Shorter { least: side, most: (f64::from(side) * 5.0 / 3.0) as u32, multiple: 32 }
    }

    /// The frame of a picture of this width and height in pixels.
    pub fn frame(&self, width: u32, height: u32) -> Frame {
        match *self {
            Self::Exact { height, width } => {
                let size = [height as usize, width as usize];
                Frame { size, padded: size }
            }
            Self::Shorter { least, most, multiple } => {
                let (short, long) =
                    (f64::from(width.min(height).max(1)), f64::from(width.max(height).max(1)));
                let scale = (f64::from(least) / short).min(f64::from(most) / long);
                // Cut to whole pixels, as torchvision does.
                let size = [height, width].map(|side| ((f64::from(side) * scale).floor() as usize).max(1));
                let multiple = multiple.max(1) as usize;
                Frame { size, padded: size.map(|side| side.next_multiple_of(multiple)) }
            }
        }
    }

    /// What is wrong with it, if anything.
    pub fn problem(&self) -> Option<String> {
        let sides: &[u32] = match self {
            Self::Exact { height, width } => &[*height, *width],
            Self::Shorter { least, most, .. } => &[*least, *most],
        };
        let outside = sides.iter().find(|side| !SIDES.contains(side));
        outside.map(|side| format!("a side of {side} pixels; expected {} to {}", SIDES.start(), SIDES.end()))
    }
}

impl Frame {
    /// The size as the resizing functions take it.
    pub fn as_size(&self) -> Size {
        Size { width: self.size[1] as u32, height: self.size[0] as u32 }
    }
}

impl Input {
    /// Bytes to normalised numbers, `[…, 3]`.
    pub fn normalise(&self, bytes: &[u8], into: &mut [f32]) {
        for (out, pixel) in into.chunks_exact_mut(3).zip(bytes.chunks_exact(3)) {
            for channel in 0..3 {
                out[channel] = (f32::from(pixel[channel]) / 255.0 - self.mean[channel]) / self.std[channel];
            }
        }
    }

    /// What distinguishes this input from every other, for cache keys.
    pub fn fingerprint(&self) -> String {
        format!(
            "frame1 {:?} {:?} {} {:?} {:?}",
            self.framing, self.interpolation, self.is_aliased, self.mean, self.std
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_torchvisions() {
        // GeneralizedRCNNTransform(min_size, max_size) of torchvision on a tensor of height and width, and the batch of it alone.
        for (least, most, [height, width], size, padded) in [
            (800, 1333, [480, 640], [800, 1066], [800, 1088]),
            (800, 1333, [300, 1000], [399, 1333], [416, 1344]),
            (320, 533, [536, 559], [320, 333], [320, 352]),
            (320, 533, [640, 427], [479, 320], [480, 320]),
        ] {
            let framing = Framing::Shorter { least, most, multiple: 32 };
            assert_eq!(framing.frame(width, height), Frame { size, padded });
        }
        assert_eq!(Framing::shorter(320), Framing::Shorter { least: 320, most: 533, multiple: 32 });
        assert_eq!(
            Framing::Exact { height: 300, width: 200 }.frame(9, 9),
            Frame { size: [300, 200], padded: [300, 200] }
        );
    }

    #[test]
    fn odd_sides_are_refused() {
        assert!(Framing::shorter(320).problem().is_none());
        for framing in [Framing::shorter(8), Framing::Exact { height: 100, width: 100_000 }] {
            assert!(framing.problem().is_some_and(|problem| problem.contains("expected 16 to 8192")));
        }
    }
}
