//! TrivialAugment (Müller, Hutter, arXiv 2103.10158): one operation of fourteen, of a random strength.
//!
//! Operations, strengths and roundings are those of torchvision's `TrivialAugmentWide` on Pillow's pictures, with the nearest pixel
//! and black outside.

use tk_engine::random::Stream;

/// Strengths from which one is drawn.
const BINS: usize = 31;

/// What is done to a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Operation {
    /// Nothing.
    Identity,
    /// Each row is moved by this times its distance from the top.
    ShearX(f64),
    /// Each column is moved by this times its distance from the left.
    ShearY(f64),
    /// Moved to the right by whole pixels.
    TranslateX(i32),
    /// Moved downwards by whole pixels.
    TranslateY(i32),
    /// Turned about the middle, counter-clockwise, by degrees.
    Rotate(f64),
    /// Blended with black; 1 is the picture.
    Brightness(f64),
    /// Blended with its own grey version.
    Color(f64),
    /// Blended with its mean grey.
    Contrast(f64),
    /// Blended with a smoothed version.
    Sharpness(f64),
    /// So many upper bits of each byte stay.
    Posterize(u32),
    /// Bytes from this on are inverted.
    Solarize(f64),
    /// Each channel is stretched to 0–255.
    AutoContrast,
    /// The histogram of each channel is made even.
    Equalize,
}

impl Operation {
    /// A random operation. Always takes three values from the stream.
    pub fn draw(stream: &mut Stream) -> Self {
        let (operation, bin, sign) = (stream.below(14), stream.below(BINS), stream.below(2));
        Self::of(operation, bin, sign == 1)
    }

    /// The operation at a place of torchvision's list, of a strength in `0..31`; where both directions exist, perhaps the other one.
    fn of(operation: usize, bin: usize, is_negative: bool) -> Self {
        let signed =
            |most: f32| if is_negative { -strength(bin, 0.0, most) } else { strength(bin, 0.0, most) };
        match operation {
            1 => Self::ShearX(signed(0.99)),
            2 => Self::ShearY(signed(0.99)),
            3 => Self::TranslateX(signed(32.0) as i32),
            4 => Self::TranslateY(signed(32.0) as i32),
            5 => Self::Rotate(signed(135.0)),
            6 => Self::Brightness(1.0 + signed(0.99)),
            7 => Self::Color(1.0 + signed(0.99)),
            8 => Self::Contrast(1.0 + signed(0.99)),
            9 => Self::Sharpness(1.0 + signed(0.99)),
            10 => Self::Posterize(8 - (bin as f64 / 5.0).round() as u32),
            11 => Self::Solarize(strength(bin, 255.0, 0.0)),
            12 => Self::AutoContrast,
            13 => Self::Equalize,
            _ => Self::Identity,
        }
    }

    /// Changes a picture, `[height, width, 3]`, in place.
    pub fn apply(self, pixels: &mut Vec<u8>, width: usize) {
        let height = pixels.len() / 3 / width.max(1);
        match self {
            Self::Identity => {}
            Self::ShearX(by) => {
                // Through degrees and back, as torchvision's roundings go.
                let tangent = by.atan().to_degrees().to_radians().tan();
                *pixels = Affine([1.0, tangent, 0.0, 0.0, 1.0, 0.0]).applied(pixels, [height, width]);
            }
            Self::ShearY(by) => {
                let tangent = by.atan().to_degrees().to_radians().tan();
                *pixels = Affine([1.0, 0.0, 0.0, tangent, 1.0, 0.0]).applied(pixels, [height, width]);
            }
            Self::TranslateX(by) => {
                *pixels = Affine([1.0, 0.0, -f64::from(by), 0.0, 1.0, 0.0]).applied(pixels, [height, width]);
            }
            Self::TranslateY(by) => {
                *pixels = Affine([1.0, 0.0, 0.0, 0.0, 1.0, -f64::from(by)]).applied(pixels, [height, width]);
            }
            Self::Rotate(degrees) => {
                *pixels = Affine::turn(degrees, [height, width]).applied(pixels, [height, width]);
            }
            Self::Brightness(factor) => blend(pixels, factor, |_| [0; 3]),
            Self::Color(factor) => blend(pixels, factor, |pixel| [grey(pixel); 3]),
            Self::Contrast(factor) => {
                let sum: u64 = pixels.chunks_exact(3).map(|pixel| u64::from(grey(pixel))).sum();
                let mean = (sum as f64 / (height * width).max(1) as f64 + 0.5) as u8;
                blend(pixels, factor, |_| [mean; 3]);
            }
            Self::Sharpness(factor) => {
                let smooth = smoothed(pixels, [height, width]);
                let mut smooth = smooth.chunks_exact(3);
                blend(pixels, factor, |_| match smooth.next() {
                    Some(&[red, green, blue]) => [red, green, blue],
                    _ => [0; 3],
                });
            }
            Self::Posterize(bits) => {
                let mask = !((1u16 << (8 - bits.min(8))) - 1) as u8;
                pixels.iter_mut().for_each(|byte| *byte &= mask);
            }
            Self::Solarize(threshold) => {
                let inverted = pixels.iter_mut().filter(|byte| f64::from(**byte) >= threshold);
                inverted.for_each(|byte| *byte = 255 - *byte);
            }
            Self::AutoContrast => look_up(pixels, stretched),
            Self::Equalize => look_up(pixels, evened),
        }
    }
}

