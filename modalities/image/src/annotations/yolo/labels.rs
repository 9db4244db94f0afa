//! The lines of one picture: `class x y width height`, or `class x1 y1 x2 y2 x3 y3 …`, all of them shares of the upright picture.

use crate::annotations::listing::{Marked, Place};

/// Coordinates beyond this are pixels, and no shares of a picture's sides.
const FARTHEST: f64 = 2.0;

/// Higher numbers of classes are taken for mistakes.
const MOST_CLASSES: usize = 10_000;

/// What stands behind the class in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A box of four numbers, or an outline of at least three corners.
    BoxOrOutline,
    /// A box, and places that belong to it: `kpt_shape` of the description says so.
    BoxAndPlaces,
}

/// The boxes of a picture's lines.
///
/// # Errors
/// The reason, in one line: the line and what is wrong in it.
pub(super) fn read(text: &str, shape: Shape) -> Result<Vec<Marked>, String> {
    let lines = text.trim_start_matches('\u{feff}').lines().zip(1..);
    let lines = lines.filter(|(line, _)| !line.trim().is_empty());
    lines
        .map(|(line, number)| marked(line, shape).map_err(|reason| format!("line {number} {reason}")))
        .collect()
}

fn marked(line: &str, shape: Shape) -> Result<Marked, String> {
    let read = |word: &str| word.parse().map_err(|_| format!("holds `{word}`, no number"));
    let numbers: Vec<f64> = line.split_whitespace().map(read).collect::<Result<_, _>>()?;
    let Some((class, coordinates)) = numbers.split_first() else { return Err("is empty".to_owned()) };
    if class.fract() != 0.0 || !(0.0..MOST_CLASSES as f64).contains(class) {
        return Err(format!("begins with {class}; expected the number of a class"));
    }
    if let Some(far) = coordinates.iter().find(|number| number.abs() > FARTHEST) {
        return Err(format!("holds {far}; expected shares of the picture from 0 to 1"));
    }
    let marked =
        |place, area| Marked { class: *class as usize, place: Place::Shares(place), area, is_crowd: false };
    match (coordinates, shape) {
        ([x, y, width, height], _) => Ok(marked(around(*x, *y, *width, *height), None)),
        ([x, y, width, height, ..], Shape::BoxAndPlaces) => Ok(marked(around(*x, *y, *width, *height), None)),
        (outline, Shape::BoxOrOutline) if outline.len() >= 6 && outline.len().is_multiple_of(2) => {
            let (corners, _) = outline.as_chunks::<2>();
            let side = |axis: usize| {
                let along = corners.iter().map(|corner| corner[axis]);
                along.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), at| (low.min(at), high.max(at)))
            };
            let ((left, right), (top, bottom)) = (side(0), side(1));
            Ok(marked([left, top, right - left, bottom - top], Some(enclosed(corners))))
        }
        _ => Err(format!(
            "has {} numbers; expected a class and a box of 4 or an outline of at least 3 corners",
            numbers.len()
        )),
    }
}

/// A box by its middle, as left, top, width and height.
fn around(x: f64, y: f64, width: f64, height: f64) -> [f64; 4] {
    [x - width / 2.0, y - height / 2.0, width, height]
}

/// The area that an outline encloses (the shoelace formula).
fn enclosed(corners: &[[f64; 2]]) -> f64 {
    let next = corners.iter().cycle().skip(1);
    corners.iter().zip(next).map(|([ax, ay], [bx, by])| ax * by - bx * ay).sum::<f64>().abs() / 2.0
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn lines_are_boxes_and_outlines() {
        let marked =
            |class, place, area| Marked { class, place: Place::Shares(place), area, is_crowd: false };
        let (plain, places) = (Shape::BoxOrOutline, Shape::BoxAndPlaces);
        for (text, shape, expected) in [
            ("", plain, vec![]),
            (" \n\r\n", plain, vec![]),
            ("\u{feff}3 0.5 0.25 0.5 0.5\r\n", plain, vec![marked(3, [0.25, 0.0, 0.5, 0.5], None)]),
            (
                "0.0 .5 .5 1 1\n\n1\t1 1 1 1",
                plain,
                vec![marked(0, [0.0, 0.0, 1.0, 1.0], None), marked(1, [0.5, 0.5, 1.0, 1.0], None)],
            ),
            ("2 0.25 0.5 0.75 0.5 0.75 1", plain, vec![marked(2, [0.25, 0.5, 0.5, 0.5], Some(0.125))]),
            ("2 0 0 0.5 0 0.5 0.5 0 0.5", plain, vec![marked(2, [0.0, 0.0, 0.5, 0.5], Some(0.25))]),
            ("2 0.5 0.5 0.5 0.5 0.1 0.1 2 0.2 0.2 0", places, vec![marked(2, [0.25, 0.25, 0.5, 0.5], None)]),
        ] {
            assert_eq!(read(text, shape).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_line_is_named() {
        for (text, expected) in [
            ("0 .5 .5 1 1\na 1 1 1 1", "line 2 holds `a`, no number"),
            ("1.5 .5 .5 1 1", "line 1 begins with 1.5; expected the number of a class"),
            ("-1 .5 .5 1 1", "line 1 begins with -1; expected the number of a class"),
            ("10000 .5 .5 1 1", "line 1 begins with 10000; expected the number of a class"),
            ("nan .5 .5 1 1", "line 1 begins with NaN; expected the number of a class"),
            ("0 320 240 20 30", "line 1 holds 320; expected shares of the picture from 0 to 1"),
            (
                "0 .5 .5 1",
                "line 1 has 4 numbers; expected a class and a box of 4 or an outline of at least 3 corners",
            ),
            (
                "0 .5 .5 1 1 .9",
                "line 1 has 6 numbers; expected a class and a box of 4 or an outline of at least 3 corners",
            ),
            (
                "0 0 0 1 0 1 1 0",
                "line 1 has 8 numbers; expected a class and a box of 4 or an outline of at least 3 corners",
            ),
        ] {
            assert_eq!(read(text, Shape::BoxOrOutline).unwrap_err(), expected, "{text}");
        }
    }
}
