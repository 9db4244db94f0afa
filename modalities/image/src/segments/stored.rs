//! The values of a mask as its file holds them: of a palette the indices, which decoders of photographs replace by colours.

use std::collections::BTreeMap;
use std::io::{Cursor, ErrorKind};

use image::DynamicImage;
use png::{BitDepth, ColorType, DecodingError, Transformations};

use super::MaskError;
use super::value::Value;
use crate::data::{DecodeError, Format, MAX_PIXELS, decode_as_stored, guarded, probe};

/// More colours than this no mask has.
const MOST_COLOURS: usize = 1 << 16;

/// A mask as it is stored: a value for each pixel, row by row.
#[derive(Debug)]
pub(super) struct Stored {
    pub width: u32,
    pub height: u32,
    pixels: Pixels,
}

#[derive(Debug)]
enum Pixels {
    /// Of 1 to 16 bits.
    Grey(Vec<u16>),
    /// Places in a palette.
    Indexed { indices: Vec<u8>, palette: Vec<[u8; 3]> },
    /// Red, green and blue.
    Colour(Vec<[u8; 3]>),
}

impl Stored {
    /// The mask in a file's bytes.
    ///
    /// # Errors
    /// The bytes are no picture, are damaged, or of a format that does not keep values.
    pub fn read(bytes: &[u8]) -> Result<Self, MaskError> {
        let header = probe(bytes, MAX_PIXELS)?;
        match header.format {
            Format::Jpeg => Err(MaskError::Lossy { format: "JPEG" }),
            Format::WebP if is_lossy_webp(bytes) => Err(MaskError::Lossy { format: "lossy WebP" }),
            Format::Png => Ok(guarded(bytes, |_| read_png(bytes))?),
            Format::WebP | Format::Gif | Format::Bmp | Format::Tiff => {
                Ok(Self::of_image(decode_as_stored(bytes, MAX_PIXELS)?))
            }
        }
    }

    fn of_image(image: DynamicImage) -> Self {
        let (width, height) = (image.width(), image.height());
        let pixels = match image {
            DynamicImage::ImageLuma8(image) => {
                Pixels::Grey(image.into_raw().into_iter().map(u16::from).collect())
            }
            DynamicImage::ImageLuma16(image) => Pixels::Grey(image.into_raw()),
            DynamicImage::ImageLumaA8(image) => {
                Pixels::Grey(image.pixels().map(|pixel| pixel.0[0].into()).collect())
            }
            DynamicImage::ImageLumaA16(image) => {
                Pixels::Grey(image.pixels().map(|pixel| pixel.0[0]).collect())
            }
            other => Pixels::Colour(other.into_rgb8().pixels().map(|pixel| pixel.0).collect()),
        };
        Self { width, height, pixels }
    }

    /// How many pixels hold each value.
    ///
    /// # Errors
    /// There are more colours than any mask has.
    pub fn tally(&self) -> Result<BTreeMap<Value, u64>, MaskError> {
        let mut tally = BTreeMap::new();
        match &self.pixels {
            Pixels::Grey(values) => {
                let mut counts = vec![0; 1 << 16];
                values.iter().for_each(|&value| counts[usize::from(value)] += 1);
                let found = (0..=u16::MAX).zip(counts).filter(|(_, count)| *count > 0);
                tally.extend(found.map(|(value, count)| (Value::Grey(value), count)));
            }
            Pixels::Indexed { indices, palette } => {
                let mut counts = [0; 256];
                indices.iter().for_each(|&index| counts[usize::from(index)] += 1);
                let found = (0..=u8::MAX).zip(counts).filter(|(_, count)| *count > 0);
                tally.extend(found.map(|(index, count)| (indexed(palette, index), count)));
            }
            Pixels::Colour(colours) => {
                for run in colours.chunk_by(|a, b| a == b) {
                    let Some(&colour) = run.first() else { continue };
                    *tally.entry(Value::Colour(colour)).or_default() += run.len() as u64;
                    if tally.len() > MOST_COLOURS {
                        return Err(MaskError::Colours { limit: MOST_COLOURS });
                    }
                }
            }
        }
        Ok(tally)
    }

