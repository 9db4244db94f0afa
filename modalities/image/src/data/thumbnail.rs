//! Small copies of photographs for reports.

use image::ExtendedColorType;
use image::ImageEncoder;
use image::codecs::jpeg::JpegEncoder;

use crate::data::picture::Picture;
use crate::data::resize::{Interpolation, Size, resize};

/// JPEG quality of thumbnails: good enough to recognise a bee.
const QUALITY: u8 = 80;

/// The picture as a JPEG whose longer side has at most `longest_side` pixels. It carries pixels alone: no EXIF, hence no place, camera or
/// earlier version of the photograph.
///
/// # Errors
/// The encoder fails, which it does for sides above 65535.
pub fn thumbnail(picture: &Picture, longest_side: u32) -> Result<Vec<u8>, image::ImageError> {
    let longest = picture.width().max(picture.height());
    let shrunk = |side: u32| {
        let exact = f64::from(side) * f64::from(longest_side) / f64::from(longest);
        (exact.round() as u32).max(1)
    };
    let mut jpeg = Vec::new();
    let mut encode = |pixels: &[u8], size: Size| {
        JpegEncoder::new_with_quality(&mut jpeg, QUALITY).write_image(
            pixels,
            size.width,
            size.height,
            ExtendedColorType::Rgb8,
        )
    };
    if longest <= longest_side {
        encode(picture.pixels(), Size { width: picture.width(), height: picture.height() })?;
    } else {
        let size = Size { width: shrunk(picture.width()), height: shrunk(picture.height()) };
        encode(&resize(picture, size, Interpolation::Bilinear), size)?;
    }
    Ok(jpeg)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn thumbnails_keep_proportions_and_carry_no_metadata() {
        for (width, height, longest_side, expected) in [
            (400, 200, 100, (100, 50)),
            (30, 20, 100, (30, 20)),
            (1000, 1, 64, (64, 1)),
            (99, 200, 64, (32, 64)),
        ] {
            let picture = Picture::rgb8(width, height, &vec![90; (width * height * 3) as usize]).unwrap();
            let jpeg = thumbnail(&picture, longest_side).unwrap();
            let small = Picture::from_bytes(&jpeg).unwrap();
            assert_eq!((small.width(), small.height()), expected);
            assert!(small.pixels().iter().all(|value| value.abs_diff(90) <= 2));
            assert!(!jpeg.windows(4).any(|window| window == b"Exif"));
        }
    }
}