/// The strength of a bin between two ends: `torch.linspace` in f32, which counts from the nearer end.
fn strength(bin: usize, first: f32, last: f32) -> f64 {
    let step = (last - first) / (BINS - 1) as f32;
    f64::from(match bin < BINS / 2 {
        true => first + step * bin as f32,
        false => last - step * (BINS - 1 - bin) as f32,
    })
}

/// Where each pixel of the result comes from: `x' = a·x + b·y + c`, `y' = d·x + e·y + f`.
struct Affine([f64; 6]);

impl Affine {
    /// A turn about the middle, as Pillow's `rotate` makes it.
    fn turn(degrees: f64, [height, width]: [usize; 2]) -> Self {
        let angle = -degrees.rem_euclid(360.0).to_radians();
        let rounded = |value: f64| (value * 1e15).round() / 1e15;
        let (cos, sin) = (rounded(angle.cos()), rounded(angle.sin()));
        let (x, y) = (width as f64 / 2.0, height as f64 / 2.0);
        Self([cos, sin, -cos * x - sin * y + x, -sin, cos, sin * x - cos * y + y])
    }

    /// The nearest pixels, black outside; in Pillow's fixed point.
    fn applied(&self, pixels: &[u8], [height, width]: [usize; 2]) -> Vec<u8> {
        let fixed = |value: f64| (value * 65536.0 + 0.5).floor() as i64;
        let [a, b, c, d, e, f] = self.0;
        let [along, across] = [[fixed(a), fixed(d)], [fixed(b), fixed(e)]];
        let mut row = [fixed(c + a * 0.5 + b * 0.5), fixed(f + d * 0.5 + e * 0.5)];
        let mut moved = vec![0; pixels.len()];
        for line in moved.chunks_exact_mut(width * 3) {
            let mut at = row;
            for pixel in line.chunks_exact_mut(3) {
                let [x, y] = at.map(|place| usize::try_from(place >> 16));
                if let (Ok(x), Ok(y)) = (x, y)
                    && x < width
                    && y < height
                {
                    pixel.copy_from_slice(&pixels[(y * width + x) * 3..][..3]);
                }
                at = [at[0] + along[0], at[1] + along[1]];
            }
            row = [row[0] + across[0], row[1] + across[1]];
        }
        moved
    }
}

/// Grey by the weights of ITU-R BT.601 in Pillow's fixed point.
fn grey(pixel: &[u8]) -> u8 {
    let weighted = pixel.iter().zip([19595u32, 38470, 7471]).map(|(&byte, weight)| u32::from(byte) * weight);
    ((weighted.sum::<u32>() + 0x8000) >> 16) as u8
}

/// Each pixel between what it is blended with (0) and itself (1), or beyond itself; cut to whole numbers in 0–255.
fn blend(pixels: &mut [u8], factor: f64, mut with: impl FnMut(&[u8]) -> [u8; 3]) {
    let factor = factor as f32;
    for pixel in pixels.chunks_exact_mut(3) {
        let other = with(pixel);
        for (byte, other) in pixel.iter_mut().zip(other) {
            // `as` cuts off and keeps within bounds.
            *byte = (f32::from(other) + factor * (f32::from(*byte) - f32::from(other))) as u8;
        }
    }
}