    /// What each value stands for, row by row.
    ///
    /// # Errors
    /// That of a value that stands for nothing.
    pub fn map(&self, class_of: impl Fn(Value) -> Result<u8, MaskError>) -> Result<Vec<u8>, MaskError> {
        let mut known: BTreeMap<Value, u8> = BTreeMap::new();
        for value in self.tally()?.into_keys() {
            known.insert(value, class_of(value)?);
        }
        let look_up = |value: Value| known.get(&value).copied().unwrap_or(super::IGNORED);
        Ok(match &self.pixels {
            Pixels::Grey(values) => {
                let table: Vec<u8> = (0..=u16::MAX).map(|value| look_up(Value::Grey(value))).collect();
                values.iter().map(|&value| table[usize::from(value)]).collect()
            }
            Pixels::Indexed { indices, palette } => {
                let table: Vec<u8> = (0..=u8::MAX).map(|index| look_up(indexed(palette, index))).collect();
                indices.iter().map(|&index| table[usize::from(index)]).collect()
            }
            Pixels::Colour(colours) => {
                let mut classes = Vec::with_capacity(colours.len());
                for run in colours.chunk_by(|a, b| a == b) {
                    let class = run.first().map_or(super::IGNORED, |&colour| look_up(Value::Colour(colour)));
                    classes.resize(classes.len() + run.len(), class);
                }
                classes
            }
        })
    }
}

/// An index beyond the palette's end is black, as decoders have it.
fn indexed(palette: &[[u8; 3]], index: u8) -> Value {
    Value::Indexed(index, palette.get(usize::from(index)).copied().unwrap_or_default())
}

/// A PNG file's values, which have the bits that they are stored with. Alpha is dropped.
fn read_png(bytes: &[u8]) -> Result<Stored, DecodeError> {
    let classify = |error: DecodingError| match error {
        DecodingError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => {
            DecodeError::Truncated { format: Format::Png, bytes: bytes.len() }
        }
        other => damaged(&other.to_string()),
    };
    let mut decoder = png::Decoder::new(Cursor::new(bytes));
    decoder.set_transformations(Transformations::IDENTITY);
    let mut reader = decoder.read_info().map_err(classify)?;
    let size = reader.output_buffer_size().ok_or_else(|| damaged("it is too large"))?;
    let mut raw = vec![0; size];
    let frame = reader.next_frame(&mut raw).map_err(classify)?;
    let (width, height) = (frame.width, frame.height);
    if (width, height) != (reader.info().width, reader.info().height) {
        return Err(damaged("its first frame is of another size"));
    }
    let rows = || raw.chunks_exact(frame.line_size.max(1)).take(height as usize);
    let samples = frame.color_type.samples();
    let pixels = match (frame.color_type, frame.bit_depth) {
        (ColorType::Indexed, depth) => {
            let palette = reader.info().palette.as_deref().unwrap_or_default();
            let palette = palette.as_chunks::<3>().0.to_vec();
            let indices = rows().flat_map(|row| unpacked(row, depth, width)).collect();
            Pixels::Indexed { indices, palette }
        }
        (ColorType::Grayscale | ColorType::GrayscaleAlpha, BitDepth::Sixteen) => {
            let (values, _) = raw.as_chunks::<2>();
            Pixels::Grey(values.iter().step_by(samples).map(|value| u16::from_be_bytes(*value)).collect())
        }
        (ColorType::Grayscale | ColorType::GrayscaleAlpha, BitDepth::Eight) => {
            Pixels::Grey(raw.iter().step_by(samples).map(|&value| u16::from(value)).collect())
        }
        (ColorType::Grayscale | ColorType::GrayscaleAlpha, depth) => {
            Pixels::Grey(rows().flat_map(|row| unpacked(row, depth, width)).map(u16::from).collect())
        }
        (ColorType::Rgb | ColorType::Rgba, depth) => {
            // Of 16 bits the higher 8 come first.
            let step = if depth == BitDepth::Sixteen { 2 } else { 1 };
            let colour = |pixel: &[u8]| match (pixel.first(), pixel.get(step), pixel.get(2 * step)) {
                (Some(&red), Some(&green), Some(&blue)) => [red, green, blue],
                _ => [0; 3],
            };
            Pixels::Colour(raw.chunks_exact(samples * step).map(colour).collect())
        }
    };
    Ok(Stored { width, height, pixels })
}

fn damaged(reason: &str) -> DecodeError {
    DecodeError::Damaged { format: Format::Png, reason: reason.to_owned() }
}

