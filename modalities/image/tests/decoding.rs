//! Image files of every kind, good and bad, through `Picture::from_bytes`.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::{
    DynamicImage, ExtendedColorType, GrayAlphaImage, GrayImage, ImageBuffer, ImageEncoder, ImageFormat, Luma,
    LumaA, Rgb, RgbImage, Rgba, RgbaImage,
};
use tk_image::data::{DecodeError, Format, MAX_PIXELS, Picture, decode, probe};

/// A picture whose four corners differ, so that every orientation of it does.
fn corners(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| match (x < width / 2, y < height / 2) {
        (true, true) => Rgb([250, 10, 10]),
        (false, true) => Rgb([10, 250, 10]),
        (true, false) => Rgb([10, 10, 250]),
        (false, false) => Rgb([250, 250, 250]),
    })
}

/// Noise compresses badly, so that the entropy-coded data is long and can be cut anywhere.
fn noise(width: u32, height: u32) -> RgbImage {
    let mut stream = tk_engine::random::Stream::new(1, &["noise".into()]);
    RgbImage::from_fn(width, height, |_, _| Rgb([0; 3].map(|_: u8| stream.below(256) as u8)))
}

fn encode(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn jpeg(image: &RgbImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut bytes, 95);
    encoder.write_image(image, image.width(), image.height(), ExtendedColorType::Rgb8).unwrap();
    bytes
}

/// The JPEG with an EXIF segment (TIFF 6.0, one directory, tag 0x0112) put in after the start marker.
fn with_orientation(jpeg: &[u8], orientation: u8, is_big_endian: bool) -> Vec<u8> {
    let tiff: [u8; 26] = if is_big_endian {
        [b'M', b'M', 0, 42, 0, 0, 0, 8, 0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0, 0, 0, 0, 0]
    } else {
        [b'I', b'I', 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 0x01, 3, 0, 1, 0, 0, 0, orientation, 0, 0, 0, 0, 0, 0, 0]
    };
    let length = (2 + 6 + tiff.len()) as u16;
    let mut bytes = jpeg[..2].to_vec();
    bytes.extend([0xFF, 0xE1]);
    bytes.extend(length.to_be_bytes());
    bytes.extend(b"Exif\0\0");
    bytes.extend(tiff);
    bytes.extend(&jpeg[2..]);
    bytes
}

fn pixel(picture: &Picture, x: u32, y: u32) -> [u8; 3] {
    let start = ((y * picture.width() + x) * 3) as usize;
    picture.pixels()[start..start + 3].try_into().unwrap()
}

/// A PNG chunk: length, name, data, CRC-32 (bitwise; the tests are small).
fn chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let body = [name.as_slice(), data].concat();
    let crc = !body.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xEDB8_8320 & 0u32.wrapping_sub(crc & 1)))
    });
    [&(data.len() as u32).to_be_bytes(), body.as_slice(), &crc.to_be_bytes()].concat()
}