/// Each inner pixel as the mean of itself, five times, and its eight neighbours.
fn smoothed(pixels: &[u8], [height, width]: [usize; 2]) -> Vec<u8> {
    let mut smooth = pixels.to_vec();
    for y in 1..height.saturating_sub(1) {
        for at in (y * width + 1) * 3..(y * width + width.saturating_sub(1)) * 3 {
            let row = |above: usize| {
                let middle = at + above * width * 3 - width * 3;
                u32::from(pixels[middle - 3]) + u32::from(pixels[middle]) + u32::from(pixels[middle + 3])
            };
            let sum = row(0) + row(1) + row(2) + 4 * u32::from(pixels[at]);
            smooth[at] = ((2 * sum + 13) / 26) as u8;
        }
    }
    smooth
}

/// Replaces the bytes of each channel by those of a table that is made of the channel's histogram.
fn look_up(pixels: &mut [u8], table: impl Fn(&[usize; 256]) -> [u8; 256]) {
    for channel in 0..3 {
        let mut histogram = [0; 256];
        pixels.iter().skip(channel).step_by(3).for_each(|&byte| histogram[usize::from(byte)] += 1);
        let table = table(&histogram);
        pixels.iter_mut().skip(channel).step_by(3).for_each(|byte| *byte = table[usize::from(*byte)]);
    }
}

/// The table that leaves everything as it is.
fn identity() -> [u8; 256] {
    std::array::from_fn(|byte| byte as u8)
}

fn stretched(histogram: &[usize; 256]) -> [u8; 256] {
    let is_there = |count: &usize| *count > 0;
    let (low, high) = (histogram.iter().position(is_there), histogram.iter().rposition(is_there));
    let (Some(low), Some(high)) = (low, high) else { return identity() };
    if high <= low {
        return identity();
    }
    let scale = 255.0 / (high - low) as f64;
    let offset = -(low as f64) * scale;
    std::array::from_fn(|byte| (byte as f64 * scale + offset) as u8)
}