/// The values of a row of up to 8 bits each; the first is in the highest bits.
fn unpacked(row: &[u8], depth: BitDepth, width: u32) -> impl Iterator<Item = u8> {
    let bits = match depth {
        BitDepth::One => 1,
        BitDepth::Two => 2,
        BitDepth::Four => 4,
        BitDepth::Eight | BitDepth::Sixteen => 8u32,
    };
    let mask = u8::MAX >> (8 - bits);
    let of_byte = move |&byte: &u8| (1..=8 / bits).map(move |place| byte >> (8 - place * bits) & mask);
    row.iter().flat_map(of_byte).take(width as usize)
}

/// Whether a WebP file's first picture is coded lossily: chunks are a name, a length and content of even length.
fn is_lossy_webp(bytes: &[u8]) -> bool {
    let mut rest = bytes.get(12..).unwrap_or_default();
    while let Some((name, after)) = rest.split_first_chunk::<4>() {
        match name {
            b"VP8 " => return true,
            b"VP8L" => return false,
            _ => {}
        }
        let Some((length, content)) = after.split_first_chunk::<4>() else { return false };
        // The pictures of an animation stand in chunks of their own, behind 16 bytes.
        let skipped = match name {
            b"ANMF" => 16,
            _ => u32::from_le_bytes(*length) as usize,
        };
        rest = content.get(skipped.saturating_add(skipped % 2)..).unwrap_or_default();
    }
    false
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use image::{GrayImage, ImageFormat, RgbImage};

    use super::*;

    fn png(size: [u32; 2], colour: ColorType, depth: BitDepth, palette: &[u8], data: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, size[0], size[1]);
        encoder.set_color(colour);
        encoder.set_depth(depth);
        if !palette.is_empty() {
            encoder.set_palette(palette);
        }
        encoder.write_header().unwrap().write_image_data(data).unwrap();
        bytes
    }

    fn saved(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image.into().write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    /// The values of a mask, through [`Stored::map`]: each stands for its place in the tally.
    fn values(bytes: &[u8]) -> Vec<Value> {
        let stored = Stored::read(bytes).unwrap();
        let tally = stored.tally().unwrap();
        let all: Vec<Value> = tally.keys().copied().collect();
        let places = stored.map(|value| Ok(all.iter().position(|one| *one == value).unwrap() as u8)).unwrap();
        assert_eq!(places.len() as u64, u64::from(stored.width) * u64::from(stored.height));
        for (value, count) in tally {
            assert_eq!(
                places.iter().filter(|place| all[usize::from(**place)] == value).count() as u64,
                count
            );
        }
        places.into_iter().map(|place| all[usize::from(place)]).collect()
    }

    #[test]
    fn values_are_those_that_are_stored() {
        let grey = |values: &[u16]| values.iter().map(|&value| Value::Grey(value)).collect::<Vec<_>>();
        let palette = [0, 0, 0, 128, 0, 0];
        let (black, red) = ([0, 0, 0], [128, 0, 0]);
        let red_indexed = [Value::Indexed(1, red), Value::Indexed(0, black), Value::Indexed(1, red)];
        let colours = [Value::Colour(red), Value::Colour(black), Value::Colour([1, 2, 3])];
        let one = [3, 1];
        for (name, bytes, expected) in [
            (
                "8 bits",
                png(one, ColorType::Grayscale, BitDepth::Eight, &[], &[7, 255, 0]),
                grey(&[7, 255, 0]),
            ),
            ("1 bit", png(one, ColorType::Grayscale, BitDepth::One, &[], &[0b1010_0000]), grey(&[1, 0, 1])),
            (
                "1 bit, two rows",
                png([3, 2], ColorType::Grayscale, BitDepth::One, &[], &[0x80, 0x20]),
                grey(&[1, 0, 0, 0, 0, 1]),
            ),
            ("2 bits", png(one, ColorType::Grayscale, BitDepth::Two, &[], &[0b1101_0000]), grey(&[3, 1, 0])),
            ("4 bits", png(one, ColorType::Grayscale, BitDepth::Four, &[], &[0x1F, 0x20]), grey(&[1, 15, 2])),
            (
                "16 bits",
                png(one, ColorType::Grayscale, BitDepth::Sixteen, &[], &[1, 0, 0, 2, 255, 255]),
                grey(&[256, 2, 65535]),
            ),
            (
                "grey and alpha",
                png(one, ColorType::GrayscaleAlpha, BitDepth::Eight, &[], &[7, 0, 8, 255, 9, 1]),
                grey(&[7, 8, 9]),
            ),
            (
                "palette",
                png(one, ColorType::Indexed, BitDepth::Eight, &palette, &[1, 0, 1]),
                red_indexed.to_vec(),
            ),
            (
                "palette, 4 bits",
                png(one, ColorType::Indexed, BitDepth::Four, &palette, &[0x10, 0x10]),
                red_indexed.to_vec(),
            ),
            (
                "colour",
                png(one, ColorType::Rgb, BitDepth::Eight, &[], &[128, 0, 0, 0, 0, 0, 1, 2, 3]),
                colours.to_vec(),
            ),
            (
                "colour and alpha",
                png(one, ColorType::Rgba, BitDepth::Eight, &[], &[128, 0, 0, 9, 0, 0, 0, 0, 1, 2, 3, 255]),
                colours.to_vec(),
            ),
            (
                "colour of 16 bits",
                png(
                    one,
                    ColorType::Rgb,
                    BitDepth::Sixteen,
                    &[],
                    &[128, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 2, 3, 3],
                ),
                colours.to_vec(),
            ),
            (
                "bitmap",
                saved(RgbImage::from_raw(3, 1, vec![128, 0, 0, 0, 0, 0, 1, 2, 3]).unwrap(), ImageFormat::Bmp),
                colours.to_vec(),
            ),
            (
                "TIFF",
                saved(GrayImage::from_raw(3, 1, vec![7, 255, 0]).unwrap(), ImageFormat::Tiff),
                grey(&[7, 255, 0]),
            ),
            (
                "lossless WebP",
                saved(
                    RgbImage::from_raw(3, 1, vec![128, 0, 0, 0, 0, 0, 1, 2, 3]).unwrap(),
                    ImageFormat::WebP,
                ),
                colours.to_vec(),
            ),
        ] {
            assert_eq!(values(&bytes), expected, "{name}");
        }
    }

    #[test]
    fn what_keeps_no_values_is_refused() {
        let jpeg = saved(GrayImage::new(8, 8), ImageFormat::Jpeg);
        let whole = png(
            [64, 64],
            ColorType::Grayscale,
            BitDepth::Eight,
            &[],
            &(0..4096).map(|at| (at * at % 251) as u8).collect::<Vec<_>>(),
        );
        // 300 × 300 pixels, all different.
        let photograph: Vec<u8> =
            (0..90_000u32).flat_map(|at| [at as u8, (at >> 8) as u8, (at >> 16) as u8]).collect();
        let photograph = png([300, 300], ColorType::Rgb, BitDepth::Eight, &[], &photograph);
        for (bytes, expected) in [
            (
                &jpeg[..],
                "JPEG does not keep values as they are, so its pixels are no classes; save masks as PNG",
            ),
            (&whole[..whole.len() / 2], "truncated PNG: the file ends after"),
            (&[][..], "the file is empty (0 bytes)"),
            (b"text", "not an image: the content is text"),
            (&photograph, "it has more than 65536 colours, as photographs have; expected one for each class"),
        ] {
            let error = Stored::read(bytes).and_then(|stored| stored.tally()).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
        let chunk = |name: &[u8; 4], content: &[u8]| {
            let mut chunk = [&name[..], &(content.len() as u32).to_le_bytes(), content].concat();
            chunk.resize(chunk.len().next_multiple_of(2), 0);
            chunk
        };
        let file = |chunks: &[Vec<u8>]| [b"RIFF\0\0\0\0WEBP".to_vec(), chunks.concat()].concat();
        for (chunks, is_lossy) in [
            (vec![chunk(b"VP8 ", b"x")], true),
            (vec![chunk(b"VP8L", b"x")], false),
            (vec![chunk(b"VP8X", &[0; 10]), chunk(b"ALPH", &[1; 3]), chunk(b"VP8 ", b"x")], true),
            (vec![chunk(b"VP8X", &[0; 10]), chunk(b"ICCP", b"VP8 "), chunk(b"VP8L", b"x")], false),
            (
                vec![
                    chunk(b"VP8X", &[0; 10]),
                    chunk(b"ANMF", &[&[0; 16][..], &chunk(b"VP8 ", b"x")].concat()),
                ],
                true,
            ),
            (vec![], false),
        ] {
            assert_eq!(is_lossy_webp(&file(&chunks)), is_lossy, "{chunks:?}");
        }
    }
}