/// A PNG with uncompressed rows (one stored deflate block).
fn png(width: u32, height: u32, depth_and_color: [u8; 2], extra: &[Vec<u8>], rows: &[u8]) -> Vec<u8> {
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &depth_and_color, &[0, 0, 0]].concat();
    let length = rows.len() as u16;
    let adler = rows.iter().fold((1u32, 0u32), |(a, b), &byte| {
        let a = (a + u32::from(byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    let zlib = [
        &[0x78, 0x01, 0x01][..],
        &length.to_le_bytes(),
        &(!length).to_le_bytes(),
        rows,
        &(adler.1 << 16 | adler.0).to_be_bytes(),
    ]
    .concat();
    [
        b"\x89PNG\r\n\x1a\n".to_vec(),
        chunk(b"IHDR", &header),
        extra.concat(),
        chunk(b"IDAT", &zlib),
        chunk(b"IEND", &[]),
    ]
    .concat()
}

#[test]
fn all_eight_exif_orientations_come_out_upright() {
    const RED: usize = 0;
    const GREEN: usize = 1;
    const BLUE: usize = 2;
    const WHITE: usize = 3;
    let stored = jpeg(&corners(64, 32));
    // Where the stored corners (red green / blue white) are seen, clockwise from top left; EXIF 2.3, section 4.6.4.
    let cases = [
        (1, [RED, GREEN, WHITE, BLUE]),
        (2, [GREEN, RED, BLUE, WHITE]),
        (3, [WHITE, BLUE, RED, GREEN]),
        (4, [BLUE, WHITE, GREEN, RED]),
        (5, [RED, BLUE, WHITE, GREEN]),
        (6, [BLUE, RED, GREEN, WHITE]),
        (7, [WHITE, GREEN, RED, BLUE]),
        (8, [GREEN, WHITE, BLUE, RED]),
        // Not an orientation: left as it is stored.
        (9, [RED, GREEN, WHITE, BLUE]),
    ];
    for (orientation, expected) in cases {
        for is_big_endian in [true, false] {
            let picture =
                Picture::from_bytes(&with_orientation(&stored, orientation, is_big_endian)).unwrap();
            let (width, height) = (picture.width(), picture.height());
            let sides = if (5..=8).contains(&orientation) { (32, 64) } else { (64, 32) };
            assert_eq!((width, height), sides, "orientation {orientation}");
            let seen = [(4, 4), (width - 5, 4), (width - 5, height - 5), (4, height - 5)].map(|(x, y)| {
                let [red, green, blue] = pixel(&picture, x, y).map(|value| value > 128);
                match (red, green, blue) {
                    (true, true, true) => WHITE,
                    (true, ..) => RED,
                    (_, true, _) => GREEN,
                    _ => BLUE,
                }
            });
            assert_eq!(seen, expected, "orientation {orientation}");
        }
    }
}

#[test]
fn every_pixel_layout_becomes_rgb() {
    let grey: GrayImage = ImageBuffer::from_pixel(2, 1, Luma([77]));
    let grey_alpha: GrayAlphaImage = ImageBuffer::from_pixel(2, 1, LumaA([77, 0]));
    let grey_16: ImageBuffer<Luma<u16>, Vec<u16>> = ImageBuffer::from_pixel(2, 1, Luma([77 * 257]));
    let rgb: RgbImage = ImageBuffer::from_pixel(2, 1, Rgb([1, 2, 3]));
    let rgba: RgbaImage = ImageBuffer::from_pixel(2, 1, Rgba([1, 2, 3, 0]));
    let rgb_16: ImageBuffer<Rgb<u16>, Vec<u16>> =
        ImageBuffer::from_pixel(2, 1, Rgb([257, 2 * 257 + 100, 65_535]));
    let rgba_16: ImageBuffer<Rgba<u16>, Vec<u16>> = ImageBuffer::from_pixel(2, 1, Rgba([257, 514, 771, 9]));
    let palette = chunk(b"PLTE", &[9, 9, 9, 1, 2, 3, 200, 100, 50]);
    let see_through = chunk(b"tRNS", &[255, 0]);
    let cases: Vec<(&str, Vec<u8>, [u8; 3])> = vec![
        ("grey PNG", encode(grey.clone(), ImageFormat::Png), [77; 3]),
        ("grey JPEG", encode(grey, ImageFormat::Jpeg), [77; 3]),
        ("grey + alpha PNG", encode(grey_alpha, ImageFormat::Png), [77; 3]),
        ("16-bit grey PNG", encode(grey_16, ImageFormat::Png), [77; 3]),
        ("RGB PNG", encode(rgb.clone(), ImageFormat::Png), [1, 2, 3]),
        ("RGBA PNG: alpha is dropped", encode(rgba.clone(), ImageFormat::Png), [1, 2, 3]),
        ("16-bit RGB PNG: rounded", encode(rgb_16, ImageFormat::Png), [1, 2, 255]),
        ("16-bit RGBA PNG", encode(rgba_16, ImageFormat::Png), [1, 2, 3]),
        ("palette PNG", png(2, 1, [8, 3], std::slice::from_ref(&palette), &[0, 1, 1]), [1, 2, 3]),
        ("palette PNG with alpha", png(2, 1, [8, 3], &[palette.clone(), see_through], &[0, 1, 1]), [1, 2, 3]),
        ("2-bit palette PNG", png(2, 1, [2, 3], &[palette], &[0, 0b1010_0000]), [200, 100, 50]),
        ("1-bit grey PNG", png(2, 1, [1, 0], &[], &[0, 0b1100_0000]), [255; 3]),
        ("BMP", encode(rgb.clone(), ImageFormat::Bmp), [1, 2, 3]),
        ("TIFF", encode(rgb.clone(), ImageFormat::Tiff), [1, 2, 3]),
        ("WebP", encode(rgb, ImageFormat::WebP), [1, 2, 3]),
        ("CMYK JPEG", CMYK.to_vec(), [76, 127, 204]),
        ("GIF", encode(rgba_opaque(rgba), ImageFormat::Gif), [1, 2, 3]),
    ];
    for (name, bytes, expected) in cases {
        let picture = Picture::from_bytes(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((picture.width(), picture.height()), (2, 1), "{name}");
        let found = pixel(&picture, 1, 0);
        // One level for what is rounded on the way from CMYK.
        let is_close =
            found.iter().zip(expected).all(|(&a, b)| a.abs_diff(b) <= u8::from(name == "CMYK JPEG"));
        assert!(is_close, "{name}: {found:?}, expected {expected:?}");
    }
}

fn rgba_opaque(mut image: RgbaImage) -> RgbaImage {
    image.pixels_mut().for_each(|pixel| pixel.0[3] = 255);
    image
}

#[test]
fn an_animation_gives_its_first_frame() {
    let mut bytes = Vec::new();
    {
        let mut encoder = image::codecs::gif::GifEncoder::new(&mut bytes);
        for color in [[200, 0, 0, 255], [0, 200, 0, 255]] {
            encoder.encode_frame(image::Frame::new(ImageBuffer::from_pixel(4, 4, Rgba(color)))).unwrap();
        }
    }
    assert_eq!(pixel(&Picture::from_bytes(&bytes).unwrap(), 2, 2), [200, 0, 0]);
}

#[test]
fn the_placeholder_among_the_ants_decodes() {
    let path =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/ants-bees/train/ants/imageNotFound.gif");
    let Ok(bytes) = std::fs::read(path) else {
        eprintln!("skipped: the shared data are absent");
        return;
    };
    assert_eq!(probe(&bytes, MAX_PIXELS).unwrap().format, Format::Gif);
    let picture = Picture::from_bytes(&bytes).unwrap();
    assert!(picture.width() > 100 && picture.height() > 100, "{picture:?}");
}

#[test]
fn a_file_cut_anywhere_is_an_error() {
    let image = noise(61, 47);
    let rgba = DynamicImage::from(image.clone()).into_rgba8();
    let mut progressive = Vec::new();
    progressive.extend(PROGRESSIVE);
    let files = [
        (Format::Jpeg, jpeg(&image)),
        (Format::Jpeg, progressive),
        (Format::Png, encode(image.clone(), ImageFormat::Png)),
        (Format::Gif, encode(rgba, ImageFormat::Gif)),
        (Format::Bmp, encode(image.clone(), ImageFormat::Bmp)),
        (Format::WebP, encode(image.clone(), ImageFormat::WebP)),
        (Format::Tiff, encode(image, ImageFormat::Tiff)),
    ];
    for (format, bytes) in files {
        assert!(Picture::from_bytes(&bytes).is_ok(), "{format:?}");
        for percent in [2, 10, 30, 50, 70, 90, 97] {
            let cut = &bytes[..bytes.len() * percent / 100];
            let error = Picture::from_bytes(cut).expect_err(&format!("{format:?} at {percent} %"));
            let text = error.to_string();
            assert!(!text.contains('\n') && text.len() < 200, "{text}");
            if percent >= 10 {
                assert!(
                    matches!(error, DecodeError::Truncated { .. } | DecodeError::Damaged { .. }),
                    "{format:?} at {percent} %: {error:?}"
                );
            }
            if format == Format::Jpeg && percent >= 10 {
                let expected = format!(
                    "truncated JPEG: the file ends after {} bytes, before its picture does",
                    cut.len()
                );
                assert_eq!(text, expected);
            }
        }
    }
}

#[test]
fn a_jpeg_followed_by_other_bytes_is_whole() {
    let mut bytes = jpeg(&noise(24, 24));
    let expected = Picture::from_bytes(&bytes).unwrap();
    bytes.extend([0; 100]);
    assert_eq!(Picture::from_bytes(&bytes).unwrap(), expected);
}

#[test]
fn a_bomb_is_refused_from_its_header() {
    let bomb = png(20_000, 20_000, [8, 2], &[], &[0; 64]);
    for error in [probe(&bomb, MAX_PIXELS).unwrap_err(), Picture::from_bytes(&bomb).unwrap_err()] {
        assert_eq!(
            error.to_string(),
            "too large: 20000×20000 = 400000000 pixels, at most 178956970 are decoded; scale it down"
        );
    }
    // The limit is exact and is the caller's to choose.
    let small = encode(noise(10, 10), ImageFormat::Png);
    assert!(decode(&small, 100).is_ok());
    assert!(matches!(decode(&small, 99), Err(DecodeError::TooLarge { width: 10, height: 10, limit: 99 })));
    for (width, height) in [(u32::MAX >> 1, 1), (u32::MAX >> 1, u32::MAX >> 1), (0, 5)] {
        let error = Picture::from_bytes(&png(width, height, [8, 6], &[], &[0; 64])).unwrap_err();
        assert!(
            matches!(error, DecodeError::TooLarge { .. } | DecodeError::Damaged { .. }),
            "{width}×{height}: {error:?}"
        );
    }
}

#[test]
fn what_is_no_image_is_named() {
    let heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic";
    let avif = b"\0\0\0\x1cftypavif\0\0\0\0avifmif1";
    for (bytes, expected) in [
        (&b""[..], "the file is empty (0 bytes)"),
        (
            b"dear diary,\nno bees today\n",
            "not an image: the content is text; expected JPEG, PNG, GIF, BMP, WebP or TIFF content",
        ),
        (b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>", "not an image: the content is text"),
        ("Ein Gruß aus Köln".as_bytes(), "not an image: the content is text"),
        (b"%PDF-1.7 \x01", "not an image: the content is a PDF document"),
        (
            b"PK\x03\x04\x14\0\0\0\x08\0",
            "not an image: the content starts with bytes 50 4b 03 04 14 00 00 00",
        ),
        (heic, "unsupported image format: HEIC; convert it to JPEG or PNG"),
        (avif, "unsupported image format: AVIF; convert it to JPEG or PNG"),
    ] {
        for error in [Picture::from_bytes(bytes).unwrap_err(), probe(bytes, MAX_PIXELS).unwrap_err()] {
            assert!(error.to_string().starts_with(expected), "{error}");
        }
    }
}

#[test]
fn damage_in_a_header_is_an_error_and_never_a_panic() {
    let good = jpeg(&noise(16, 16));
    let mut state = tk_engine::random::Stream::new(3, &["damage".into()]);
    for _ in 0..500 {
        let mut bytes = good.clone();
        for _ in 0..4 {
            let position = state.below(bytes.len());
            bytes[position] = state.below(256) as u8;
        }
        // Either is right; what counts is to come back, with one line where it failed.
        if let Err(error) = Picture::from_bytes(&bytes) {
            assert!(!error.to_string().contains('\n'), "{error}");
        }
    }
}

/// A progressive JPEG: 24×24, red = 10·x, green = 10·y, blue = x·y, saved by Pillow with `quality=60, progressive=True`.
#[rustfmt::skip]
const PROGRESSIVE: [u8; 644] = [
    255, 216, 255, 224, 0, 16, 74, 70, 73, 70, 0, 1, 1, 0, 0, 1, 0, 1, 0, 0, 255, 219, 0, 67, 0, 13, 9, 10,
    11, 10, 8, 13, 11, 10, 11, 14, 14, 13, 15, 19, 32, 21, 19, 18, 18, 19, 39, 28, 30, 23, 32, 46, 41, 49, 48, 46,
    41, 45, 44, 51, 58, 74, 62, 51, 54, 70, 55, 44, 45, 64, 87, 65, 70, 76, 78, 82, 83, 82, 50, 62, 90, 97, 90, 80,
    96, 74, 81, 82, 79, 255, 219, 0, 67, 1, 14, 14, 14, 19, 17, 19, 38, 21, 21, 38, 79, 53, 45, 53, 79, 79, 79, 79,
    79, 79, 79, 79, 79, 79, 79, 79, 79, 79, 79, 79, 79, 79, 79, 79, 79, 79, 79, 79, 79, 79, 79, 79, 79, 79, 79, 79,
    79, 79, 79, 79, 79, 79, 79, 79, 79, 79, 79, 79, 79, 79, 79, 79, 79, 79, 255, 194, 0, 17, 8, 0, 24, 0, 24, 3,
    1, 34, 0, 2, 17, 1, 3, 17, 1, 255, 196, 0, 23, 0, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 4, 3, 5, 255, 196, 0, 25, 1, 0, 2, 3, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2,
    5, 0, 1, 3, 6, 255, 218, 0, 12, 3, 1, 0, 2, 16, 3, 16, 0, 0, 1, 224, 211, 189, 65, 38, 116, 150, 207, 58,
    204, 121, 189, 128, 179, 255, 196, 0, 24, 16, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0,
    1, 17, 18, 255, 218, 0, 8, 1, 1, 0, 1, 5, 2, 195, 96, 176, 68, 196, 88, 121, 19, 121, 228, 69, 255, 196, 0, 24,
    17, 0, 3, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 3, 1, 17, 255, 218, 0, 8, 1, 3,
    1, 1, 63, 1, 149, 132, 182, 240, 139, 111, 69, 109, 225, 255, 196, 0, 27, 17, 1, 0, 2, 2, 3, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 1, 0, 2, 3, 17, 19, 34, 50, 255, 218, 0, 8, 1, 2, 1, 1, 63, 1, 175, 104, 241, 14,
    150, 86, 201, 137, 73, 228, 39, 255, 196, 0, 20, 16, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    48, 255, 218, 0, 8, 1, 1, 0, 6, 63, 2, 31, 255, 196, 0, 26, 16, 0, 2, 2, 3, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 1, 16, 17, 32, 33, 65, 97, 255, 218, 0, 8, 1, 1, 0, 1, 63, 33, 175, 104, 13, 50, 177, 7,
    87, 255, 218, 0, 12, 3, 1, 0, 2, 0, 3, 0, 0, 0, 16, 159, 40, 2, 255, 196, 0, 23, 17, 1, 1, 1, 1, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 17, 49, 255, 218, 0, 8, 1, 3, 1, 1, 63, 16, 201, 81, 68,
    46, 233, 255, 196, 0, 27, 17, 1, 0, 2, 2, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 17, 33, 49,
    113, 161, 177, 255, 218, 0, 8, 1, 2, 1, 1, 63, 16, 50, 118, 151, 11, 225, 29, 44, 227, 180, 37, 149, 137, 255, 196, 0,
    26, 16, 0, 3, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 17, 33, 1, 49, 81, 97, 255, 218, 0,
    8, 1, 1, 0, 1, 63, 16, 122, 135, 56, 124, 199, 168, 115, 134, 134, 101, 120, 30, 160, 181, 101, 112, 131, 220, 63, 255, 217,
];

/// A CMYK JPEG of 2×1 pixels (179, 128, 51, 0), saved by Pillow with `quality=95, optimize=True`; Pillow reads it as (76, 127, 204).
#[rustfmt::skip]
const CMYK: [u8; 178] = [
    255, 216, 255, 238, 0, 14, 65, 100, 111, 98, 101, 0, 100, 0, 0, 0, 0, 0, 255, 219, 0, 67, 0, 2, 1, 1, 1, 1,
    1, 2, 1, 1, 1, 2, 2, 2, 2, 2, 4, 3, 2, 2, 2, 2, 5, 4, 4, 3, 4, 6, 5, 6, 6, 6, 5, 6,
    6, 6, 7, 9, 8, 6, 7, 9, 7, 6, 6, 8, 11, 8, 9, 10, 10, 10, 10, 10, 6, 8, 11, 12, 11, 10, 12, 9,
    10, 10, 10, 255, 192, 0, 20, 8, 0, 1, 0, 2, 4, 67, 17, 0, 77, 17, 0, 89, 17, 0, 75, 17, 0, 255, 196, 0,
    22, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 3, 8, 255, 196, 0, 20, 16, 1, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 218, 0, 14, 4, 67, 0, 77, 0, 89, 0, 75, 0,
    0, 63, 0, 197, 233, 147, 3, 248, 255, 217,
];
