//! Boxes in the upright picture: turned with it, clipped to it, and left out where nothing of them remains.

use super::Annotation;
use super::listing::{Annotated, Place};
use super::oriented::{Frame, turned_box};
use crate::data::Header;

/// A box that is narrower or lower than this, in pixels, has no area.
const LEAST_SIDE: f64 = 1e-6;

/// Boxes that reach out of the picture by less than this, in pixels, were rounded.
const ROUNDING: f64 = 0.01;

/// What became of a picture's boxes.
#[derive(Debug, PartialEq)]
pub(super) struct Settled {
    pub objects: Vec<Annotation>,
    /// How many reached out of the picture.
    pub clipped: usize,
    /// How many had no area, or none in the picture.
    pub dropped: usize,
    /// Whether they were turned with the picture.
    pub is_turned: bool,
}

/// Brings the boxes of a picture into its upright frame.
///
/// # Errors
/// The reason, in one line: they were drawn for a picture of another size.
pub(super) fn settle(annotated: &Annotated, header: &Header) -> Result<Settled, String> {
    let is_turned = Frame::of(annotated.stated, header)? == Frame::Stored;
    let (stored, upright) = ([header.width, header.height], header.upright());
    let [width, height] = upright.map(f64::from);
    let mut settled = Settled { objects: Vec::new(), clipped: 0, dropped: 0, is_turned };
    for marked in &annotated.boxes {
        let (bounds, unit) = match marked.place {
            Place::Pixels(bounds) if is_turned => (turned_box(bounds, stored, header.orientation), 1.0),
            Place::Pixels(bounds) => (bounds, 1.0),
            Place::Shares([x, y, w, h]) => ([x * width, y * height, w * width, h * height], width * height),
        };
        match clipped(bounds, [width, height]) {
            None => settled.dropped += 1,
            Some((bounds, is_clipped)) => {
                settled.clipped += usize::from(is_clipped);
                let own = marked.area.map(|area| area * unit).filter(|area| area.is_finite() && *area > 0.0);
                let area = own.unwrap_or(bounds[2] * bounds[3]);
                settled.objects.push(Annotation {
                    class: marked.class,
                    bounds,
                    area,
                    is_crowd: marked.is_crowd,
                });
            }
        }
    }
    Ok(settled)
}

/// What of a box is in the picture, and whether it is less than the box.
fn clipped(bounds: [f64; 4], size: [f64; 2]) -> Option<([f64; 4], bool)> {
    if bounds.iter().any(|side| !side.is_finite()) {
        return None;
    }
    let ([left, top, width, height], mut farthest) = (bounds, 0.0);
    let mut side = |start: f64, length: f64, limit: f64| {
        let end = start + length;
        farthest = f64::max(farthest, f64::max(-start, end - limit));
        // What lies inside keeps its length to the last bit.
        if start >= 0.0 && end <= limit {
            (start, length)
        } else {
            let first = start.clamp(0.0, limit);
            (first, end.clamp(0.0, limit) - first)
        }
    };
    let (left, width) = side(left, width, size[0]);
    let (top, height) = side(top, height, size[1]);
    let has_area = width >= LEAST_SIDE && height >= LEAST_SIDE;
    has_area.then_some(([left, top, width, height], farthest > ROUNDING))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::super::listing::Marked;
    use super::*;
    use crate::data::{Format, Orientation};

    #[test]
    fn boxes_end_where_the_picture_does() {
        let size = [100.0, 50.0];
        for (bounds, expected) in [
            ([10.0, 20.0, 30.0, 10.0], Some(([10.0, 20.0, 30.0, 10.0], false))),
            ([0.0, 0.0, 100.0, 50.0], Some(([0.0, 0.0, 100.0, 50.0], false))),
            ([-5.0, 20.0, 30.0, 40.0], Some(([0.0, 20.0, 25.0, 30.0], true))),
            ([90.0, -1.0, 30.0, 2.0], Some(([90.0, 0.0, 10.0, 1.0], true))),
            ([-0.001, 0.0, 10.0, 10.0], Some(([0.0, 0.0, 9.999, 10.0], false))),
            ([100.0, 20.0, 30.0, 10.0], None),
            ([10.0, -20.0, 30.0, 10.0], None),
            ([10.0, 20.0, 0.0, 10.0], None),
            ([10.0, 20.0, 10.0, 1e-7], None),
            ([10.0, 20.0, -5.0, 10.0], None),
            ([f64::NAN, 20.0, 5.0, 10.0], None),
            ([0.0, 0.0, f64::INFINITY, 10.0], None),
        ] {
            assert_eq!(clipped(bounds, size), expected, "{bounds:?}");
        }
    }

    #[test]
    fn every_box_becomes_an_object_or_is_counted() {
        let marked = |place, area| Marked { class: 3, place, area, is_crowd: true };
        let annotated = Annotated {
            path: "a.jpg".into(),
            source: String::new(),
            stated: Some([64, 48]),
            boxes: vec![
                marked(Place::Pixels([4.0, 8.0, 16.0, 10.0]), Some(120.5)),
                marked(Place::Pixels([4.0, 40.0, 16.0, 10.0]), Some(0.0)),
                marked(Place::Pixels([70.0, 8.0, 16.0, 10.0]), None),
                // Shares are of the upright picture whatever is stated.
                marked(Place::Shares([0.0, 0.5, 0.5, 0.25]), Some(0.1)),
            ],
            split: None,
        };
        let header = |orientation| Header { format: Format::Jpeg, width: 64, height: 48, orientation };
        let object = |bounds, area| Annotation { class: 3, bounds, area, is_crowd: true };
        for (orientation, is_turned, expected) in [
            (
                Orientation::NoTransforms,
                false,
                [
                    object([4.0, 8.0, 16.0, 10.0], 120.5),
                    object([4.0, 40.0, 16.0, 8.0], 128.0),
                    object([0.0, 24.0, 32.0, 12.0], 0.1 * (64.0 * 48.0)),
                ],
            ),
            // Clockwise: what was below is now left.
            (
                Orientation::Rotate90,
                true,
                [
                    object([30.0, 4.0, 10.0, 16.0], 120.5),
                    object([0.0, 4.0, 8.0, 16.0], 128.0),
                    object([0.0, 32.0, 24.0, 16.0], 0.1 * (64.0 * 48.0)),
                ],
            ),
        ] {
            let settled = settle(&annotated, &header(orientation)).unwrap();
            let expected = Settled { objects: expected.into(), clipped: 1, dropped: 1, is_turned };
            assert_eq!(settled, expected);
        }
        let other = Annotated { stated: Some([32, 24]), ..annotated };
        let reason = settle(&other, &header(Orientation::NoTransforms)).unwrap_err();
        assert_eq!(reason, "annotated for 32×24, the file has 64×48");
    }
}
