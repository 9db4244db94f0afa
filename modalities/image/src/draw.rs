//! Pictures with what was found drawn over them: boxes with their class, and classes of pixels as colours.

use font8x8::{BASIC_FONTS, LATIN_FONTS, UnicodeFonts};

use crate::data::Picture;
use crate::detection::Corners;

/// A box to be drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// Where, in pixels of the picture.
    pub corners: Corners,
    /// Its class, which decides its colour.
    pub class: usize,
    /// What is written at it; nothing where it is empty.
    pub text: String,
    /// Whether the line is broken, as of what is there beside what was found.
    pub is_dashed: bool,
}

/// Letters are so many pixels high and wide.
const LETTER: i64 = 8;

/// Pixels of a broken line that are drawn, and as many that are not.
const DASH: i64 = 6;

/// How much of a pixel's colour comes from its class, in 256ths.
const TINT: u32 = 128;

/// The colour of a class: hues far apart for classes that follow each other.
pub fn colour(class: usize) -> [u8; 3] {
    // Steps of the golden ratio around the circle of hues.
    let hue = (0.02 + class as f64 * 0.618_033_988_75).fract() * 6.0;
    let part = |rank: f64| {
        let distance = (hue + rank) % 6.0;
        let chroma = 0.85 * distance.min(4.0 - distance).clamp(0.0, 1.0);
        ((0.95 - chroma) * 255.0) as u8
    };
    [part(5.0), part(3.0), part(1.0)]
}

/// A picture with boxes; lines are as thick as suits its size.
pub fn with_boxes(picture: &Picture, marks: &[Mark]) -> Picture {
    let (width, height) = (i64::from(picture.width()), i64::from(picture.height()));
    let thick = (width.min(height) / 200).clamp(1, 8);
    let mut canvas = Canvas { pixels: picture.pixels().to_vec(), width, height };
    for mark in marks {
        let [left, top, right, bottom] = mark.corners.0.map(|at| at.round() as i64);
        let colour = colour(mark.class);
        let seen = |along: i64| !mark.is_dashed || (along / (DASH * thick)) % 2 == 0;
        for inset in 0..thick {
            for x in (left..right).filter(|x| seen(x - left)) {
                canvas.set(x, top + inset, colour);
                canvas.set(x, bottom - 1 - inset, colour);
            }
            for y in (top..bottom).filter(|y| seen(y - top)) {
                canvas.set(left + inset, y, colour);
                canvas.set(right - 1 - inset, y, colour);
            }
        }
        canvas.write(&mark.text, [left, top], thick, colour);
    }
    canvas.into_picture(picture)
}

/// A picture whose pixels are tinted by their classes, row by row; class 0 is left as it is.
///
/// # Panics
/// When there are not as many classes as pixels.
pub fn with_classes(picture: &Picture, classes: &[u8]) -> Picture {
    let pixels = picture.pixels();
    assert_eq!(3 * classes.len(), pixels.len(), "a class for each pixel");
    let tinted = pixels.chunks_exact(3).zip(classes).flat_map(|(pixel, &class)| {
        let own = [pixel[0], pixel[1], pixel[2]];
        match class {
            0 | u8::MAX => own,
            class => {
                let tint = colour(usize::from(class));
                [0, 1, 2]
                    .map(|at| ((u32::from(own[at]) * (256 - TINT) + u32::from(tint[at]) * TINT) / 256) as u8)
            }
        }
    });
    Canvas { pixels: tinted.collect(), width: 0, height: 0 }.into_picture(picture)
}

struct Canvas {
    pixels: Vec<u8>,
    width: i64,
    height: i64,
}

impl Canvas {
    fn set(&mut self, x: i64, y: i64, colour: [u8; 3]) {
        if (0..self.width).contains(&x) && (0..self.height).contains(&y) {
            let at = 3 * (y * self.width + x) as usize;
            self.pixels[at..at + 3].copy_from_slice(&colour);
        }
    }

    /// Writes above a corner, or below it where there is no room, in black on a colour. Letters that the font lacks are question marks.
    fn write(&mut self, text: &str, [left, top]: [i64; 2], scale: i64, colour: [u8; 3]) {
        let top = if top >= LETTER * scale { top - LETTER * scale } else { top };
        for (letter, at) in text.chars().zip(0..) {
            let glyph =
                BASIC_FONTS.get(letter).or_else(|| LATIN_FONTS.get(letter)).or_else(|| BASIC_FONTS.get('?'));
            let x = left + at * LETTER * scale;
            for (row, bits) in glyph.unwrap_or_default().into_iter().enumerate() {
                for column in 0..LETTER {
                    let is_ink = bits >> column & 1 == 1;
                    let painted = if is_ink { [0; 3] } else { colour };
                    for (dx, dy) in (0..scale).flat_map(|dx| (0..scale).map(move |dy| (dx, dy))) {
                        self.set(x + column * scale + dx, top + row as i64 * scale + dy, painted);
                    }
                }
            }
        }
    }

    fn into_picture(self, like: &Picture) -> Picture {
        // As large as the picture that it was drawn on, so it is one.
        Picture::rgb8(like.width(), like.height(), &self.pixels).unwrap_or_else(|_| like.clone())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn grey(width: u32, height: u32) -> Picture {
        Picture::rgb8(width, height, &vec![90; (3 * width * height) as usize]).unwrap()
    }

    #[test]
    fn boxes_are_lines_around_what_they_hold() {
        let mark = Mark {
            corners: Corners([10.0, 12.0, 30.0, 40.0]),
            class: 1,
            text: String::new(),
            is_dashed: false,
        };
        let drawn = with_boxes(&grey(60, 50), std::slice::from_ref(&mark));
        let at = |picture: &Picture, x: usize, y: usize| picture.pixels()[3 * (y * 60 + x)..][..3].to_vec();
        for (x, y) in [(10, 12), (29, 39), (20, 12), (10, 30)] {
            assert_eq!(at(&drawn, x, y), colour(1), "{x} {y}");
        }
        for (x, y) in [(9, 12), (30, 39), (20, 20)] {
            assert_eq!(at(&drawn, x, y), [90; 3], "{x} {y}");
        }
        let dashed = with_boxes(&grey(60, 50), &[Mark { is_dashed: true, ..mark.clone() }]);
        let painted =
            |picture: &Picture| picture.pixels().chunks(3).filter(|pixel| *pixel == colour(1)).count();
        assert!(painted(&dashed) < painted(&drawn) && painted(&dashed) > 20);
        let outside = Mark { corners: Corners([-50.0, -9.0, 900.0, 45.0]), text: "é☃".into(), ..mark };
        with_boxes(&grey(60, 50), &[outside]);
    }

    #[test]
    fn pixels_are_tinted_by_class() {
        let picture = with_classes(&grey(2, 2), &[0, 3, 255, 1]);
        assert_eq!(picture.pixels()[..3], [90; 3]);
        assert_eq!(picture.pixels()[6..9], [90; 3]);
        let tint = colour(3);
        assert_eq!(picture.pixels()[3], ((90 + u32::from(tint[0])) / 2) as u8);
    }

    #[test]
    fn neighbouring_classes_have_colours_far_apart() {
        for class in 0..20 {
            let [a, b] = [colour(class), colour(class + 1)];
            let apart: u32 = a.iter().zip(b).map(|(a, b)| u32::from(a.abs_diff(b))).sum();
            assert!(apart > 100, "{class}: {a:?} {b:?}");
        }
    }
}
