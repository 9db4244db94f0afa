//! From the picture as it is stored to the picture as it is seen: EXIF orientation turns pixels, and what was annotated turns with them.

use crate::data::{Header, Orientation};

/// The picture whose pixels an annotation means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// The upright one.
    Upright,
    /// The stored one: what is annotated has to be turned.
    Stored,
}

impl Frame {
    /// The picture that an annotation is of, told from the width and height that it states. Where stored and upright picture have one size,
    /// and where nothing is stated, it is the upright one.
    ///
    /// # Errors
    /// The reason, in one line: the annotation is of another size than both.
    pub fn of(stated: Option<[u32; 2]>, header: &Header) -> Result<Self, String> {
        let (upright, stored) = (header.upright(), [header.width, header.height]);
        match stated {
            Some([width, height]) if [width, height] != upright && [width, height] != stored => {
                Err(format!("annotated for {width}×{height}, the file has {}×{}", upright[0], upright[1]))
            }
            Some(stated) if stated != upright => Ok(Self::Stored),
            _ => Ok(Self::Upright),
        }
    }
}

/// Where a point of the stored picture, x and y in pixels, lies in the upright one. `stored` is width and height.
pub(crate) fn turned_point([x, y]: [f64; 2], stored: [u32; 2], orientation: Orientation) -> [f64; 2] {
    let [width, height] = stored.map(f64::from);
    match orientation {
        Orientation::NoTransforms => [x, y],
        Orientation::FlipHorizontal => [width - x, y],
        Orientation::Rotate180 => [width - x, height - y],
        Orientation::FlipVertical => [x, height - y],
        Orientation::Rotate90FlipH => [y, x],
        Orientation::Rotate90 => [height - y, x],
        Orientation::Rotate270FlipH => [height - y, width - x],
        Orientation::Rotate270 => [y, width - x],
    }
}

/// Where a box of the stored picture (left, top, width, height in pixels) lies in the upright one. `stored` is width and height.
pub(crate) fn turned_box(bounds: [f64; 4], stored: [u32; 2], orientation: Orientation) -> [f64; 4] {
    let [left, top, width, height] = bounds;
    let [[ax, ay], [bx, by]] =
        [[left, top], [left + width, top + height]].map(|corner| turned_point(corner, stored, orientation));
    match ax.min(bx) {
        // Corners that are no numbers stay so; `min` would hide one of them.
        _ if !(ax + ay + bx + by).is_finite() => [f64::NAN; 4],
        left => [left, ay.min(by), (ax - bx).abs(), (ay - by).abs()],
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use image::{DynamicImage, Rgb, RgbImage};

    use super::*;
    use crate::data::Format;

    #[test]
    fn boxes_go_where_the_decoder_takes_their_pixels() {
        // A white box on black, 7 × 5; the decoder turns it, and the white pixels are looked for.
        let (size, bounds) = ([7, 5], [1.0, 0.0, 2.0, 4.0]);
        let is_inside = |x: u32, y: u32| (1..3).contains(&x) && (0..4).contains(&y);
        let stored = RgbImage::from_fn(7, 5, |x, y| Rgb([if is_inside(x, y) { 255 } else { 0 }; 3]));
        for exif in 1..=8 {
            let orientation = Orientation::from_exif(exif).unwrap();
            let mut upright = DynamicImage::from(stored.clone());
            upright.apply_orientation(orientation);
            let upright = upright.into_rgb8();
            let white = || upright.enumerate_pixels().filter(|(_, _, pixel)| pixel.0[0] > 0);
            let left = white().map(|(x, ..)| x).min().unwrap();
            let top = white().map(|(_, y, _)| y).min().unwrap();
            let right = white().map(|(x, ..)| x).max().unwrap() + 1;
            let bottom = white().map(|(_, y, _)| y).max().unwrap() + 1;
            let expected = [left, top, right - left, bottom - top].map(f64::from);
            assert_eq!(turned_box(bounds, size, orientation), expected, "orientation {exif}");
            let header = Header { format: Format::Jpeg, width: 7, height: 5, orientation };
            assert_eq!(header.upright(), [upright.width(), upright.height()], "orientation {exif}");
        }
        let turned = turned_box([f64::NAN, 0.0, 1.0, 1.0], size, Orientation::Rotate90);
        assert!(turned.iter().all(|side| side.is_nan()), "{turned:?}");
    }

    #[test]
    fn the_stated_size_says_which_picture_is_meant() {
        let header = |orientation| Header { format: Format::Jpeg, width: 64, height: 48, orientation };
        let (plain, turned) = (header(Orientation::NoTransforms), header(Orientation::Rotate90));
        let round = header(Orientation::Rotate180);
        let mismatch = |text: &str| Err(text.to_owned());
        for (header, stated, expected) in [
            (plain, None, Ok(Frame::Upright)),
            (plain, Some([64, 48]), Ok(Frame::Upright)),
            (plain, Some([48, 64]), mismatch("annotated for 48×64, the file has 64×48")),
            (turned, None, Ok(Frame::Upright)),
            (turned, Some([48, 64]), Ok(Frame::Upright)),
            (turned, Some([64, 48]), Ok(Frame::Stored)),
            (turned, Some([64, 64]), mismatch("annotated for 64×64, the file has 48×64")),
            (round, Some([64, 48]), Ok(Frame::Upright)),
        ] {
            assert_eq!(Frame::of(stated, &header), expected, "{:?} {stated:?}", header.orientation);
        }
    }
}
