//! The class of every pixel.

use image::{DynamicImage, GrayImage};

use super::MaskError;
use crate::data::{DecodeError, Orientation};

/// What stands in a [`ClassMap`] where no class is said: such pixels are neither learned from nor scored.
pub const IGNORED: u8 = tk_transfer::metrics::pixels::IGNORED;

/// The class of every pixel of a picture, at least one pixel wide and high.
#[derive(Clone, PartialEq, Eq)]
pub struct ClassMap {
    width: u32,
    height: u32,
    classes: Vec<u8>,
}

impl ClassMap {
    /// A map of its rows, `[height, width]`; [`IGNORED`] where it is not said.
    ///
    /// # Errors
    /// A side is 0, or there are not so many pixels.
    pub fn new(width: u32, height: u32, classes: Vec<u8>) -> Result<Self, MaskError> {
        match u64::from(width) * u64::from(height) {
            0 => Err(DecodeError::NoPixels { width, height }.into()),
            expected if expected != classes.len() as u64 => {
                Err(MaskError::Pixels { width, height, found: classes.len() })
            }
            _ => Ok(Self { width, height, classes }),
        }
    }

    /// The width in pixels, at least 1.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// The height in pixels, at least 1.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The classes row by row: `[height, width]`, u8, [`IGNORED`] where none is said.
    pub fn classes(&self) -> &[u8] {
        &self.classes
    }

    /// The classes, moved out: `[height, width]`, u8.
    pub fn into_classes(self) -> Vec<u8> {
        self.classes
    }

    /// How many pixels have each value: of each class, and of [`IGNORED`] at its place.
    pub fn counts(&self) -> [u64; 256] {
        let mut counts = [0; 256];
        self.classes.iter().for_each(|&class| counts[usize::from(class)] += 1);
        counts
    }

    /// The map turned as its photograph is when that is brought upright.
    #[must_use]
    pub(super) fn turned(self, orientation: Orientation) -> Self {
        if orientation == Orientation::NoTransforms {
            return self;
        }
        match GrayImage::from_raw(self.width, self.height, self.classes) {
            Some(map) => {
                let mut map = DynamicImage::from(map);
                map.apply_orientation(orientation);
                Self { width: map.width(), height: map.height(), classes: map.into_bytes() }
            }
            // Sides and pixels fit: `new` saw to it.
            None => unreachable!("a map of other sides"),
        }
    }
}

impl std::fmt::Debug for ClassMap {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "ClassMap({}×{})", self.width, self.height)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_map_has_a_class_for_each_pixel() {
        let map = ClassMap::new(3, 2, vec![0, 1, 1, 2, IGNORED, 1]).unwrap();
        assert_eq!((map.width(), map.height(), format!("{map:?}")), (3, 2, "ClassMap(3×2)".to_owned()));
        let counts = map.counts();
        assert_eq!((counts[0], counts[1], counts[2], counts[3], counts[255]), (1, 3, 1, 0, 1));
        assert_eq!(map.clone().into_classes(), map.classes());
        for (width, height, classes, expected) in [
            (3, 2, 5, "a map of 3×2 pixels has 6 classes, found 5"),
            (3, 2, 7, "a map of 3×2 pixels has 6 classes, found 7"),
            (0, 2, 0, "a picture of 0×2 pixels has no pixels; both sides must be at least 1"),
        ] {
            let error = ClassMap::new(width, height, vec![0; classes]).unwrap_err().to_string();
            assert_eq!(error, expected);
        }
    }

    #[test]
    fn maps_turn_as_pictures_do() {
        // 1 2 3
        // 4 5 6
        for (exif, width, expected) in [
            (1, 3, [1, 2, 3, 4, 5, 6]),
            (2, 3, [3, 2, 1, 6, 5, 4]),
            (3, 3, [6, 5, 4, 3, 2, 1]),
            (4, 3, [4, 5, 6, 1, 2, 3]),
            (5, 2, [1, 4, 2, 5, 3, 6]),
            (6, 2, [4, 1, 5, 2, 6, 3]),
            (7, 2, [6, 3, 5, 2, 4, 1]),
            (8, 2, [3, 6, 2, 5, 1, 4]),
        ] {
            let map = ClassMap::new(3, 2, (1..=6).collect()).unwrap();
            let turned = map.turned(Orientation::from_exif(exif).unwrap());
            assert_eq!((turned.width(), turned.height()), (width, 6 / width), "orientation {exif}");
            assert_eq!(turned.classes(), expected, "orientation {exif}");
        }
    }
}
