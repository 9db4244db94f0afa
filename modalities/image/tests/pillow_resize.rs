//! Resizing is Pillow's, bit for bit. `pillow_resize.py` made the expected values.

use tk_engine::random::fnv1a;
use tk_image::data::{Interpolation, Picture, Region, Size, resize, resize_region, resize_window};

/// Source size, target size, the first two pixels, and the FNV-1a digest of all bytes.
type Case = (Interpolation, (u32, u32), (u32, u32), [u8; 6], u64);

#[rustfmt::skip]
const CASES: [Case; 14] = [
    (Interpolation::Bilinear, (97, 61), (48, 32), [34, 0, 4, 101, 131, 11], 0xe1250c81077b91d5),
    (Interpolation::Bilinear, (97, 61), (33, 61), [45, 30, 2, 145, 199, 17], 0x9cee76cf7caaab79),
    (Interpolation::Bilinear, (97, 61), (150, 97), [0, 0, 0, 17, 0, 0], 0x59e92c6ed0703e44),
    (Interpolation::Bilinear, (64, 200), (7, 5), [127, 127, 120, 127, 127, 125], 0x60f591e85340eb44),
    (Interpolation::Bilinear, (90, 100), (80, 30), [22, 0, 11, 62, 0, 14], 0x0f9c06b740bdc410),
    (Interpolation::Bilinear, (5, 3), (64, 41), [0, 0, 0, 0, 0, 0], 0x5a14bb753856296e),
    (Interpolation::Bilinear, (1, 1), (4, 3), [0, 0, 0, 0, 0, 0], 0x943cf28841434e75),
    (Interpolation::Bicubic, (97, 61), (48, 32), [26, 0, 2, 97, 134, 9], 0xea438576029f493a),
    (Interpolation::Bicubic, (97, 61), (33, 61), [38, 20, 1, 153, 215, 15], 0xfd0fdd1a914dbd4c),
    (Interpolation::Bicubic, (97, 61), (150, 97), [0, 0, 0, 13, 0, 0], 0xa8f799fdaffa005e),
    (Interpolation::Bicubic, (64, 200), (7, 5), [127, 127, 119, 127, 128, 126], 0x7fb6e49b36afff0e),
    (Interpolation::Bicubic, (90, 100), (80, 30), [17, 0, 6, 57, 0, 9], 0x9651468d5f3d55f3),
    (Interpolation::Bicubic, (5, 3), (64, 41), [0, 0, 0, 0, 0, 0], 0x6781cab4ebf09049),
    (Interpolation::Bicubic, (1, 1), (4, 3), [0, 0, 0, 0, 0, 0], 0x943cf28841434e75),
];

/// Stripes, gradients and hard edges, by integer arithmetic alone; the same stands in `pillow_resize.py`.
fn picture(width: u32, height: u32) -> Picture {
    let mut pixels = Vec::new();
    for y in 0..height {
        for x in 0..width {
            let red = (x * 37 + y * 11) % 256;
            let green = ((x / 3 + y / 5) % 2) * 255;
            let blue = (x * x + 3 * y * y + x * y) % 251;
            pixels.extend([red as u8, green as u8, blue as u8]);
        }
    }
    Picture::rgb8(width, height, &pixels).unwrap()
}

#[test]
fn every_byte_is_pillows() {
    for (interpolation, (width, height), (new_width, new_height), first, digest) in CASES {
        let size = Size { width: new_width, height: new_height };
        let resized = resize(&picture(width, height), size, interpolation);
        assert_eq!(resized.len(), (new_width * new_height * 3) as usize);
        assert_eq!(resized[..6], first, "{interpolation:?} {width}×{height} to {new_width}×{new_height}");
        assert_eq!(fnv1a(&resized), digest, "{interpolation:?} {width}×{height} to {new_width}×{new_height}");
    }
}

#[test]
fn a_size_kept_is_a_copy() {
    let picture = picture(31, 17);
    for interpolation in [Interpolation::Bilinear, Interpolation::Bicubic] {
        let size = Size { width: 31, height: 17 };
        assert_eq!(resize(&picture, size, interpolation), picture.pixels());
    }
}

/// Rows and columns of `[height, width, 3]` cut out of `stride` pixels a row.
fn cut(pixels: &[u8], stride: u32, region: Region) -> Vec<u8> {
    (region.top..region.top + region.height)
        .flat_map(|row| {
            let start = ((row * stride + region.left) * 3) as usize;
            pixels[start..start + region.width as usize * 3].to_vec()
        })
        .collect()
}

#[test]
fn a_window_is_that_part_of_the_whole() {
    let picture = picture(83, 59);
    for (size, window) in [
        (Size { width: 40, height: 30 }, Region { left: 7, top: 3, width: 21, height: 20 }),
        (Size { width: 120, height: 200 }, Region { left: 100, top: 180, width: 20, height: 20 }),
        (Size { width: 40, height: 200 }, Region { left: 0, top: 0, width: 1, height: 1 }),
    ] {
        for interpolation in [Interpolation::Bilinear, Interpolation::Bicubic] {
            let whole = resize(&picture, size, interpolation);
            let part = resize_window(&picture, size, window, interpolation);
            assert_eq!(part, cut(&whole, size.width, window), "{size:?} {window:?}");
        }
    }
}

#[test]
fn a_region_is_resized_as_if_it_had_been_cut_out() {
    let picture = picture(83, 59);
    for region in [
        Region { left: 11, top: 5, width: 50, height: 40 },
        Region { left: 82, top: 0, width: 1, height: 59 },
        Region { left: 0, top: 0, width: 83, height: 59 },
    ] {
        let alone = Picture::rgb8(region.width, region.height, &cut(picture.pixels(), 83, region)).unwrap();
        let size = Size { width: 24, height: 32 };
        for interpolation in [Interpolation::Bilinear, Interpolation::Bicubic] {
            assert_eq!(
                resize_region(&picture, region, size, interpolation),
                resize(&alone, size, interpolation),
                "{region:?}"
            );
        }
    }
}

#[test]
fn only_the_window_of_an_extremely_long_picture_is_made() {
    // The whole would have 64 · 64,000,000 pixels.
    let picture = Picture::rgb8(1, 1_000_000, &vec![9; 3_000_000]).unwrap();
    let size = Size { width: 64, height: 64_000_000 };
    let window = Region { left: 0, top: 31_999_968, width: 64, height: 64 };
    assert_eq!(resize_window(&picture, size, window, Interpolation::Bilinear), vec![9; 64 * 64 * 3]);
}