fn evened(histogram: &[usize; 256]) -> [u8; 256] {
    let last = histogram.iter().rfind(|count| **count > 0).copied().unwrap_or(0);
    let step = (histogram.iter().sum::<usize>() - last) / 255;
    if step == 0 {
        return identity();
    }
    let mut sum = step / 2;
    std::array::from_fn(|byte| {
        let level = sum / step;
        sum += histogram[byte];
        level.min(255) as u8
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::data::{Picture, Preprocess};
    use tk_engine::random::fnv1a;

    /// `tests/parity/trivial_augment.py` made the numbers: `torch.linspace(FIRST, LAST, 31)[BIN].item()`.
    #[test]
    fn strengths_are_torchs() {
        for (bin, first, last, expected) in [
            (0, 0.0, 0.99, 0.0),
            (3, 0.0, 0.99, 0.0989999994635582),
            (13, 0.0, 0.99, 0.42899999022483826),
            (20, 0.0, 0.99, 0.6600000262260437),
            (3, 0.0, 32.0, 3.200000286102295),
            (13, 0.0, 32.0, 13.866667747497559),
            (20, 0.0, 32.0, 21.333332061767578),
            (30, 0.0, 32.0, 32.0),
            (3, 0.0, 135.0, 13.5),
            (20, 0.0, 135.0, 90.0),
            (13, 255.0, 0.0, 144.5),
        ] {
            assert_eq!(strength(bin, first, last), expected, "{bin} of {first}–{last}");
        }
    }

    /// For each operation the FNV-1a digest of what five strengths make of a picture, every second one in the other direction.
    fn digests(pixels: &[u8], width: usize) -> Vec<u64> {
        let all = |operation: usize| {
            let bins = [0, 3, 13, 20, 30].into_iter().enumerate();
            let changed = bins.flat_map(|(number, bin)| {
                let mut pixels = pixels.to_vec();
                Operation::of(operation, bin, number % 2 == 1).apply(&mut pixels, width);
                pixels
            });
            fnv1a(&changed.collect::<Vec<u8>>())
        };
        (0..14).map(all).collect()
    }

    /// Stripes, gradients and hard edges, by integer arithmetic alone; the same stands in `tests/parity/trivial_augment.py`.
    fn picture(width: usize, height: usize) -> Vec<u8> {
        let pixel = |at: usize| {
            let (x, y) = (at % width, at / width);
            let (red, green) = (40 + (x * 37 + y * 11) % 190, 30 + (x / 3 + y / 5) % 2 * 200);
            [red, green, (x * x + 3 * y * y + x * y) % 251].map(|byte| byte as u8)
        };
        (0..width * height).flat_map(pixel).collect()
    }

    #[rustfmt::skip]
    const EXPECTED: [(usize, usize, [u64; 14]); 2] = [
        (64, 64, [
            0x5c6a33cf9b69fa28, 0xf3c1c6c8b9b07f32, 0xdcb3bc637561a667, 0xacf3e4296aa8790e, 0xde787e93456de376,
            0x824e7b078fa0501d, 0x0140a9d3b78cef56, 0xda4dc7877ec9c324, 0xc3768503c1d0a4d1, 0xd4f149b50701553b,
            0xa615dbc85427671c, 0x72e3805e67d2787a, 0x2a32caeacee31d66, 0xb057cf184eddc3be,
        ]),
        (97, 61, [
            0x20e317dcaebd4e89, 0x45299a5835b0c048, 0xaade0ca009dea2e9, 0xd157f8708838139f, 0xb22cbefa7b2224b3,
            0x13085877d7c995c1, 0xbaea90204f762f14, 0xa7c125524b807313, 0xd0ba37d4b6c46bc3, 0x1521a71eac93ac80,
            0x8914fc3b2b649d9b, 0x01ef0ef1e0104f1b, 0x8278a9a1ccf9601c, 0x99f11395c71de115,
        ]),
    ];

    #[test]
    fn every_byte_is_torchvisions() {
        for (width, height, expected) in EXPECTED {
            let found = digests(&picture(width, height), width);
            for (operation, (found, expected)) in found.iter().zip(expected).enumerate() {
                assert_eq!(*found, expected, "{:?} on {width}×{height}", Operation::of(operation, 20, false));
            }
        }
    }

    #[test]
    #[ignore = "needs a Python with torchvision, PEERS_PYTHON, and a photograph, PHOTOGRAPH"]
    fn a_photograph_becomes_what_torchvision_makes_of_it() {
        let photograph = Picture::open(std::env::var_os("PHOTOGRAPH").unwrap()).unwrap();
        let pixels = Preprocess { input_size: [160, 224], ..Preprocess::imagenet(224) }.crop(&photograph);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pixels");
        std::fs::write(&file, &pixels).unwrap();
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/parity/trivial_augment.py");
        let mut python = std::process::Command::new(std::env::var_os("PEERS_PYTHON").unwrap());
        let output = python.arg(program).arg(&file).args(["224", "160"]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let expected: Vec<u64> = String::from_utf8(output.stdout)
            .unwrap()
            .split_whitespace()
            .map(|digest| digest.parse().unwrap())
            .collect();
        assert_eq!(digests(&pixels, 224), expected);
    }

    #[test]
    fn the_operations_are_drawn_alike_from_a_stream() {
        let mut stream = Stream::new(3, &["operations".into()]);
        let mut seen = [0; 14];
        for _ in 0..1400 {
            let place = match Operation::draw(&mut stream) {
                Operation::Identity => 0,
                Operation::ShearX(_) => 1,
                Operation::ShearY(_) => 2,
                Operation::TranslateX(_) => 3,
                Operation::TranslateY(_) => 4,
                Operation::Rotate(_) => 5,
                Operation::Brightness(_) => 6,
                Operation::Color(_) => 7,
                Operation::Contrast(_) => 8,
                Operation::Sharpness(_) => 9,
                Operation::Posterize(bits) => {
                    assert!((2..=8).contains(&bits));
                    10
                }
                Operation::Solarize(_) => 11,
                Operation::AutoContrast => 12,
                Operation::Equalize => 13,
            };
            seen[place] += 1;
        }
        // Five standard deviations of a count of 100.
        assert!(seen.iter().all(|count| (52..148).contains(count)), "{seen:?}");
        let drawn = |seed| Operation::draw(&mut Stream::new(seed, &["one".into()]));
        assert!((0..20).all(|seed| drawn(seed) == drawn(seed)));
    }

    #[test]
    fn pictures_of_one_pixel_survive_everything() {
        for operation in 0..14 {
            for bin in [0, 15, 30] {
                let mut pixels = vec![10, 200, 90];
                Operation::of(operation, bin, true).apply(&mut pixels, 1);
                assert_eq!(pixels.len(), 3);
            }
        }
    }
}
